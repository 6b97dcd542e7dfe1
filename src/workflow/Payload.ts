/**
 * What a schema wants of the texts that a `.wf` file has: the keys of its encoded side, each read from a variable
 * (spec/language.md, "Variables and templates").
 *
 * Pure: knows neither where a schema comes from nor where texts do. Used for the payloads of typed actions and typed
 * workflows, and for what their ends leave behind as variables.
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import * as Json from "./Json.ts"
import { problemText } from "./SchemaProblems.ts"

/** A key that a payload has, as it is encoded. */
export interface PayloadKey {
  readonly name: string
  readonly required: boolean
}

/** The keys of an object, or why texts cannot make the payload. */
export type PayloadKeys =
  | {
      readonly _tag: "Keys"
      readonly keys: ReadonlyArray<PayloadKey>
      /** What is wrong with a text for a key; undefined: nothing, as far as the key alone can tell. */
      readonly problemOf: (key: string, text: string) => string | undefined
    }
  | { readonly _tag: "NoObject"; readonly wanted: string }

interface Field extends PayloadKey {
  /** Of each member of a union that has the key. */
  readonly types: ReadonlyArray<AST.AST>
}

/** A schema whose payload is nothing has no keys; one of something that is no object cannot be made of texts. */
export const payloadKeys = (schema: AST.AST): PayloadKeys => {
  const fields = fieldsOf(AST.encodedAST(schema))
  if (fields === undefined) return { _tag: "NoObject", wanted: String(schema) }
  return {
    _tag: "Keys",
    keys: fields.map(({ name, required }) => ({ name, required })),
    problemOf: (key, text) => problemOf(schema, key, text)
  }
}

/** Read as `payloadOf` does, then by the key's own schema with all that it asks of a value. */
const problemOf = (schema: AST.AST, key: string, text: string): string | undefined => {
  const of = (ast: AST.AST) => fieldsOf(ast)?.find(({ name }) => name === key)
  const encoded = of(AST.encodedAST(schema))
  const types = of(schema)?.types ?? []
  if (encoded === undefined || types.length === 0 || (!encoded.required && isNothing(encoded.types, text))) {
    return undefined
  }
  const value = valueOf(encoded.types, text)
  const problems = types.map((type) => problemWith(type, value))
  return problems.includes(undefined) ? undefined : problems[0]
}

/** Undefined also where only a run can tell: what has to be awaited, or throws. */
const problemWith = (type: AST.AST, value: unknown): string | undefined => {
  try {
    const decoded = Schema.decodeUnknown(Schema.make<unknown>(type))(value)
    if (!Either.isEither(decoded) || Either.isRight(decoded)) return undefined
    return ParseResult.isParseError(decoded.left) ? problemText(decoded.left) : undefined
  } catch {
    return undefined
  }
}

/** The keys of a success that are no texts: what later steps see in its output, and not as variables. */
export const otherKeys = (schema: AST.AST): ReadonlyArray<string> =>
  (fieldsOf(AST.encodedAST(schema)) ?? []).filter(({ types }) => !types.some(mayBeText)).map(({ name }) => name)

/** The keys of a success that are texts: what becomes a variable of later steps. Undefined where that cannot be told. */
export const textKeys = (schema: AST.AST): ReadonlyArray<string> | undefined => {
  const encoded = AST.encodedAST(schema)
  const fields = fieldsOf(encoded)
  if (fields === undefined) return isOpen(encoded) ? undefined : []
  return fields.filter(({ types }) => types.some(mayBeText)).map(({ name }) => name)
}

/** Of the side that is read, each key with its whole schema; undefined where it is no object. */
const fieldsOf = (schema: AST.AST): ReadonlyArray<Field> | undefined => {
  switch (schema._tag) {
    case "VoidKeyword":
    case "UndefinedKeyword":
      return []
    case "TypeLiteral":
      return schema.propertySignatures.flatMap(({ isOptional, name, type }) =>
        typeof name === "string" ? [{ name, required: !isOptional && !isUndefined(type), types: [type] }] : []
      )
    case "Suspend":
      return fieldsOf(schema.f())
    case "Transformation":
    case "Refinement":
      return fieldsOf(schema.from)
    case "Union":
      return ofUnion(schema.types.map(fieldsOf))
    default:
      return undefined
  }
}

