/**
 * The live tree on a terminal: the same lines drawn again and again, a final time when the run ends.
 */
import type { RunRecord } from "../persistence/Records.ts"
import { columnsOf, type Paint, unpainted, width, write, writeLine } from "./Output.ts"
import { RunTree } from "./RunTree.ts"
import { closing } from "./Summary.ts"
import type { View } from "./View.ts"

const redrawInterval = 100

const hideCursor = "\u001b[?25l"
const showCursor = "\u001b[?25h"
const up = (lines: number) => (lines === 0 ? "\r" : `\u001b[${lines}A\r`)
const clearDown = "\u001b[J"
const clearLine = "\u001b[K"

export const makeTreeView = (paint: Paint): View => {
  const tree = new RunTree()
  const screen = new Screen(tree, paint)
  return {
    load: (run, steps) => tree.load(run.id, steps),
    attach: (child, parent, path, item) => tree.attach(child, parent, path, item),
    event: (event) => {
      if (event._tag !== "EventsMissed") tree.apply(event)
      screen.start()
    },
    say: (text) => screen.say(text),
    pause: () => screen.pause(),
    goOn: () => screen.goOn(),
    end: (run: RunRecord) => {
      screen.stop()
      for (const line of closing(run, paint)) writeLine(line)
    },
    close: () => screen.close()
  }
}

/**
 * The rows that lines take in so many columns: one that was drawn when there were more columns is broken into several
 * by the terminal.
 */
export const rowsOf = (lines: ReadonlyArray<string>, columns: number): number =>
  lines.reduce((rows, line) => rows + Math.max(1, Math.ceil(width(unpainted(line)) / columns)), 0)

class Screen {
  #timer: NodeJS.Timeout | undefined
  /** The lines that stand on the terminal, above the cursor. */
  #drawn: ReadonlyArray<string> = []
  #isPaused = false
  readonly #unicode = /utf-?8/i.test(process.env["LC_ALL"] || process.env["LC_CTYPE"] || process.env["LANG"] || "")

  constructor(
    private readonly tree: RunTree,
    private readonly paint: Paint
  ) {}

  start(): void {
    if (this.#timer !== undefined || this.#isPaused) return
    write(hideCursor)
    this.#timer = setInterval(() => this.#draw(false), redrawInterval)
    this.#draw(false)
  }

  pause(): void {
    this.stop()
    this.#isPaused = true
  }

  goOn(): void {
    this.#isPaused = false
    this.start()
  }

  /** Draws everything a last time; what follows stands below. */
  stop(): void {
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#draw(true)
    this.#drawn = []
    write(showCursor)
  }

  say(text: string): void {
    write(`${this.#drawn.length === 0 ? "" : `${up(rowsOf(this.#drawn, this.#columns))}${clearDown}`}${text}\n`)
    this.#drawn = []
    if (this.#timer !== undefined) this.#draw(false)
  }

  close(): void {
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    this.#timer = undefined
    write(showCursor)
  }

  get #columns(): number {
    return columnsOf(process.stdout) ?? 80
  }

  #draw(whole: boolean): void {
    const rows = process.stdout.rows || 24
    const lines = this.tree.render({
      now: Date.now(),
      columns: this.#columns,
      rows: whole ? 0 : Math.max(1, rows - 1),
      paint: this.paint,
      unicode: this.#unicode
    })
    const drawn = rowsOf(this.#drawn, this.#columns)
    // Lines are written over the old ones; only where those are broken the screen is emptied first, which flickers.
    const clear = drawn === this.#drawn.length ? "" : clearDown
    write(`${up(drawn)}${clear}${lines.map((line) => `${line}${clearLine}\n`).join("")}${clearDown}`)
    this.#drawn = lines
  }
}
