/**
 * `parallel`: calls side by side (spec/engine.md, "parallel").
 *
 * - All rows of a block are written in one commit before any branch starts.
 * - Branches see what was visible before the block; their results become visible when it ends, in branch order.
 * - The first failure that fail_fast acts on is a row (I3): a resumed block starts nothing after it.
 */
import * as Effect from "effect/Effect"
import { isTerminal, noResult, type StepPath, type StepRecord } from "../../persistence/Records.ts"
import { type BranchCall, defaults, type ParallelNode } from "../../workflow/Definition.ts"
import type { Branch } from "../Branch.ts"
import { forkJoin, type Task } from "../ForkJoin.ts"
import { journaled, newRow } from "../RunContext.ts"
import { cancelRow, startedRow, step, stepCompleted, type StepSpec } from "../Step.ts"
import type { StopReason } from "../StopReason.ts"
import { blockKeys } from "../../workflow/StepNames.ts"
import { callSpec, onFailAction } from "./CallNode.ts"
import { conditionText, isMet } from "./IfNode.ts"
import type { Inherited, Interpreter } from "./Interpreter.ts"

export const parallelNode = (self: Interpreter, node: ParallelNode, key: string, branch: Branch): Effect.Effect<void> =>
  Effect.flatMap(journaled(self.run, branch.at(key), "block", "parallel"), (row) =>
    Effect.suspend(() => {
      if (row === undefined && branch.stopReason !== undefined) return Effect.interrupt
      const block = new Block(self, node, branch, key)
      return row !== undefined && isTerminal(row.status) ? Effect.sync(() => block.leave(row)) : block.run(row)
    })
  )

/** One call of the block. */
interface Lane {
  readonly call: BranchCall
  readonly branch: Branch
  readonly path: StepPath
}

class Block {
  readonly #path: StepPath
  readonly #lanes: ReadonlyArray<Lane>
  readonly #inherited: Inherited

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
      const open = this.#lanes.filter((lane) => !this.#isEnded(lane))
      let next = 0
      yield* forkJoin({
        parent: this.outer,
        limit: this.#limit,
        next: () => this.#task(open[next++], specs),
        ended: (_branch, ended) => this.#branchEnded(ended)
      })
      this.leave(this.#close())
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
    const text = condition.includes(".") ? `skipped: ${condition} not emitted` : `skipped: ${condition} is not true`
    const row: StepRecord = {
      ...startedRow({ ...spec, condition }, "pending"),
      status: "skipped",
      conditionMet: false,
      endedAt: run.now(),
      result: { ...noResult, text }
    }
    run.put(row, [stepCompleted(run, row)])
  }

  #task(lane: Lane | undefined, specs: ReadonlyMap<Lane, StepSpec>): Task<StepRecord, never> | undefined {
    const spec = lane === undefined ? undefined : specs.get(lane)
    if (lane === undefined || spec === undefined) return undefined
    const ended = Effect.flatMap(step(spec), (row) => {
      if (row.status === "completed" || row.status === "skipped") return Effect.succeed(row)
      return Effect.as(onFailAction(this.self, lane.branch, row, lane.call), row)
    })
    return { branch: lane.branch, effect: ended }
  }

  /** fail_fast: the decision is recorded in the turn in which the failure was. */
  #branchEnded(row: StepRecord): StopReason | undefined {
    const failFast = this.node.failFast ?? defaults.failFast
    if (!failFast || row.status === "completed" || row.status === "skipped") return undefined
    const block = this.self.run.row(this.#path)
    if (block !== undefined && block.value === null) this.self.run.put({ ...block, value: { failFast: row.path } })
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
    const rows = this.#lanes.map((lane) => this.#row(lane))
    const count = (...status: ReadonlyArray<string>) => rows.filter((row) => row && status.includes(row.status)).length
    const succeeded = count("completed", "skipped")
    const failed = count("failed", "timed_out")
    const cancelled = count("cancelled")
    const needed = this.node.minSuccess ?? this.#lanes.length
    const ok = succeeded >= needed
    const parts = [`${succeeded} of ${rows.length} calls succeeded`, `${failed} failed`, `${cancelled} cancelled`]
    const block = run.row(this.#path)
    if (block === undefined) throw new Error(`invariant: block ${this.#path} has no row`)
    const ended: StepRecord = {
      ...block,
      status: ok ? "completed" : "failed",
      endedAt: run.now(),
      error: ok ? null : `parallel block ${this.#path}: ${parts.join(", ")}; ${needed} needed`
    }
    run.put(ended)
    return ended
  }

  /** Makes the branches' results visible, in branch order, and the block's failure count. */
  leave(block: StepRecord): void {
    const markers: Array<string> = []
    for (const lane of this.#lanes) {
      const row = this.#row(lane)
      if (row === undefined) continue
      if (row.status === "completed") {
        this.self.completed(row)
        markers.push(...row.result.markers)
      } else if (row.conditionMet !== false) this.self.visible.forget(row.name, row.iteration)
    }
    this.self.visible.remember({
      step: `parallel:${this.#path}`,
      iteration: block.iteration,
      markers: [...new Set(markers)],
      context: null,
      structured: null,
      outputFile: null
    })
    if (block.status === "failed") this.self.failed(`parallel:${this.#path}`, block.error ?? "failed")
  }
}
