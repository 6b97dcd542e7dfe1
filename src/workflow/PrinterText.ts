/** Names, texts, values and durations as the printer writes them; line breaks and indentation are the formatter's. */
import type { Condition, Texts, Value } from "./Definition.ts"
import { isIdentifier } from "./Lexer.ts"

/** A text in quotes. Line ends stay as they are in a text of several lines, else they are written `\n`. */
export const quote = (text: string): string => {
  const inner = text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\t", "\\t")
  const last = inner.indexOf("\n")
  const isLong = last !== -1 && last < inner.length - 1
  return `"${isLong ? inner : inner.replaceAll("\n", "\\n")}"`
}

/** A name, in quotes if it is no identifier; where the grammar has no quotes the text is then in error. */
export const name = (text: string): string => (isIdentifier(text) ? text : quote(text))

export const option = <A>(key: string, value: A | undefined, print: (value: A) => string): ReadonlyArray<string> =>
  value === undefined ? [] : [`${key} = ${print(value)}`]

export const block = (entries: ReadonlyArray<string>): string =>
  entries.length === 0 ? "{}" : `{\n${entries.join("\n")}\n}`

export const list = (texts: ReadonlyArray<string>): string => `[${texts.map(quote).join(", ")}]`

/** One text stands for a list of one. */
export const oneOrList = (texts: ReadonlyArray<string>): string => {
  const [first] = texts
  return texts.length === 1 && first !== undefined ? quote(first) : list(texts)
}

export const textMap = (texts: Texts): string =>
  block(Object.entries(texts).map(([key, text]) => `${name(key)} = ${quote(text)}`))

export const valueMap = (values: { readonly [key: string]: Value }): string =>
  block(Object.entries(values).map(([key, value]) => `${name(key)} = ${printValue(value)}`))

const isList = (value: Value): value is ReadonlyArray<Value> => Array.isArray(value)

const printValue = (value: Value): string => {
  if (typeof value === "string") return quote(value)
  return isList(value) ? `[${value.map(printValue).join(", ")}]` : valueMap(value)
}

const units = [
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000]
] as const

/** Milliseconds in the largest unit that needs no fraction. */
export const duration = (millis: number): string => {
  if (millis === 0) return "0s"
  const unit = units.find(([, size]) => millis % size === 0)
  return unit === undefined ? `${millis}ms` : `${millis / unit[1]}${unit[0]}`
}

/** `step.marker` or the name of an input. */
export const condition = (value: Condition): string => {
  if (value._tag === "Marker") return pair(value.step, value.marker)
  return name(value.name)
}

/** `left.right`, both in quotes if one has to be. */
export const pair = (left: string, right: string): string =>
  isIdentifier(left) && isIdentifier(right) ? `${left}.${right}` : `${quote(left)}.${quote(right)}`
