/**
 * Actions that are modules: `actions/<name>.{ts,mts,js,mjs}`, whose default export is
 * `(parameters, context) =>` a result, a promise of one or an Effect of one (spec/engine.md, "call").
 *
 * A promise cannot be interrupted: its signal is aborted and it is awaited for the call's `interruptGrace`; one that
 * goes on is abandoned, and what it gives later is dropped. An Effect runs in the attempt's own fiber.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type { Texts } from "../workflow/Definition.ts"
import { type ActionCall, ActionFailed, type ActionOutput, type Executor } from "./Action.ts"
import { type ActionContext, contextData } from "./ActionContext.ts"
import { checkResult, type ModuleResult } from "./ActionResult.ts"
import type { ModuleLoader } from "./ModuleLoader.ts"
import { causeText, thrownText } from "./UserFunction.ts"

/**
 * The shape of a module's default export, and of an action in the configuration. `R`: services of the configuration's
 * layer that its Effect uses.
 *
 * ```ts
 * const greet: ModuleAction = ({ name }, { attempt }) => ({ context: `hello ${name}, attempt ${attempt}` })
 * export default greet
 * ```
 */
export type ModuleAction<R = never> = (
  parameters: Texts,
  context: ActionContext
) =>
  | ModuleResult
  | void
  | PromiseLike<ModuleResult | void>
  | Effect.Effect<ModuleResult | void, unknown, R | Scope.Scope>

/** The same, with whatever it gives unchecked. */
export type ActionFunction = (parameters: Texts, context: ActionContext) => unknown

/** The executor of a module's file, which is loaded when it is first called. */
export const moduleAction =
  (file: string, loader: ModuleLoader): Executor =>
  (call) =>
    Effect.gen(function* () {
      const action = yield* loader
        .load(file)
        .pipe(Effect.mapError(({ cause }) => failed(call, file, `cannot be loaded${suffix(cause)}`)))
      if (!isFunction(action)) return yield* failed(call, file, "has no function as its default export")
      return yield* functionAction(file, action)(call)
    })

/** The executor of a function; `file` is where it stands. */
export const functionAction =
  (file: string, action: ActionFunction): Executor =>
  (call) =>
    invoke(call, action).pipe(
      Effect.catchAllCause((cause) => Effect.fail(failed(call, file, causeText(cause)))),
      Effect.flatMap((value) => toOutput(call, file, value))
    )

const isFunction = (value: unknown): value is ActionFunction => typeof value === "function"

const failed = (call: ActionCall, file: string, what: string): ActionFailed =>
  new ActionFailed({ message: `action '${call.name}' (${file}) ${what}` })

const suffix = (thrown: unknown): string => {
  const text = thrownText(thrown)
  return text === undefined ? "" : `: ${text}`
}

const invoke = (call: ActionCall, action: ActionFunction): Effect.Effect<unknown, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const controller = new AbortController()
    const runtime = yield* Effect.runtime()
    let over = false
    const context: ActionContext = {
      ...contextData(call),
      signal: controller.signal,
      heartbeat: (details) => {
        if (!over) Runtime.runFork(runtime)(call.heartbeat(details))
      }
    }
    const abort = Effect.sync(() => {
      over = true
      controller.abort(new Error("the attempt was interrupted"))
    })
    const value = yield* Effect.try({ try: () => action(call.variables, context), catch: (thrown) => thrown })
    return yield* settle(call, value, abort).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          over = true
        })
      )
    )
  })

const settle = (
  call: ActionCall,
  value: unknown,
  abort: Effect.Effect<void>
): Effect.Effect<unknown, unknown, Scope.Scope> => {
  if (Effect.isEffect(value)) {
    // SAFETY: an Effect that needs more than a Scope dies for want of the service, which fails the attempt.
    const effect = value as Effect.Effect<unknown, unknown, Scope.Scope>
    return Effect.onInterrupt(effect, () => abort)
  }
  return Predicate.isPromiseLike(value) ? awaitPromise(call, value, abort) : Effect.succeed(value)
}

const awaitPromise = (
  call: ActionCall,
  promise: PromiseLike<unknown>,
  abort: Effect.Effect<void>
): Effect.Effect<unknown, unknown> =>
  Effect.gen(function* () {
    const settled = yield* Deferred.make<unknown, unknown>()
    // The late result of an abandoned promise ends here.
    Promise.resolve(promise).then(
      (value) => Deferred.unsafeDone(settled, Exit.succeed(value)),
      (thrown: unknown) => Deferred.unsafeDone(settled, Exit.fail(thrown))
    )
    const leave = abort.pipe(
      Effect.zipRight(settlesInTime(call, settled)),
      Effect.flatMap((inTime) => (inTime ? Effect.void : call.abandoned))
    )
    return yield* Effect.onInterrupt(Deferred.await(settled), () => leave)
  })

const settlesInTime = (call: ActionCall, settled: Deferred.Deferred<unknown, unknown>): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    // One turn of the event loop even without a grace period: for whoever heeds the signal at once.
    yield* nextTurn
    if (yield* Deferred.isDone(settled)) return true
    const grace = yield* call.interruptGrace
    if (grace <= 0) return false
    // The wait is a fiber of its own: this one is being interrupted.
    const wait = Effect.interruptible(Effect.exit(Deferred.await(settled)))
    return Option.isSome(yield* Effect.timeoutOption(wait, grace))
  })

const nextTurn: Effect.Effect<void> = Effect.async((resume) => {
  setImmediate(() => resume(Effect.void))
})

const toOutput = (call: ActionCall, file: string, value: unknown): Effect.Effect<ActionOutput, ActionFailed> =>
  Effect.gen(function* () {
    const checked = checkResult(value)
    if (Either.isLeft(checked)) return yield* failed(call, file, checked.left)
    const { output, warnings } = checked.right
    for (const warning of warnings) yield* call.warn(`action '${call.name}': ${warning}`)
    return output
  })
