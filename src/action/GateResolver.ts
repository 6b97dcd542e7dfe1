/**
 * Gate resolvers: who decides a gate that is not answered by a person (spec/engine.md, "gate" and "Services").
 * Human gates have none: they wait for `approve` or `reject`.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { RunId, StepPath } from "../persistence/Records.ts"

export interface GateQuestion {
  readonly gate: string
  readonly prompt: string
  readonly minApprovals: number
  readonly mode: string
  readonly options: ReadonlyArray<{ readonly key: string; readonly text: string }>
  /** ms */
  readonly timeout: number
  readonly identity: string | undefined
  readonly run: RunId
  readonly path: StepPath
  readonly workingDirectory: string
}

export type GateVerdict =
  | { readonly _tag: "Approved"; readonly feedback?: string }
  | { readonly _tag: "Rejected"; readonly reason: string }
  | { readonly _tag: "Pending" }

/** Logged; the gate is asked again. */
export class GateResolverFailed extends Schema.TaggedError<GateResolverFailed>()("GateResolverFailed", {
  gate: Schema.String,
  message: Schema.String
}) {}

export type GateResolver = (question: GateQuestion) => Effect.Effect<GateVerdict, GateResolverFailed, Scope.Scope>

/** The resolvers by gate name. */
export class GateResolvers extends Context.Tag("millrace/GateResolvers")<
  GateResolvers,
  ReadonlyMap<string, GateResolver>
>() {
  static readonly layer = (resolvers: Readonly<Record<string, GateResolver>>): Layer.Layer<GateResolvers> =>
    Layer.succeed(GateResolvers, new Map(Object.entries(resolvers)))
}

/** Gates that wait for a person, whatever resolvers there are. */
export const humanGates: ReadonlySet<string> = new Set(["human_approval", "human_review"])
