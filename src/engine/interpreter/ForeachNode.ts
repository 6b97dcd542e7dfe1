/**
 * `foreach`: a child run for each item of a provider (spec/engine.md, "foreach").
 */
import * as Effect from "effect/Effect"
import { ItemProviderFailed, type Items } from "../../action/ItemProvider.ts"
import { isTerminal, type ItemRecord } from "../../persistence/Records.ts"
import { defaults, type ForeachNode, type Texts, type Value } from "../../workflow/Definition.ts"
import { substitute } from "../../workflow/Template.ts"
import type { Branch } from "../Branch.ts"
import { fanOut, type FanOutSpec, stopItems } from "../FanOut.ts"
import { messageOf, step } from "../Step.ts"
import { type ResolvedChild, resolveChild } from "./CallWorkflowNode.ts"
import { missingInput, substituteAll, undeclaredInputs, withDefaults } from "./Inputs.ts"
import type { Interpreter } from "./Interpreter.ts"
import { entryOf } from "./Visible.ts"

export const foreachNode = (self: Interpreter, node: ForeachNode, key: string, branch: Branch): Effect.Effect<void> => {
  const path = branch.at(key)
  const row = self.run.row(path)
  const isOver = row !== undefined && isTerminal(row.status)
  const resolved: Effect.Effect<ResolvedChild | undefined> = isOver
    ? Effect.succeed(undefined)
    : resolveChild(self, node.workflow)
  return Effect.flatMap(resolved, (child) => {
    const ended = step({
      branch,
      path,
      kind: "foreach",
      name: `foreach:${node.name}`,
      role: "foreach",
      retries: 0,
      delay: () => Effect.succeed(0),
      timeout: null,
      heartbeat: null,
      grace: self.run.settings.alwaysLimit + self.run.settings.interruptGrace,
      failedAs: "failed",
      attempt: (attempt) =>
        child === undefined ? Effect.dieMessage(`${path} has ended`) : fanOut(attempt, fanOutSpec(self, node, child)),
      stopped: (row) => stopItems(branch, row)
    })
    return Effect.flatMap(ended, (row) => {
      if (row.status === "completed") {
        self.completed(row)
        return Effect.void
      }
      self.visible.addFailed(entryOf(row))
      return self.failed(row.name, row.error ?? "failed")
    })
  })
}

const fanOutSpec = (self: Interpreter, node: ForeachNode, child: ResolvedChild): FanOutSpec => ({
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
  child: (item: ItemRecord) => {
    const inputs = itemInputs(self, node.inputs ?? {}, item)
    return { ...child.request, inputs: withDefaults(child.definition, inputs), settings: { identity: null } }
  }
})

/** Why no item can be run: an input that neither the node nor an item gives. */
const problemOf = (node: ForeachNode, child: ResolvedChild): string | undefined => {
  const isGiven = (name: string) => name.startsWith("item.") || Object.hasOwn(node.inputs ?? {}, name)
  return child.problem ?? missingInput(child.definition, isGiven)
}

const itemsOf = (
  self: Interpreter,
  node: ForeachNode,
  problem: string | undefined
): Effect.Effect<Items, ItemProviderFailed> => {
  if (problem !== undefined) return Effect.fail(new ItemProviderFailed({ provider: node.over, message: problem }))
  const provider = self.services.providers.get(node.over)
  if (provider === undefined) return self.run.misfit(`no item provider '${node.over}'`)
  const { visible, run } = self
  const request = {
    name: node.name,
    scope: render(node.scope ?? {}, self),
    filter: render(node.filter ?? {}, self),
    ordered: node.ordered ?? defaults.ordered,
    workingDirectory: run.record.settings.workingDirectory,
    output: (step: string) => visible.result(step)?.structured ?? undefined,
    variables: visible.variables({})
  }
  const defect = (thrown: unknown) => {
    const message = messageOf(thrown)
    const text = message === undefined ? `'${node.over}' threw` : `'${node.over}' threw: ${message}`
    return Effect.fail(new ItemProviderFailed({ provider: node.over, message: text }))
  }
  return Effect.catchAllDefect(Effect.scoped(Effect.suspend(() => provider.items(request))), defect)
}

const render = (values: Readonly<Record<string, Value>>, self: Interpreter): Readonly<Record<string, Value>> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, renderValue(value, self)]))

const renderValue = (value: Value, self: Interpreter): Value => {
  if (typeof value === "string") return substitute(value, (name) => self.visible.lookup(name), { unknown: "empty" })
  if (isList(value)) return value.map((inner) => renderValue(inner, self))
  return render(value, self)
}

const isList = (value: Value): value is ReadonlyArray<Value> => Array.isArray(value)

/** `item.id`, `item.ref` and `item.<key>`, then the substituted `inputs`, which may name both them and the parent's. */
const itemInputs = (self: Interpreter, inputs: Texts, item: ItemRecord): Texts => {
  const own: Record<string, string> = {}
  for (const [name, value] of Object.entries(item.context)) own[`item.${name}`] = value
  own["item.id"] = item.id
  own["item.ref"] = item.ref
  const lookup = (name: string) => (Object.hasOwn(own, name) ? own[name] : self.visible.lookup(name))
  return { ...own, ...substituteAll(inputs, lookup) }
}
