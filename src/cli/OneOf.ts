/** A word that has to be one of a few. */
import * as Effect from "effect/Effect"
import { nearest } from "../workflow/Suggest.ts"
import { UsageError } from "./CliError.ts"

/** `what` it is, for the message: "status". */
export const oneOf = <V extends string>(
  what: string,
  word: string,
  values: ReadonlyArray<V>
): Effect.Effect<V, UsageError> =>
  Effect.suspend(() => {
    const found = values.find((value) => value === word)
    if (found !== undefined) return Effect.succeed(found)
    const close = nearest(word, values)
    const hint = close === undefined ? `one of: ${values.join(", ")}` : `did you mean '${close}'?`
    return Effect.fail(new UsageError({ message: `there is no ${what} '${word}'`, hint }))
  })
