/**
 * What a body has still to come to in a replay: the rows that earlier executions of the run recorded
 * (design.md, "A replay that does not fit").
 *
 * - U1 A branch has one line of control, so that a body which decides by its payload and its rows alone passes each of
 *   them before it begins anything new there, or in a block that has ended there, and before it ends.
 * - U2 That does not hold for rows that stand behind others which are done again, here or in the run that this is a fork
 *   of: the body may take another way now.
 */
import { isTerminal, type StepPath, type StepRecord } from "../persistence/Records.ts"
import type { JournalWriter } from "./JournalWriter.ts"
import { originOf } from "./Origin.ts"
import { undo } from "./Phases.ts"

type Rows = Pick<JournalWriter, "journal" | "live" | "superseded">

/** Rows directly in one scope that the code has not come to, by path segment. */
export type RowsAhead = Map<string, StepRecord>

export class RecordedRows {
  readonly #scopes = new Map<string, RowsAhead>()
  /** The scopes right below a path. */
  readonly #below = new Map<string, Set<string>>()

  constructor({ journal, live, superseded }: Rows) {
    const { epoch } = journal.run
    let again = originOf(live.values())?.again ?? Number.POSITIVE_INFINITY
    for (const { position } of superseded.values()) again = Math.min(again, position)
    for (const row of live.values()) {
      if ((row.epoch === epoch || row.position < again) && !isUndo(row)) this.#add(row)
    }
  }

  #add(row: StepRecord): void {
    const at = row.path.lastIndexOf("/")
    const segment = row.path.slice(at + 1)
    if (segment.startsWith("@")) return
    const scope = row.path.slice(0, at)
    const rows = this.#scopes.get(scope)
    if (rows !== undefined) return void rows.set(segment, row)
    this.#scopes.set(scope, new Map([[segment, row]]))
    const above = scope.slice(0, scope.lastIndexOf("/"))
    const siblings = this.#below.get(above)
    if (siblings === undefined) this.#below.set(above, new Set([scope]))
    else siblings.add(scope)
  }

  /** Those directly in a scope; undefined where there are none. */
  in(scope: string): RowsAhead | undefined {
    return this.#scopes.get(scope)
  }

  /** A row inside a block, but in none of these scopes. */
  outside(block: StepPath, scopes: ReadonlySet<string>): StepRecord | undefined {
    for (const scope of this.#below.get(block) ?? []) {
      if (!scopes.has(scope)) return this.#scopes.get(scope)?.values().next().value
    }
    return undefined
  }
}

/** What is to be taken back is asked for when it is taken back (`program/Compensation`, V4). */
const isUndo = ({ kind, name }: StepRecord): boolean => kind === "value" && name === undo

/** Says of a row that the code passes over it, in words for people. */
export const passedOver = ({ kind, name, path, status }: StepRecord, instead: string): string =>
  `${path} is recorded as ${kind} '${name}' (${isTerminal(status) ? status : "begun"}), but the workflow ${instead} without coming to it`
