/**
 * `parallel`: calls side by side (spec/engine.md, "parallel").
 *
 * - All rows of a block are written in one commit before any branch starts.
 * - Branches see what was visible before the block; their results become visible when it ends, in branch order.
 * - An on_fail action runs when its call has failed, also after fail_fast: it belongs to that failure.
 * - The first failure that fail_fast acts on is a row (I3): a resumed block starts nothing after it.
 */
import * as Effect from "effect/Effect"
import { isTerminal, type StepPath, type StepRecord } from "../../persistence/Records.ts"
import { type BranchCall, defaults, type ParallelNode } from "../../workflow/Definition.ts"
import type { Branch } from "../Branch.ts"
import { forkJoin, type Task } from "../ForkJoin.ts"
import { journaled, newRow } from "../RunContext.ts"
import { cancelRow, startedRow, step, stepCompleted, type StepSpec } from "../Step.ts"
import type { StopReason } from "../StopReason.ts"
import { blockKeys } from "../../workflow/StepNames.ts"
import { callSpec, onFailAction, onFailPath, skippedRow } from "./CallNode.ts"
import { conditionText, isMet } from "./IfNode.ts"
import type { Inherited, Interpreter } from "./Interpreter.ts"
import type { Entry } from "./Visible.ts"

export const parallelNode = (self: Interpreter, node: ParallelNode, key: string, branch: Branch): Effect.Effect<void> =>
  Effect.flatMap(journaled(branch, branch.at(key), "block", "parallel"), (row) =>
    Effect.suspend(() => {
      if (row === undefined && branch.stopReason !== undefined) return Effect.interrupt
      const block = new Block(self, node, branch, key)
      return row !== undefined && isTerminal(row.status) ? block.leave(row) : block.run(row)
    })
  )

/** One call of the block. */
interface Lane {
  readonly call: BranchCall
  readonly branch: Branch
  /** Of its on_fail action: what stops the call does not stop it. */
  readonly onFail: Branch
  readonly path: StepPath
}

class Block {
  readonly #path: StepPath
  readonly #lanes: ReadonlyArray<Lane>
  readonly #inherited: Inherited
  /** Calls whose failure has been acted on. */
  readonly #known = new Set<Lane>()
  /** Failed calls whose on_fail action has not run. */
  readonly #onFail: Array<Lane> = []

