import { existsSync, readFileSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as fc from "fast-check"
import type { ActionCall } from "../../src/action/Action.ts"
import { ScriptEnvironment } from "../../src/action/Resolvers.ts"
import { RunSecrets } from "../../src/action/RunSecrets.ts"
import { scriptExecutor } from "../../src/action/Script.ts"
import type { ScriptNode, Texts } from "../../src/workflow/Definition.ts"
import { redactorOf } from "../../src/workflow/Redactor.ts"
import { eventually, makeCall, temporaryFolder, write, writeScript } from "./support.ts"

interface Given {
  readonly inputs?: Texts
  readonly env?: Texts
  readonly roots?: ReadonlyArray<string>
  readonly call?: Partial<ActionCall>
}

const script = (folder: string, run: string, given: Given = {}) => {
  const inputs = given.inputs ?? {}
  const node: Pick<ScriptNode, "run" | "env"> = given.env === undefined ? { run } : { run, env: given.env }
  const { call, recorded } = makeCall(folder, { variables: inputs, ...given.call })
  const execute = scriptExecutor(node, { inputs, roots: given.roots ?? [] })
  return { effect: Effect.scoped(execute(call)), recorded }
}

const message = (folder: string, run: string, given?: Given) =>
  Effect.map(Effect.flip(script(folder, run, given).effect), (failed) => failed.message.replaceAll(folder, "."))

describe("a script", () => {
  it.scopedLive("has the beginning of its output as context and its duration as metadata", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const output = yield* script(folder, "echo hello; sleep 0.05").effect
      expect(output).toMatchObject({ context: "hello\n" })
      expect(output.markers).toBeUndefined()
      expect(Number(output.metadata?.["duration_ms"])).toBeGreaterThanOrEqual(45)
    })
  )

  it.scopedLive("hands on its flow output", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const block = '{"markers": ["bad"], "context": "two", "branch": "main"}'
      const { effect } = script(folder, `echo noise; echo '<<<FLOW_OUTPUT>>>${block}<<<END_FLOW_OUTPUT>>>'`)
      expect(yield* effect).toMatchObject({
        markers: ["bad"],
        context: "two",
        structuredOutput: { markers: ["bad"], context: "two", branch: "main" }
      })
    })
  )

  it.scopedLive("warns about a broken flow output and goes on as if there were none", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const { effect, recorded } = script(folder, "echo '<<<FLOW_OUTPUT>>>{\"markers\"'")
      const output = yield* effect
      expect(output.structuredOutput).toBeUndefined()
      expect(output.context).toContain("<<<FLOW_OUTPUT>>>")
      expect(recorded.warnings).toHaveLength(1)
    })
  )

  it.scopedLive("cuts its context between characters and keeps a large output in a file", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const small = yield* script(folder, "printf '%0.s1' $(seq 1 2000)").effect
      expect([small.context?.length, small.outputFile]).toEqual([2_000, undefined])
      const large = yield* script(folder, "printf '%0.s😀' $(seq 1 2001)").effect
      expect(large.context).toBe("😀".repeat(2_000))
      expect(large.outputFile).toBe(join(folder, "stdout.log"))
    })
  )

  it.scopedLive("finds the flow output at the end of 100 MB", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const block = '<<<FLOW_OUTPUT>>>{"markers": ["end"]}<<<END_FLOW_OUTPUT>>>'
      const output = yield* script(folder, `yes 0123456789 | head -c 100000000; echo '${block}'`).effect
      expect(output.markers).toEqual(["end"])
      expect(output.outputFile).toBe(join(folder, "stdout.log"))
    })
  )

  it.scopedLive("replaces bytes that are not UTF-8", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      expect((yield* script(folder, "printf 'a\\377b'").effect).context).toBe("a\ufffdb")
    })
  )

  it.scopedLive("fails with its code or signal and the end of what it printed to stderr", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      expect(yield* message(folder, "echo; echo ' oops ' >&2; echo >&2; exit 4")).toBe("exit code 4: oops")
      expect(yield* message(folder, "exit 1")).toBe("exit code 1")
      expect(yield* message(folder, "kill -9 $$")).toBe("killed by signal SIGKILL")
      const long = yield* message(folder, "printf 'x%.0s' $(seq 1 3000) >&2; echo '  end  ' >&2; exit 1")
      expect(long).toBe(`exit code 1: ${"x".repeat(1_995)}  end`)
    })
  )

  it.scopedLive("keeps both streams in the attempt's log files and records its group", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const { effect, recorded } = script(folder, "echo out; echo err >&2")
      yield* effect
      expect(readFileSync(join(folder, "stdout.log"), "utf8")).toBe("out\n")
      expect(readFileSync(join(folder, "stderr.log"), "utf8")).toBe("err\n")
      expect(recorded.processes).toHaveLength(1)
    })
  )

  it.scopedLive("is not executed in a dry run", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      yield* script(folder, "touch here", { call: { dryRun: true } }).effect
      expect(existsSync(join(folder, "here"))).toBe(false)
    })
  )
})

