/**
 * Random typed workflows, made from a seed: what a body does is drawn anew from the payload's seed at each replay, so
 * one registered workflow stands for all of them. Their outcome does not depend on the schedule.
 */
import * as Effect from "effect/Effect"
import * as Context from "effect/Context"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Engine } from "../../engine/Engine.ts"
import * as Action from "../../program/Action.ts"
import * as Workflow from "../../program/Workflow.ts"
import { Seeded } from "../Seeded.ts"
import type { ExecutionObserver, ScriptedAnswer } from "../TestProgram.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { attempt: Schema.Number }) {}

const Work = { payload: Schema.Struct({ failures: Schema.Int, delay: Schema.Int }), error: Refused } as const

/** Tried once. */
const Once = Action.make("once", { ...Work, success: Schema.String })
/** Tried three times. */
const Thrice = Action.make("thrice", { ...Work, success: Schema.String, retry: { times: 2, delay: 20 } })
/** Ends by its time. */
const Endless = Action.make("endless", { payload: Schema.Void, timeout: 300 })

/** The workflow of all seeds. `depth`: of runs above it. */
export const Generated = Workflow.make("generated", {
  payload: Schema.Struct({ key: Schema.String, seed: Schema.Int, depth: Schema.Int }),
  success: Schema.Array(Schema.String),
  error: Refused,
  idempotencyKey: ({ key }) => key
})

type Handlers = Action.HandlerOf<typeof Once> | Action.HandlerOf<typeof Thrice> | Action.HandlerOf<typeof Endless>
type Body<A> = Effect.Effect<A, never, Workflow.WorkflowRun | Handlers>

/**
 * Lets an engine run them, until the scope closes. Layer by layer: composing them would take longer than most of a
 * simulation.
 */
export const registerGenerated = (
  observer: ExecutionObserver,
  scope: Scope.Scope
): Effect.Effect<void, never, Engine> => {
  const work = workTold(observer)
  return Effect.gen(function* () {
    const once = yield* Layer.buildWithScope(Once.toLayer(work), scope)
    const thrice = yield* Layer.buildWithScope(Thrice.toLayer(work), scope)
    const endless = yield* Layer.buildWithScope(
      Endless.toLayer((_, attempt) => told(observer, attempt, Effect.never)),
      scope
    )
    const handlers = Context.merge(Context.merge(once, thrice), endless)
    const workflow = Generated.toLayer(({ depth, seed }) => bodyOf(seed, depth))
    yield* Effect.mapInputContext(Layer.buildWithScope(workflow, scope), (context: Context.Context<Engine>) =>
      Context.merge(context, handlers)
    )
  })
}

const workTold =
  (observer: ExecutionObserver) =>
  (payload: { readonly failures: number; readonly delay: number }, attempt: Action.ActionAttempt) =>
    told(
      observer,
      attempt,
      Effect.zipRight(
        payload.delay === 0 ? Effect.void : Effect.sleep(payload.delay),
        attempt.attempt > payload.failures
          ? Effect.succeed(`done by attempt ${attempt.attempt}`)
          : Effect.fail(new Refused({ attempt: attempt.attempt }))
      )
    )

const told = <A, E>(
  { began, ended }: ExecutionObserver,
  { attempt, idempotencyKey, path, run }: Action.ActionAttempt,
  work: Effect.Effect<A, E>
): Effect.Effect<A, E> => {
  const execution = { run, path, attempt, idempotencyKey }
  const begun = Effect.zipRight(
    Effect.sync(() => began?.(execution)),
    work
  )
  return Effect.ensuring(
    begun,
    Effect.sync(() => ended?.(execution))
  )
}

