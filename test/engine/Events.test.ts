import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { ActionFailed, type Executor } from "../../src/action/Action.ts"
import * as Client from "../../src/engine/Client.ts"
import { Engine } from "../../src/engine/Engine.ts"
import { type EngineEvent, EventBus } from "../../src/engine/Events.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import { isTerminal } from "../../src/persistence/Records.ts"
import { runId } from "../../src/testing/SampleRecords.ts"
import { givingWay, moments } from "./GivingWay.ts"
import { action, awaitEnd, calm, failing, isEvent, layerOf, runIn, start, watch } from "./TestEngine.ts"

const ok = action(() => ({}))

const outline = (events: ReadonlyArray<EngineEvent>) =>
  events.map((event) => ("path" in event ? `${event._tag} ${event.path}` : event._tag))

describe("the events of a run", () => {
  it.live("come in order, from RunStarted to RunCompleted, failures included", () =>
    Effect.gen(function* () {
      let calls = 0
      const flaky: Executor = () =>
        calls++ === 0 ? Effect.fail(new ActionFailed({ message: "no" })) : Effect.succeed({})
      const end = yield* runIn(
        { actions: { a: flaky, bad: failing("worse"), z: ok } },
        "workflow w { call a { retries = 1 } call bad always { call z } }"
      )
      expect(outline(end.events)).toEqual([
        "RunStarted",
        "StepStarted /a",
        "StepRetrying /a",
        "StepStarted /a",
        "StepCompleted /a",
        "StepStarted /bad",
        "StepCompleted /bad",
        "StepStarted /@always/z",
        "StepCompleted /@always/z",
        "MetricsUpdated",
        "RunCompleted"
      ])
      const [first] = end.events
      expect(first).toMatchObject({ run: end.id, workflow: "w", parent: null, dryRun: false })
      expect(end.events.filter(isEvent("StepCompleted", "bad"))).toMatchObject([
        { stepId: `${end.id}/bad`, kind: "call", succeeded: false, status: "failed", error: "worse" }
      ])
      expect(end.events.at(-1)).toMatchObject({ succeeded: false, status: "failed", error: "bad: worse" })
      const times = end.events.map(({ timestamp }) => timestamp)
      expect(times).toEqual([...times].sort((a, b) => a - b))
    })
  )

  it.live("end with RunCancelled and its reason for a run that was cancelled", () =>
    Effect.gen(function* () {
      const end = yield* Effect.scoped(
        Effect.gen(function* () {
          const watched = yield* watch
          const id = yield* start("workflow w { call a }")
          yield* watched.until(isEvent("StepStarted"))
          yield* Client.cancel(id, "enough")
          return yield* awaitEnd(id, watched)
        })
      ).pipe(Effect.provide(layerOf({ actions: { a: () => Effect.never } })))
      expect(outline(end.events)).toEqual([
        "RunStarted",
        "StepStarted /a",
        "StepCompleted /a",
        "MetricsUpdated",
        "RunCancelled"
      ])
      expect(end.events.at(-1)).toMatchObject({ reason: "user requested: enough" })
      expect(end.events.at(2)).toMatchObject({ succeeded: false, status: "cancelled" })
    })
  )

  it.live("tell of waiting, of the gate's answer, and of the run's return from where it was let go", () =>
    Effect.gen(function* () {
      const end = yield* Effect.scoped(
        Effect.gen(function* () {
          const engine = yield* Engine
          const watched = yield* watch
          const id = yield* start("workflow w { gate human_approval { } }")
          yield* watched.until(isEvent("RunWaiting"))
          yield* engine.letGo(id)
          yield* engine.awaitRelease(id)
          yield* Client.answer(id, { approved: true })
          return yield* awaitEnd(id, watched)
        })
      ).pipe(Effect.provide(layerOf({ settings: { linger: 1e6 } })))
      expect(outline(end.events)).toEqual([
        "RunStarted",
        "StepStarted /human_approval",
        "GateWaiting /human_approval",
        "RunWaiting",
        "RunResumed",
        "GateResolved /human_approval",
        "StepCompleted /human_approval",
        "MetricsUpdated",
        "RunCompleted"
      ])
      expect(end.events.filter(isEvent("RunWaiting"))[0]?.on).toEqual(["human_approval"])
    })
  )

  it.live("are published after the write that carries their change", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      yield* Effect.scoped(
        Effect.gen(function* () {
          const persistence = yield* Persistence
          const engine = yield* Engine
          const stream = yield* engine.events()
          const reader = yield* Effect.fork(
            Stream.runForEach(
              Stream.takeUntil(stream, (event) => event._tag === "RunCompleted"),
              (event) => {
                if (event._tag === "RunCompleted") {
                  return Effect.map(persistence.get(event.run), ({ status }) => seen.push(status))
                }
                if (event._tag !== "StepCompleted") return Effect.void
                return Effect.map(persistence.steps(event.run), (steps) => {
                  const step = steps.find(({ path }) => path === event.path)
                  seen.push(`${event.path} ${step !== undefined && isTerminal(step.status)}`)
                })
              }
            )
          )
          yield* start("workflow w { call a call b call a }")
          yield* Fiber.join(reader)
        })
      ).pipe(Effect.provide(layerOf({ actions: { a: ok, b: ok } })))
      expect(seen).toEqual(["/a true", "/b true", "/a~2 true", "completed"])
    })
  )

  it.live("of children carry their own run and name their parent", () =>
    Effect.gen(function* () {
      const seen = yield* Effect.scoped(
        Effect.gen(function* () {
          const watched = yield* watch
          const id = yield* start("workflow w { call workflow sub }")
          yield* awaitEnd(id, watched)
          return watched.seen.filter(isEvent("RunStarted")).map(({ run, parent }) => [run === id, parent === id])
        })
      ).pipe(Effect.provide(layerOf({ actions: { a: ok }, workflows: ["workflow sub { call a }"] })))
      expect(seen).toEqual([
        [true, false],
        [false, true]
      ])
    })
  )

  it.live("give the totals before the end", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: action(() => ({ metadata: { num_turns: "2" } })) } },
        "workflow w { call a }"
      )
      expect(end.events.filter(isEvent("MetricsUpdated")).map(({ totals }) => totals.num_turns)).toEqual([2])
    })
  )

  it.live("tell of a defect of the engine itself, which fails the run", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { executors: { find: () => Effect.die(new Error("broken")), names: Effect.succeed([]) } },
        "workflow w { call a }"
      )
      expect(end.events.filter(isEvent("Panicked"))).toMatchObject([
        { message: "broken", stack: expect.stringContaining("Error: broken") }
      ])
      expect([end.run.status, end.run.error]).toEqual(["failed", "defect: broken"])
    })
  )
})

