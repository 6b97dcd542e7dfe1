/**
 * Handlers and executors that do as they are told: an outcome for each attempt of a step, the last one for all that
 * follow. They remember who called.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { type ActionCall, ActionFailed, type ActionOutput, Executors } from "../action/Action.ts"
import type { Action, ActionAttempt, ActionTimedOut, Handler } from "../program/Action.ts"
import type { AnySchema } from "../program/Codec.ts"
import { halted } from "./CrashPoints.ts"

/** What an attempt comes to; `after`: how long it takes, on the clock of the process. */
export type Outcome<A, E> =
  | { readonly _tag: "Succeeds"; readonly value: A; readonly after?: Duration.DurationInput }
  | { readonly _tag: "Fails"; readonly error: E; readonly after?: Duration.DurationInput }
  | { readonly _tag: "Dies"; readonly defect: unknown; readonly after?: Duration.DurationInput }
  /** Goes on until it is interrupted. */
  | { readonly _tag: "Hangs" }

interface Timing {
  readonly after?: Duration.DurationInput
}

export const succeeds = <A>(value: A, timing: Timing = {}): Outcome<A, never> => ({
  _tag: "Succeeds",
  value,
  ...timing
})
export const fails = <E>(error: E, timing: Timing = {}): Outcome<never, E> => ({ _tag: "Fails", error, ...timing })
export const dies = (defect: unknown, timing: Timing = {}): Outcome<never, never> => ({
  _tag: "Dies",
  defect,
  ...timing
})
export const hangs: Outcome<never, never> = { _tag: "Hangs" }

/** At least one. */
export type Script<A, E> = readonly [Outcome<A, E>, ...ReadonlyArray<Outcome<A, E>>]

/** An attempt that a scripted handler was asked for. */
export interface Called<P> {
  readonly payload: P
  readonly attempt: ActionAttempt
}

export interface ScriptedHandler<H, P> {
  readonly layer: Layer.Layer<H>
  /** So far, in order. */
  readonly calls: () => ReadonlyArray<Called<P>>
}

/**
 * A layer for a typed action.
 *
 * ```ts
 * const charging = scripted(Charge, [dies("no network"), hangs, succeeds("receipt")])
 * ```
 *
 * With a function the script may depend on the payload.
 */
export const scripted = <
  Name extends string,
  P extends AnySchema,
  S extends AnySchema,
  E extends AnySchema,
  X extends ActionTimedOut
>(
  action: Action<Name, P, S, E, X>,
  script: Script<S["Type"], E["Type"]> | ((payload: P["Type"]) => Script<S["Type"], E["Type"]>)
): ScriptedHandler<Handler<Name, P["Type"], S["Type"], E["Type"]>, P["Type"]> => {
  const calls: Array<Called<P["Type"]>> = []
  const layer = action.toLayer((payload, attempt) =>
    Effect.suspend(() => {
      calls.push({ payload, attempt })
      return play(typeof script === "function" ? script(payload) : script, attempt.attempt)
    })
  )
  return { layer, calls: () => [...calls] }
}

export interface ScriptedExecutors {
  readonly layer: Layer.Layer<Executors>
  /** So far, in order. */
  readonly calls: () => ReadonlyArray<ActionCall>
}

/**
 * The executors of a `.wf` file's untyped actions, by name: `{ review: [fails("busy"), succeeds({ markers: ["ok"] })] }`.
 */
export const scriptedExecutors = (
  scripts: Readonly<Record<string, Script<ActionOutput, string>>>
): ScriptedExecutors => {
  const calls: Array<ActionCall> = []
  const executors = Object.entries(scripts).map(([name, script]) => {
    const execute = (call: ActionCall) =>
      Effect.suspend(() => {
        calls.push(call)
        return Effect.mapError(play(script, call.attempt), (message) => new ActionFailed({ message }))
      })
    return [name, execute] as const
  })
  return { layer: Executors.layer(Object.fromEntries(executors)), calls: () => [...calls] }
}

const play = <A, E>(script: Script<A, E>, attempt: number): Effect.Effect<A, E> => {
  const outcome = script[attempt - 1] ?? script.at(-1) ?? script[0]
  if (outcome._tag === "Hangs") return halted
  const end = endOf(outcome)
  return outcome.after === undefined ? end : Effect.delay(end, outcome.after)
}

const endOf = <A, E>(outcome: Exclude<Outcome<A, E>, { readonly _tag: "Hangs" }>): Effect.Effect<A, E> => {
  switch (outcome._tag) {
    case "Succeeds":
      return Effect.succeed(outcome.value)
    case "Fails":
      return Effect.fail(outcome.error)
    case "Dies":
      return Effect.die(outcome.defect)
  }
}
