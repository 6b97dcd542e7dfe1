/**
 * What a body gives to its steps, compared from execution to execution: the engine compares none of it with what is
 * recorded, and a payload that is made of time or chance shows nowhere else.
 */
import { isDeepStrictEqual } from "node:util"
import { continuePath } from "../engine/Continue.ts"
import type { PayloadListener } from "../engine/GivenPayloads.ts"
import type { RunContext } from "../engine/RunContext.ts"
import type { StepPath, StepRecord } from "../persistence/Records.ts"

export class ComparedPayloads {
  readonly #first = new Map<string, unknown>()

  /** Of the first execution. A run that is opened again may draw other values than before. */
  readonly first: PayloadListener = (run, path, payload) => {
    const key = keyOf(run, path)
    // A body may go on to change what it gave.
    if (!this.#first.has(key)) this.#first.set(key, structuredClone(payload))
  }

  /**
   * Of a replay: tells of a payload that is not the one of the first execution. Only where the step is recorded: what
   * `Workflow.now`, `uuid` and `random` gave before it is recorded then, too, and has to be the same.
   */
  replayed(found: (difference: string) => void): PayloadListener {
    return (run, path, payload) => {
      const row = run.row(path)
      const key = keyOf(run, path)
      if (row === undefined || !this.#first.has(key)) return
      const before = this.#first.get(key)
      if (!isDeepStrictEqual(before, payload)) found(difference(row, [before, payload].map(shownBy(run))))
    }
  }
}

const keyOf = ({ id, record }: RunContext, path: StepPath): string => `${id} ${record.epoch} ${path}`

const shownBy = (run: RunContext) => (payload: unknown) => run.shown(JSON.stringify(payload))

const difference = (row: StepRecord, [before, now]: ReadonlyArray<string>): string => {
  const what = row.path === continuePath ? "it continued as new with" : `it gave ${described(row)}`
  return `${what} another payload\n  first  ${before}\n  now    ${now}`
}

/** A step, as failures name it. */
export const described = ({ kind, name, path }: StepRecord): string => `${kind} '${name}' at ${path}`
