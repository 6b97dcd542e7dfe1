/**
 * Hides secret values in texts, in JSON and in streams (docs/guarantees.md, "Secrets").
 *
 * - H1 Each occurrence of a form of a value (`SecretForms`) becomes `***`; occurrences that overlap become one. The
 *   backslashes that a text has in between do not count.
 * - H2 What was redacted is not changed by redacting it again.
 * - H3 A stream's output does not depend on how it was cut, and holds back no more than the beginning of a form.
 */
import { formsOf } from "./SecretForms.ts"
import { isObject } from "./Json.ts"

/** What is shown in place of a secret; shorter than any secret that is found in texts. */
export const redacted = "***"

/** Hides values; undefined where there are none that could be found. */
export const redactorOf = (values: Iterable<string>): Redactor | undefined => {
  const forms = new Set<string>()
  for (const value of values) for (const form of formsOf(value)) forms.add(form)
  return forms.size === 0 ? undefined : new Redactor([...forms])
}

/** A part of a text, its end not included. */
type Range = readonly [start: number, end: number]

export class Redactor {
  /** A form holds what stands for it: hiding one may make another. */
  readonly #isCircular: boolean
  #bytes: ReadonlyArray<string> | undefined

  /** `forms`: without backslashes, and none of them empty. */
  constructor(private readonly forms: ReadonlyArray<string>) {
    this.#isCircular = forms.some((form) => form.includes("*"))
  }

  text(text: string): string {
    const ranges = occurrences(text, this.forms)
    if (ranges.length === 0) return text
    const [shown] = hide(text, ranges, 0, text.length)
    // It ends: each round makes the text shorter.
    return this.#isCircular ? this.text(shown) : shown
  }

  /** The value with all its texts, keys and numbers redacted. */
  json(value: unknown): unknown {
    if (typeof value === "string") return this.text(value)
    if (typeof value === "number") return this.#number(value)
    if (Array.isArray(value)) return value.map((element) => this.json(element))
    if (!isObject(value)) return value
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [this.text(key), this.json(inner)]))
  }

  #number(value: number): number | string {
    const written = String(value)
    const shown = this.text(written)
    return shown === written ? value : shown
  }

  /** The beginning of a longer text, less the part of an occurrence that it may end with. */
  uncut(beginning: string): string {
    const at = beginningOf(beginning, this.forms)
    const cut = occurrences(beginning, this.forms).find(([start, end]) => start < at && at < end)
    return beginning.slice(0, cut?.[0] ?? at)
  }

  /** For bytes that come piece by piece; those that are no UTF-8 are left as they are. */
  stream(): RedactedStream {
    this.#bytes ??= this.forms.map((form) => Buffer.from(form).toString("latin1"))
    return new RedactedStream(this.#bytes)
  }
}

/** A text as forms are looked for in it: without the backslashes that escape something. */
interface Bare {
  readonly text: string
  /** The place in the whole text of a character of the bare one, or of its end. */
  readonly whole: (at: number) => number
}

/** More of them in a row escape nothing. In a text within a text the backslashes before a quote are doubled: six deep. */
const mostEscaping = 64
const escaping = /\\+/g

const bareOf = (text: string): Bare => {
  if (!text.includes("\\")) return { text, whole: (at) => at }
  const removed: Array<readonly [at: number, before: number]> = []
  let sum = 0
  const bare = text.replace(escaping, (run, at: number) => {
    if (run.length > mostEscaping) return run
    removed.push([at - sum, sum + run.length])
    sum += run.length
    return ""
  })
  return { text: bare, whole: (at) => at + removedUpTo(removed, at) }
}

/** How many characters were removed before a place, or at it. */
const removedUpTo = (removed: ReadonlyArray<readonly [at: number, before: number]>, at: number): number => {
  let [low, high] = [0, removed.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((removed[middle]?.[0] ?? 0) <= at) low = middle + 1
    else high = middle
  }
  return removed[low - 1]?.[1] ?? 0
}

/** Where forms occur, overlapping ones as one, in order. */
const occurrences = (whole: string, forms: ReadonlyArray<string>): ReadonlyArray<Range> =>
  occurrencesIn(bareOf(whole), forms)

const occurrencesIn = ({ text, whole }: Bare, forms: ReadonlyArray<string>): ReadonlyArray<Range> => {
  const found: Array<Range> = []
  for (const form of forms) {
    for (let at = text.indexOf(form); at !== -1; at = text.indexOf(form, at + 1)) {
      found.push([whole(at), whole(at + form.length - 1) + 1])
    }
  }
  return found.length < 2 ? found : joined(found)
}

const joined = (ranges: Array<Range>): ReadonlyArray<Range> => {
  const all: Array<Range> = []
  for (const [start, end] of ranges.sort(([a], [b]) => a - b)) {
    const last = all.at(-1)
    if (last === undefined || start >= last[1]) all.push([start, end])
    else if (end > last[1]) all[all.length - 1] = [last[0], end]
  }
  return all
}

/**
 * The text up to `until` without the occurrences that begin there; `hidden`: so many of its first characters stand
 * behind what is shown for an occurrence already. With it, where what is hidden ends.
 */
const hide = (
  text: string,
  ranges: ReadonlyArray<Range>,
  hidden: number,
  until: number
): readonly [shown: string, hidden: number] => {
  let shown = ""
  let from = hidden
  for (const [start, end] of ranges) {
    if (start >= until) break
    if (start >= from) shown += text.slice(from, start) + redacted
    from = Math.max(from, end)
  }
  return [from < until ? shown + text.slice(from, until) : shown, from]
}

/** Bytes are looked at as characters of their own, one for each. */
export class RedactedStream {
  /** What may be the beginning of a form. */
  #held = ""
  /** So many characters of it belong to an occurrence for which something is shown already. */
  #hidden = 0

  constructor(private readonly forms: ReadonlyArray<string>) {}

  /** What can be shown by now of the bytes so far. */
  push(chunk: Buffer): Buffer {
    const text = this.#held + chunk.toString("latin1")
    return this.#show(text, beginningOf(text, this.forms))
  }

  /** The rest. */
  end(): Buffer {
    return this.#show(this.#held, this.#held.length)
  }

  #show(text: string, until: number): Buffer {
    const [shown, hidden] = hide(text, occurrences(text, this.forms), this.#hidden, until)
    this.#held = text.slice(until)
    this.#hidden = Math.max(0, hidden - until)
    return Buffer.from(shown, "latin1")
  }
}

/** Where the longest end of a text begins that a form may go on from; the text's end if there is none. */
const beginningOf = (whole: string, forms: ReadonlyArray<string>): number => {
  const bare = bareOf(whole)
  const { text } = bare
  let first = text.length
  for (const form of forms) {
    const head = form.charAt(0)
    let at = text.indexOf(head, Math.max(0, text.length - form.length + 1))
    while (at !== -1 && at < first && !form.startsWith(text.slice(at))) at = text.indexOf(head, at + 1)
    if (at !== -1) first = Math.min(first, at)
  }
  return first === text.length ? whole.length : bare.whole(first)
}
