/**
 * Writing to the two streams of the process: text for people, and never less than all of it.
 */
import { type Redactor, redactorOf } from "../workflow/Redactor.ts"
import { escapeText } from "../workflow/TerminalText.ts"

type Stream = NodeJS.WriteStream

const writeTo = (stream: Stream, text: string): void => {
  if (!closed.has(stream)) stream.write(text)
}

export const write = (text: string): void => writeTo(process.stdout, text)
export const writeLine = (text: string): void => write(`${text}\n`)
/** What is said of what went wrong may cite anything: no secret that this process knows of gets through. */
export const writeError = (text: string): void => writeTo(process.stderr, `${withoutSecrets(text)}\n`)

const secrets = new Set<string>()
let redactor: Redactor | undefined

/** From now on these values are hidden in messages, and in what actions print by `console`. */
export const hideSecrets = (values: Iterable<string>): void => {
  const known = secrets.size
  for (const value of values) secrets.add(value)
  if (secrets.size > known) redactor = redactorOf(secrets)
}

export const withoutSecrets = (text: string): string => redactor?.text(text) ?? text

/** Whether a stream shows colours: NO_COLOR, FORCE_COLOR and TERM decide, else whether it is a terminal. */
export const hasColor = (stream: Stream): boolean => {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env
  if (NO_COLOR !== undefined && NO_COLOR !== "") return false
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== "" && FORCE_COLOR !== "0") return true
  return stream.isTTY === true && TERM !== "dumb"
}

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "blue"

const codes: Readonly<Record<Style, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34 }

export type Paint = (style: Style, text: string) => string

export const paintFor =
  (color: boolean): Paint =>
  (style, text) =>
    color && text !== "" ? `\u001b[${codes[style]}m${text}\u001b[0m` : text

/** Text of a record on one line, safe for a terminal. */
export const inline = (text: string): string => escapeText(text.replace(/\s*\r?\n\s*/g, " ").replaceAll("\t", " "))

/** At most so many characters, the last of them an ellipsis if some are missing. */
export const shorten = (text: string, limit: number): string => {
  const characters = [...text]
  return characters.length <= limit ? text : `${characters.slice(0, Math.max(0, limit - 1)).join("")}…`
}

/**
 * A stream that cannot be written takes no more; the command goes on, since a run must not hang on who watches it. A
 * pipe whose reader left is an end, not an error: `millrace show RUN | head`.
 */
export const outliveReaders = (): void => {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      const isFirst = !closed.has(stream)
      closed.add(stream)
      if (isFirst && error.code !== "EPIPE") writeError(`error: the output cannot be written: ${error.message}`)
    })
  }
}

const closed = new Set<Stream>()

/** Resolves when all that was written has left the process. */
export const flushed = async (): Promise<void> => {
  const open = [process.stdout, process.stderr].filter((stream) => !closed.has(stream))
  await Promise.all(open.map((stream) => new Promise((done) => stream.write("", done))))
}

/** Columns of text, as wide as their widest cell; the last is not padded. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths: Array<number> = []
  for (const row of rows) row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, [...cell].length)))
  const pad = (cell: string, at: number) => cell + " ".repeat((widths[at] ?? 0) - [...cell].length)
  return rows.map((row) => row.map((cell, at) => (at === row.length - 1 ? cell : pad(cell, at))).join("  ")).join("\n")
}

/** `850ms`, `3.2s`, `4m 05s`, `2h 07m`. */
export const duration = (ms: number): string => {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)}s`
  const seconds = Math.round(ms / 1_000)
  const two = (value: number) => String(value).padStart(2, "0")
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s`
  return `${Math.floor(seconds / 3_600)}h ${two(Math.floor(seconds / 60) % 60)}m`
}

/** A time in UTC to the second; empty for none. */
export const moment = (ms: number | null): string =>
  ms === null ? "" : new Date(ms).toISOString().slice(0, 19).replace("T", " ")

/** `1 run`, `2 runs`. */
export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`

/** A word as a shell takes it. */
export const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
