/**
 * `{{name}}` templates (spec/language.md, "Variables and templates"): one pass, replaced text is never scanned again.
 *
 * A name is everything up to the next `}}`, untrimmed; a `{{` without `}}` is plain text. `{{inputs.NAME}}` means
 * NAME.
 */

/** One `{{name}}` of a text. */
export interface Reference {
  /** What is looked up: as written, less a leading `inputs.`. */
  readonly name: string
  /** Offset of the first `{`, in UTF-16 code units. */
  readonly start: number
  /** Offset behind the last `}`. */
  readonly end: number
}

/** A text cut at its references: for texts that are rendered more than once. */
export interface Template {
  readonly text: string
  readonly references: ReadonlyArray<Reference>
}

export interface Options {
  /** What an unknown name becomes: nothing (prompts, scripts, env) or itself (the inputs of a child). */
  readonly unknown: "empty" | "keep"
}

/** The value of a name; undefined where the name is unknown. */
export type Lookup = (name: string) => string | undefined

const inputsPrefix = "inputs."

const meaning = (written: string): string =>
  written.length > inputsPrefix.length && written.startsWith(inputsPrefix)
    ? written.slice(inputsPrefix.length)
    : written

/** The references of a text, in order. */
export const names = (text: string): ReadonlyArray<Reference> => {
  const found: Array<Reference> = []
  for (let start = text.indexOf("{{"); start !== -1; ) {
    const close = text.indexOf("}}", start + 2)
    if (close === -1) break
    const end = close + 2
    found.push({ name: meaning(text.slice(start + 2, close)), start, end })
    start = text.indexOf("{{", end)
  }
  return found
}

/** Whether a text holds a reference. */
export const hasNames = (text: string): boolean => {
  const start = text.indexOf("{{")
  return start !== -1 && text.indexOf("}}", start + 2) !== -1
}

export const compile = (text: string): Template => ({ text, references: names(text) })

export const render = (template: Template, lookup: Lookup, options: Options): string => {
  const { references, text } = template
  if (references.length === 0) return text
  let rendered = ""
  let from = 0
  for (const { end, name, start } of references) {
    rendered += text.slice(from, start)
    rendered += lookup(name) ?? (options.unknown === "keep" ? text.slice(start, end) : "")
    from = end
  }
  return rendered + text.slice(from)
}

/**
 * Replaces every reference of a text by its value.
 *
 * ```ts
 * substitute("deploy {{branch}}", (name) => ({ branch: "main" })[name], { unknown: "empty" }) // "deploy main"
 * ```
 */
export const substitute = (text: string, lookup: Lookup, options: Options): string =>
  hasNames(text) ? render(compile(text), lookup, options) : text