describe("a script's file", () => {
  it.scopedLive("is looked for in the working directory, then in the roots", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const roots = [join(folder, "first"), join(folder, "second")]
      const here = write(folder, "here/x", "").replace("/x", "")
      writeScript(folder, "second/bin/tool", "#!/bin/sh\necho second; pwd\n")
      expect((yield* script(here, "bin/tool", { roots }).effect).context).toBe(`second\n${here}\n`)
      writeScript(folder, "first/bin/tool", "#!/bin/sh\necho first\n")
      expect((yield* script(here, "./bin/tool", { roots }).effect).context).toBe("first\n")
      writeScript(folder, "here/bin/tool", "echo here\n")
      expect((yield* script(here, "bin/{{what}}", { roots, inputs: { what: "tool" } }).effect).context).toBe("here\n")
    })
  )

  it.scopedLive("is refused outside of them, however the path leads there", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const here = join(folder, "here")
      writeScript(here, "ok", "true\n")
      writeScript(folder, "outside", "true\n")
      symlinkSync(join(folder, "outside"), join(here, "link"))
      symlinkSync(folder, join(here, "up"))
      symlinkSync(join(here, "ok"), join(here, "inside"))
      const refused = (run: string) =>
        Effect.map(Effect.flip(script(here, run).effect), (failed) => [failed.permanent, failed.message])
      expect(yield* refused("/bin/true")).toEqual([
        true,
        "script: '/bin/true' is absolute; write it relative to the project"
      ])
      expect(yield* refused("../outside")).toEqual([true, "script: '../outside' leads out of the project with '..'"])
      for (const run of ["./link", "up/outside"]) {
        const [permanent, text] = yield* refused(run)
        expect(permanent).toBe(true)
        expect(text).toContain("through a symbolic link")
      }
      yield* script(here, "./inside").effect
    })
  )

  it.scopedLive("must be there and executable", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      write(folder, "plain.sh", "true\n")
      expect(yield* message(folder, "./gone.sh")).toBe("script './gone.sh' not found; searched ./gone.sh")
      expect(yield* message(folder, "./plain.sh")).toBe(
        "script './plain.sh' cannot be run: it is not executable; run: chmod +x ./plain.sh"
      )
    })
  )
})

describe("a script's environment", () => {
  const printed = (folder: string, names: ReadonlyArray<string>, given: Given) => {
    const { effect, recorded } = script(
      folder,
      names.map((name) => `printf '%s|' "\${${name}-unset}"`).join("; "),
      given
    )
    return Effect.map(effect, (output) => ({ values: (output.context ?? "").split("|").slice(0, -1), recorded }))
  }

  it.scopedLive("holds the inputs under both prefixes and what the phase knows", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const names = ["FLOW_BASE_REF", "CONDUCTOR_BASE_REF", "FLOW_FAILED_STEP", "FLOW_WORKFLOW_STATUS"]
      const given = { inputs: { base_ref: "main" }, call: { variables: { base_ref: "main", failed_step: "build" } } }
      expect((yield* printed(folder, names, given)).values).toEqual(["main", "main", "build", "unset"])
    })
  )

  it.scopedLive("leaves out inputs whose names are none of a variable, items silently", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const inputs = { "my-input": "1", "item.id": "2", fine: "3" }
      const { values, recorded } = yield* printed(folder, ["FLOW_FINE"], { inputs })
      expect(values).toEqual(["3"])
      expect(recorded.warnings).toEqual([
        "the input 'my-input' is not in the script's environment: its name is no variable's"
      ])
    })
  )

  it.scopedLive("takes `env` last, but for protected names and what the provider set", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const env = {
        PLAIN: "{{who}} {{nobody}}!",
        FLOW_WHO: "changed",
        PATH: "/nowhere",
        DYLD_X: "1",
        TOKEN: "mine",
        "a=b": "1",
        "": "1"
      }
      const given = { inputs: { who: "you" }, env, call: { variables: { who: "you" }, identity: "bot" } }
      const provider = {
        variables: (identity: string | undefined) => Effect.succeed({ TOKEN: `${identity}'s`, FROM: "provider" })
      }
      const { values, recorded } = yield* printed(folder, ["PLAIN", "FLOW_WHO", "TOKEN", "FROM", "DYLD_X"], given).pipe(
        Effect.provideService(ScriptEnvironment, provider)
      )
      expect(values).toEqual(["you !", "changed", "bot's", "provider", "unset"])
      expect(recorded.warnings).toEqual([
        "env: 'PATH' is skipped: it is protected",
        "env: 'DYLD_X' is skipped: it is protected",
        "env: 'TOKEN' is skipped: the script environment sets it",
        "env: 'a=b' is skipped: it is no name of a variable",
        "env: '' is skipped: it is no name of a variable"
      ])
    })
  )

  it.scopedLive("leaves out an input that is too large, and fails the step that uses it", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const inputs = { big: "x".repeat(131_072), nul: "a\0b", fine: "1" }
      const { values, recorded } = yield* printed(folder, ["FLOW_FINE", "FLOW_BIG"], { inputs })
      expect(values).toEqual(["1", "unset"])
      expect(recorded.warnings).toHaveLength(2)
      expect(yield* message(folder, "echo {{big}}", { inputs })).toContain("'big'")
      expect(yield* message(folder, "echo {{nul}}", { inputs })).toContain("'nul'")
      expect(yield* message(folder, "true", { inputs, env: { X: "{{big}}" } })).toContain("'X'")
    })
  )

  it.scopedLive("says so when all of it is too large together", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const env = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`BIG_${n}`, "x".repeat(130_000)]))
      expect(yield* message(folder, "true", { env })).toBe(
        "cannot run /bin/sh: its arguments and environment are too large"
      )
    })
  )

  it.scopedLive("carries values intact in every quoting state and executes none", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const run = `printf '%s|' {{x}} "{{x}}" '{{x}}' "a{{x}}b"; cat <<END
{{x}}
END`
      const part = fc.constantFrom(
        "'",
        '"',
        "\n",
        "$(touch pwned)",
        "`touch pwned`",
        "{{x}}",
        "\\",
        "$x",
        " ",
        "*",
        ";",
        "ä"
      )
      const values = fc.array(part, { minLength: 1, maxLength: 8 }).map((parts) => parts.join(""))
      yield* Effect.forEach(fc.sample(values, { numRuns: 25, seed: 7 }), (x) =>
        Effect.gen(function* () {
          const output = yield* script(folder, run, { inputs: { x } }).effect
          expect(output.context).toBe(`${x}|${x}|${x}|a${x}b|${x}\n`)
        })
      )
      expect(existsSync(join(folder, "pwned"))).toBe(false)
    })
  )

  it.scopedLive("refuses a template that fits nowhere", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const failed = yield* Effect.flip(script(folder, "cat <<'END'\n{{x}}\nEND", { inputs: { x: "1" } }).effect)
      expect(failed.permanent).toBe(true)
    })
  )
})

