/**
 * `pipeline`: each item flows through the calls on its own (spec/language.md, "Pipeline").
 *
 * - One step per item and call; an item's chain sees its own results beside what was visible before the block, and
 *   nothing of it is visible outside.
 * - A call whose `if` is not met is skipped and the chain goes on; a failed call ends it.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ItemRecord, StepPath, StepRecord } from "../../persistence/Records.ts"
import { type BranchCall, defaults, type PipelineNode } from "../../workflow/Definition.ts"
import { blockKeys } from "../../workflow/StepNames.ts"
import type { Branch } from "../Branch.ts"
import type { ItemEnd, ItemWork } from "../ItemRecords.ts"
import { step, stepCompleted } from "../Step.ts"
import { callSpec, onFailAction, skippedRow } from "./CallNode.ts"
import { fanOutStep } from "./FanOutStep.ts"
import { conditionText, isMet } from "./IfNode.ts"
import { type CallView, type Interpreter, nothingInherited } from "./Interpreter.ts"
import { itemsOf, itemVariables } from "./ItemSource.ts"
import { entryOf } from "./Visible.ts"

export const pipelineNode = (self: Interpreter, node: PipelineNode, key: string, branch: Branch): Effect.Effect<void> =>
  fanOutStep(self, branch, key, { kind: "pipeline", name: node.name }, () => ({
    kind: "pipeline",
    name: node.name,
    provider: node.over,
    items: itemsOf(self, node),
    maxParallel: node.maxParallel,
    ordered: false,
    onCycle: defaults.onCycle,
    onChildFail: node.onChildFail ?? defaults.onChildFail,
    work: chains(self, node)
  }))

const chains = (self: Interpreter, node: PipelineNode): ItemWork => {
  const run = (item: ItemRecord, branch: Branch) => {
    const { definition, services } = self
    const visible = self.visible.fork(itemVariables(item))
    return new Chain({ run: self.run, services, definition, visible }, node.calls, branch).run
  }
  return {
    dispatch: (item) => ({ item, changes: [], started: Effect.void }),
    run,
    // Nothing starts any more: a step that a crash left running records its end when the chain comes to it, and a
    // chain that was through keeps its end.
    stop: (item, branch) =>
      branch.stopReason === undefined
        ? Effect.succeed(undefined)
        : Effect.map(Effect.option(Effect.sandbox(run(item, branch))), Option.getOrUndefined)
  }
}

class Chain {
  readonly #keys: ReadonlyArray<string>

  constructor(
    private readonly view: CallView,
    private readonly calls: ReadonlyArray<BranchCall>,
    private readonly branch: Branch
  ) {
    this.#keys = blockKeys(calls)
  }

  get run(): Effect.Effect<ItemEnd> {
    return Effect.suspend(() => this.#from(0, null))
  }

  /** `output`: what the last call gave. */
  #from(index: number, output: unknown): Effect.Effect<ItemEnd> {
    const call = this.calls[index]
    const key = this.#keys[index]
    if (call === undefined || key === undefined) return Effect.succeed({ status: "completed", error: null, output })
    return Effect.flatMap(this.#call(call, this.branch.at(key)), (row) => this.#after(index, call, row, output))
  }

  #after(index: number, call: BranchCall, row: StepRecord, output: unknown): Effect.Effect<ItemEnd> {
    const { visible } = this.view
    switch (row.status) {
      case "completed":
        visible.add(entryOf(row))
        return this.#from(index + 1, row.result.structured)
      case "skipped":
        if (row.conditionMet !== false) visible.forget(row.name, row.iteration)
        return this.#from(index + 1, output)
      case "cancelled":
        return Effect.interrupt
      default: {
        const failed: ItemEnd = { status: "failed", error: `${row.name}: ${row.error ?? "failed"}`, output: null }
        return Effect.as(onFailAction(this.view, this.branch, row, call), failed)
      }
    }
  }

  #call(call: BranchCall, path: StepPath): Effect.Effect<StepRecord> {
    return Effect.flatMap(callSpec(this.view, call, this.branch, path, nothingInherited), (spec) =>
      Effect.suspend(() => {
        const { run } = this.view
        const condition = call.if
        if (condition === undefined) return step(spec)
        const text = conditionText(condition)
        if (run.row(path) !== undefined || isMet(this.view, condition)) return step({ ...spec, condition: text })
        if (this.branch.stopReason !== undefined) return Effect.interrupt
        const row = skippedRow(spec, text)
        run.put(row, [stepCompleted(run, row)])
        return Effect.succeed(row)
      })
    )
  }
}
