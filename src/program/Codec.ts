/**
 * Values of typed workflows and actions, as the journal keeps them: encoded JSON.
 *
 * - J1 What is encoded reads the same before and after JSON has kept it: the first execution sees what a replay will see.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { isParseError, type ParseError } from "effect/ParseResult"
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

/** To tell all that is wrong at once; three times as slow, and so only for what is refused. */
const whole = { errors: "all" } as const

/** A value that its schema refuses: where, what was expected there, and what there is. */
export class Unfit extends Data.TaggedError("Unfit")<{ readonly message: string }> {}

/** `again`: the same once more, for all that is wrong. */
const unfit =
  (again: () => Effect.Effect<unknown, ParseError>) =>
  (first: ParseError): Unfit => {
    const read = again()
    const all = Either.isEither(read) && Either.isLeft(read) ? read.left : first
    return new Unfit({ message: problemText(isParseError(all) ? all : first) })
  }

/** JSON has no undefined: null stands for it. */
export const tryEncode = (schema: AnySchema, value: unknown): Effect.Effect<unknown, Unfit> => {
  try {
    const encoding = Schema.encodeUnknown(general(schema))(value)
    // What needs no more is not taken through the fiber's loop.
    if (Either.isEither(encoding) && Either.isRight(encoding)) return keepable(schema, encoding.right)
    const told = unfit(() => Schema.encodeUnknown(general(schema), whole)(value))
    const made = Effect.flatMap(Effect.mapError(encoding, told), (encoded) => keepable(schema, encoded))
    return Effect.catchAllDefect(made, didThrow)
  } catch (thrown) {
    return didThrow(thrown)
  }
}

const didThrow = (thrown: unknown): Effect.Effect<never, Unfit> => new Unfit({ message: threw("encoding it", thrown) })

/** A value as JSON keeps it, if the schema reads that (J1). */
const keepable = (schema: AnySchema, encoded: unknown): Effect.Effect<unknown, Unfit> => {
  if (encoded === undefined) return Effect.succeed(null)
  if (Json.isKept(encoded)) return Effect.succeed(encoded)
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
  const decoded = Schema.decodeUnknown(general(schema))
  const read = value === null ? Effect.orElse(decoded(undefined), () => decoded(null)) : decoded(value)
  return Either.isEither(read) && Either.isRight(read)
    ? Effect.succeed(read.right)
    : Effect.mapError(
        read,
        unfit(() => Schema.decodeUnknown(general(schema), whole)(value))
      )
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
