/**
 * `call`: an action, in attempts, with what follows when it fails for good (spec/engine.md, "call").
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { FoundExecutor, StepDefaults } from "../../action/Action.ts"
import { isTerminal, noResult, type StepPath, type StepRecord } from "../../persistence/Records.ts"
import {
  type ActionRef,
  actionStepKey,
  type BranchCall,
  type CallNode,
  defaults,
  type OnFail,
  type Texts
} from "../../workflow/Definition.ts"
import type { Branch } from "../Branch.ts"
import { turnOf } from "../FlowControl.ts"
import { andThen, matchError } from "../Settled.ts"
import { startedRow, step, type StepSpec } from "../Step.ts"
import { type CallOptions, executeAction, plainCall } from "./ActionAttempt.ts"
import { substituteAll } from "./Inputs.ts"
import type { CallView, Inherited, Interpreter } from "./Interpreter.ts"

export const callNode = (
  self: Interpreter,
  node: CallNode,
  key: string,
  branch: Branch,
  inherited: Inherited
): Effect.Effect<void> =>
  andThen(callSpec(self, node, branch, branch.at(key), inherited), (spec) =>
    Effect.flatMap(step(spec), (row) => settle(self, branch, row, node))
  )

/** The step of a call; a name without executor is a replay that does not fit. */
export const callSpec = (
  self: CallView,
  node: CallNode | BranchCall,
  branch: Branch,
  path: StepPath,
  inherited: Inherited
): Effect.Effect<StepSpec> => {
  const row = self.run.row(path)
  // What has ended is returned from the journal, and what is stopped does not begin: neither needs its executor.
  if (branch.stopReason !== undefined || (row !== undefined && isTerminal(row.status))) {
    const work: Work = { role: row?.role ?? null, canCommit: false, turn: undefined, attempt: neverBegins(path) }
    return Effect.succeed(specOf(self, node, branch, path, undefined, work))
  }
  const found = self.services.executors.find(node.action, self.definition.name, pluginDirsOf(self, node))
  const made = (executor: FoundExecutor): Effect.Effect<StepSpec> =>
    Effect.succeed(specOf(self, node, branch, path, executor.defaults, workOf(self, node, inherited, executor)))
  return matchError(found, { onFailure: ({ message }) => self.run.misfit(message), onSuccess: made })
}

/** What of a step its executor is responsible for. */
type Work = Pick<StepSpec, "role" | "canCommit" | "turn" | "attempt">

/** How often, after which delay and for how long: as the call says, else as its executor does. */
const specOf = (
  self: CallView,
  node: CallNode | BranchCall,
  branch: Branch,
  path: StepPath,
  own: StepDefaults | undefined,
  work: Work
): StepSpec => ({
  branch,
  path,
  kind: "call",
  name: actionStepKey(node.action),
  role: work.role,
  canCommit: work.canCommit ?? false,
  retries: node.retries ?? own?.retries ?? defaults.retries,
  delay: node.retryDelay !== undefined ? retryDelay(node) : own === undefined ? noDelay : delayOf(own),
  timeout: node.timeout ?? own?.timeout ?? self.run.record.settings.stepTimeout,
  turn: work.turn,
  heartbeat: node.heartbeat ?? own?.heartbeat ?? null,
  failedAs: node.onFail?._tag === "Continue" ? "skipped" : "failed",
  attempt: work.attempt
})

const delayOf =
  ({ delay }: StepDefaults): StepSpec["delay"] =>
  (retry) =>
    Effect.succeed(delay(retry))

/** The run's, then the call's, no repeats. */
const pluginDirsOf = (self: CallView, { pluginDirs = none }: CallNode | BranchCall): ReadonlyArray<string> => {
  const { pluginDirs: ofRun } = self.run.record.settings
  return pluginDirs.length === 0 ? ofRun : [...new Set([...ofRun, ...pluginDirs])]
}

const none: ReadonlyArray<never> = []

const workOf = (self: CallView, node: CallNode | BranchCall, inherited: Inherited, found: FoundExecutor): Work => {
  const { inputs, with: snippets = none, pluginDirs = none, maxTurns, as: identity } = node
  const options: Omit<CallOptions, "schema"> = {
    ref: node.action,
    workflow: self.definition.name,
    inputs: inputs === undefined ? noTexts : substituteAll(inputs, (name) => self.visible.lookup(name)),
    snippets: snippets.length === 0 ? inherited.with : [...inherited.with, ...snippets],
    model: node.model ?? found.model,
    identity,
    pluginDirs,
    maxTurns
  }
  return {
    role: found.role ?? "actor",
    canCommit: found.canCommit ?? false,
    turn: turnOf(actionStepKey(node.action), found.limits, () => self.visible.variables(options.inputs)),
    attempt: (attempt) =>
      andThen(schemaOf(self, node.output ?? inherited.output), (schema) =>
        executeAction(attempt, found.execute, { ...options, schema }, self.visible, self.services.outputs)
      )
  }
}

const noTexts: Texts = {}

