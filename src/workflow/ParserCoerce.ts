/**
 * What an option's value means once its shape is known: numbers, durations, truth values, texts, lists, maps and
 * conditions. Each function reports what does not fit, under the option's name, and then gives undefined.
 */
import { durationHint, readDuration } from "./Duration.ts"
import type { ActionRef, Condition, GateOptions, OnFail, Texts, Value } from "./Definition.ts"
import { type Cursor, shown } from "./ParserCursor.ts"
import type { Entry, Raw } from "./ParserValues.ts"
import { nearest } from "./Suggest.ts"
import type { SyntaxCode } from "./SyntaxCodes.ts"

const fail = (cursor: Cursor, raw: Raw, code: SyntaxCode, message: string, hint?: string): undefined => {
  if (raw.kind !== "bad") cursor.report({ code, message, start: raw.start, end: raw.end, hint })
  return undefined
}

const shapes = { scalar: "a text", dotted: "a name with a dot", list: "a list", map: "a map", bad: "nothing" } as const

const wrongShape = (cursor: Cursor, raw: Raw, name: string, wanted: string): undefined =>
  fail(cursor, raw, "wrong-shape", `\`${name}\` must be ${wanted}, not ${shapes[raw.kind]}`)

/** Text, quoted or bare; `a.b` counts. */
export const text = (cursor: Cursor, raw: Raw, name: string): string | undefined => {
  if (raw.kind === "scalar") return raw.text
  if (raw.kind === "dotted" && !raw.quoted) return `${raw.left}.${raw.right}`
  return wrongShape(cursor, raw, name, "a text")
}

export const filledText = (cursor: Cursor, raw: Raw, name: string): string | undefined => {
  const value = text(cursor, raw, name)
  return value === "" ? fail(cursor, raw, "empty-value", `\`${name}\` must not be empty`) : value
}

const digits = /^[0-9]+$/

/** A whole number, quoted or bare, of at least `least` and at most `most`. */
export const integer = (
  cursor: Cursor,
  raw: Raw,
  name: string,
  least: number,
  most = Number.MAX_SAFE_INTEGER
): number | undefined => {
  if (raw.kind === "list" || raw.kind === "map") return wrongShape(cursor, raw, name, "a whole number")
  const written = raw.kind === "scalar" ? raw.text : ""
  if (!digits.test(written)) {
    return fail(cursor, raw, "not-a-number", `\`${name}\` must be a whole number, not ${cited(raw)}`)
  }
  const value = Number(written)
  if (value >= least && value <= most) return value
  const range = most === Number.MAX_SAFE_INTEGER ? `at least ${least}` : `from ${least} to ${most}`
  const wanted = value > Number.MAX_SAFE_INTEGER ? "is too large" : `must be ${range}`
  return fail(cursor, raw, "out-of-range", `\`${name}\` ${wanted}`)
}

const cited = (raw: Raw): string => {
  if (raw.kind === "scalar") return raw.form === "string" ? shown(`"${raw.text}"`) : shown(raw.text)
  return raw.kind === "dotted" ? shown(`${raw.left}.${raw.right}`) : "this"
}

/** Milliseconds of a duration, quoted or bare. */
export const millis = (cursor: Cursor, raw: Raw, name: string): number | undefined => {
  if (raw.kind === "list" || raw.kind === "map") return wrongShape(cursor, raw, name, "a duration")
  const value = raw.kind === "scalar" ? readDuration(raw.text) : undefined
  if (value === undefined) {
    return fail(cursor, raw, "not-a-duration", `\`${name}\` must be a duration, not ${cited(raw)}`, durationHint)
  }
  return value <= Number.MAX_SAFE_INTEGER
    ? value
    : fail(cursor, raw, "out-of-range", `\`${name}\` is too long`, "a duration has at most 2^53 - 1 milliseconds")
}

