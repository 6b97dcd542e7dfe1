import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { ActionCall } from "../../src/action/Action.ts"
import { moduleAction } from "../../src/action/ModuleAction.ts"
import { makeLoader } from "../../src/action/ModuleLoader.ts"
import { eventually, makeCall, temporaryFolder, write } from "./support.ts"

/** The packages that these modules see are this repository's. */
const moduleAliases = { effect: join(import.meta.dirname, "../../node_modules/effect") }

const action = (folder: string, source: string, overrides: Partial<ActionCall> = {}) => {
  const file = write(folder, "actions/act.ts", source)
  const { call, recorded } = makeCall(folder, overrides)
  return { effect: Effect.scoped(moduleAction(file, makeLoader({ moduleAliases }))(call)), recorded }
}

const message = (folder: string, source: string, overrides?: Partial<ActionCall>) =>
  Effect.map(Effect.flip(action(folder, source, overrides).effect), (failed) => failed.message.replaceAll(folder, "."))

const started = (folder: string) => eventually(() => existsSync(join(folder, "started")))

describe("a module's action", () => {
  it.scopedLive("gives its result as a value, a promise or an Effect", () =>
    Effect.gen(function* () {
      const result = { markers: ["m"], context: "c", resultText: "r", structuredOutput: { n: [1, null] } }
      const expected = { ...result, metadata: { cost_usd: "0.5", model: "x" } }
      const text = JSON.stringify({ ...result, metadata: { cost_usd: 0.5, model: "x" } })
      for (const body of [
        `export default () => (${text})`,
        `export default async (): Promise<unknown> => (${text})`,
        `import * as Effect from "effect/Effect"\nexport default () => Effect.delay(Effect.succeed(${text}), 5)`
      ]) {
        const folder = yield* temporaryFolder
        expect(yield* action(folder, body).effect).toEqual(expected)
      }
    })
  )

  it.scopedLive("is told its parameters and the rest of the call in camelCase", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const source = `export default (parameters, { signal, heartbeat, ...context }) =>
        ({ structuredOutput: { parameters, context, signal: signal.aborted, heartbeat: typeof heartbeat } })`
      const variables = { who: "you", inputs: "x" }
      const output = yield* action(folder, source, { variables, retryError: "before", maxTurns: 3 }).effect
      expect(output.structuredOutput).toEqual({
        parameters: variables,
        signal: false,
        heartbeat: "function",
        context: {
          name: "act",
          workflow: "flow",
          runId: "01J0000000000000000000RUN0",
          path: "/act",
          stepId: "01J000000000000000000STEP0",
          attempt: 1,
          idempotencyKey: "key",
          snippets: [],
          dryRun: false,
          pluginDirs: [],
          maxTurns: 3,
          retriesLeft: 0,
          retryError: "before",
          workingDirectory: folder
        }
      })
    })
  )

  it.scopedLive("reports progress until it ends", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const source = `let late
        export default async (_, { heartbeat }) => { late = heartbeat; heartbeat({ done: 1 }); heartbeat() }
        export const after = () => late("late")`
      const loader = makeLoader({})
      const file = write(folder, "act.mjs", source)
      const { call, recorded } = makeCall(folder)
      expect(yield* Effect.scoped(moduleAction(file, loader)(call))).toEqual({})
      expect(recorded.heartbeats).toEqual([{ done: 1 }, undefined])
    })
  )

  it.scopedLive("loads JavaScript of every kind, each file once", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const loader = makeLoader({})
      const counted = "let calls = 0\nexport default () => ({ context: String(++calls) })"
      const { call } = makeCall(folder)
      for (const [name, source] of [
        ["a.mjs", counted],
        ["b.mts", counted],
        ["c.js", "let calls = 0\nmodule.exports = () => ({ context: String(++calls) })"],
        ["d.ts", `import { calls } from "./helper.ts"\nexport default () => ({ context: String(calls()) })`]
      ] as const) {
        write(folder, "helper.ts", "let n: number = 0\nexport const calls = (): number => ++n")
        const execute = moduleAction(write(folder, name, source), loader)
        const first = yield* Effect.scoped(execute(call))
        const second = yield* Effect.scoped(execute(call))
        expect([first.context, second.context]).toEqual(["1", "2"])
      }
    })
  )

  it.scopedLive("fails with what was thrown, if that says anything", () =>
    Effect.gen(function* () {
      const folder = () => temporaryFolder
      const say = (source: string) => Effect.flatMap(folder(), (own) => message(own, source))
      const where = "action 'act' (./actions/act.ts)"
      expect(yield* say("export default () => { throw new Error('boom') }")).toBe(`${where} failed: boom`)
      expect(yield* say("export default async () => { throw 'text' }")).toBe(`${where} failed: text`)
      expect(yield* say("export default async () => { throw { secret: 1 } }")).toBe(`${where} failed`)
      expect(yield* say("export default async () => { throw undefined }")).toBe(`${where} failed`)
      const effect = 'import * as Effect from "effect/Effect"\nexport default () => '
      expect(yield* say(`${effect}Effect.fail(new Error("typed"))`)).toBe(`${where} failed: typed`)
      expect(yield* say(`${effect}Effect.die(new Error("defect"))`)).toBe(`${where} failed: defect`)
      expect(yield* say(`${effect}Effect.interrupt`)).toBe(`${where} interrupted itself`)
    })
  )

  it.scopedLive("fails where the file is of no use, and works when it is repaired", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const loader = makeLoader({})
      const { call } = makeCall(folder)
      const attempt = (source: string) =>
        Effect.suspend(() => Effect.scoped(moduleAction(write(folder, "act.ts", source), loader)(call)))
      const failure = (source: string) => Effect.map(Effect.flip(attempt(source)), (failed) => failed.message)
      expect(yield* failure("export default () => {")).toContain("cannot be loaded: ")
      expect(yield* failure("throw new Error('while loading')")).toContain("cannot be loaded: while loading")
      expect(yield* attempt("export default () => ({ context: 'fine' })")).toEqual({ context: "fine" })
      const other = write(folder, "none.ts", "export const x = 1")
      const none = yield* Effect.flip(Effect.scoped(moduleAction(other, loader)(call)))
      expect(none.message).toBe(`action 'act' (${other}) has no function as its default export`)
    })
  )

  it.scopedLive("fails with every fault of a result of the wrong shape", () =>
    Effect.gen(function* () {
      const say = (value: string) =>
        Effect.flatMap(temporaryFolder, (own) => message(own, `export default () => (${value})`)).pipe(
          Effect.map((text) => text.replace("action 'act' (./actions/act.ts) gave ", ""))
        )
      const keys = "not an object with markers, context, resultText, structuredOutput, metadata"
      expect(yield* say("42")).toBe(`a number, ${keys}`)
      expect(yield* say("['a']")).toBe(`a list, ${keys}`)
      expect(yield* say("new Date()")).toBe(`an instance of Date, ${keys}`)
      expect(yield* say("{ markers: 'a', context: 1, metadata: { a: {} } }")).toBe(
        "`markers` that are no list of texts; gave a number as `context`, not a text; " +
          "gave `metadata` that is no object of texts and numbers"
      )
      expect(yield* say("{ structuredOutput: 1n }")).toContain("a `structuredOutput` that is no JSON: ")
      expect(yield* say("{ structuredOutput: () => 1 }")).toBe("a `structuredOutput` that is no JSON")
    })
  )

  it.scopedLive("warns about keys that a result does not have", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const { effect, recorded } = action(folder, "export default () => ({ marker: ['a'], zzz: 1 })")
      expect(yield* effect).toEqual({})
      expect(recorded.warnings).toEqual([
        "action 'act': the result's `marker` is ignored; did you mean `markers`?",
        "action 'act': the result's `zzz` is ignored"
      ])
    })
  )
})