const schemaOf = (self: CallView, ref: string | undefined) =>
  ref === undefined
    ? Effect.succeed(undefined)
    : Effect.mapError(self.services.schemas.find(ref, self.definition.name), ({ message }) => ({
        message,
        permanent: true
      }))

const noDelay: StepSpec["delay"] = () => Effect.succeed(defaults.retryDelay)

/** ms before each retry: fixed or doubling, with jitter between half and the whole of it. */
const retryDelay =
  (node: Pick<CallNode, "retryDelay" | "backoff" | "maxDelay" | "jitter">) =>
  (retry: number): Effect.Effect<number> => {
    const base = node.retryDelay ?? defaults.retryDelay
    if (base === 0) return Effect.succeed(0)
    const factor = node.backoff === "exponential" ? 2 ** Math.min(retry - 1, 52) : 1
    const delay = Math.min(base * factor, node.maxDelay ?? defaults.maxDelay)
    return node.jitter === true
      ? Effect.map(Random.next, (drawn) => Math.round(delay * (0.5 + drawn / 2)))
      : Effect.succeed(delay)
  }

/** The row of a call whose `if` is not met: it stays skipped on resume. */
export const skippedRow = (spec: StepSpec, condition: string): StepRecord => {
  const text = condition.includes(".") ? `skipped: ${condition} not emitted` : `skipped: ${condition} is not true`
  return {
    ...startedRow({ ...spec, condition }, "pending"),
    status: "skipped",
    conditionMet: false,
    endedAt: spec.branch.run.now(),
    result: { ...noResult, text }
  }
}

/** A node whose step may fail for good. */
export interface MayFail {
  readonly onFail?: OnFail
  readonly retries?: number
}

/** What a call, script or child workflow leaves behind, and what its failure means. */
export const settle = (self: Interpreter, branch: Branch, row: StepRecord, node: MayFail): Effect.Effect<void> => {
  if (row.status !== "completed") return settleFailed(self, branch, row, node)
  self.completed(row)
  return Effect.void
}

const settleFailed = (self: Interpreter, branch: Branch, row: StepRecord, node: MayFail): Effect.Effect<void> =>
  Effect.suspend(() => {
    self.visible.forget(row.name, row.iteration)
    if (row.status === "skipped") return Effect.void
    return Effect.flatMap(onFailAction(self, branch, row, node), (ended) => {
      if (ended?.status === "completed") self.completed(ended)
      return self.failed(row.name, row.error ?? "failed")
    })
  })

/** Where the on_fail action of a step is recorded. */
// SAFETY: a path with one more segment.
export const onFailPath = (failed: StepPath): StepPath => `${failed}/on_fail` as StepPath

/** Runs a node's on_fail action once, if it has one; that action's own failure is only logged. */
export const onFailAction = (
  self: CallView,
  branch: Branch,
  failed: StepRecord,
  node: MayFail
): Effect.Effect<StepRecord | undefined> => {
  const { onFail } = node
  if (onFail === undefined || onFail._tag === "Continue") return Effect.succeed(undefined)
  const path = onFailPath(failed.path)
  const known = self.run.row(path)
  // Its executor need not exist any more.
  if (known !== undefined && isTerminal(known.status)) return Effect.succeed(known)
  const extra: Texts = {
    failed_step: failed.name,
    failure_reason: failed.error ?? "",
    // Without a word of the call's, the retries were its executor's.
    retry_count: String(node.retries ?? Math.max(defaults.retries, failed.attempts.length - 1))
  }
  return Effect.gen(function* () {
    const row = yield* step(yield* onFailSpec(self, onFail, branch, path, extra))
    if (row.status === "completed") return row
    const message = `the on_fail action '${row.name}' failed: ${row.error ?? row.status}`
    yield* Effect.annotateLogs(Effect.logWarning(message), { run: self.run.id, step: row.path })
    return row
  })
}

const onFailSpec = (
  self: CallView,
  action: ActionRef,
  branch: Branch,
  path: StepPath,
  extra: Texts
): Effect.Effect<StepSpec> => {
  const { run, services, definition, visible } = self
  const name = actionStepKey(action)
  const base = {
    branch,
    path,
    kind: "call" as const,
    name,
    retries: 0,
    delay: () => Effect.succeed(0),
    timeout: run.record.settings.stepTimeout,
    heartbeat: null,
    failedAs: "failed" as const
  }
  if (branch.stopReason !== undefined) return Effect.succeed({ ...base, role: null, attempt: neverBegins(path) })
  return services.executors.find(action, definition.name, run.record.settings.pluginDirs).pipe(
    Effect.map((found): StepSpec => {
      const options = { ...plainCall(name, definition.name), ref: action, inputs: extra, model: found.model }
      return {
        ...base,
        timeout: found.defaults?.timeout ?? base.timeout,
        heartbeat: found.defaults?.heartbeat ?? base.heartbeat,
        role: found.role ?? "actor",
        canCommit: found.canCommit ?? false,
        attempt: (attempt) => executeAction(attempt, found.execute, options, visible, services.outputs)
      }
    }),
    Effect.catchAll((error) => run.misfit(error.message))
  )
}

const neverBegins = (path: StepPath) => () => Effect.dieMessage(`${path} has ended, or never begins`)
