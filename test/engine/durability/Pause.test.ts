/**
 * Pausing a run (engine/Pause, Z1–Z4): in each of its states, and with what may come meanwhile.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Client from "../../../src/engine/Client.ts"
import { Engine } from "../../../src/engine/Engine.ts"
import { WorkflowFiles } from "../../../src/engine/interpreter/WorkflowFiles.ts"
import { isAtRest, isPaused } from "../../../src/engine/Pause.ts"
import * as MemoryPersistence from "../../../src/persistence/MemoryPersistence.ts"
import { Persistence, type PersistenceService } from "../../../src/persistence/Persistence.ts"
import { isEnded, type RunId } from "../../../src/persistence/Records.ts"
import { actAsPeople, loseEngines, programLayer, runProgram } from "../../../src/testing/ProgramRunner.ts"
import { readTree, recordDifference, type RunTree } from "../../../src/testing/RecordComparison.ts"
import type { TestProgram } from "../../../src/testing/TestProgram.ts"
import { withVirtualClock } from "../../../src/testing/VirtualClock.ts"
import { programOf } from "./Programs.ts"

const minute = 60_000
/** Longer than anything that a program waits for. */
const long = 3 * minute

const approve = (after: number) => ({ approved: true, feedback: "fine", after })
const list = (...ids: ReadonlyArray<string>) => ({ structured: { list: ids } })

/** A state of a run, with what is at work in it and something left to begin. */
interface State {
  readonly program: TestProgram
  /** The step that is at work, or waits. */
  readonly at: string
  /** Steps that begin when the run is cancelled while it is paused. */
  readonly always?: ReadonlyArray<string>
}

const state = (at: string, text: Parameters<typeof programOf>[0], always: ReadonlyArray<string> = []): State => ({
  program: programOf(text),
  at,
  always
})

const states: ReadonlyArray<State> = [
  state(
    "slow",
    {
      name: "a call is at work",
      workflows: ["workflow main { call before call slow call after always { call clean } }"],
      actions: { slow: { delay: 500 } }
    },
    ["clean"]
  ),
  state(
    "slow",
    {
      name: "the last call before always is at work",
      workflows: ["workflow main { call slow always { call clean } }"],
      actions: { slow: { delay: 500 } }
    },
    ["clean"]
  ),
  state("slow", {
    name: "an attempt is at work that fails, with more to come",
    workflows: ["workflow main { call slow { retries = 2 } call after }"],
    actions: { slow: { delay: 500, failures: 2 } }
  }),
  state("slow", {
    name: "a call is at work that fails for good, with an on_fail action behind it",
    workflows: ["workflow main { call slow { on_fail = fix } call after }"],
    actions: { slow: { delay: 500, failures: 9 } }
  }),
  state("flaky", {
    name: "it waits between two attempts",
    workflows: [`workflow main { call flaky { retries = 1 retry_delay = "1m" } call after }`],
    actions: { flaky: { failures: 1 } }
  }),
  state("slower", {
    name: "a block is at work, with a branch left to start",
    workflows: ["workflow main { parallel { max_parallel = 2 call slow call slower call last } call after }"],
    actions: { slow: { delay: 500 }, slower: { delay: 700 } }
  }),
  state("work", {
    name: "items are at work, with one left to dispatch",
    workflows: [
      `workflow main {
        call items
        foreach each { over = json scope = { from = "items.list" } max_parallel = 2 workflow = item }
        call after
      }`,
      "workflow item { call work call then }"
    ],
    actions: { items: list("p", "q", "r"), work: { delay: 500 } }
  }),
  state("work", {
    name: "the chain of an item is at work, with others left",
    workflows: [
      `workflow main {
        call items
        pipeline each { over = json scope = { from = "items.list" } max_parallel = 1 call work call then }
        call after
      }`
    ],
    actions: { items: list("p", "q"), work: { delay: 500 } }
  }),
  state("inner", {
    name: "a loop is in its round",
    workflows: ["workflow main { do { max_iterations = 3 call inner call next } while inner.more call after }"],
    actions: { inner: { markers: ["more"], markersUntil: 1, delay: 500 } }
  }),
  state(
    "slow",
    {
      name: "the child of a child is at work",
      workflows: [
        "workflow main { call begin call workflow middle call after always { call clean } }",
        "workflow middle { call begin call workflow inner call then always { call tidy } }",
        "workflow inner { call slow call last always { call sweep } }"
      ],
      actions: { begin: { delay: 5 }, slow: { delay: 500 } }
    },
    ["clean", "sweep", "tidy"]
  ),
  state(
    "human_review",
    {
      name: "a gate waits",
      workflows: [`workflow main { gate human_review { prompt = "ok?" } call after always { call clean } }`],
      answers: { "ok?": approve(minute) }
    },
    ["clean"]
  ),
  state("human_review", {
    name: "the gate of a child waits",
    workflows: [
      "workflow main { call workflow ask call after }",
      `workflow ask { gate human_review { prompt = "ok?" } call then }`
    ],
    answers: { "ok?": approve(minute) }
  }),
  state("human_review", {
    name: "the gates of items wait, with items left to dispatch",
    workflows: [
      `workflow main {
        call items
        foreach each { over = json scope = { from = "items.list" } max_parallel = 2 workflow = ask }
      }`,
      `workflow ask { gate human_review { prompt = "ok?" } call then }`
    ],
    actions: { items: list("p", "q", "r") },
    answers: { "ok?": approve(minute) }
  })
]

