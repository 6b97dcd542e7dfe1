/**
 * `foreach`: a child run for each item of a provider (spec/engine.md, "foreach").
 */
import * as Effect from "effect/Effect"
import { isTerminal, type ItemRecord } from "../../persistence/Records.ts"
import { defaults, type ForeachNode, type Texts } from "../../workflow/Definition.ts"
import { declaredSecrets } from "../../workflow/Secrets.ts"
import type { Branch } from "../Branch.ts"
import type { FanOutSpec } from "../FanOut.ts"
import { itemChildren } from "../ItemChildren.ts"
import type { Attempt } from "../Step.ts"
import { type ResolvedChild, resolveChild } from "./CallWorkflowNode.ts"
import { fanOutStep } from "./FanOutStep.ts"
import { missingInput, substituteAll, undeclaredInputs, withDefaults } from "./Inputs.ts"
import type { Interpreter } from "./Interpreter.ts"
import { itemsOf, itemVariables } from "./ItemSource.ts"

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
    warnings: [...(items.warnings ?? []), ...undeclaredInputs(child.definition, node.inputs ?? {})]
  })),
  maxParallel: node.maxParallel,
  ordered: node.ordered ?? defaults.ordered,
  onCycle: node.onCycle ?? defaults.onCycle,
  onChildFail: node.onChildFail ?? defaults.onChildFail,
  work: itemChildren(attempt, (item) => {
    const inputs = withDefaults(child.definition, itemInputs(self, node.inputs ?? {}, item))
    const secrets = declaredSecrets(child.definition.inputs, inputs)
    return { ...child.request, inputs, settings: { identity: null }, secrets }
  })
})

/** Why no item can be run: an input that neither the node nor an item gives. */
const problemOf = (node: ForeachNode, child: ResolvedChild): string | undefined => {
  const isGiven = (name: string) => name.startsWith("item.") || Object.hasOwn(node.inputs ?? {}, name)
  return child.problem ?? missingInput(child.definition, isGiven)
}

/** The substituted `inputs`, which may name the item's values and the parent's, over the item's own. */
const itemInputs = (self: Interpreter, inputs: Texts, item: ItemRecord): Texts => {
  const own = itemVariables(item)
  const lookup = (name: string) => (Object.hasOwn(own, name) ? own[name] : self.visible.lookup(name))
  return { ...own, ...substituteAll(inputs, lookup) }
}