describe("the interruption of a module's action", () => {
  const interrupted = (folder: string, source: string, interruptGrace: number) =>
    Effect.gen(function* () {
      const { effect, recorded } = action(folder, source, { interruptGrace: Effect.succeed(interruptGrace) })
      const fiber = yield* Effect.fork(effect)
      expect(yield* started(folder)).toBe(true)
      const begin = performance.now()
      yield* Fiber.interrupt(fiber)
      return { took: performance.now() - begin, recorded }
    })

  const mark = (name: string) => `fs.writeFileSync(context.workingDirectory + "/${name}", "")`

  it.scopedLive("aborts the signal, and waits for a promise that heeds it", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const source = `import fs from "node:fs"
        export default (_, context) => new Promise((resolve, reject) => {
          ${mark("started")}
          context.signal.addEventListener("abort", () => setTimeout(() => { ${mark("cleaned")}; reject(context.signal.reason) }, 20))
        })`
      const { recorded, took } = yield* interrupted(folder, source, 5_000)
      expect(existsSync(join(folder, "cleaned"))).toBe(true)
      expect(recorded.abandoned).toBe(0)
      expect(took).toBeLessThan(1_000)
    })
  )

  it.scopedLive("abandons a promise that ignores it, and drops its late result", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const source = `import fs from "node:fs"
        export default (_, context) => new Promise((resolve, reject) => {
          ${mark("started")}
          setTimeout(() => { ${mark("late")}; context.heartbeat("late"); reject(new Error("late")) }, 250)
        })`
      const { recorded, took } = yield* interrupted(folder, source, 100)
      expect(recorded.abandoned).toBe(1)
      expect(took).toBeGreaterThanOrEqual(99)
      expect(took).toBeLessThan(250)
      expect(yield* eventually(() => existsSync(join(folder, "late")))).toBe(true)
      expect(recorded.heartbeats).toEqual([])
    })
  )

  it.scopedLive("does not wait where there is no grace, but for who heeds it at once", () =>
    Effect.gen(function* () {
      const rude = yield* temporaryFolder
      const source = (heed: string) => `import fs from "node:fs"
        export default (_, context) => new Promise((resolve) => {
          ${mark("started")}
          ${heed}
        })`
      const abandoned = yield* interrupted(rude, source("setTimeout(resolve, 200)"), 0)
      expect(abandoned.recorded.abandoned).toBe(1)
      expect(abandoned.took).toBeLessThan(100)
      const polite = yield* temporaryFolder
      const heeded = yield* interrupted(polite, source('context.signal.addEventListener("abort", resolve)'), 0)
      expect(heeded.recorded.abandoned).toBe(0)
    })
  )

  it.scopedLive("interrupts an Effect in the attempt's fiber, which runs its finalizers", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const source = `import fs from "node:fs"
        import * as Effect from "effect/Effect"
        export default (_, context) => Effect.gen(function* () {
          yield* Effect.acquireRelease(
            Effect.sync(() => ${mark("started")}),
            () => Effect.sync(() => fs.writeFileSync(context.workingDirectory + "/released", String(context.signal.aborted)))
          )
          return yield* Effect.never
        })`
      const { recorded } = yield* interrupted(folder, source, 0)
      expect(readFileSync(join(folder, "released"), "utf8")).toBe("true")
      expect(recorded.abandoned).toBe(0)
    })
  )
})
