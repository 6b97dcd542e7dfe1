/**
 * `foreach`: a child run for each item of a provider (spec/engine.md, "foreach").
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { isTerminal, type ItemRecord } from "../../persistence/Records.ts"
import { defaults, type ForeachNode, type Texts } from "../../workflow/Definition.ts"
import type { Branch } from "../Branch.ts"
import type { FanOutSpec } from "../FanOut.ts"
import { itemChildren } from "../ItemChildren.ts"
import type { Attempt } from "../Step.ts"
import { resolveChild } from "./CallWorkflowNode.ts"
import { fanOutStep } from "./FanOutStep.ts"
import { substituteAll } from "./Inputs.ts"
import type { Interpreter } from "./Interpreter.ts"
import { itemsOf, itemVariables } from "./ItemSource.ts"
import type { ResolvedChild } from "./ResolvedChild.ts"

export const foreachNode = (self: Interpreter, node: ForeachNode, key: string, branch: Branch): Effect.Effect<void> => {
  const row = self.run.row(branch.at(key))
  const isOver = branch.stopReason !== undefined || (row !== undefined && isTerminal(row.status))
  const resolved = isOver ? Effect.succeed(undefined) : resolveChild(self, node.workflow)
  return Effect.flatMap(resolved, (child: ResolvedChild | undefined) =>
    fanOutStep(self, branch, key, { kind: "foreach", name: node.name }, (attempt) => {
      if (child === undefined) throw new Error(`invariant: ${attempt.spec.path} has ended`)
      return fanOutSpec(self, node, child, attempt)
    })
  )
}

const fanOutSpec = (self: Interpreter, node: ForeachNode, child: ResolvedChild, attempt: Attempt): FanOutSpec => ({
  kind: "foreach",
  name: node.name,
  provider: node.over,
  items: Effect.map(itemsOf(self, node, problemOf(node, child)), (items) => ({
    ...items,
    warnings: [...(items.warnings ?? []), ...child.undeclared(node.inputs ?? {})]
  })),
  maxParallel: node.maxParallel,
  ordered: node.ordered ?? defaults.ordered,
  onCycle: node.onCycle ?? defaults.onCycle,
  onChildFail: node.onChildFail ?? defaults.onChildFail,
  work: itemChildren(attempt, (item) =>
    Either.map(child.childOf(itemInputs(self, node.inputs ?? {}, item)), (request) => ({
      ...request,
      settings: { ...request.settings, identity: null }
    }))
  )
})

/** Why no item can be run: an input that neither the node nor an item gives. */
const problemOf = (node: ForeachNode, child: ResolvedChild): string | undefined => {
  const isGiven = (name: string) => name.startsWith("item.") || Object.hasOwn(node.inputs ?? {}, name)
  return child.problem ?? child.missing(isGiven)
}

/** The substituted `inputs`, which may name the item's values and the parent's, over the item's own. */
const itemInputs = (self: Interpreter, inputs: Texts, item: ItemRecord): Texts => {
  const own = itemVariables(item)
  const lookup = (name: string) => (Object.hasOwn(own, name) ? own[name] : self.visible.lookup(name))
  return { ...own, ...substituteAll(inputs, lookup) }
}
