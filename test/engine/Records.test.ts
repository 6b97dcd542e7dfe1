import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Executor } from "../../src/action/Action.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import { action, failing, layerOf, runIn, runToEnd, start } from "./TestEngine.ts"

const ok = action(() => ({}))

describe("the record of a run", () => {
  it.live("holds what the run was started with, and how it ended", () =>
    Effect.gen(function* () {
      const { run } = yield* runIn(
        { actions: { a: action(() => ({ context: "c" })) } },
        `workflow w { meta { title = "The title" trigger = pr } inputs { x required y default = "1" b boolean } call a }`,
        {
          inputs: { x: "0" },
          target: "prod",
          idempotencyKey: "k",
          settings: {
            model: "m",
            identity: "bot",
            pluginDirs: ["p"],
            values: { v: "1" },
            failFast: false,
            stepTimeout: 5_000
          }
        }
      )
      expect(run.id).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/)
      expect(run).toMatchObject({
        workflow: "w",
        title: "The title",
        parent: null,
        root: run.id,
        depth: 0,
        status: "completed",
        dryRun: false,
        trigger: "pr",
        inputs: { x: "0", y: "1", b: "false" },
        settings: {
          model: "m",
          identity: "bot",
          pluginDirs: ["p"],
          values: { v: "1" },
          failFast: false,
          stepTimeout: 5_000,
          runTimeout: null,
          workingDirectory: process.cwd()
        },
        error: null,
        cancelReason: null,
        blockedOn: [],
        iteration: 0,
        target: "prod",
        idempotencyKey: "k",
        owner: null,
        generation: 1,
        epoch: 1,
        recoveries: 0,
        dismissed: false
      })
      expect(run.startedAt).toBeGreaterThanOrEqual(run.createdAt)
      expect(run.endedAt).toBeGreaterThanOrEqual(run.startedAt ?? Number.POSITIVE_INFINITY)
    })
  )

  it.live("has the workflow's name as its title, and its trigger unless it was started otherwise", () =>
    Effect.gen(function* () {
      const { run } = yield* runIn({ actions: { a: ok } }, "workflow w { call a }", { trigger: "hook", dryRun: true })
      expect(run).toMatchObject({ title: "w", trigger: "hook", dryRun: true })
    })
  )

  it.live("keeps the definition as it was parsed", () =>
    Effect.gen(function* () {
      const json = yield* Effect.gen(function* () {
        const { run } = yield* runToEnd("workflow w { call a { retries = 1 } }")
        const persistence = yield* Persistence
        return (yield* persistence.definition(run.definition))?.json ?? ""
      }).pipe(Effect.provide(layerOf({ actions: { a: ok } })))
      expect(JSON.parse(json)).toMatchObject({ name: "w", body: [{ _tag: "Call", retries: 1 }] })
    })
  )

  it.live("has a summary: counts, a line a step, the outcome", () =>
    Effect.gen(function* () {
      let calls = 0
      const flaky: Executor = action(() => {
        if (calls++ === 0) throw new Error("once")
        return {}
      })
      const { run } = yield* runIn(
        { actions: { a: flaky, b: failing("no\nmore"), c: failing("bad"), m: action(() => ({ markers: ["m"] })) } },
        `workflow w {
          call a { retries = 1 }
          call b { on_fail = continue }
          do { max_iterations = 1 on_max_iter = continue call m } while m.m
          parallel { max_parallel = 1 call c call m }
        }`
      )
      expect(run.summary?.split("\n")).toEqual([
        "Workflow 'w': 2/5 steps completed, 1 failed, 1 skipped, 1 cancelled",
        "- a: completed after 1 retry",
        "- b: skipped: no",
        "- m (round 1): completed",
        "- c: failed: bad",
        "- m: cancelled: fail_fast",
        "Run failed: parallel:/parallel: 0 of 2 calls succeeded, 1 failed, 1 cancelled; 2 needed; c: bad"
      ])
    })
  )

  it.live("is not made for a workflow whose inputs are missing or unknown", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        start("workflow w { inputs { name required flag boolean } call a }", { inputs: { nmae: "x" } })
      ).pipe(Effect.provide(layerOf({})))
      expect(error.message).toBe(
        "workflow 'w': the required input 'name' is missing; there is no input 'nmae'; did you mean 'name'? (its inputs: name, flag)"
      )
    })
  )

  it.live("is not made twice for one idempotency key", () =>
    Effect.gen(function* () {
      const { first, error } = yield* Effect.gen(function* () {
        const first = yield* start("workflow w { call a }", { idempotencyKey: "k" })
        return { first, error: yield* Effect.flip(start("workflow w { call a }", { idempotencyKey: "k" })) }
      }).pipe(Effect.provide(layerOf({ actions: { a: ok } })))
      expect(error).toMatchObject({ _tag: "RunAlreadyExists", run: first, idempotencyKey: "k" })
    })
  )
})

