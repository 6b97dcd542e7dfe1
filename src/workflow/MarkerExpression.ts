/**
 * The expressions by which an output schema derives markers (spec/language.md, "Output schemas"):
 *
 * ```
 * approved == false      confidence < 80      findings.length > 0      findings[severity == critical].length > 0
 * ```
 *
 * Everything else is an error of the schema.
 */
import * as Either from "effect/Either"
import { field, isObject } from "./Json.ts"
import { describe, type Field, type FieldType } from "./OutputFields.ts"

export type MarkerExpression =
  | { readonly _tag: "Equals"; readonly field: string; readonly text: string }
  | { readonly _tag: "Compare"; readonly field: string; readonly operator: "<" | ">"; readonly number: number }
  | {
      readonly _tag: "Length"
      readonly field: string
      /** Only elements whose key has this value count. */
      readonly filter?: { readonly key: string; readonly text: string }
      readonly operator: "<" | ">" | "=="
      readonly number: number
    }

/** The expression that a text writes, or why it is none. */
export const parse = (text: string): Either.Either<MarkerExpression, string> => {
  const parts = /^([A-Za-z_][A-Za-z0-9_-]*)(?:\[([^\]=]*)==([^\]]*)\])?(\.length)?\s*(==|<|>)(.*)$/s.exec(text.trim())
  if (parts === null) return Either.left(`expected ${forms}`)
  const [, name = "", key, wanted, length, operator, operand = ""] = parts
  if (length !== undefined) return lengthOf(name, key, wanted, operator, operand.trim())
  if (key !== undefined) return Either.left(`a filter needs \`.length\` behind it: ${name}[…].length > 0`)
  if (operator === "==") {
    return Either.map(literal(operand), (text) => ({ _tag: "Equals" as const, field: name, text }))
  }
  return Either.map(number(operand.trim()), (number) => ({
    _tag: "Compare" as const,
    field: name,
    operator: operator === "<" ? ("<" as const) : (">" as const),
    number
  }))
}

const forms = "FIELD == value, FIELD < n, FIELD > n, FIELD.length > n or FIELD[key == value].length > n"

const lengthOf = (
  name: string,
  key: string | undefined,
  wanted: string | undefined,
  operator: string | undefined,
  operand: string
): Either.Either<MarkerExpression, string> =>
  Either.gen(function* () {
    const expression = {
      _tag: "Length" as const,
      field: name,
      operator: operator === "<" ? ("<" as const) : operator === ">" ? (">" as const) : ("==" as const),
      number: yield* number(operand)
    }
    if (key === undefined) return expression
    if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(key.trim())) return yield* Either.left(`'${key.trim()}' is no field's name`)
    return { ...expression, filter: { key: key.trim(), text: yield* literal(wanted ?? "") } }
  })

const number = (text: string): Either.Either<number, string> =>
  isNumber(text) ? Either.right(Number(text)) : Either.left(`expected a number instead of '${text}'`)

const isNumber = (text: string): boolean => /^-?[0-9]+(?:\.[0-9]+)?$/.test(text)

const literal = (written: string): Either.Either<string, string> => {
  const text = written.trim()
  if (text === "") return Either.left("expected a value behind ==")
  if (/["'`]/.test(text)) return Either.left("texts are written without quotes")
  return /[<>=!&|()[\]{}]/.test(text) ? Either.left(`'${text}' is no value; expected ${forms}`) : Either.right(text)
}

/** Whether a value has what the expression asks for; a missing or unfit field has not. */
export const evaluate = (expression: MarkerExpression, value: unknown): boolean => {
  const own = isObject(value) ? field(value, expression.field) : undefined
  switch (expression._tag) {
    case "Equals":
      return equals(own, expression.text)
    case "Compare":
      return typeof own === "number" && compare(own, expression.operator, expression.number)
    case "Length": {
      const length = lengthIn(own, expression.filter)
      return length !== undefined && compare(length, expression.operator, expression.number)
    }
  }
}

const equals = (value: unknown, text: string): boolean => {
  if (typeof value === "number") return isNumber(text) && value === Number(text)
  return typeof value === "boolean" ? text === String(value) : value === text
}

const compare = (a: number, operator: "<" | ">" | "==", b: number): boolean =>
  operator === "<" ? a < b : operator === ">" ? a > b : a === b

const lengthIn = (
  value: unknown,
  filter: { readonly key: string; readonly text: string } | undefined
): number | undefined => {
  if (typeof value === "string" && filter === undefined) return value.length
  if (!Array.isArray(value)) return undefined
  if (filter === undefined) return value.length
  return value.filter((element) => isObject(element) && equals(field(element, filter.key), filter.text)).length
}

/** Why an expression can never hold for these fields; undefined if it can. */
export const misfit = (expression: MarkerExpression, fields: ReadonlyArray<Field>): string | undefined => {
  const declared = fields.find(({ name }) => name === expression.field)
  if (declared === undefined) return `no field '${expression.field}'`
  const { type } = declared
  switch (expression._tag) {
    case "Equals":
      return unequal(declared, expression.text)
    case "Compare":
      return type._tag === "Number" ? undefined : `'${declared.name}' is ${describe(type)}, not a number`
    case "Length":
      if (expression.filter !== undefined) return unfiltered(declared, expression.filter)
      return type._tag === "Array" || type._tag === "String" || type._tag === "Enum"
        ? undefined
        : `'${declared.name}' is ${describe(type)}, which has no length`
  }
}

const unequal = ({ name, type }: Field, text: string): string | undefined =>
  holds(type, text) ? undefined : `'${name}' is ${describe(type)}, never '${text}'`

const holds = (type: FieldType, text: string): boolean => {
  switch (type._tag) {
    case "String":
      return true
    case "Number":
      return isNumber(text)
    case "Boolean":
      return text === "true" || text === "false"
    case "Enum":
      return type.values.includes(text)
    case "Array":
    case "Object":
      return false
  }
}

const unfiltered = (
  { name, type }: Field,
  filter: { readonly key: string; readonly text: string }
): string | undefined => {
  if (type._tag !== "Array") return `'${name}' is ${describe(type)}, not a list`
  if (type.items === undefined) return undefined
  if (type.items._tag !== "Object") return `the elements of '${name}' are no objects`
  if (type.items.fields === undefined) return undefined
  const key = type.items.fields.find((field) => field.name === filter.key)
  return key === undefined ? `the elements of '${name}' have no field '${filter.key}'` : unequal(key, filter.text)
}
