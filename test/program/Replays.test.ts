/**
 * Generated bodies, unchanged, are never parked: killed after any write, taken up again, cancelled, opened again and
 * forked, in any sequence. Bodies decide by time, chance and patches, race, time out, retry, clean up and take back.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Client from "../../src/engine/Client.ts"
import type { Engine } from "../../src/engine/Engine.ts"
import { fork, resume } from "../../src/engine/Resume.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import type { MemorySnapshot } from "../../src/persistence/MemoryStore.ts"
import type { Persistence, PersistenceService } from "../../src/persistence/Persistence.ts"
import { isEnded, isUserStep } from "../../src/persistence/Records.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { recordingStates } from "../../src/testing/CrashStates.ts"
import { loseEngines } from "../../src/testing/ProgramRunner.ts"
import { Seeded } from "../../src/testing/Seeded.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import { engine } from "./support.ts"

interface World {
  /** What has failed so far goes well. */
  isMended: boolean
}

const Act = Action.make("act", {
  payload: Schema.Struct({ delay: Schema.Int, fails: Schema.Literal("never", "always", "until mended") }),
  success: Schema.String,
  error: Schema.String
})

const Drawn = Workflow.make("drawn", { payload: Schema.Int, success: Schema.String, error: Schema.String })

type Body = Effect.Effect<string, string, Workflow.WorkflowRun | Action.HandlerOf<typeof Act>>

const act = (random: Seeded): Body => {
  const fails = random.pick(["never", "never", "never", "until mended", "always"] as const)
  return Action.call(Act, { delay: random.pick([0, 5, 10, 35]), fails })
}

const described = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<string, string, R> =>
  Effect.mapBoth(effect, { onFailure: String, onSuccess: (value) => JSON.stringify(value) ?? "nothing" })

const caught = (body: Body): Body => Effect.catchAll(body, (error) => Effect.succeed(`caught ${error}`))

/** Keys that paths encode. */
const keys = ["a", "b/c", "~2", "@x", "", "undo"]

/** Draws happen when a part is made, not when it runs: a replay makes the same. */
const part = (random: Seeded, nesting: number): Body => {
  const inner = () => part(random, nesting + 1)
  const maybe = () => (random.chance(0.6) ? caught(inner()) : inner())
  const lanes = (most: number) => Array.from({ length: random.between(1, most) }, maybe)
  const named = () => keys.slice(0, random.between(2, 4)).map((key) => ({ key, work: maybe() }))
  const either = (isFirst: Effect.Effect<boolean, never, Workflow.WorkflowRun>): Body => {
    const [one, other] = [inner(), inner()]
    return Effect.flatMap(isFirst, (is) => (is ? one : other))
  }
  const kinds: ReadonlyArray<() => Body> = [
    () => act(random),
    () => act(random),
    () => described(Workflow.sleep(random.pick([5, 20, 60_000]))),
    () => Effect.zipRight(inner(), inner()),
    () => described(Workflow.all(lanes(3), random.chance(0.3) ? { concurrency: 1 } : {})),
    () => described(Workflow.forEach(named(), ({ work }) => work, { key: ({ key }) => key })),
    () => described(Workflow.race(Object.fromEntries(named().map(({ key, work }) => [key, work])))),
    () => described(Workflow.timeout(inner(), random.pick([8, 30, 100_000]))),
    () => Effect.retry(inner(), Schedule.upTo(Schedule.spaced(15), 40)),
    () => Effect.catchAll(inner(), inner),
    () => Effect.ensuring(inner(), Effect.orDie(caught(inner()))),
    () =>
      Effect.scoped(
        Effect.zipRight(
          Effect.acquireRelease(act(random), () => Effect.orDie(caught(act(random)))),
          inner()
        )
      ),
    () => inner().pipe(Workflow.withCompensation(() => act(random))),
    () => described(Workflow.gate("unanswered", { timeout: 30 })),
    () => either(Workflow.patched(`p${random.between(1, 3)}`)),
    () => Effect.zipRight(Workflow.deprecatePatch(`d${random.between(1, 3)}`), inner()),
    () => either(Effect.map(Clock.currentTimeMillis, (now) => Math.floor(now / 5) % 2 === 0)),
    () => either(Random.nextBoolean)
  ]
  const kind = nesting > 3 ? random.between(0, 2) : random.between(0, kinds.length - 1)
  return kinds[kind]?.() ?? act(random)
}

const bodyOf = (seed: number): Body => {
  const random = new Seeded(seed)
  const parts = Array.from({ length: random.between(1, 3) }, () => part(random, 0))
  return Effect.zipRight(Effect.all(parts.map((body) => (random.chance(0.6) ? caught(body) : body))), act(random))
}

const code = (world: World) =>
  Layer.provide(
    Drawn.toLayer(bodyOf),
    Act.toLayer(({ delay, fails }) =>
      Effect.zipRight(
        Effect.sleep(delay),
        Effect.suspend(() =>
          fails === "never" || (fails === "until mended" && world.isMended)
            ? Effect.succeed("done")
            : Effect.fail("refused")
        )
      )
    )
  )