/** An engine on a store, with people who answer; `begun` are the attempts that began in it. */
const engineOn = (store: PersistenceService, program: TestProgram) =>
  Effect.gen(function* () {
    const begun: Array<string> = []
    const scope = yield* Scope.make()
    const layer = programLayer(program, { store, began: ({ path }) => begun.push(path) })
    const services = yield* Layer.buildWithScope(layer, scope)
    yield* Effect.forkIn(actAsPeople(program, store), scope)
    const close = Scope.close(scope, Exit.void)
    const engine = Context.get(services, Engine)
    return { begun, engine, services, close, store }
  })

type Place = Effect.Effect.Success<ReturnType<typeof engineOn>>

const start = ({ services }: Place, program: TestProgram, settings = {}) => {
  const { options } = program
  const given = { ...options, settings: { ...options.settings, ...settings } }
  return Effect.provide(
    Effect.flatMap(WorkflowFiles, (files) => Effect.orDie(files.start(program.definition, given))),
    services
  )
}

const tree = ({ store }: Pick<Place, "store">, run: RunId): Effect.Effect<RunTree> =>
  Effect.orDie(Effect.provideService(readTree(run), Persistence, store))

/** Waits until a step of this name, anywhere in the run, is at work or waits; and a little longer. */
const reach = (place: Place, run: RunId, name: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (;;) {
      const { runs } = yield* tree(place, run)
      const steps = runs.flatMap(({ steps }) => steps)
      if (steps.some((step) => step.name === name && ["running", "waiting"].includes(step.status))) break
      yield* Effect.sleep(5)
    }
    yield* Effect.sleep(100)
  })

/** Waits until a run and all below it that have not ended are paused, and nobody owns them. */
const untilAtRest = (place: Pick<Place, "store">, root: RunId): Effect.Effect<RunTree> =>
  Effect.gen(function* () {
    for (;;) {
      const all = yield* tree(place, root)
      const open = all.runs.filter(({ run }) => !isEnded(run.status))
      if (open.length > 0 && open.every(({ run }) => isPaused(run) && isAtRest(run) && run.owner === null)) return all
      yield* Effect.sleep(5)
    }
  })

const ask = <A, E>({ store }: Pick<Place, "store">, effect: Effect.Effect<A, E, Persistence>): Effect.Effect<A, E> =>
  Effect.provideService(effect, Persistence, store)

const newStore = Effect.map(MemoryPersistence.make(), (memory) => memory.service)

/** The records of the run that nobody paused. */
const undisturbed = (program: TestProgram) =>
  Effect.flatMap(newStore, (store) => Effect.orDie(runProgram(program, { store })))

/** A run that was brought to its state, and an engine. */
const inState = ({ at, program }: State, settings = {}) =>
  Effect.gen(function* () {
    const place = yield* engineOn(yield* newStore, program)
    const run = yield* start(place, program, settings)
    yield* reach(place, run, at)
    return { ...place, run }
  })

const ended = (place: Place, run: RunId) =>
  Effect.zipRight(
    place.engine.await(run),
    Effect.flatMap(tree(place, run), (all) => Effect.as(place.close, all))
  )

/** Runs below the one that is paused, of those that were at rest. */
const expectSame = (expected: RunTree, actual: RunTree): void => {
  expect(recordDifference(expected, actual)).toBeUndefined()
}

