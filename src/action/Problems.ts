/** Several things read at once: all that is wrong with them is told. */
import * as Either from "effect/Either"

export const problemsOf = (read: ReadonlyArray<Either.Either<unknown, string>>): ReadonlyArray<string> =>
  read.flatMap((result) => (Either.isLeft(result) ? [result.left] : []))
