/**
 * Who is told what the bodies of an engine's runs give to their steps. The engine itself compares none of it with what is
 * recorded: a step that is done keeps its end. Whoever tests a body wants to know.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { StepPath } from "../persistence/Records.ts"
import type { RunContext } from "./RunContext.ts"

/**
 * Called each time that a body comes to an action, a child or its end as a new run, also in a replay: before the row of
 * the path is made, if there is none yet. `payload`: encoded.
 */
export type PayloadListener = (run: RunContext, path: StepPath, payload: unknown) => void

/** By default nobody is. */
export class GivenPayloads extends Context.Reference<GivenPayloads>()("millrace/GivenPayloads", {
  defaultValue: (): PayloadListener => () => undefined
}) {
  static readonly layerWith = (listener: PayloadListener): Layer.Layer<never> => Layer.succeed(GivenPayloads, listener)
}
