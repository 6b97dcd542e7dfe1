/**
 * JSON values as steps give them.
 */
import * as Either from "effect/Either"

export type Json = null | boolean | number | string | ReadonlyArray<Json> | JsonObject

export interface JsonObject {
  readonly [key: string]: Json
}

export const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A value's own key; what an object inherits is no part of the JSON. */
export const field = (value: { readonly [key: string]: unknown }, key: string): unknown =>
  Object.hasOwn(value, key) ? value[key] : undefined

/** The value of a JSON text, or undefined if it is none. */
export const parse = (text: string): Json | undefined => {
  try {
    // SAFETY: what JSON.parse gives is JSON.
    return JSON.parse(text) as Json
  } catch {
    return undefined
  }
}

/** Whether JSON gives a value back as it is. */
export const isKept = (value: unknown, depth = 0): boolean => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return true
    case "number":
      return Number.isFinite(value)
    case "object":
      return value === null || (depth < maxDepth && isKeptObject(value, depth + 1))
    default:
      return false
  }
}

/** Deeper ones, and those that hold themselves, are left to JSON. */
const maxDepth = 500

const isKeptObject = (value: object, depth: number): boolean => {
  if (Array.isArray(value)) return value.every((element) => isKept(element, depth))
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  return Object.values(value).every((element) => isKept(element, depth))
}

/** A value as JSON gives it back, or why it cannot. */
export const afterJson = (value: unknown): Either.Either<Json, string> => {
  if (typeof value === "function" || typeof value === "symbol") return Either.left(`it is a ${typeof value}`)
  try {
    const text: string | undefined = JSON.stringify(value)
    // SAFETY: what JSON.parse gives is JSON.
    return Either.right(text === undefined ? null : (JSON.parse(text) as Json))
  } catch (thrown) {
    // Of a value that holds itself it names the whole way round, in lines.
    const [why = "it has no JSON"] = thrown instanceof Error ? thrown.message.split("\n", 1) : []
    return Either.left(why)
  }
}

/** A value itself where JSON gives it back as it is; else what it gives, or why nothing. */
export const kept = (value: unknown): Either.Either<unknown, string> =>
  isKept(value) ? Either.right(value) : afterJson(value)

/** What a value is, in a sentence: `a text`, `a list`, `null`, … */
export const kind = (value: unknown): string => {
  if (value === undefined) return "nothing"
  if (value === null) return "null"
  if (Array.isArray(value)) return "a list"
  if (typeof value === "string") return "a text"
  if (typeof value === "number") return "a number"
  return typeof value === "boolean" ? "true or false" : "an object"
}
