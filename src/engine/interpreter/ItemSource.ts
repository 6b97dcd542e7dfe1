/**
 * Where a foreach or a pipeline has its items from, and what an item gives to what is done for it
 * (spec/engine.md, "foreach"; spec/language.md, "Variables and templates").
 */
import * as Effect from "effect/Effect"
import { ItemProviderFailed, type Items } from "../../action/ItemProvider.ts"
import type { ItemRecord } from "../../persistence/Records.ts"
import { defaults, type ForeachNode, type Texts, type Value } from "../../workflow/Definition.ts"
import { substitute } from "../../workflow/Template.ts"
import { messageOf } from "../Step.ts"
import type { Interpreter } from "./Interpreter.ts"

type ItemSource = Pick<ForeachNode, "name" | "over" | "scope" | "filter" | "ordered">

/** The items that a node's provider gives; or `problem`, why none of them can be run. */
export const itemsOf = (
  self: Interpreter,
  node: ItemSource,
  problem?: string
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
    result: (step: string) => {
      const found = visible.result(step)
      return found && { context: found.context, outputFile: found.outputFile }
    },
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

/** `item.id`, `item.ref` and `item.<key>`; id and ref win. */
export const itemVariables = (item: ItemRecord): Texts => {
  const own: Record<string, string> = {}
  for (const [name, value] of Object.entries(item.context)) own[`item.${name}`] = value
  own["item.id"] = item.id
  own["item.ref"] = item.ref
  return own
}
