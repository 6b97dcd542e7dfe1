/**
 * `script`: a file or shell command as a step (spec/engine.md, "script").
 */
import * as Effect from "effect/Effect"
import type { Executor } from "../../action/Action.ts"
import { ScriptExecutors } from "../../action/Script.ts"
import { defaults, type ScriptNode } from "../../workflow/Definition.ts"
import type { Branch } from "../Branch.ts"
import { step } from "../Step.ts"
import { executeAction, plainCall } from "./ActionAttempt.ts"
import { settle } from "./CallNode.ts"
import type { Interpreter } from "./Interpreter.ts"

export const scriptNode = (self: Interpreter, node: ScriptNode, key: string, branch: Branch): Effect.Effect<void> =>
  Effect.flatMap(ScriptExecutors, (scripts) => {
    const options = { inputs: self.run.record.inputs, roots: self.services.scriptRoots }
    return executed(self, node, key, branch, scripts.find(node, options))
  })

const executed = (
  self: Interpreter,
  node: ScriptNode,
  key: string,
  branch: Branch,
  execute: Executor
): Effect.Effect<void> => {
  const { run, services, definition, visible } = self
  const spec = {
    branch,
    path: branch.at(key),
    kind: "script",
    name: node.name,
    role: "script",
    retries: node.retries ?? defaults.retries,
    delay: () => Effect.succeed(0),
    timeout: node.timeout ?? run.record.settings.stepTimeout,
    heartbeat: null,
    failedAs: node.onFail?._tag === "Continue" ? "skipped" : "failed"
  } as const
  const row = step({
    ...spec,
    attempt: (attempt) => {
      const options = { ...plainCall(node.name, definition.name), identity: node.as }
      return executeAction(attempt, execute, options, visible, services.outputs)
    }
  })
  return Effect.flatMap(row, (ended) => settle(self, branch, ended, node))
}
