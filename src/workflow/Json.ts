/**
 * JSON values as steps give them.
 */
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

/** What a value is, in a sentence: `a text`, `a list`, `null`, … */
export const kind = (value: unknown): string => {
  if (value === undefined) return "nothing"
  if (value === null) return "null"
  if (Array.isArray(value)) return "a list"
  if (typeof value === "string") return "a text"
  if (typeof value === "number") return "a number"
  return typeof value === "boolean" ? "true or false" : "an object"
}
