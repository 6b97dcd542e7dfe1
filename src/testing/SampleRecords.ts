/** Records with every field set, for tests that care about a few of them. */
import { defaultSettings, newRun } from "../engine/NewRun.ts"
import type { Commit } from "../persistence/Persistence.ts"
import type { Change } from "../persistence/Journal.ts"
import type {
  EngineId,
  EngineRecord,
  GateAnswer,
  GateRecord,
  ItemRecord,
  RunId,
  RunRecord,
  StepPath,
  StepRecord
} from "../persistence/Records.ts"
import { blankAttempt, blankStep, noResult } from "../persistence/Records.ts"

// SAFETY: brands without a further condition, here and below.
export const runId = (id: string): RunId => id as RunId
export const engineId = (id: string): EngineId => id as EngineId
export const stepPath = (path: string): StepPath => path as StepPath

/** A root run that is pending, unowned and ready at once. */
export const runRecord = (id: string, values: Partial<RunRecord> = {}): RunRecord =>
  newRun({
    id: runId(id),
    workflow: "build",
    title: "Build",
    definition: "sha256:0",
    inputs: { branch: "main" },
    settings: { ...defaultSettings(43_200_000), workingDirectory: "/work" },
    createdAt: 1_000,
    readyAt: 0,
    ...values
  })

/** A call in its first attempt. */
export const stepRecord = (path: string, values: Partial<StepRecord> = {}): StepRecord => ({
  ...blankStep,
  path: stepPath(path),
  epoch: 1,
  kind: "call",
  name: path.slice(1),
  role: "actor",
  position: 1,
  status: "running",
  superseded: false,
  startedAt: 1_000,
  attempts: [{ ...blankAttempt, number: 1, startedAt: 1_000, outcome: "running" }],
  result: noResult,
  idempotencyKey: `key:${path}`,
  ...values
})

const approval: GateRecord = {
  kind: "human_approval",
  prompt: "Ship it?",
  minApprovals: 1,
  mode: "all",
  timeout: 86_400_000,
  options: [],
  notifiedAt: null,
  answer: null
}

/** A gate that waits for its answer, or has it. */
export const gateRecord = (path: string, answer: GateAnswer | null = null): StepRecord =>
  stepRecord(path, { kind: "gate", role: "gate", status: "waiting", attempts: [], gate: { ...approval, answer } })

export const approved: GateAnswer = { approved: true, feedback: null, selections: [], by: "ana", at: 2_000 }

export const itemRecord = (path: string, key: string, values: Partial<ItemRecord> = {}): ItemRecord => ({
  path: stepPath(path),
  key,
  position: 1,
  type: "file",
  id: key,
  ref: key,
  context: {},
  status: "pending",
  error: null,
  childRun: null,
  childEpoch: 1,
  output: null,
  dispatchedAt: null,
  completedAt: null,
  ...values
})

export const engineRecord = (id: string, leaseUntil: number): EngineRecord => ({
  id: engineId(id),
  host: "host",
  boot: "boot",
  pid: 1,
  processStart: "1",
  leaseUntil
})

/** A change that makes a commit count (`Journal.counts`). */
export const iterated = (iteration: number): Change => ({ _tag: "Run", patch: { iteration } })

/** A commit to a run as its record says it stands. */
export const commitTo = (run: RunRecord, ...changes: ReadonlyArray<Change>): Commit => ({
  run: run.id,
  generation: run.generation,
  expectedSeq: run.seq,
  changes
})
