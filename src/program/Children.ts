/**
 * Child runs of code workflows: runs of their own, linked to the step that waits for them
 * (spec/engine.md, "Child runs").
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import {
  awaitChild,
  type ChildRequest,
  childRecord,
  type ReopenableChild,
  reopenableChild,
  stopChild
} from "../engine/Child.ts"
import { type Attempt, type AttemptFailure, type AttemptSuccess, type Dispatch, step } from "../engine/Step.ts"
import { type AttemptRecord, noResult, type RunRecord, type StepRecord, type Totals } from "../persistence/Records.ts"
import { type AnySchema, decode, encode } from "./Codec.ts"
import { secretsIn } from "./PayloadSecrets.ts"
import { encodePayload } from "./ValueRefused.ts"
import type { Workflow } from "./Workflow.ts"
import { CompensationFailed, definitionKey, describeFailure, endOf, type Typed, WorkflowFailed } from "./WorkflowEnd.ts"
import { currentBranch, type WorkflowRun } from "./WorkflowRun.ts"
import type { Branch } from "../engine/Branch.ts"

/** Runs a workflow as a child of this run and waits for its typed end. A child that is cancelled fails the call. */
export const child = <Name extends string, P extends AnySchema, S extends AnySchema, E extends AnySchema>(
  workflow: Workflow<Name, P, S, E>,
  payload: P["Type"]
): Effect.Effect<S["Type"], E["Type"] | WorkflowFailed, WorkflowRun> =>
  Effect.gen(function* () {
    const name = `workflow:${workflow.name}`
    const branch = yield* currentBranch(name)
    const { workflow: parent } = branch.run.record
    const whose = () => `that workflow '${parent}' gives to its child, workflow '${workflow.name}',`
    const encoded = yield* encodePayload(workflow.payload, payload, whose)
    const secrets = secretsIn(payload)
    const path = branch.next(name)
    const { run } = branch
    run.host.given(run, path, encoded)
    const isNew = run.row(path) === undefined
    const reopen = isNew ? yield* run.inProcess(reopenableChild(run, path)) : undefined
    const recordOf = (attempt: AttemptRecord) =>
      newChild(branch, workflow, { path, payload: encoded, secrets }, attempt)
    const row = yield* step({
      branch,
      path,
      kind: "workflow",
      name,
      role: "workflow",
      retries: 0,
      delay: () => Effect.succeed(0),
      timeout: null,
      heartbeat: null,
      failedAs: "failed",
      dispatch: (_step, attempt) => dispatch(branch, recordOf, attempt, reopen),
      attempt: (attempt) => runChild(branch, workflow, recordOf, attempt),
      stopped: (row) => stopChild(branch, row)
    })
    return yield* resultOf(branch, workflow, row)
  })

/** The record of an attempt's child; under the id that the attempt has, if it has one. */
const newChild = (
  branch: Branch,
  workflow: { readonly name: string; readonly version: string; readonly timeout: number | null },
  given: Pick<ChildRequest, "path" | "payload" | "secrets">,
  attempt: AttemptRecord
): RunRecord => {
  const { run } = branch
  const record = childRecord(run, {
    workflow: workflow.name,
    title: workflow.name,
    definition: definitionKey(workflow),
    inputs: {},
    ...given,
    key: `${run.record.epoch}.${attempt.number}`,
    settings: { runTimeout: workflow.timeout }
  })
  return attempt.childRun === null ? record : { ...record, id: attempt.childRun }
}

type RecordOf = (attempt: AttemptRecord) => RunRecord

const dispatch = (
  { run }: Branch,
  recordOf: RecordOf,
  attempt: AttemptRecord,
  reopen: ReopenableChild | undefined
): Dispatch => {
  if (attempt.childRun !== null) return { attempt: {}, changes: [], started: Effect.void }
  if (reopen !== undefined) {
    return { attempt: { childRun: reopen.child, childEpoch: reopen.epoch }, changes: [], started: Effect.void }
  }
  const record = recordOf(attempt)
  const { children } = run.host
  return { attempt: { childRun: record.id }, changes: children.create(record), started: children.start(record) }
}

/** The child's end becomes the step's: the journal of the parent holds all that a replay needs. */
const runChild = <S extends AnySchema, E extends AnySchema>(
  branch: Branch,
  workflow: Typed<S, E>,
  recordOf: RecordOf,
  attempt: Attempt
): Effect.Effect<AttemptSuccess, AttemptFailure> => {
  const { childRun, childEpoch: epoch } = attempt.record
  const { path } = attempt.spec
  if (childRun === null) return Effect.dieMessage(`step ${path} was dispatched without a child`)
  const dispatched = () => recordOf(attempt.record)
  return Effect.flatMap(awaitChild({ branch, path, child: childRun, epoch, dispatched }), (ended) =>
    Effect.matchEffect(endOf(workflow, ended), {
      onSuccess: (value) => succeeded(workflow, value, ended.totals),
      onFailure: (error) => failedChild(workflow, error, ended.totals)
    })
  )
}

const succeeded = (workflow: AnyTyped, value: unknown, totals: Totals): Effect.Effect<AttemptSuccess, AttemptFailure> =>
  Effect.map(encode(workflow.success, value), (encoded) => ({ result: noResult, value: encoded, totals }))

const failedChild = (workflow: AnyTyped, error: unknown, totals: Totals): Effect.Effect<never, AttemptFailure> => {
  // Whose end it is, the step says.
  if (error instanceof WorkflowFailed) return Effect.fail({ message: error.reason, totals })
  if (error instanceof CompensationFailed) return Effect.fail({ message: error.message, totals })
  return Effect.flatMap(encode(workflow.error, error), (encoded) =>
    Effect.fail({ message: describeFailure(error), value: { error: encoded }, totals })
  )
}

type AnyTyped = Typed<AnySchema, AnySchema>

const resultOf = <S extends AnySchema, E extends AnySchema>(
  branch: Branch,
  workflow: Typed<S, E>,
  row: StepRecord
): Effect.Effect<S["Type"], E["Type"] | WorkflowFailed> => {
  const undecodable = (error: { readonly message: string }) =>
    branch.run.misfit(`the recorded end of ${row.path} cannot be read by '${workflow.name}': ${error.message}`)
  if (row.status === "cancelled") return Effect.interrupt
  if (row.status === "completed") return Effect.catchAll(decode(workflow.success, row.value), undecodable)
  if (Predicate.hasProperty(row.value, "error")) {
    const decoded = Effect.catchAll(decode(workflow.error, row.value.error), undecodable)
    return Effect.flatMap(decoded, (error) => Effect.fail(error))
  }
  const run = row.attempts.at(-1)?.childRun ?? branch.run.id
  return Effect.fail(new WorkflowFailed({ workflow: workflow.name, run, status: row.status, reason: row.error ?? "" }))
}