/** A key is required where each member requires it. */
const ofUnion = (members: ReadonlyArray<ReadonlyArray<Field> | undefined>): ReadonlyArray<Field> | undefined => {
  const found = new Map<string, Field>()
  for (const fields of members) {
    if (fields === undefined) return undefined
    for (const { name, types } of fields) {
      const required = members.every((other) => other?.some((field) => field.name === name && field.required))
      found.set(name, { name, required, types: [...(found.get(name)?.types ?? []), ...types] })
    }
  }
  return [...found.values()]
}

/** `Schema.UndefinedOr`: a key that may be left out as well. */
const isUndefined = (type: AST.AST): boolean =>
  type._tag === "UndefinedKeyword" || (type._tag === "Union" && type.types.some(isUndefined))

const isOpen = (encoded: AST.AST): boolean =>
  encoded._tag === "AnyKeyword" || encoded._tag === "UnknownKeyword" || encoded._tag === "ObjectKeyword"

const mayBeText = (type: AST.AST): boolean => {
  switch (type._tag) {
    case "StringKeyword":
    case "TemplateLiteral":
    case "AnyKeyword":
    case "UnknownKeyword":
      return true
    case "Literal":
      return typeof type.literal === "string"
    case "Enums":
      return type.enums.some(([, value]) => typeof value === "string")
    case "Union":
      return type.types.some(mayBeText)
    default:
      return false
  }
}

/**
 * A payload, encoded, of texts by name: left are the required keys that nothing gives. What a key's schema takes as a
 * text stays one; a number, a truth value, a list or an object is read as JSON. A text that does not fit is passed on
 * as it is, for the schema to say what is wrong.
 */
export const payloadOf = (
  schema: AST.AST,
  textOf: (name: string) => string | undefined
): Either.Either<Readonly<Record<string, unknown>> | undefined, ReadonlyArray<string>> => {
  const encoded = AST.encodedAST(schema)
  const fields = fieldsOf(encoded) ?? []
  if (fields.length === 0 && encoded._tag !== "TypeLiteral") return Either.right(undefined)
  const missing = fields.filter(({ name, required }) => required && textOf(name) === undefined)
  if (missing.length > 0) return Either.left(missing.map(({ name }) => name))
  const entries = fields.flatMap(({ name, required, types }): ReadonlyArray<readonly [string, unknown]> => {
    const text = textOf(name)
    return text === undefined || (!required && isNothing(types, text)) ? [] : [[name, valueOf(types, text)]]
  })
  return Either.right(Object.fromEntries(entries))
}

/** An input that has an empty default stands for a key that is not there, unless the key takes empty texts. */
const isNothing = (types: ReadonlyArray<AST.AST>, text: string): boolean =>
  text === "" && !types.some((type) => accepts(type, text))

const valueOf = (types: ReadonlyArray<AST.AST>, text: string): unknown => {
  const fits = (value: unknown) => types.some((type) => accepts(type, value))
  const found = readings(text).find(fits)
  return found === undefined ? text : found
}

const accepts = (type: AST.AST, value: unknown): boolean => Either.isRight(validate(type)(value))

const validators = new WeakMap<AST.AST, (value: unknown) => Either.Either<unknown, ParseResult.ParseIssue>>()

const validate = (type: AST.AST) => {
  const known = validators.get(type)
  if (known !== undefined) return known
  const made = ParseResult.validateEither(Schema.make<unknown>(type))
  validators.set(type, made)
  return made
}

/** What a text may stand for, the text itself first. */
const readings = (text: string): ReadonlyArray<unknown> => {
  const lower = text.trim().toLowerCase()
  if (lower === "true" || lower === "false") return [text, lower === "true"]
  const json = Json.parse(text)
  return json === undefined ? [text] : [text, json]
}

/** An encoded payload as the inputs of a `.wf` workflow: texts stay, all else is JSON; what is not there has no key. */
export const textsOf = (encoded: unknown): Readonly<Record<string, string>> =>
  Json.isObject(encoded)
    ? Object.fromEntries(
        Object.entries(encoded)
          .filter(([, value]) => value !== undefined)
          .map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)])
      )
    : {}
