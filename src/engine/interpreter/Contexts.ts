/**
 * `prior_contexts`: what completed steps tell those after them (spec/language.md, "Variables and templates"), as the
 * text of a JSON array. Appended to when it is read, never built again: a step that reads it costs nothing for those
 * before an earlier one that did, and steps that are never read about cost nothing.
 *
 * Beyond a limit the oldest are left out, and the first element says so. Which ones depends on the contexts alone, so
 * that a replay finds the same.
 */

/** Left after a cut, of the limit: so that not each further context cuts again. */
const leftAfterCut = 0.75

export interface StepContext {
  readonly step: string
  readonly iteration: number
  readonly context: string
  readonly markers: ReadonlyArray<string>
  /** As JSON. */
  readonly structured_output: string | null
  readonly output_file: string | null
}

interface Size {
  readonly characters: number
  readonly bytes: number
}

export class Contexts {
  /** Without its brackets. */
  #json = ""
  #sizes: ReadonlyArray<Size> = []
  /** Of those after `#sizes` was last copied. */
  #added: Array<Size> = []
  #bytes = 0
  #leftOut = 0
  #unwritten: Array<StepContext> = []

  /** `most`: bytes of them together; the newest is always there. */
  constructor(private readonly most: number) {}

  add(context: StepContext): void {
    this.#unwritten.push(context)
  }

  copy(): Contexts {
    this.#write()
    const copy = new Contexts(this.most)
    this.#sizes = [...this.#sizes, ...this.#added]
    this.#added = []
    copy.#json = this.#json
    copy.#sizes = this.#sizes
    copy.#bytes = this.#bytes
    copy.#leftOut = this.#leftOut
    return copy
  }

  get text(): string {
    this.#write()
    if (this.#leftOut === 0) return `[${this.#json}]`
    const context = `${this.#leftOut} earlier contexts are left out: together they exceed maxContextBytes (${this.most})`
    const note = { step: "", iteration: 0, context, markers: [], structured_output: null, output_file: null }
    return `[${JSON.stringify(note)},${this.#json}]`
  }

  #write(): void {
    for (const context of this.#unwritten) {
      const json = JSON.stringify(context)
      const size = { characters: json.length, bytes: Buffer.byteLength(json) }
      this.#json = this.#json === "" ? json : `${this.#json},${json}`
      this.#added.push(size)
      this.#bytes += size.bytes
      if (this.#bytes > this.most) this.#cut()
    }
    this.#unwritten = []
  }

  #cut(): void {
    const sizes = [...this.#sizes, ...this.#added]
    let count = 0
    let characters = 0
    for (const size of sizes) {
      if (count === sizes.length - 1 || this.#bytes <= this.most * leftAfterCut) break
      count += 1
      // With the comma behind it.
      characters += size.characters + 1
      this.#bytes -= size.bytes
    }
    this.#json = this.#json.slice(characters)
    this.#sizes = sizes.slice(count)
    this.#added = []
    this.#leftOut += count
  }
}