describe("a subscriber", () => {
  /** Leaves the others a turn in which they can keep up. */
  const brief: Executor = () => Effect.as(Effect.sleep("1 millis"), {})

  it.live("that is slow is told how many events it missed, and holds up nobody", () =>
    Effect.gen(function* () {
      const [slow, all] = yield* Effect.scoped(
        Effect.gen(function* () {
          const engine = yield* Engine
          const stream = yield* engine.events()
          const watched = yield* watch
          const id = yield* start("workflow w { call a call a call a }")
          const end = yield* awaitEnd(id, watched)
          const events = yield* Stream.runCollect(Stream.takeUntil(stream, (event) => event._tag === "EventsMissed"))
          return [[...events], end.events] as const
        })
      ).pipe(Effect.provide(layerOf({ actions: { a: brief }, settings: { eventCapacity: 4 } })))
      expect(slow.slice(0, 4)).toEqual(all.slice(0, 4))
      expect(slow.slice(4)).toEqual([{ _tag: "EventsMissed", count: all.length - 4 }])
    })
  )

  it.live("that fails harms neither the run nor other subscribers", () =>
    Effect.gen(function* () {
      const { end, broken } = yield* Effect.scoped(
        Effect.gen(function* () {
          const engine = yield* Engine
          const filtered = yield* engine.events((event) => {
            if (event._tag === "StepStarted") throw new Error("bad filter")
            return true
          })
          const dying = yield* engine.events()
          const broken = yield* Effect.fork(Effect.sandbox(Stream.runDrain(filtered)))
          yield* Effect.fork(Stream.runForEach(dying, () => Effect.dieMessage("bad reader")))
          const watched = yield* watch
          const id = yield* start("workflow w { call a }")
          return { end: yield* awaitEnd(id, watched), broken: yield* Effect.flip(Fiber.join(broken)) }
        })
      ).pipe(Effect.provide(layerOf({ actions: { a: ok }, settings: calm })))
      expect(end.run.status).toBe("completed")
      expect(Cause.pretty(broken)).toContain("bad filter")
    })
  )

  it.live("that is one too many is refused, until another one has left", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const engine = yield* Engine
        yield* engine.events()
        const error = yield* Effect.scoped(Effect.zipRight(engine.events(), Effect.flip(engine.events())))
        expect(error).toMatchObject({ _tag: "TooManySubscribers", limit: 2 })
        expect(error.message).toContain("maxSubscribers")
        expect((yield* engine.stats).subscribers).toBe(1)
        yield* engine.events()
        expect((yield* engine.stats).subscribers).toBe(2)
      })
    ).pipe(Effect.provide(layerOf({ actions: {}, settings: { maxSubscribers: 2 } })))
  )

  // Its fiber gave way between looking for events and waiting for them: it slept until the next one.
  it.live("hears of an event at whatever moment it began to wait", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const event: EngineEvent = { _tag: "LeaseLost", timestamp: 0, run: runId("A"), expired: true }
        for (const { operations, turns } of moments) {
          const bus = new EventBus(4)
          const first = Stream.runHead(yield* bus.subscribe())
          const reading = yield* Effect.fork(givingWay(operations, first))
          yield* Effect.yieldNow().pipe(Effect.repeatN(turns))
          bus.publish([event])
          const heard = yield* Effect.timeoutOption(Fiber.join(reading), "5 seconds")
          expect(heard._tag, `after ${turns} turns and ${operations} operations`).toBe("Some")
        }
      })
    )
  )
})
