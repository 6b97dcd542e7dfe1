/**
 * The live tree on a terminal: the same lines drawn again and again, a final time when the run ends.
 */
import type { RunRecord } from "../persistence/Records.ts"
import { type Paint, write, writeLine } from "./Output.ts"
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

class Screen {
  #timer: NodeJS.Timeout | undefined
  #drawn = 0
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
    this.#drawn = 0
    write(showCursor)
  }

  say(text: string): void {
    write(`${this.#drawn === 0 ? "" : `${up(this.#drawn)}${clearDown}`}${text}\n`)
    this.#drawn = 0
    if (this.#timer !== undefined) this.#draw(false)
  }

  close(): void {
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    this.#timer = undefined
    write(showCursor)
  }

  #draw(whole: boolean): void {
    // A terminal that was given no size says 0.
    const columns = process.stdout.columns || 80
    const rows = process.stdout.rows || 24
    const lines = this.tree.render({
      now: Date.now(),
      columns,
      rows: whole ? 0 : Math.max(3, rows - 1),
      paint: this.paint,
      unicode: this.#unicode
    })
    write(`${up(this.#drawn)}${lines.map((line) => `${line}${clearLine}\n`).join("")}${clearDown}`)
    this.#drawn = lines.length
  }
}
