/**
 * `call workflow`: a child run that the step waits for (spec/engine.md, "call workflow").
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { WorkflowUnavailable } from "../../action/Resolvers.ts"
import {
  type AttemptRecord,
  isTerminal,
  type RunRecord,
  type StepPath,
  type StepRecord
} from "../../persistence/Records.ts"
import { type CallWorkflowNode, defaults } from "../../workflow/Definition.ts"
import type { Branch } from "../Branch.ts"
import {
  awaitChild,
  type ChildRequest,
  childRecord,
  type ReopenableChild,
  reopenableChild,
  stopChild
} from "../Child.ts"
import { type Attempt, type AttemptFailure, type AttemptSuccess, type Dispatch, step } from "../Step.ts"
import { settle } from "./CallNode.ts"
import { entriesOf, readOutput, resultOf } from "./ChildOutput.ts"
import { substituteAll } from "./Inputs.ts"
import type { Interpreter } from "./Interpreter.ts"
import { childInCode, childInFile, type ResolvedChild } from "./ResolvedChild.ts"

export const callWorkflowNode = (
  self: Interpreter,
  node: CallWorkflowNode,
  key: string,
  branch: Branch
): Effect.Effect<void> => {
  const path = branch.at(key)
  const row = self.run.row(path)
  const isOver = branch.stopReason !== undefined || (row !== undefined && isTerminal(row.status))
  const prepared = isOver ? Effect.succeed(nothing) : prepare(self, node, branch, path)
  return Effect.flatMap(prepared, (child) => {
    const ended = step({
      branch,
      path,
      kind: "workflow",
      name: `workflow:${node.workflow}`,
      role: "workflow",
      retries: node.retries ?? defaults.retries,
      delay: () => Effect.succeed(0),
      timeout: node.timeout ?? null,
      heartbeat: null,
      failedAs: node.onFail?._tag === "Continue" ? "skipped" : "failed",
      dispatch: (_step, attempt) => child.dispatch(attempt),
      attempt: (attempt) => child.attempt(attempt),
      stopped: (row) => stopChild(branch, row)
    })
    return Effect.flatMap(ended, (row) => {
      if (row.status === "completed") importEntries(self, row)
      return settle(self, branch, row, node)
    })
  })
}

/** The child's own results become visible before the step's, which wins where names collide. */
const importEntries = (self: Interpreter, row: StepRecord): void => {
  for (const entry of entriesOf(row.value)) self.visible.add(entry)
}

interface PreparedChild {
  readonly dispatch: (attempt: AttemptRecord) => Dispatch
  readonly attempt: (attempt: Attempt) => Effect.Effect<AttemptSuccess, AttemptFailure>
}

const noDispatch = (): Dispatch => ({ attempt: {}, changes: [], started: Effect.void })

/** Of a step that has ended, or is being stopped: never used. */
const nothing: PreparedChild = {
  dispatch: noDispatch,
  attempt: () => Effect.dieMessage("the step has ended, or never begins")
}

const unusable = (message: string): PreparedChild => ({
  dispatch: noDispatch,
  attempt: () => Effect.fail({ message, permanent: true })
})

/** A child that was dispatched goes on by its own snapshot, whatever has become of its workflow's file meanwhile. */
const prepare = (
  self: Interpreter,
  node: CallWorkflowNode,
  branch: Branch,
  path: StepPath
): Effect.Effect<PreparedChild> => {
  const last = self.run.row(path)?.attempts.at(-1)
  if (last === undefined || last.outcome !== "running" || last.childRun === null) {
    return Effect.catchAll(prepareNew(self, node, branch, path), (error) => self.run.misfit(error.message))
  }
  const retried = Effect.catchAll(prepareNew(self, node, branch, path), ({ message }) =>
    Effect.succeed(unusable(message))
  )
  return Effect.map(retried, ({ dispatch, attempt: retry, dispatched }: PreparedNew) => ({
    dispatch,
    attempt: (attempt) => (attempt.number === last.number ? runChild(branch, attempt, dispatched) : retry(attempt))
  }))
}

interface PreparedNew extends PreparedChild {
  /** The record of an attempt's child. */
  readonly dispatched?: (attempt: AttemptRecord) => RunRecord
}