export const boolean = (cursor: Cursor, raw: Raw, name: string): boolean | undefined => {
  if (raw.kind === "list" || raw.kind === "map") return wrongShape(cursor, raw, name, "`true` or `false`")
  if (raw.kind === "scalar" && (raw.text === "true" || raw.text === "false")) return raw.text === "true"
  return fail(cursor, raw, "not-a-boolean", `\`${name}\` must be \`true\` or \`false\`, not ${cited(raw)}`)
}

/** One of a few words, quoted or bare. */
export const oneOf =
  <const Words extends ReadonlyArray<string>>(words: Words) =>
  (cursor: Cursor, raw: Raw, name: string): Words[number] | undefined => {
    const list = words.map((word) => `\`${word}\``)
    const wanted = `${list.slice(0, -1).join(", ")} or ${list.at(-1)}`
    if (raw.kind === "list" || raw.kind === "map") return wrongShape(cursor, raw, name, wanted)
    const written = raw.kind === "scalar" ? raw.text : undefined
    const found = words.find((word) => word === written)
    if (found !== undefined) return found
    const near = written === undefined ? undefined : nearest(written, words)
    const hint = near === undefined ? undefined : `did you mean \`${near}\`?`
    return fail(cursor, raw, "not-one-of", `\`${name}\` must be ${wanted}, not ${cited(raw)}`, hint)
  }

/** A list of texts. */
export const texts = (cursor: Cursor, raw: Raw, name: string): ReadonlyArray<string> | undefined => {
  if (raw.kind !== "list") return wrongShape(cursor, raw, name, "a list of texts")
  const values: Array<string> = []
  for (const item of raw.items) {
    const value = text(cursor, item, `${name}[${values.length}]`)
    if (value !== undefined) values.push(value)
  }
  return values
}

/** One text, or a list of them. */
export const textOrTexts = (cursor: Cursor, raw: Raw, name: string): ReadonlyArray<string> | undefined => {
  if (raw.kind === "list") return texts(cursor, raw, name)
  if (raw.kind === "map") return wrongShape(cursor, raw, name, "a text or a list of texts")
  const value = text(cursor, raw, name)
  return value === undefined ? undefined : [value]
}

/** A map's entries, each name once: of a repeated one the last counts, with a warning. */
const uniqueEntries = (cursor: Cursor, entries: ReadonlyArray<Entry>): ReadonlyArray<Entry> => {
  const byKey = new Map<string, Entry>()
  for (const entry of entries) {
    const before = byKey.get(entry.key)
    if (before !== undefined) repeated(cursor, before)
    if (entry.key === "__proto__") reserved(cursor, entry)
    else byKey.set(entry.key, entry)
  }
  return [...byKey.values()]
}

export const repeated = (cursor: Cursor, entry: Entry): void =>
  cursor.report({
    severity: "warning",
    code: "repeated-option",
    message: `${shown(entry.key)} is written again below; this one does not count`,
    start: entry.keyStart,
    end: entry.keyEnd,
    hint: "remove one of them"
  })

const reserved = (cursor: Cursor, entry: Entry): void =>
  cursor.report({
    code: "reserved-name",
    message: "the name `__proto__` cannot be used",
    start: entry.keyStart,
    end: entry.keyEnd
  })

const record = <A>(
  cursor: Cursor,
  entries: ReadonlyArray<Entry>,
  name: string,
  read: (cursor: Cursor, raw: Raw, name: string) => A | undefined
): { readonly [key: string]: A } => {
  const values: Array<readonly [string, A]> = []
  for (const entry of uniqueEntries(cursor, entries)) {
    const value = read(cursor, entry.value, `${name}.${entry.key}`)
    if (value !== undefined) values.push([entry.key, value])
  }
  return Object.fromEntries(values)
}

/** A map of texts. */
export const textMap = (cursor: Cursor, raw: Raw, name: string): Texts | undefined =>
  raw.kind === "map" ? record(cursor, raw.entries, name, text) : wrongShape(cursor, raw, name, "a map")

/** A map of texts, lists and maps. */
export const valueMap = (cursor: Cursor, raw: Raw, name: string): { readonly [key: string]: Value } | undefined =>
  raw.kind === "map" ? record(cursor, raw.entries, name, value) : wrongShape(cursor, raw, name, "a map")

