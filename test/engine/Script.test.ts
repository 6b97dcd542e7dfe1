import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ScriptExecutors } from "../../src/action/Script.ts"
import * as Client from "../../src/engine/Client.ts"
import { eventually, processesWith } from "../action/support.ts"
import { action, awaitEnd, failing, isEvent, layerOf, runIn, start, watch } from "./TestEngine.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "millrace-script-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const quoted = (text: string) => JSON.stringify(text)

describe("a script", () => {
  it.live("is a shell command or a file below the working directory, and its stdout is its context", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const own = yield* folder
        writeFileSync(join(own, "hello.sh"), "#!/bin/sh\necho from $PWD\n")
        chmodSync(join(own, "hello.sh"), 0o755)
        const end = yield* runIn(
          {},
          `workflow w { script s { run = "echo a; echo b" } script f { run = "./hello.sh" } }`,
          {
            settings: { workingDirectory: own }
          }
        )
        expect(end.step("/s").result).toMatchObject({ markers: [], context: "a\nb\n", structured: null })
        expect(end.step("/f").result.context).toBe(`from ${own}\n`)
        expect([end.step("/s").kind, end.step("/s").role]).toEqual(["script", "script"])
        expect(end.run.totals.duration_ms).toBeGreaterThan(0)
      })
    )
  )

  it.live("is no process where an application executes scripts itself", () =>
    Effect.gen(function* () {
      const find: typeof ScriptExecutors.Service.find =
        (node, { inputs }) =>
        (call) =>
          Effect.succeed({
            context: `${call.name} was to run ${node.run} for ${inputs["who"]}`,
            markers: ["elsewhere"]
          })
      const text = `workflow w { inputs { who } script s { run = "exit 3" } if s.elsewhere { script t { run = "exit 4" } } }`
      const end = yield* Effect.provideService(
        runIn({}, text, { inputs: { who: "ann" } }),
        ScriptExecutors,
        ScriptExecutors.of({ find })
      )
      expect(end.run.status).toBe("completed")
      expect(end.step("/s").result.context).toBe("s was to run exit 3 for ann")
      expect(end.step("/if:s.elsewhere/t").result.context).toBe("t was to run exit 4 for ann")
    })
  )

  it.live("hands on the result that it prints", () =>
    Effect.gen(function* () {
      const block = `<<<FLOW_OUTPUT>>>\n{"markers": ["m"], "context": "c", "branch": "main"}\n<<<END_FLOW_OUTPUT>>>`
      const end = yield* runIn(
        {},
        `workflow w { script s { run = ${quoted(`cat <<'E'\n${block}\nE`)} } if s.m { script t { run = "echo {{branch}}" } } }`
      )
      expect(end.step("/s").result).toMatchObject({
        markers: ["m"],
        context: "c",
        structured: { markers: ["m"], context: "c", branch: "main" }
      })
      expect(end.step("/if:s.m/t").result.context).toBe("main\n")
    })
  )

  it.live("fails with its exit code or signal and the end of its stderr", () =>
    Effect.gen(function* () {
      const error = (run: string) =>
        Effect.map(runIn({}, `workflow w { script s { run = ${quoted(run)} } }`), (end) => end.run.error)
      expect(yield* error("echo oops >&2; exit 3")).toBe("s: exit code 3: oops")
      expect(yield* error("kill -KILL $$")).toBe("s: killed by signal SIGKILL")
    })
  )

  it.live("has inputs, phase variables, the identity's values and its env in its environment", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { environment: (identity) => ({ TOKEN: `of ${identity}` }) },
        `workflow w {
          inputs { who default = "Ada" }
          script s {
            as = bot
            run = "echo $FLOW_WHO $CONDUCTOR_WHO $TOKEN $GREETING"
            env = { GREETING = "hello {{who}}{{nobody}}" TOKEN = "stolen" LD_PRELOAD = "x" }
          }
          always { script z { run = "echo $FLOW_WORKFLOW_STATUS" } }
        }`
      )
      expect(end.step("/s").result.context).toBe("Ada Ada of bot hello Ada\n")
      expect(end.step("/@always/z").result.context).toBe("completed\n")
      expect(end.warnings).toEqual([
        "env: 'TOKEN' is skipped: the script environment sets it",
        "env: 'LD_PRELOAD' is skipped: it is protected"
      ])
    })
  )

  it.live("as an on_fail's neighbour knows what failed only inside the on_fail action", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: failing("no"), fix: action(() => ({})) } },
        `workflow w { call a { on_fail = fix } script s { run = "echo [$FLOW_FAILED_STEP]" } }`,
        { settings: { failFast: false } }
      )
      expect(end.step("/s").result.context).toBe("[]\n")
    })
  )

  it.live("gets values as environment variables, whatever they hold", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const own = yield* folder
        const evil = `$(touch ${own}/pwned) \`touch ${own}/pwned\` '"; touch ${own}/pwned; #`
        const end = yield* runIn(
          {},
          `workflow w { inputs { x required } script s { run = "printf '%s|' {{x}} \\"{{x}}\\" '{{x}}'" } }`,
          { inputs: { x: evil } }
        )
        expect(end.run.status).toBe("completed")
        expect(end.step("/s").result.context).toContain(`${evil}|${evil}|`)
        expect(existsSync(join(own, "pwned"))).toBe(false)
      })
    )
  )

  it.live("leaves a large stdout in a file, which later steps are told of", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        {},
        `workflow w { script s { run = "yes 0123456789 | head -c 100000" } script t { run = "wc -c < {{prior_output_file}}" } }`
      )
      const { result } = end.step("/s")
      expect(result.context).toHaveLength(2_000)
      expect(result.outputFile).not.toBeNull()
      expect(end.step("/t").result.context?.trim()).toBe("100000")
    })
  )

  it.live("is tried again as often as its retries say", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const own = yield* folder
        const end = yield* runIn(
          {},
          `workflow w { script s { retries = 2 run = "echo x >> tries; test $(wc -l < tries) -ge 3" } }`,
          { settings: { workingDirectory: own } }
        )
        expect(end.outline).toEqual(["/s completed"])
        expect(end.step("/s").attempts).toHaveLength(3)
        expect(readFileSync(join(own, "tries"), "utf8")).toBe("x\nx\nx\n")
      })
    )
  )

  it.live("is not executed in a dry run", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const own = yield* folder
        const end = yield* runIn({}, `workflow w { script s { run = "touch done" } }`, {
          dryRun: true,
          settings: { workingDirectory: own }
        })
        expect(end.outline).toEqual(["/s completed"])
        expect(existsSync(join(own, "done"))).toBe(false)
      })
    )
  )

  it.live("ends with its whole process group when its run is cancelled", () =>
    Effect.gen(function* () {
      const end = yield* Effect.scoped(
        Effect.gen(function* () {
          const watched = yield* watch
          const id = yield* start(`workflow w { script s { run = "sleep 2718 & sleep 2718" } }`)
          yield* watched.until(isEvent("StepStarted"))
          expect(yield* eventually(() => processesWith("sleep 2718").length > 0)).toBe(true)
          yield* Client.cancel(id)
          return yield* awaitEnd(id, watched)
        })
      ).pipe(Effect.provide(layerOf({})))
      expect(end.outline).toEqual(["/s cancelled"])
      expect(yield* eventually(() => processesWith("sleep 2718").length === 0)).toBe(true)
    })
  )
})
