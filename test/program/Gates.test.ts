/** Typed answers: refused where they are sent from when the gate is known there, and otherwise asked for again. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Client from "../../src/engine/Client.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { Persistence, type PersistenceService } from "../../src/persistence/Persistence.ts"
import type { RunId } from "../../src/persistence/Records.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import { engine, letGo, until, type Workflows } from "./support.ts"

const Release = Workflow.makeGate("release", {
  prompt: "When, and with how much off?",
  options: { now: "Ship now", monday: "Ship on Monday" },
  answer: Schema.Struct({ discount: Schema.Int, until: Schema.Date })
})

const Ship = Workflow.make("ship", { payload: Schema.Void, success: Schema.Unknown, error: Workflow.GateRejected })

const shipping = Ship.toLayer(() =>
  Effect.gen(function* () {
    const { selections, value, feedback } = yield* Workflow.gate(Release)
    const [when = "whenever"] = selections
    return `${when}: ${value.discount} off until ${value.until.toISOString().slice(0, 10)}, ${feedback ?? "no word"}`
  }).pipe(Effect.catchTag("GateTimedOut", Effect.die))
)

/** A run that waits at its gate, and what is done with it. */
const waiting = <A, E>(
  workflow: typeof Ship,
  workflows: Workflows,
  use: (run: RunId, store: PersistenceService) => Effect.Effect<A, E, Persistence>
) =>
  withVirtualClock(
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      const inEngine = engine(store, workflows)
      const run = yield* Effect.provide(
        Effect.tap(workflow.start(undefined), (run) => letGo(store, run)),
        inEngine
      )
      const used = yield* Effect.provideService(use(run, store), Persistence, store)
      const value = yield* Effect.provide(Effect.either(workflow.await(run)), engine(store, workflows))
      return { used, value, run, store }
    })
  )

const warningOf = (store: PersistenceService, run: RunId) =>
  Effect.map(store.steps(run), (steps) => steps.find(({ kind }) => kind === "gate")?.error)

describe("a typed gate", () => {
  it.live("gives what its schema reads, from a typed handle", () =>
    Effect.gen(function* () {
      const { value } = yield* waiting(Ship, shipping, (run) =>
        Ship.answer(run, Release, {
          approved: true,
          value: { discount: 5, until: new Date("2030-02-01T00:00:00Z") },
          selections: ["monday"],
          feedback: "fine",
          by: "ann"
        })
      )
      expect(value).toMatchObject({ right: "monday: 5 off until 2030-02-01, fine" })
    })
  )

  it.live("refuses a wrong value and a wrong selection at the door, and goes on waiting", () =>
    Effect.gen(function* () {
      const { used, value } = yield* waiting(Ship, shipping, (run) =>
        Effect.gen(function* () {
          const good = { discount: 1, until: new Date(0) }
          // What comes from outside of the types: a form, another program.
          const half: number = 1.5
          const wrong = yield* Effect.flip(
            Ship.answer(run, Release, { approved: true, value: { ...good, discount: half } })
          )
          const unknown = yield* Effect.flip(
            Client.answer(run, { approved: true, value: { discount: 1, until: "1970-01-01" }, selections: ["never"] })
          )
          yield* Ship.answer(run, Release, { approved: true, value: good })
          return [wrong, unknown]
        })
      )
      expect(used).toMatchObject([
        { _tag: "InvalidAnswer", gate: "release", problem: expect.stringContaining("1.5") },
        { _tag: "InvalidSelection" }
      ])
      expect(value).toMatchObject({ right: "whenever: 1 off until 1970-01-01, no word" })
    })
  )

  it.live("asks again when a process that does not know it sends what it cannot read, and says why", () =>
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      yield* withVirtualClock(
        Effect.gen(function* () {
          const run = yield* Ship.start(undefined)
          yield* letGo(store, run)
          yield* Client.answer(run, { approved: true, feedback: "go!" })
          yield* Effect.repeat(Effect.zipRight(Effect.sleep("1 second"), warningOf(store, run)), {
            until: (error) => error !== null && error !== undefined
          })
          expect(yield* warningOf(store, run)).toMatch(/an answer was refused: .*discount/s)
          yield* letGo(store, run)
          expect(yield* Ship.poll(run)).toMatchObject(Option.some({ _tag: "Waiting", on: [{ name: "release" }] }))
          yield* Client.answer(run, { approved: true, value: { discount: 2, until: "1970-01-02T00:00:00Z" } })
          expect(yield* Ship.await(run)).toBe("whenever: 2 off until 1970-01-02, no word")
          expect(yield* warningOf(store, run)).toBeNull()
        }).pipe(Effect.provide(engine(store, shipping)))
      )
    })
  )

  it.live("is rejected without a value", () =>
    Effect.gen(function* () {
      const { value } = yield* waiting(Ship, shipping, (run) =>
        Ship.answer(run, Release, { approved: false, feedback: "not like this" })
      )
      expect(value).toMatchObject({ left: { _tag: "GateRejected", reason: "not like this" } })
    })
  )

  it.live("reads feedback and selections where there is no value", () =>
    Effect.gen(function* () {
      const answers = [
        [Schema.Struct({ feedback: Schema.String, selections: Schema.Array(Schema.String) }), { feedback: "a" }],
        [Schema.NumberFromString, { feedback: "12" }],
        [Schema.Literal("now", "later"), { selections: ["later"] }],
        [Schema.Void, {}]
      ] as const
      const values: Array<unknown> = []
      for (const [schema, given] of answers) {
        const asking = Ship.toLayer(() =>
          Workflow.gate("release", { options: { now: "Now", later: "Later" }, answer: schema }).pipe(
            Effect.map(({ value }) => ({ value })),
            Effect.catchTag("GateTimedOut", Effect.die)
          )
        )
        const { value } = yield* waiting(Ship, asking, (run) => Client.answer(run, { approved: true, ...given }))
        values.push(value)
      }
      expect(values).toMatchObject([
        { right: { value: { feedback: "a", selections: [] } } },
        { right: { value: 12 } },
        { right: { value: "later" } },
        { right: {} }
      ])
    })
  )

  it.live("whose recorded answer the new code cannot read parks the run", () =>
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      const asks = (answer: Schema.Schema<string>) =>
        Ship.toLayer(() =>
          Effect.gen(function* () {
            const { value } = yield* Workflow.gate("release", { answer })
            yield* Workflow.sleep("20 seconds")
            return value
          }).pipe(Effect.catchTag("GateTimedOut", Effect.die))
        )
      const any = asks(Schema.String)
      yield* withVirtualClock(
        Effect.gen(function* () {
          const run = yield* Effect.provide(
            Effect.gen(function* () {
              const run = yield* Ship.start(undefined)
              yield* letGo(store, run)
              yield* Client.answer(run, { approved: true, value: "yes" })
              yield* until(store, run, ({ blockedOn }) => blockedOn.some(({ _tag }) => _tag === "sleep"))
              return run
            }),
            engine(store, any)
          )
          const other = asks(Schema.String.pipe(Schema.endsWith("!")))
          const { error } = yield* Effect.provide(
            until(store, run, ({ status }) => status === "needs_resume"),
            engine(store, other)
          )
          expect(error).toContain("the recorded answer of /release cannot be read by gate 'release'")
          expect(yield* Effect.provide(Ship.await(run), engine(store, any))).toBe("yes")
        })
      )
    })
  )
})
