/**
 * Values of typed workflows and actions, as the journal keeps them: encoded JSON.
 *
 * - J1 What is encoded reads the same before and after JSON has kept it: the first execution sees what a replay will see.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { ParseError } from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { threw } from "../action/UserFunction.ts"
import type { Texts } from "../workflow/Definition.ts"
import * as Json from "../workflow/Json.ts"
import { payloadKeys, payloadOf } from "../workflow/Payload.ts"
import { problemText } from "../workflow/SchemaProblems.ts"

/** A schema that needs no services. */
export type AnySchema = Schema.Schema.AnyNoContext | typeof Schema.Never

// SAFETY: `Never` is a schema like any other; only its type arguments do not fit the general one.
const general = (schema: AnySchema) => schema as Schema.Schema.AnyNoContext

/** All that is wrong is told at once. */
const whole = { errors: "all" } as const

/** A value that its schema refuses: where, what was expected there, and what there is. */
export class Unfit extends Data.TaggedError("Unfit")<{ readonly message: string }> {}

const unfit = (error: ParseError): Unfit => new Unfit({ message: problemText(error) })

/** JSON has no undefined: null stands for it. */
export const tryEncode = (schema: AnySchema, value: unknown): Effect.Effect<unknown, Unfit> =>
  Effect.suspend(() => Effect.mapError(Schema.encodeUnknown(general(schema), whole)(value), unfit)).pipe(
    Effect.flatMap((encoded) => (Json.isKept(encoded) ? Effect.succeed(encoded) : afterJson(schema, encoded))),
    Effect.catchAllDefect((thrown) => new Unfit({ message: threw("encoding it", thrown) }))
  )

/** What JSON makes of a value that is none, if the schema reads it (J1). */
const afterJson = (schema: AnySchema, encoded: unknown): Effect.Effect<unknown, Unfit> => {
  if (encoded === undefined) return Effect.succeed(null)
  return Either.match(Json.afterJson(encoded), {
    onLeft: (problem) => new Unfit({ message: `JSON cannot keep it: ${problem}` }),
    onRight: (kept) =>
      Effect.mapBoth(decode(schema, kept), {
        onFailure: ({ message }) => new Unfit({ message: `as JSON keeps it, ${message}` }),
        onSuccess: () => kept
      })
  })
}

/** For what was decoded with the same schema: dies where it does not fit. */
export const encode = (schema: AnySchema, value: unknown): Effect.Effect<unknown> =>
  Effect.orDie(tryEncode(schema, value))

/** Null is also tried as undefined, which JSON cannot keep. */
export const decode = <S extends AnySchema>(schema: S, value: unknown): Effect.Effect<S["Type"], Unfit> => {
  const decoded = Schema.decodeUnknown(general(schema), whole)
  const read = value === null ? Effect.orElse(decoded(undefined), () => decoded(null)) : decoded(value)
  return Effect.mapError(read, unfit)
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
  const decoded = Schema.decodeUnknownEither(general(schema), whole)(made.right)
  return Either.mapBoth(decoded, {
    onLeft: (error) => `'${name}' does not take what it is given: ${problemText(error)}`,
    // JSON has no undefined.
    onRight: (payload: P["Type"]) => ({ encoded: made.right ?? null, payload })
  })
}