const bodyOf = (seed: number, depth: number) => {
  const random = new Seeded(seed)
  const parts = Array.from({ length: random.between(2, 4) }, () => part(random, depth, 0))
  const ending = random.chance(0.2) ? Action.call(Once, { failures: 1, delay: 0 }) : Effect.succeed("ended")
  return Effect.flatMap(Effect.all(parts), (done) =>
    Effect.mapBoth(ending, {
      onFailure: (error) => (error._tag === "Refused" ? error : new Refused({ attempt: 0 })),
      onSuccess: (last) => [...done, last]
    })
  )
}

/** Draws what a part does, and says how it ended. Draws happen when it is made, not when it runs. */
const part = (random: Seeded, depth: number, nesting: number): Body<string> => {
  const inner = () => part(random, depth, nesting + 1)
  const draw = random.between(0, 99)
  if (draw < 35 || nesting > 2) return act(random)
  if (draw < 45) return Effect.as(Workflow.sleep(random.pick([5, 400])), "slept")
  if (draw < 55) return gate(random)
  if (draw < 65) return signal(random)
  if (draw < 75) return described(Workflow.all([inner(), inner()], random.chance(0.3) ? { concurrency: 1 } : {}))
  if (draw < 82) {
    const works = new Map(["a", "b", "c"].map((key) => [key, inner()]))
    return described(Workflow.forEach(works, ([, work]) => work, { key: ([key]) => key }))
  }
  // Whatever befalls them, the sleeper comes last.
  if (draw < 88) return described(Workflow.race({ first: act(random), last: longSleep }))
  if (draw < 93) return described(Workflow.timeout(inner(), longest))
  if (depth < 2) {
    const payload = { key: "", seed: random.between(1, 1_000_000), depth: depth + 1 }
    return described(Workflow.child(Generated, payload))
  }
  return act(random)
}

/** Longer than anything else takes, freezes and lost leases included. */
const longest = "6 hours"
const longSleep: Body<string> = Effect.as(Workflow.sleep(longest), "slept long")

const act = (random: Seeded): Body<string> => {
  const payload = { failures: random.chance(0.3) ? random.between(1, 3) : 0, delay: random.pick([0, 0, 5, 40]) }
  const draw = random.next()
  if (draw < 0.05) return described(Action.call(Endless, undefined))
  return draw < 0.5 ? described(Action.call(Once, payload)) : described(Action.call(Thrice, payload))
}

const gate = (random: Seeded): Body<string> => {
  const prompt = `${random.chance(0.8) ? "approve" : "reject"} after ${random.pick([0, 30, 500])} ms`
  return random.chance(0.2)
    ? described(Workflow.gate("unasked", { timeout: random.pick([20, 2_000]) }))
    : described(Effect.map(Workflow.gate("asked", { prompt }), ({ feedback }) => feedback))
}

const signal = (random: Seeded): Body<string> => {
  const name = `signal ${random.between(1, 1_000_000)} after ${random.pick([0, 30, 500])} ms`
  const awaited = random.chance(0.2)
    ? Workflow.awaitSignal(Workflow.signal("unsent", Schema.String), { timeout: 30 })
    : Workflow.awaitSignal(Workflow.signal(name, Schema.String))
  return described(awaited)
}

/** A part that fails does not end the body: what it failed with is its result. */
const described = <A, R>(effect: Effect.Effect<A, unknown, R>): Effect.Effect<string, never, R> =>
  Effect.map(Effect.either(effect), (either) =>
    Either.isRight(either) ? `gave ${JSON.stringify(either.right)}` : `failed with ${String(either.left)}`
  )

/** What people do at a gate with this prompt. */
export const scriptOfPrompt = (prompt: string): ScriptedAnswer | undefined => {
  const [, answer, after] = /^(approve|reject) after (\d+) ms$/.exec(prompt) ?? []
  return answer === undefined ? undefined : { approved: answer === "approve", after: Number(after), feedback: answer }
}

/** How long after the run has begun to wait for it somebody sends this signal, ms. */
export const delayOfSignal = (name: string): number | undefined => {
  const [, after] = /^signal \d+ after (\d+) ms$/.exec(name) ?? []
  return after === undefined ? undefined : Number(after)
}
