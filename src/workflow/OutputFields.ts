/**
 * The fields of an output schema, and what in a value does not fit them (spec/language.md, "Output schemas").
 */
import { isObject, kind } from "./Json.ts"

export type FieldType =
  | { readonly _tag: "String" }
  | { readonly _tag: "Number" }
  | { readonly _tag: "Boolean" }
  | { readonly _tag: "Enum"; readonly values: ReadonlyArray<string> }
  /** Without `items`: elements of any kind. */
  | { readonly _tag: "Array"; readonly items?: FieldType }
  /** Without `fields`: any object. */
  | { readonly _tag: "Object"; readonly fields?: ReadonlyArray<Field> }

export interface Field {
  readonly name: string
  readonly type: FieldType
  /** May be missing or null. */
  readonly optional: boolean
  readonly description?: string
  readonly examples: ReadonlyArray<string>
}

/** One place of a value that does not fit. */
export interface Mismatch {
  /** Such as `findings[2].severity`; empty for the value as a whole. */
  readonly path: string
  readonly message: string
}

/** Everything in a value that does not fit; keys that no field lists are fine. */
export const mismatches = (fields: ReadonlyArray<Field>, value: unknown): ReadonlyArray<Mismatch> => {
  const found: Array<Mismatch> = []
  checkFields(fields, value, "", found)
  return found
}

/** A type in a sentence: `a text`, `one of low, high`. */
export const describe = (type: FieldType): string => {
  switch (type._tag) {
    case "String":
      return "a text"
    case "Number":
      return "a number"
    case "Boolean":
      return "true or false"
    case "Enum":
      return `one of ${type.values.join(", ")}`
    case "Array":
      return "a list"
    case "Object":
      return "an object"
  }
}

const checkFields = (fields: ReadonlyArray<Field>, value: unknown, path: string, found: Array<Mismatch>): void => {
  if (!isObject(value)) {
    found.push({ path, message: `expected an object, got ${kind(value)}` })
    return
  }
  for (const field of fields) {
    const own = Object.hasOwn(value, field.name) ? value[field.name] : undefined
    if (field.optional && (own === undefined || own === null)) continue
    const at = path === "" ? key(field.name) : `${path}.${key(field.name)}`
    if (own === undefined) found.push({ path: at, message: `missing, expected ${describe(field.type)}` })
    else checkType(field.type, own, at, found)
  }
}

const key = (name: string): string => (/^[A-Za-z_][A-Za-z0-9_-]*$/.test(name) ? name : JSON.stringify(name))

/** A place within a value, as `lines[0].cents`; empty: the value itself. */
export const place = (path: ReadonlyArray<PropertyKey>): string =>
  path.reduce<string>((at, part) => {
    if (typeof part === "number") return `${at}[${part}]`
    return at === "" ? key(String(part)) : `${at}.${key(String(part))}`
  }, "")

const checkType = (type: FieldType, value: unknown, path: string, found: Array<Mismatch>): void => {
  if (type._tag === "Object" && type.fields !== undefined) {
    checkFields(type.fields, value, path, found)
  } else if (!fits(type, value)) {
    found.push({ path, message: `expected ${describe(type)}, got ${shown(type, value)}` })
  } else if (type._tag === "Array" && type.items !== undefined && Array.isArray(value)) {
    const { items } = type
    value.forEach((element, index) => checkType(items, element, `${path}[${index}]`, found))
  }
}

/** A text that is none of those listed is told, whole or not at all: half of a secret would not be hidden. */
const shown = (type: FieldType, value: unknown): string => {
  if (type._tag !== "Enum" || typeof value !== "string") return kind(value)
  return value.length <= 100 ? JSON.stringify(value) : `a text of ${value.length} characters`
}

const fits = (type: FieldType, value: unknown): boolean => {
  switch (type._tag) {
    case "String":
      return typeof value === "string"
    case "Number":
      return typeof value === "number"
    case "Boolean":
      return typeof value === "boolean"
    case "Enum":
      return typeof value === "string" && type.values.includes(value)
    case "Array":
      return Array.isArray(value)
    case "Object":
      return isObject(value)
  }
}
