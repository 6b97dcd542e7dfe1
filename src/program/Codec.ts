/**
 * Values of typed workflows and actions, as the journal keeps them: encoded JSON.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { ParseError } from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { Texts } from "../workflow/Definition.ts"
import { payloadKeys, payloadOf } from "../workflow/Payload.ts"

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

/** The payload that texts by name make, or why they make none, as the end of a sentence. */
export const payloadOfTexts = <P extends AnySchema>(
  { name, payload: schema }: { readonly name: string; readonly payload: P },
  texts: Texts
): Either.Either<{ readonly encoded: unknown; readonly payload: P["Type"] }, string> => {
  const takes = payloadKeys(schema.ast)
  if (takes._tag === "NoObject") return Either.left(`'${name}' takes ${takes.wanted}, which no .wf file can give`)
  const made = payloadOf(schema.ast, (key) => (Object.hasOwn(texts, key) ? texts[key] : undefined))
  if (Either.isLeft(made)) {
    const missing = made.left.map((key) => `'${key}'`).join(", ")
    return Either.left(`'${name}' needs ${missing}, which nothing gives`)
  }
  const decoded = Schema.decodeUnknownEither(general(schema))(made.right)
  return Either.mapBoth(decoded, {
    onLeft: (error) => `'${name}' does not take what it is given: ${error.message}`,
    // JSON has no undefined.
    onRight: (payload: P["Type"]) => ({ encoded: made.right ?? null, payload })
  })
}