describe("a script of a run with secrets", () => {
  const secret = "hunter2-long"
  const hiding = (folder: string, run: string) => {
    const { effect, recorded } = script(folder, run, { inputs: { token: secret } })
    return { effect: Effect.provideService(effect, RunSecrets, { redactor: redactorOf([secret]) }), recorded }
  }
  const plain = (folder: string) => join(folder, "stdout.plain")

  it.scopedLive("hands on what it printed, and has a log without them", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const block = '{"context": "with {{token}}", "markers": ["{{token}}"]}'
      const { effect } = hiding(folder, `cat <<END\n<<<FLOW_OUTPUT>>>\n${block}\n<<<END_FLOW_OUTPUT>>>\nEND`)
      expect(yield* effect).toMatchObject({ context: `with ${secret}`, markers: [secret] })
      expect(readFileSync(join(folder, "stdout.log"), "utf8")).toContain('{"context": "with ***", "markers": ["***"]}')
      expect(existsSync(plain(folder))).toBe(false)
    })
  )

  it.scopedLive("keeps a large output for later steps beside its log", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const output = yield* hiding(folder, "echo {{token}}; printf '%3000s' x").effect
      expect(output.outputFile).toBe(plain(folder))
      expect(readFileSync(plain(folder), "utf8").startsWith(`${secret}\n`)).toBe(true)
      expect(readFileSync(join(folder, "stdout.log"), "utf8").startsWith("***\n")).toBe(true)
    })
  )

  it.scopedLive("has no half of one at the end of its context", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      for (const [before, length] of [
        [1_995, 1_995],
        [1_988, 2_000],
        [1_989, 1_989],
        [2_000, 2_000]
      ] as const) {
        const { context } = yield* hiding(folder, `printf '%${before}s' x; printf %s {{token}}; printf '%3000s' y`)
          .effect
        expect([before, context?.length]).toEqual([before, length])
      }
    })
  )

  it.scopedLive("fails without them, also where stderr is cut, and leaves nothing of its output", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const run = "echo {{token}}; printf %s {{token}} >&2; printf '%1994s' x >&2; exit 3"
      const { message: shown } = yield* Effect.flip(hiding(folder, run).effect)
      expect(shown.startsWith("exit code 3: ***   ")).toBe(true)
      expect(existsSync(plain(folder))).toBe(false)
    })
  )

  it.scopedLive("leaves nothing of its output when it is interrupted", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const fiber = yield* Effect.fork(hiding(folder, "echo {{token}}; touch started; sleep 30").effect)
      expect(yield* eventually(() => existsSync(join(folder, "started")))).toBe(true)
      yield* Fiber.interrupt(fiber)
      expect(existsSync(plain(folder))).toBe(false)
      expect(readFileSync(join(folder, "stdout.log"), "utf8")).toBe("***\n")
    })
  )
})