const value = (cursor: Cursor, raw: Raw, name: string): Value | undefined => {
  if (raw.kind === "map") return record(cursor, raw.entries, name, value)
  if (raw.kind !== "list") return text(cursor, raw, name)
  return raw.items.flatMap((item, index) => {
    const read = value(cursor, item, `${name}[${index}]`)
    return read === undefined ? [] : [read]
  })
}

/** Why a path may not be used: actions are files below the project's root. */
const unsafe = (path: string): string | undefined => {
  if (/^([/\\]|[A-Za-z]:[/\\])/.test(path)) return "is absolute"
  return path.split(/[/\\]/).includes("..") ? "leads upwards" : undefined
}

/** A path below the project's root; an unsafe one is reported. */
export const path = (cursor: Cursor, text: string, start: number, end: number): ActionRef | undefined => {
  const reason = unsafe(text)
  if (text !== "" && reason === undefined) return { _tag: "Path", path: text }
  cursor.report(
    reason === undefined
      ? { code: "empty-value", message: "an action's path must not be empty", start, end }
      : {
          code: "unsafe-path",
          message: `the path ${shown(`"${text}"`)} ${reason}`,
          start,
          end,
          hint: "a path is relative to the project's root and stays below it, without `..`"
        }
  )
  return undefined
}

/** `continue`, an action's name, or, quoted and with a slash, its path. */
export const onFail = (cursor: Cursor, raw: Raw, name: string): OnFail | undefined => {
  const written = filledText(cursor, raw, name)
  if (written === undefined) return undefined
  if (written === "continue") return { _tag: "Continue" }
  return written.includes("/") ? path(cursor, written, raw.start, raw.end) : { _tag: "Name", name: written }
}

/** The two sides of `step.marker`, bare or in quotes; a quoted text is divided at its first dot. */
const sides = (raw: Raw): readonly [string, string] | undefined => {
  if (raw.kind === "dotted") return [raw.left, raw.right]
  const dot = raw.kind === "scalar" && raw.form === "string" ? raw.text.indexOf(".") : -1
  return raw.kind !== "scalar" || dot === -1 ? undefined : [raw.text.slice(0, dot), raw.text.slice(dot + 1)]
}

/** `step.marker`, or the name of a boolean input. */
export const condition = (cursor: Cursor, raw: Raw, name: string): Condition | undefined => {
  const hint = "a condition is `step.marker` or the name of a boolean input"
  const pair = sides(raw)
  if (pair !== undefined) {
    const [step, marker] = pair
    if (step !== "" && marker !== "") return { _tag: "Marker", step, marker }
  } else if (raw.kind === "scalar" && (raw.form === "name" || raw.form === "string") && raw.text !== "") {
    return { _tag: "Input", name: raw.text }
  }
  return fail(cursor, raw, "not-a-condition", `\`${name}\` must be a condition`, hint)
}

/** What a human may select: a list of texts, a map of key and text, or `step.field`. */
export const gateOptions = (cursor: Cursor, raw: Raw, name: string): GateOptions | undefined => {
  if (raw.kind === "list") {
    const entries = (texts(cursor, raw, name) ?? []).map((text) => ({ key: text, text }))
    return { _tag: "Fixed", entries }
  }
  if (raw.kind === "map") {
    const entries = uniqueEntries(cursor, raw.entries).flatMap((entry) => {
      const label = text(cursor, entry.value, `${name}.${entry.key}`)
      return label === undefined ? [] : [{ key: entry.key, text: label }]
    })
    return { _tag: "Fixed", entries }
  }
  const pair = sides(raw)
  if (pair !== undefined && pair[0] !== "" && pair[1] !== "") return { _tag: "From", step: pair[0], field: pair[1] }
  return fail(cursor, raw, "wrong-shape", `\`${name}\` must be a list, a map or \`step.field\`, not ${cited(raw)}`)
}
