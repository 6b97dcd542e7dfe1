/**
 * The places of rows in a run: the order in which its program came to them, by which lists and `--from-step` go.
 *
 * A run that is done again keeps rows of earlier epochs. What it comes to for the first time in front of kept rows
 * stands there, at a fraction between its neighbours; what replaces a superseded row has the place of that, unless the
 * program has come to it later this time.
 */
import type { StepPath, StepRecord } from "../persistence/Records.ts"
import type { JournalWriter } from "./JournalWriter.ts"
import { patchedPath } from "./Phases.ts"

/** Of the gap to the next kept row, what one new row takes: thousands of rows find a place in it. */
const share = 1 / 1024

export class Places {
  #next: number
  /** Of kept rows, in order; empty in a run's first epoch. */
  readonly #kept: ReadonlyArray<number>
  /** The last place at or below a path; only where rows are kept. */
  readonly #below = new Map<string, number>()
  #passed = 0
  /** Kept rows that have been passed. */
  #behind = 0

  constructor(private readonly writer: Pick<JournalWriter, "journal" | "live" | "superseded">) {
    let last = 0
    for (const { position } of writer.journal.steps.values()) last = Math.max(last, position)
    this.#next = Math.floor(last) + 1
    const { epoch } = writer.journal.run
    const kept = epoch === 1 ? [] : [...writer.live.values()].filter((row) => row.epoch < epoch && isOfBody(row.path))
    this.#kept = kept.map(({ position }) => position).sort((a, b) => a - b)
    for (const { path, position } of kept) this.#note(path, position)
  }

  #note(path: string, position: number): void {
    for (let end = path.length; end > 0; end = path.lastIndexOf("/", end - 1)) {
      const above = path.slice(0, end)
      this.#below.set(above, Math.max(this.#below.get(above) ?? 0, position))
    }
  }

  /** The program has come to a row that is there, and so has left behind all below it. */
  pass({ path, position }: StepRecord): void {
    if (this.#kept.length === 0 || !isOfBody(path)) return
    this.#passed = Math.max(this.#passed, position, this.#below.get(path) ?? 0)
  }

  /** Of a new row. What follows the body stands behind it, also behind steps that the body had not come to before. */
  of(path: StepPath): number {
    if (!isOfBody(path)) return this.#next++
    const before = this.writer.superseded.get(path)?.position
    const place = before !== undefined && before > this.#passed ? before : this.#free()
    this.#passed = Math.max(this.#passed, place)
    return place
  }

  #free(): number {
    while ((this.#kept[this.#behind] ?? Number.POSITIVE_INFINITY) <= this.#passed) this.#behind += 1
    const next = this.#kept[this.#behind]
    return next === undefined ? this.#next++ : this.#passed + (next - this.#passed) * share
  }
}

/** A patch has its place where the body first asked for it, although it is answered for the whole run. */
const isOfBody = (path: StepPath): boolean => !path.startsWith("/@") || path.startsWith(`${patchedPath}/`)
