/**
 * What an engine does when it finds that an invariant does not hold.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"

/** By default the process ends: what it would write next cannot be trusted. */
export class BrokenInvariant extends Context.Reference<BrokenInvariant>()("millrace/BrokenInvariant", {
  defaultValue: () => (message: string) => {
    setImmediate(() => {
      throw new Error(`invariant ${message}`)
    })
  }
}) {
  static readonly layerWith = (violated: (message: string) => void): Layer.Layer<never> =>
    Layer.succeed(BrokenInvariant, violated)
}
