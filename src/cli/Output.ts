/**
 * Writing to the two streams of the process: text for people, and never less than all of it.
 */
import { type Redactor, redactorOf } from "../workflow/Redactor.ts"
import { escapeText, toCells, widthOf } from "../workflow/TerminalText.ts"

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

/** Values that a long-lived process hides at most: those that it has not met for longest are forgotten. */
const maxSecrets = 5_000

/** From now on these values are hidden in messages, and in what actions print by `console`. */
export const hideSecrets = (values: Iterable<string>): void => {
  let isNew = false
  for (const value of values) {
    if (!secrets.delete(value)) isNew = true
    secrets.add(value)
  }
  for (const oldest of secrets) {
    if (secrets.size <= maxSecrets) break
    secrets.delete(oldest)
  }
  if (isNew) redactor = redactorOf(secrets)
}

export const withoutSecrets = (text: string): string => redactor?.text(text) ?? text

/** Whether a stream shows colours: NO_COLOR, FORCE_COLOR and TERM decide, else whether it is a terminal. */
export const hasColor = (stream: Stream): boolean => {
  const { NO_COLOR = "", FORCE_COLOR = "" } = process.env
  if (NO_COLOR !== "" || FORCE_COLOR === "0") return false
  return FORCE_COLOR !== "" || canDraw(stream)
}

/** Whether a stream is a terminal that takes commands: colours, and movements of its cursor. */
export const canDraw = (stream: Stream): boolean => stream.isTTY === true && process.env["TERM"] !== "dumb"

/** The columns of a terminal; undefined where a stream goes elsewhere. One that was given no size says 0. */
export const columnsOf = (stream: Stream): number | undefined =>
  stream.isTTY === true ? stream.columns || 80 : undefined

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "blue"

const codes: Readonly<Record<Style, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34 }

export type Paint = (style: Style, text: string) => string

export const paintFor =
  (color: boolean): Paint =>
  (style, text) =>
    color && text !== "" ? `\u001b[${codes[style]}m${text}\u001b[0m` : text

const styles = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g")

/** A text without what `paintFor` and others put into it. */
export const unpainted = (text: string): string => text.replace(styles, "")

/** Text of a record on one line, safe for a terminal. */
export const inline = (text: string): string => escapeText(text.replace(/\s*\r?\n\s*/g, " ").replaceAll("\t", " "))

/** The columns that a text takes. */
export const width = (text: string): number => widthOf(toCells(text, 0))

/** A text in at most so many columns, the last of them an ellipsis if some of it is missing. */
export const shorten = (text: string, columns: number): string => {
  // Marks on letters take no column: a few more characters than columns may fit.
  const enough = 4 * columns + 16
  const cells = toCells(text.slice(0, enough), 0)
  if (text.length <= enough && widthOf(cells) <= columns) return text
  let room = columns - 1
  let kept = ""
  for (const cell of cells) {
    room -= cell.width
    if (room < 0) break
    kept += cell.text
  }
  return columns < 1 ? "" : `${kept}…`
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
      if (!isFirst || error.code === "EPIPE") return
      isLost = true
      writeError(`error: the output cannot be written: ${error.message}`)
    })
  }
}

const closed = new Set<Stream>()
let isLost = false

/** Whether something was written that nobody could read, as on a full disk. */
export const isOutputLost = (): boolean => isLost

/** Writes piece by piece what may be larger than memory; false: nobody takes more. */
export const writeBytes = async (bytes: Uint8Array): Promise<boolean> => {
  const stream = process.stdout
  if (closed.has(stream)) return false
  if (!stream.write(bytes)) {
    const ends = ["drain", "error", "close"] as const
    await new Promise<void>((resolve) => {
      const done = () => {
        for (const event of ends) stream.off(event, done)
        resolve()
      }
      for (const event of ends) stream.on(event, done)
    })
  }
  return !closed.has(stream)
}

/** Resolves when all that was written has left the process. */
export const flushed = async (): Promise<void> => {
  const open = [process.stdout, process.stderr].filter((stream) => !closed.has(stream))
  await Promise.all(open.map((stream) => new Promise((done) => stream.write("", done))))
}

/** Columns of text, as wide as their widest cell; the last is not padded. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths: Array<number> = []
  for (const row of rows) row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, width(cell))))
  const pad = (cell: string, at: number) => cell + " ".repeat(Math.max(0, (widths[at] ?? 0) - width(cell)))
  return rows.map((row) => row.map((cell, at) => (at === row.length - 1 ? cell : pad(cell, at))).join("  ")).join("\n")
}

/** A table on the standard output, a line for each row: on a terminal what does not fit is left out. */
export const writeTable = (rows: ReadonlyArray<ReadonlyArray<string>>): void => {
  const columns = columnsOf(process.stdout)
  const lines = table(rows).split("\n")
  for (const line of lines) writeLine((columns === undefined ? line : shorten(line, columns)).trimEnd())
}

/** Below this many columns a text beside another is not broken into lines: the terminal does that. */
const narrowest = 16

/** Names with a text beside each, indented; in a terminal a longer text goes on below its beginning. */
export const inColumns = (rows: ReadonlyArray<readonly [string, string]>, columns: number | undefined): string => {
  const indent = Math.max(0, ...rows.map(([name]) => width(name))) + 4
  const room = (columns ?? Infinity) - indent
  const shown = rows.map(([name, text]) => {
    const [first = "", ...more] = room < narrowest ? [text] : wrapped(text, room)
    return [`  ${name}`, [first, ...more.map((line) => " ".repeat(indent) + line)].join("\n")]
  })
  return table(shown)
}

/** A text in lines of at most so many columns, broken between words. */
export const wrapped = (text: string, columns: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const word of text.split(" ")) {
    const last = lines.at(-1)
    if (last !== undefined && width(last) + 1 + width(word) <= columns) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
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