const prepareNew = (
  self: Interpreter,
  node: CallWorkflowNode,
  branch: Branch,
  path: StepPath
): Effect.Effect<PreparedNew, WorkflowUnavailable> =>
  Effect.gen(function* () {
    const resolved = yield* findChild(self, node.workflow)
    const reopen = yield* reopenableChild(self.run, path)
    const given = substituteAll(node.inputs ?? {}, (name) => self.visible.lookup(name))
    const problem = resolved.problem ?? resolved.missing((name) => Object.hasOwn(given, name))
    if (problem !== undefined) return unusable(problem)
    const child = resolved.childOf(given)
    if (Either.isLeft(child)) return unusable(child.left)
    const identity = node.as ?? self.run.record.settings.identity
    const request = { ...child.right, path, settings: { ...child.right.settings, identity } }
    const warnings = resolved.undeclared(given)
    const dispatched = (attempt: AttemptRecord) => newChild(self, request, attempt)
    const prepared: PreparedNew = {
      dispatched,
      dispatch: (attempt) => dispatchChild(self, attempt, reopen, dispatched),
      attempt: (attempt) =>
        Effect.zipRight(
          Effect.forEach(warnings, (warning) => attempt.warn(warning), { discard: true }),
          runChild(branch, attempt, dispatched)
        )
    }
    return prepared
  })

/** A workflow that cannot be found is a replay that does not fit. */
export const resolveChild = (self: Interpreter, workflow: string): Effect.Effect<ResolvedChild> =>
  Effect.catchAll(findChild(self, workflow), (error) => self.run.misfit(error.message))

/** What is in code goes before files. */
const findChild = (self: Interpreter, name: string): Effect.Effect<ResolvedChild, WorkflowUnavailable> => {
  const { run, services } = self
  const { maxDepth } = run.settings
  const problem = run.record.depth + 2 > maxDepth ? `a chain of more than ${maxDepth} workflows` : undefined
  const code = run.host.codeWorkflow(name)
  if (code !== undefined) return Effect.succeed(childInCode(code, problem))
  return Effect.flatMap(services.workflows.find(name), (definition) =>
    services.definitions.store(definition).pipe(
      Effect.catchAll((error) => run.storageFailed(error)),
      Effect.map((key) => childInFile(definition, key, problem))
    )
  )
}

const dispatchChild = (
  self: Interpreter,
  attempt: AttemptRecord,
  reopen: ReopenableChild | undefined,
  dispatched: (attempt: AttemptRecord) => RunRecord
): Dispatch => {
  if (attempt.childRun !== null) return noDispatch()
  if (reopen !== undefined && attempt.number === 1) {
    return { ...noDispatch(), attempt: { childRun: reopen.child, childEpoch: reopen.epoch } }
  }
  const record = dispatched(attempt)
  const { children } = self.run.host
  return {
    attempt: { childRun: record.id },
    changes: children.create(record),
    started: children.start(record)
  }
}

/** The record of an attempt's child; under the id that the attempt has, if it has one. */
const newChild = (self: Interpreter, request: Omit<ChildRequest, "key">, attempt: AttemptRecord): RunRecord => {
  const record = childRecord(self.run, { ...request, key: `${self.run.record.epoch}.${attempt.number}` })
  return attempt.childRun === null ? record : { ...record, id: attempt.childRun }
}

const runChild = (
  branch: Branch,
  attempt: Attempt,
  record: ((attempt: AttemptRecord) => RunRecord) | undefined
): Effect.Effect<AttemptSuccess, AttemptFailure> => {
  const { childRun: child, childEpoch: epoch } = attempt.record
  if (child === null) return Effect.dieMessage(`step ${attempt.spec.path} was dispatched without a child`)
  const dispatched = record === undefined ? {} : { dispatched: () => record(attempt.record) }
  const { deadline } = attempt
  return Effect.flatMap(
    awaitChild({ branch, path: attempt.spec.path, child, epoch, deadline, ...dispatched }),
    (ended) => {
      const { totals } = ended
      if (ended.status !== "completed") {
        return Effect.fail({ message: ended.error ?? `child run ${ended.id} was ${ended.status}`, totals })
      }
      return Effect.succeed({ result: resultOf(ended.result), value: readOutput(ended.result), totals })
    }
  )
}