type Deed = (store: PersistenceService, random: Seeded) => Effect.Effect<unknown, unknown, Engine | Persistence>

/** What is done to a run that may be in any state; it may be refused. */
const deeds: Readonly<Record<string, Deed>> = {
  nothing: () => Effect.void,
  cancel: (store, random) => onRun(store, random, (run) => Client.cancel(run.id)),
  resume: (store, random) => onRun(store, random, (run) => resume(run.id)),
  restart: (store, random) => onRun(store, random, (run) => resume(run.id, { _tag: "Restart" })),
  from: (store, random) => onRun(store, random, (run, step) => resume(run.id, { _tag: "From", step })),
  fork: (store, random) => onRun(store, random, (run, fromStep) => fork(run.id, { fromStep }))
}

type Run = Effect.Effect.Success<ReturnType<PersistenceService["get"]>>

const onRun = <A, E, R>(
  store: PersistenceService,
  random: Seeded,
  deed: (run: Run, step: string) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function* () {
    const runs = yield* store.list({ limit: 100 })
    const run = runs[random.between(0, runs.length - 1)]
    if (run === undefined) return
    yield* Effect.sleep(random.pick([0, 0, 5, 20]))
    const steps = (yield* store.steps(run.id)).filter(({ kind, superseded }) => isUserStep(kind) && !superseded)
    yield* Effect.either(deed(run, steps[random.between(0, Math.max(0, steps.length - 1))]?.path ?? "none"))
  })

/** Why the runs do not all come to an end; undefined when they do. */
const standstill = (store: PersistenceService) =>
  Effect.gen(function* () {
    for (let look = 0; look < 200; look++) {
      const runs = yield* store.list({ limit: 100 })
      const parked = runs.find(({ status }) => status === "needs_resume")
      if (parked !== undefined) return `parked in epoch ${parked.epoch}: ${parked.error}`
      if (runs.every(({ status }) => isEnded(status))) return undefined
      yield* Effect.sleep(look < 50 ? 20 : 60_000)
    }
    return "a run does not end"
  })

interface State {
  readonly snapshot: MemorySnapshot
  readonly isMended: boolean
  readonly how: string
}

const seconds = 1_000
const start = Date.UTC(2030, 0, 1)

/** One process on what another one left; gives the states that it went through, or what went wrong. */
const lived = (seed: number, from: State | undefined, random: Seeded, turn: number) =>
  Effect.gen(function* () {
    const memory = yield* MemoryPersistence.make(from === undefined ? {} : { from: from.snapshot })
    if (from !== undefined) yield* loseEngines(memory.service)
    const world: World = { isMended: from?.isMended === true || (from !== undefined && random.chance(0.5)) }
    const recording = recordingStates(memory, () => undefined)
    const name = random.pick(["nothing", "cancel", "resume", "restart", "from", "fork", "fork"])
    const how = from === undefined ? `seed ${seed}` : `${from.how}, ${name}`
    const deed = from === undefined ? Drawn.start(seed) : (deeds[name]?.(recording.service, random) ?? Effect.void)
    const story = Effect.zipRight(deed, standstill(recording.service))
    const settings = { checkInvariants: false, maxResident: random.pick([0, 100]) }
    const all = Effect.provide(story, engine(recording.service, code(world), settings))
    const problem = yield* withVirtualClock(all, start + turn * 3_600 * seconds)
    const states = [...recording.states(), { write: "the end", snapshot: memory.snapshot() }]
    const ends = states.map(
      ({ snapshot, write }): State => ({ snapshot, isMended: world.isMended, how: `${how}, killed after ${write}` })
    )
    return { problem: problem === undefined ? undefined : `${how}: ${problem}`, ends }
  })

const history = (seed: number) =>
  Effect.gen(function* () {
    const random = new Seeded(seed)
    const problems: Array<string> = []
    const first = yield* lived(seed, undefined, random, 0)
    const states = [...first.ends]
    if (first.problem !== undefined) return [first.problem]
    for (let turn = 1; turn <= 8; turn++) {
      const state = states[random.between(0, states.length - 1)]
      const { ends, problem } = yield* lived(seed, state, random, turn)
      if (problem !== undefined) problems.push(problem)
      else
        states.push(
          ...Array.from({ length: 6 }, () => ends[random.between(0, ends.length - 1)]).filter(
            (end) => end !== undefined
          )
        )
    }
    return problems
  })

const only = process.env["SEED"]
const seeds = only === undefined ? Array.from({ length: 40 }, (_, index) => index + 1) : [Number(only)]

describe("a body that is not changed", () => {
  it.live(
    "is never parked, whatever is done to its runs and wherever they are killed",
    () =>
      Effect.gen(function* () {
        const problems = yield* Effect.forEach(seeds, history)
        expect(problems.flat().slice(0, 5)).toEqual([])
      }).pipe(Logger.withMinimumLogLevel(LogLevel.None)),
    120_000
  )
})