  constructor(
    private readonly self: Interpreter,
    private readonly node: ParallelNode,
    private readonly outer: Branch,
    key: string
  ) {
    this.#path = outer.at(key)
    const group = `parallel:${this.#path}`
    const scope = outer.child(key, { group })
    const keys = blockKeys(node.calls)
    this.#lanes = node.calls.map((call, index) => ({
      call,
      branch: scope.beside(group),
      onFail: scope.beside(group),
      path: scope.at(keys[index] ?? "")
    }))
    this.#inherited = { output: node.output, with: node.with ?? [] }
  }

  get #limit(): number {
    return this.node.maxParallel ?? this.#lanes.length
  }

  run(row: StepRecord | undefined): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      const specs = new Map<Lane, StepSpec>()
      for (const lane of this.#lanes) {
        specs.set(lane, yield* callSpec(this.self, lane.call, lane.branch, lane.path, this.#inherited))
      }
      const block = row ?? this.#announce(specs)
      if (block.value !== null) this.#cancelRest()
      for (const lane of this.#lanes) if (this.#hasFailed(lane)) this.#failed(lane)
      const open = this.#lanes.filter((lane) => !this.#isEnded(lane))
      let next = 0
      const join = { parent: this.outer, limit: this.#limit, ended: (_: Branch, lane: Lane) => this.#laneEnded(lane) }
      yield* forkJoin({ ...join, next: () => this.#nextOnFail() ?? this.#task(open[next++], specs) })
      // What fail_fast left to do, also for a call that failed in the same turn as the one that it acted on.
      for (const lane of this.#lanes) if (this.#hasFailed(lane) && !this.#known.has(lane)) this.#failed(lane)
      yield* forkJoin({ ...join, next: () => this.#nextOnFail() })
      yield* this.leave(this.#close())
    })
  }

  #row(lane: Lane): StepRecord | undefined {
    return this.self.run.row(lane.path)
  }

  #isEnded(lane: Lane): boolean {
    const row = this.#row(lane)
    return row !== undefined && isTerminal(row.status)
  }

  /** The whole block becomes visible at once: its own row, and one for each branch. */
  #announce(specs: ReadonlyMap<Lane, StepSpec>): StepRecord {
    const { run } = this.self
    const { iteration } = this.outer
    const block = newRow(run, { path: this.#path, kind: "block", name: "parallel", status: "running", iteration })
    run.put(block)
    let starting = 0
    for (const lane of this.#lanes) {
      const spec = specs.get(lane)
      if (spec === undefined || this.#row(lane) !== undefined) continue
      const condition = lane.call.if
      if (condition !== undefined && !isMet(this.self, condition)) this.#skip(spec, conditionText(condition))
      else {
        starting += 1
        const starts = starting <= this.#limit
        if (starts) run.announced.add(lane.path)
        const text = condition === undefined ? null : conditionText(condition)
        run.put(startedRow({ ...spec, condition: text }, starts ? "running" : "pending"))
      }
    }
    return block
  }

  #skip(spec: StepSpec, condition: string): void {
    const { run } = this.self
    const row = skippedRow(spec, condition)
    run.put(row, [stepCompleted(run, row)])
  }

  #task(lane: Lane | undefined, specs: ReadonlyMap<Lane, StepSpec>): Task<Lane, never> | undefined {
    const spec = lane === undefined ? undefined : specs.get(lane)
    if (lane === undefined || spec === undefined) return undefined
    return { branch: lane.branch, effect: Effect.as(step(spec), lane) }
  }

  #nextOnFail(): Task<Lane, never> | undefined {
    const lane = this.#onFail.shift()
    const failed = lane === undefined ? undefined : this.#row(lane)
    if (lane === undefined || failed === undefined) return undefined
    return { branch: lane.onFail, effect: Effect.as(onFailAction(this.self, lane.onFail, failed, lane.call), lane) }
  }

  #hasFailed(lane: Lane): boolean {
    const status = this.#row(lane)?.status
    return status === "failed" || status === "timed_out"
  }

  /** A call, or its on_fail action, ended. */
  #laneEnded(lane: Lane): StopReason | undefined {
    if (!this.#hasFailed(lane) || this.#known.has(lane)) return undefined
    this.#failed(lane)
    return (this.node.failFast ?? defaults.failFast) ? this.#failFast(lane) : undefined
  }

  #failed(lane: Lane): void {
    this.#known.add(lane)
    this.#onFail.push(lane)
  }

  /** The decision is recorded in the turn in which the failure was. */
  #failFast(lane: Lane): StopReason {
    const block = this.self.run.row(this.#path)
    if (block !== undefined && block.value === null) this.self.run.put({ ...block, value: { failFast: lane.path } })
    this.#cancelRest()
    return { _tag: "FailFast" }
  }

  /** Branches that have not started never will; those in flight, or left so by a crash, record their own end. */
  #cancelRest(): void {
    for (const lane of this.#lanes) if (!this.#isEnded(lane)) lane.branch.stop({ _tag: "FailFast" })
  }

  #close(): StepRecord {
    const { run } = this.self
    for (const lane of this.#lanes) {
      const row = this.#row(lane)
      if (row !== undefined && !isTerminal(row.status)) cancelRow(run, row, { _tag: "FailFast" })
    }
    const block = run.row(this.#path)
    if (block === undefined) throw new Error(`invariant: block ${this.#path} has no row`)
    const error = this.#problem(block)
    const ended: StepRecord = {
      ...block,
      status: error === null ? "completed" : "failed",
      endedAt: run.now(),
      error
    }
    run.put(ended)
    return ended
  }

  /** Why the block failed: the counts, and the failure that counts as its first. */
  #problem(block: StepRecord): string | null {
    const rows = this.#lanes.flatMap((lane) => this.#row(lane) ?? [])
    const count = (...status: ReadonlyArray<string>) => rows.filter((row) => status.includes(row.status)).length
    const succeeded = count("completed", "skipped")
    const needed = this.node.minSuccess ?? this.#lanes.length
    if (succeeded >= needed) return null
    const counts = `${succeeded} of ${rows.length} calls succeeded, ${count("failed", "timed_out")} failed`
    const cancelled = count("cancelled")
    const parts = cancelled === 0 ? counts : `${counts}, ${cancelled} cancelled`
    const first = firstFailure(rows, block)
    return `${parts}; ${needed} needed${first === undefined ? "" : `; ${first.name}: ${first.error ?? "failed"}`}`
  }

  /** Makes the results of the calls and their on_fail actions visible, in branch order, and the failure count. */
  leave(block: StepRecord): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { self } = this
      const markers: Array<string> = []
      for (const lane of this.#lanes) {
        const row = this.#row(lane)
        if (row === undefined) continue
        if (row.status === "completed") {
          self.completed(row)
          markers.push(...row.result.markers)
        } else if (row.conditionMet !== false) self.visible.forget(row.name, row.iteration)
        const onFail = self.run.row(onFailPath(lane.path))
        if (onFail?.status === "completed") self.completed(onFail)
      }
      self.visible.remember(synthetic(block, this.#path, [...new Set(markers)]))
      if (block.status !== "failed") return Effect.void
      return self.failed(`parallel:${this.#path}`, block.error ?? "failed")
    })
  }
}

/** The result that stands for the block as a whole. */
const synthetic = (block: StepRecord, path: StepPath, markers: ReadonlyArray<string>): Entry => ({
  step: `parallel:${path}`,
  iteration: block.iteration,
  markers,
  context: null,
  structured: null,
  outputFile: null
})

/** The one that fail_fast acted on, else the first in branch order, whichever failed first. */
const firstFailure = (rows: ReadonlyArray<StepRecord>, block: StepRecord): StepRecord | undefined => {
  const failed = rows.filter((row) => row.status === "failed" || row.status === "timed_out")
  const { value } = block
  const path = typeof value === "object" && value !== null && "failFast" in value ? value.failFast : undefined
  return failed.find((row) => row.path === path) ?? failed[0]
}
