/**
 * The step of a foreach or a pipeline: what both are as steps, and what they leave behind (spec/engine.md, "foreach").
 */
import * as Effect from "effect/Effect"
import type { Branch } from "../Branch.ts"
import { fanOut, type FanOutSpec, stopItems } from "../FanOut.ts"
import { type Attempt, step } from "../Step.ts"
import type { Interpreter } from "./Interpreter.ts"
import { entryOf } from "./Visible.ts"

export const fanOutStep = (
  self: Interpreter,
  branch: Branch,
  key: string,
  node: Pick<FanOutSpec, "kind" | "name">,
  spec: (attempt: Attempt) => FanOutSpec
): Effect.Effect<void> => {
  const { alwaysLimit, interruptGrace } = self.run.settings
  const ended = step({
    branch,
    path: branch.at(key),
    kind: node.kind,
    name: `${node.kind}:${node.name}`,
    role: node.kind,
    retries: 0,
    delay: () => Effect.succeed(0),
    timeout: null,
    heartbeat: null,
    // What is done for the items ends first, the always blocks of child runs included.
    grace: alwaysLimit + interruptGrace,
    failedAs: "failed",
    attempt: (attempt) => fanOut(attempt, spec(attempt)),
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
}
