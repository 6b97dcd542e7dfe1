/**
 * `if` and `unless`: the condition taken is a row (I3).
 */
import * as Effect from "effect/Effect"
import type { Condition, IfNode } from "../../workflow/Definition.ts"
import type { Branch } from "../Branch.ts"
import { decide } from "../Decision.ts"
import type { CallView, Inherited, Interpreter } from "./Interpreter.ts"

export const ifNode = (
  self: Interpreter,
  node: IfNode,
  key: string,
  branch: Branch,
  inherited: Inherited
): Effect.Effect<void> => {
  const text = conditionText(node.condition)
  const met = decide({
    branch,
    path: branch.at(key),
    kind: "condition",
    name: `${node._tag === "If" ? "if" : "unless"} ${text}`,
    decide: () => isMet(self, node.condition) === (node._tag === "If")
  })
  return Effect.flatMap(met, (taken) => (taken ? self.block(node.body, branch.child(key), inherited) : Effect.void))
}

export const conditionText = (condition: Condition): string =>
  condition._tag === "Marker" ? `${condition.step}.${condition.marker}` : condition.name

/** A marker of the step's most recent result, or a boolean input that is `true`, in any case. */
export const isMet = (self: CallView, condition: Condition): boolean => {
  if (condition._tag === "Marker") {
    return self.visible.result(condition.step)?.markers.includes(condition.marker) ?? false
  }
  const { inputs } = self.run.record
  const value = Object.hasOwn(inputs, condition.name) ? inputs[condition.name] : undefined
  return value?.toLowerCase() === "true"
}
