/**
 * Values of typed workflows and actions, as the journal keeps them: encoded JSON.
 */
import * as Effect from "effect/Effect"
import type { ParseError } from "effect/ParseResult"
import * as Schema from "effect/Schema"

/** A schema that needs no services. */
export type AnySchema = Schema.Schema.AnyNoContext | typeof Schema.Never

// SAFETY: `Never` is a schema like any other; only its type arguments do not fit the general one.
const general = (schema: AnySchema) => schema as Schema.Schema.AnyNoContext

/** JSON has no undefined: null stands for it. */
export const tryEncode = (schema: AnySchema, value: unknown): Effect.Effect<unknown, ParseError> =>
  Effect.map(Schema.encodeUnknown(general(schema))(value), (encoded): unknown => encoded ?? null)

/** Dies where a value does not fit its schema: the types say that it does. */
export const encode = (schema: AnySchema, value: unknown): Effect.Effect<unknown> =>
  Effect.orDie(tryEncode(schema, value))

/** Null is also tried as undefined, which JSON cannot keep. */
export const decode = <S extends AnySchema>(schema: S, value: unknown): Effect.Effect<S["Type"], ParseError> => {
  const decoded = Schema.decodeUnknown(general(schema))
  return value === null ? Effect.orElse(decoded(undefined), () => decoded(null)) : decoded(value)
}