describe("the record of a step", () => {
  it.live("holds its place, its role, its attempts and its result", () =>
    Effect.gen(function* () {
      const output = { markers: ["m"], context: "c", resultText: "t", structuredOutput: { n: 1 }, outputFile: "/f" }
      const execute = action(() => ({ ...output, metadata: { k: "v" } }))
      const end = yield* runIn(
        {
          executors: {
            find: () => Effect.succeed({ execute, role: "reviewer", canCommit: true, model: "opus" }),
            names: Effect.succeed([])
          }
        },
        "workflow w { call a call b }"
      )
      const row = end.step("/a")
      expect(row).toMatchObject({
        path: "/a",
        epoch: 1,
        kind: "call",
        name: "a",
        role: "reviewer",
        canCommit: true,
        iteration: 0,
        status: "completed",
        superseded: false,
        result: {
          markers: ["m"],
          context: "c",
          text: "t",
          structured: { n: 1 },
          outputFile: "/f",
          metadata: { k: "v" }
        },
        error: null,
        condition: null,
        conditionMet: null,
        childRun: null,
        gate: null,
        fanOut: null,
        group: null,
        wakeAt: null,
        idempotencyKey: `${end.id}/a`
      })
      expect(row.attempts).toMatchObject([
        {
          number: 1,
          outcome: "completed",
          error: null,
          heartbeatAt: null,
          abandoned: false,
          process: null,
          childRun: null
        }
      ])
      expect(end.step("/b").position).toBeGreaterThan(row.position)
      expect(row.endedAt).toBeGreaterThanOrEqual(row.startedAt ?? Number.POSITIVE_INFINITY)
    })
  )

  it.live("has the model of its agent where the node names none", () =>
    Effect.gen(function* () {
      const models: Array<string | undefined> = []
      const execute = action(({ model }) => {
        models.push(model)
        throw new Error("no")
      })
      yield* runIn(
        { executors: { find: () => Effect.succeed({ execute, model: "opus" }), names: Effect.succeed([]) } },
        "workflow w { call a { on_fail = fix } call b { model = sonnet } }",
        { settings: { model: "haiku", failFast: false } }
      )
      expect(models).toEqual(["opus", "opus", "sonnet"])
    })
  )

  it.live("is its own for each time that an action is called, wherever it stands", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: action(() => ({ markers: ["m"] })) } },
        `workflow w {
          call a call a
          if a.m { call a call a }
          if a.m { call a }
          do { call a }
          do { max_iterations = 2 on_max_iter = continue call a if a.m { call a } } while a.m
        }`
      )
      expect(end.outline.map((line) => line.replace(" completed", ""))).toEqual([
        "/a",
        "/a~2",
        "/if:a.m/a",
        "/if:a.m/a~2",
        "/if:a.m~2/a",
        "/do/a",
        "/do-while:a.m/@1/a",
        "/do-while:a.m/@1/if:a.m/a",
        "/do-while:a.m/@2/a",
        "/do-while:a.m/@2/if:a.m/a"
      ])
    })
  )

  it.live("of a path below the project has the file's name", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const execute = action(({ name, ref }) => {
        seen.push([name, ref])
        return {}
      })
      const end = yield* runIn({ actions: { "tools/lint.sh": execute } }, `workflow w { call "tools/lint.sh" }`)
      expect(end.outline).toEqual(["/lint completed"])
      expect(seen).toEqual([["lint", { _tag: "Path", path: "tools/lint.sh" }]])
    })
  )
})