describe.each(states)("a run is paused while $program.name", (state) => {
  const { always = [], program } = state

  it.live("lets what is at work end, begins nothing, is let go, and goes on when it is unpaused", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const expected = yield* undisturbed(program)
        const place = yield* inState(state)
        const { begun, engine, run } = place
        const before = begun.length
        yield* ask(place, Client.pause(run))
        const rest = yield* untilAtRest(place, run)
        const root = rest.runs.find(({ run: { id } }) => id === run)?.run
        expect(root).toMatchObject({ status: "waiting", owner: null, readyAt: null })
        expect(root?.blockedOn[0]).toMatchObject({ _tag: "paused", run })
        yield* Effect.sleep(long)
        expect(begun.slice(before)).toEqual([])
        expect(yield* engine.resident).toEqual([])
        const stats = yield* engine.stats
        // The engine's own: its lease's renewal and end, and its look for runs.
        expect(stats.deadlines).toBeLessThanOrEqual(3)
        expect(yield* ask(place, Client.isPaused(run))).toBe(true)
        yield* ask(place, Client.unpause(run))
        expectSame(expected, yield* ended(place, run))
      })
    )
  )

  it.live("twice, and unpaused twice: no different from once", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const expected = yield* undisturbed(program)
        const place = yield* inState(state)
        const { run } = place
        for (let n = 0; n < 2; n++) yield* ask(place, Client.pause(run))
        yield* untilAtRest(place, run)
        yield* ask(place, Client.pause(run))
        yield* Effect.sleep(minute)
        expect(isAtRest((yield* untilAtRest(place, run)).runs[0]?.run ?? expect.fail())).toBe(true)
        for (let n = 0; n < 2; n++) yield* ask(place, Client.unpause(run))
        expectSame(expected, yield* ended(place, run))
      })
    )
  )

  it.live("and unpaused before what is at work has ended: as if nothing had been", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const expected = yield* undisturbed(program)
        const place = yield* inState(state)
        const { run } = place
        yield* ask(place, Client.pause(run))
        yield* Effect.sleep(1)
        yield* ask(place, Client.unpause(run))
        expectSame(expected, yield* ended(place, run))
      })
    )
  )

  it.live("and cancelled: it is woken, only always runs, and it ends as if it had not been paused", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const place = yield* inState(state)
        const { begun, run } = place
        const before = begun.length
        yield* ask(place, Client.pause(run))
        yield* untilAtRest(place, run)
        yield* ask(place, Client.cancel(run, "enough"))
        const { runs } = yield* ended(place, run)
        const root = runs.find(({ run: { id } }) => id === run)?.run
        const isBodyOver = program.name.includes("last call before always") || program.name.includes("fails for good")
        expect(root?.status).toBe(isBodyOver && always.length > 0 ? "completed" : "cancelled")
        expect(root?.blockedOn).toEqual([])
        expect(
          begun
            .slice(before)
            .map((path) => path.replace("/@always/", ""))
            .sort()
        ).toEqual(always)
        for (const { run, steps } of runs) {
          expect(isEnded(run.status), run.workflow).toBe(true)
          expect(steps.filter((step) => ["running", "waiting", "pending"].includes(step.status))).toEqual([])
        }
      })
    )
  )

  for (const [when, wait] of [
    ["while it rests", true],
    ["while something is still at work", false]
  ] as const) {
    it.live(`and its engine dies ${when}: it stays paused in the next one, and goes on when it is unpaused`, () =>
      withVirtualClock(
        Effect.gen(function* () {
          const expected = yield* undisturbed(program)
          const memory = yield* MemoryPersistence.make()
          const first = yield* engineOn(memory.service, program)
          const run = yield* start(first, program)
          yield* reach(first, run, state.at)
          yield* ask(first, Client.pause(run))
          yield* wait ? untilAtRest(first, run) : Effect.sleep(1)
          const copy = yield* MemoryPersistence.make({ from: memory.snapshot() })
          yield* loseEngines(copy.service)
          const second = yield* engineOn(copy.service, program)
          yield* untilAtRest(second, run)
          yield* Effect.sleep(long)
          expect(second.begun).toEqual([])
          expect(yield* second.engine.resident).toEqual([])
          yield* ask(second, Client.unpause(run))
          expectSame(expected, yield* ended(second, run))
          yield* ask(first, Client.unpause(run))
          yield* ended(first, run)
        })
      )
    )
  }

  it.live("and its engine is shut down: the next one leaves it paused, however often it looks", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const expected = yield* undisturbed(program)
        const first = yield* inState(state)
        const { run, store } = first
        yield* ask(first, Client.pause(run))
        yield* first.close
        const second = yield* engineOn(store, program)
        yield* untilAtRest(second, run)
        yield* Effect.sleep(long)
        expect(second.begun).toEqual([])
        yield* ask(second, Client.unpause(run))
        expectSame(expected, yield* ended(second, run))
      })
    )
  )

  it.live("and its time is over: it is woken to fail, and nothing else of its body begins", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const place = yield* inState(state, { runTimeout: 2 * minute })
        const { begun, run } = place
        const before = begun.length
        const startedAt = (yield* place.store.get(run)).startedAt ?? 0
        yield* ask(place, Client.pause(run))
        yield* untilAtRest(place, run)
        if (program.name.includes("last call before always")) {
          // The body is over: its outcome stands, and no deadline counts.
          yield* Effect.sleep(long)
          expect(isAtRest(yield* place.store.get(run))).toBe(true)
          yield* ask(place, Client.unpause(run))
          expect((yield* ended(place, run)).runs[0]?.run.status).toBe("completed")
          return
        }
        const { runs } = yield* ended(place, run)
        const root = runs.find(({ run: { id } }) => id === run)?.run
        expect(root).toMatchObject({ status: "failed", error: "the run timed out after 120000 ms", blockedOn: [] })
        expect((root?.endedAt ?? 0) - startedAt).toBeLessThan(2 * minute + 1_000)
        expect(
          begun
            .slice(before)
            .map((path) => path.replace("/@always/", ""))
            .sort()
        ).toEqual(always)
      })
    )
  )
})
