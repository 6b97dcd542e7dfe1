/**
 * Typed actions as those see them who know no types: `.wf` calls, the validator, a configuration.
 *
 * Owns: under which key a context has an action, and what stands there. The typed side, which makes both: `program/Action`.
 * - A2 A name means one action: two with other schemas meet in an `ActionCollision`, never in each other's handler.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { PayloadKeys } from "../workflow/Payload.ts"
import { ActionNotFound, type Executors, type FoundExecutor } from "./Action.ts"
import { type Declaration, Declarations, describedShape, isSameShape } from "./Declarations.ts"

/** On every typed action. */
export const TypeId: unique symbol = Symbol.for("millrace/Action")
export type TypeId = typeof TypeId

/** What is known of an action without its handler. */
export interface ActionFacts extends Declaration {
  /** Of the payload, as `.wf` calls give it. */
  readonly takes: PayloadKeys
  /** The names of texts in what it gives, which become variables; undefined: any. */
  readonly gives: ReadonlyArray<string> | undefined
  /** The names of what it gives that is no text, and no variable for that. */
  readonly keeps: ReadonlyArray<string>
}

/** A declared action, of whatever types. `H`: the service that its layer supplies. */
export interface Declared<out H = unknown> {
  readonly name: string
  readonly [TypeId]: {
    readonly _Handler: (_: never) => H
    readonly facts: ActionFacts
  }
}

/** The services that the layers of declared actions supply. */
export type HandlersOf<A> = A extends Declared<infer H> ? H : never

export const isDeclared = (value: unknown): value is Declared =>
  Predicate.hasProperty(value, TypeId) && Predicate.hasProperty(value, "name")

export const factsOf = (action: Declared): ActionFacts => action[TypeId].facts

/** What a context has of an action whose layer is there. */
export interface Supplied {
  readonly facts: ActionFacts
  readonly executor: FoundExecutor
}

const prefix = "millrace/Action/"

export const contextKey = <const Name extends string>(name: Name) => `${prefix}${name}` as const

const isSupplied = (value: unknown): value is Supplied =>
  Predicate.hasProperty(value, "facts") && Predicate.hasProperty(value, "executor")

/** The action of this name whose layer a context was built with. */
export const suppliedIn = (context: Context.Context<never>, name: string): Supplied | undefined => {
  const found: unknown = context.unsafeMap.get(contextKey(name))
  return isSupplied(found) ? found : undefined
}

const suppliedNames = (context: Context.Context<never>): ReadonlyArray<string> =>
  [...context.unsafeMap.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length))

/** Executors with the typed actions of a context before them: what is supplied in code wins over what is found. */
export const withSupplied = (
  executors: Context.Tag.Service<typeof Executors>,
  context: Context.Context<never>
): Context.Tag.Service<typeof Executors> => {
  const names = suppliedNames(context)
  if (names.length === 0) return executors
  const candidates = (error: ActionNotFound) =>
    new ActionNotFound({ ...error, candidates: [...new Set([...names, ...error.candidates])] })
  return {
    find: (ref, workflow, pluginDirs) => {
      const supplied = ref._tag === "Name" ? suppliedIn(context, ref.name) : undefined
      if (supplied !== undefined) return Effect.succeed(supplied.executor)
      return Effect.mapError(executors.find(ref, workflow, pluginDirs), candidates)
    },
    names: Effect.map(executors.names, (others) => [...new Set([...names, ...others])])
  }
}

/** Two actions have one name and other schemas. A defect: both are the program's own. */
export class ActionCollision extends Schema.TaggedError<ActionCollision>()("ActionCollision", {
  action: Schema.String,
  /** What the two take, give and fail with. */
  one: Schema.String,
  other: Schema.String
}) {
  override get message() {
    return `two actions are called '${this.action}': one is ${this.one}, the other ${this.other}; give one of them another name`
  }
}

/** Of two actions with one name; undefined where they are one. */
export const collision = (one: ActionFacts, other: ActionFacts): ActionCollision | undefined =>
  isSameShape(one, other)
    ? undefined
    : new ActionCollision({ action: one.name, one: describedShape(one), other: describedShape(other) })

/** The actions whose layers are built together. */
const built = new Declarations(collision)

/** Notes that an action's layer is being built, until the scope closes; dies where another has its name (A2). */
export const supplying = (facts: ActionFacts): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Layer.CurrentMemoMap, (layers) => built.supplying(layers, facts))
