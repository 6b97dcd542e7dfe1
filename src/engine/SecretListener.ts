/**
 * Who is told which values the runs of an engine hide, before anything of them runs: a host that passes on what actions
 * print or log by themselves can hide them there too.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"

/** Called with all values of a run when it is taken up here, and again when it has learned of more. */
export class SecretListener extends Context.Reference<SecretListener>()("millrace/SecretListener", {
  defaultValue:
    () =>
    (_values: ReadonlyArray<string>): void =>
      undefined
}) {
  static readonly layerWith = (listener: (values: ReadonlyArray<string>) => void): Layer.Layer<never> =>
    Layer.succeed(SecretListener, listener)
}
