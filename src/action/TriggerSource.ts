/**
 * Trigger sources: what starts runs of workflows by itself (spec/engine.md, "Services").
 *
 * A source bears the name that a workflow writes as `trigger` in its `meta`. Running them: `engine/Triggers`.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { RunId } from "../persistence/Records.ts"
import type { Texts, WorkflowDefinition } from "../workflow/Definition.ts"

/** Starts one run of one workflow. */
export interface TriggerEvent {
  /** The run's idempotency key: an event that is given again, by any process, starts nothing new. */
  readonly id: string
  readonly inputs?: Texts
  readonly target?: string
  /** The run that brought the event about, where one did. */
  readonly cause?: RunId
}

/** What became of an event. `Started` also where its run had been started before. */
export type TriggerOutcome =
  | { readonly _tag: "Started"; readonly run: RunId }
  | { readonly _tag: "Refused"; readonly reason: string }

/** Logged; the source is asked for its events again after a while. */
export class TriggerSourceFailed extends Schema.TaggedError<TriggerSourceFailed>()("TriggerSourceFailed", {
  message: Schema.String
}) {}

export interface TriggerSource {
  /** The events for a workflow with this trigger; asked once for each, and again after a failure. */
  readonly events: (workflow: WorkflowDefinition) => Stream.Stream<TriggerEvent, TriggerSourceFailed>
  /** Told when an event was taken: its run is durable, or it will never have one. */
  readonly taken?: (event: TriggerEvent, outcome: TriggerOutcome, workflow: string) => Effect.Effect<void>
}

/** The sources by the trigger's name. */
export class TriggerSources extends Context.Tag("millrace/TriggerSources")<
  TriggerSources,
  ReadonlyMap<string, TriggerSource>
>() {
  static readonly layer = (sources: Readonly<Record<string, TriggerSource>>): Layer.Layer<TriggerSources> =>
    Layer.succeed(TriggerSources, new Map(Object.entries(sources)))
}

/** The trigger whose runs, with all below them, bring about no further runs of the same kind. */
export const hookTrigger = "hook"
