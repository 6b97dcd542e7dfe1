/**
 * The records of runs, as every backend keeps them (spec/engine.md, "Records").
 *
 * Owns: the shapes. Neighbours: `Change` (what a commit may do to them), `Persistence` (the contract).
 * All times are milliseconds since the epoch. Everything here is JSON.
 */
import * as Schema from "effect/Schema"
import { Texts } from "../workflow/Definition.ts"

/** A ULID. */
export const RunId = Schema.NonEmptyString.pipe(Schema.brand("millrace/RunId"))
export type RunId = typeof RunId.Type

export const EngineId = Schema.NonEmptyString.pipe(Schema.brand("millrace/EngineId"))
export type EngineId = typeof EngineId.Type

/** Where a step stands in its run: `/build/while:review.bad/@2/fix~2` (design.md, "Paths"). */
export const StepPath = Schema.String.pipe(Schema.brand("millrace/StepPath"))
export type StepPath = typeof StepPath.Type

const Time = Schema.Number
const Null = <A, I>(schema: Schema.Schema<A, I>) => Schema.NullOr(schema)

export const RunStatus = Schema.Literal(
  "pending",
  "running",
  "waiting",
  "cancelling",
  "needs_resume",
  "completed",
  "failed",
  "cancelled"
)
export type RunStatus = typeof RunStatus.Type

export const isEnded = (status: RunStatus): boolean =>
  status === "completed" || status === "failed" || status === "cancelled"

export const StepStatus = Schema.Literal(
  "pending",
  "running",
  "waiting",
  "completed",
  "failed",
  "skipped",
  "timed_out",
  "cancelled"
)
export type StepStatus = typeof StepStatus.Type

export const isTerminal = (status: StepStatus): boolean =>
  status !== "pending" && status !== "running" && status !== "waiting"

export const ItemStatus = Schema.Literal("pending", "running", "completed", "failed", "skipped", "cancelled")
export type ItemStatus = typeof ItemStatus.Type

/** Sums over the steps of a run and of its children; `cost_usd` in dollars, durations in ms. */
export const Totals = Schema.Struct({
  cost_usd: Schema.Number,
  num_turns: Schema.Number,
  duration_ms: Schema.Number,
  input_tokens: Schema.Number,
  output_tokens: Schema.Number,
  cache_read_input_tokens: Schema.Number,
  cache_creation_input_tokens: Schema.Number
})
export type Totals = typeof Totals.Type

/** The SQL store leaves these values out of its rows. */
export const noTotals: Totals = {
  cost_usd: 0,
  num_turns: 0,
  duration_ms: 0,
  input_tokens: 0,
  output_tokens: 0,
  cache_read_input_tokens: 0,
  cache_creation_input_tokens: 0
}

/** As `workflow/Secrets` has it. */
export const Secrets = Schema.Struct({ inputs: Schema.Array(Schema.String), values: Schema.Array(Schema.String) })

/** What a run was started with; a resume anywhere uses these, never the resuming process's own. */
export const RunSettings = Schema.Struct({
  failFast: Schema.Boolean,
  /** Limit of a call's or script's attempt that has none of its own, ms. */
  stepTimeout: Schema.Number,
  /** Limit of the whole run, ms from its start. */
  runTimeout: Null(Schema.Number),
  workingDirectory: Schema.String,
  model: Null(Schema.String),
  identity: Null(Schema.String),
  pluginDirs: Schema.Array(Schema.String),
  /** Values injected by the run context; they win over inputs. */
  values: Texts,
  /** What is hidden wherever anything of the run is shown (`Redaction`); absent: nothing. */
  secrets: Schema.optionalWith(Secrets, { exact: true })
})
export type RunSettings = typeof RunSettings.Type

/** What a run's settings are where nothing else is said. The SQL store leaves these values out of its rows. */
export const blankSettings = {
  failFast: true,
  runTimeout: null,
  model: null,
  identity: null,
  pluginDirs: [],
  values: {}
} as const satisfies Partial<RunSettings>

/** Whether an approval carries a value: the gate is typed. Absent: no, or nobody said so yet. */
const asksValue = Schema.optionalWith(Schema.Boolean, { exact: true })

/** What a waiting run waits for. A parent lists each waiting child's gates. */
export const BlockedOn = Schema.Struct({
  _tag: Schema.Literal("gate", "sleep", "signal", "child", "paused"),
  run: RunId,
  path: StepPath,
  name: Schema.String,
  /** Gate only. */
  kind: Null(Schema.String),
  prompt: Null(Schema.String),
  options: Schema.Array(Schema.Struct({ key: Schema.String, text: Schema.String })),
  minApprovals: Schema.Number,
  asksValue,
  /** When the wait ends by itself. */
  until: Null(Time)
})
export type BlockedOn = typeof BlockedOn.Type

export const RunParent = Schema.Struct({ run: RunId, path: StepPath })
export type RunParent = typeof RunParent.Type

/** Of a run that goes on where another one ended by continuing as new. */
export const RunContinues = Schema.Struct({
  /** The run that the chain began with. */
  first: RunId,
  previous: RunId,
  /** Digest of the first run's encoded payload: what an idempotency key, which moves along the chain, stands for. */
  payload: Schema.String
})
export type RunContinues = typeof RunContinues.Type

/** The key of a code workflow's definition. */
export const codeKey = (name: string, version: string): string => `${codePrefix}${name}@${version}`

/** Whether a run is of a workflow in code; others are of a file. */
export const isOfCode = ({ definition }: { readonly definition: string }): boolean => definition.startsWith(codePrefix)

const codePrefix = "code:"

export const RunRecord = Schema.Struct({
  id: RunId,
  workflow: Schema.String,
  title: Schema.String,
  /** Key of the stored definition (`Persistence.storeDefinition`); a code workflow's names its version. */
  definition: Schema.String,
  parent: Null(RunParent),
  /** The run at the top of the chain; itself where there is no parent. */
  root: RunId,
  /** Workflows above this one: 0 for a root. */
  depth: Schema.Number,
  status: RunStatus,
  dryRun: Schema.Boolean,
  trigger: Schema.String,
  inputs: Texts,
  /** The payload of a code workflow, encoded by its schema; null for a `.wf` one. */
  payload: Schema.Unknown,
  settings: RunSettings,
  createdAt: Time,
  startedAt: Null(Time),
  endedAt: Null(Time),
  summary: Null(Schema.String),
  error: Null(Schema.String),
  /** Why a run was cancelled, or is being so. */
  cancelReason: Null(Schema.String),
  /** The encoded success or error of a code workflow; of a `.wf` one, what a parent sees (`ChildOutput`). */
  result: Schema.Unknown,
  blockedOn: Schema.Array(BlockedOn),
  /** Of the innermost loop that is running. */
  iteration: Schema.Number,
  totals: Totals,
  target: Null(Schema.String),
  idempotencyKey: Null(Schema.String),
  owner: Null(EngineId),
  /** Raised by each claim that changes the owner; a write with an old one is refused (I7). */
  generation: Schema.Number,
  /** 1; raised when an ended run is opened again. */
  epoch: Schema.Number,
  /** Raised by one by each commit that counts (`Journal.counts`). */
  seq: Schema.Number,
  /** An unowned run may be claimed from then on; null: only when an inbox row sets it. */
  readyAt: Null(Time),
  /** Claims after a lost owner since the last progress. */
  recoveries: Schema.Number,
  dismissed: Schema.Boolean,
  /** Null for a run that began a chain, as most do. */
  continues: Null(RunContinues),
  /** The run that goes on from this one's end; it has its idempotency key and what was left in its inbox. */
  continuedAs: Null(RunId)
})
export type RunRecord = typeof RunRecord.Type

export const AttemptOutcome = Schema.Literal("running", "completed", "failed", "timed_out", "cancelled", "lost")
export type AttemptOutcome = typeof AttemptOutcome.Type

export const AttemptRecord = Schema.Struct({
  /** From 1. A lost attempt has the number of the one that ran in its place. */
  number: Schema.Number,
  startedAt: Time,
  endedAt: Null(Time),
  outcome: AttemptOutcome,
  error: Null(Schema.String),
  /** Time and details of the last heartbeat. */
  heartbeatAt: Null(Time),
  heartbeat: Schema.Unknown,
  /** The executor ignored its interruption and was left behind after the grace period. */
  abandoned: Schema.Boolean,
  /** The process group started by a script: checked on resume, so that no orphan runs beside its retry. */
  process: Null(Schema.Struct({ pid: Schema.Number, startTime: Schema.String, boot: Schema.String })),
  childRun: Null(RunId),
  /** The epoch of the child that this attempt stands for: the child is opened again until it has it. */
  childEpoch: Schema.Number
})
export type AttemptRecord = typeof AttemptRecord.Type

/** What an attempt has where nothing else is said. The SQL store leaves these values out of its rows. */
export const blankAttempt = {
  endedAt: null,
  error: null,
  heartbeatAt: null,
  heartbeat: null,
  abandoned: false,
  process: null,
  childRun: null,
  childEpoch: 1
} as const satisfies Partial<AttemptRecord>

/** What a step that ended hands on. */
export const StepResult = Schema.Struct({
  markers: Schema.Array(Schema.String),
  context: Null(Schema.String),
  text: Null(Schema.String),
  /** Any JSON; null where there is none. */
  structured: Schema.Unknown,
  outputFile: Null(Schema.String),
  metadata: Texts
})
export type StepResult = typeof StepResult.Type

export const noResult: StepResult = {
  markers: [],
  context: null,
  text: null,
  structured: null,
  outputFile: null,
  metadata: {}
}

export const GateAnswer = Schema.Struct({
  approved: Schema.Boolean,
  feedback: Null(Schema.String),
  selections: Schema.Array(Schema.String),
  /** Any JSON: what a typed gate asks for. */
  value: Schema.optional(Schema.Unknown),
  by: Null(Schema.String),
  at: Time
})
export type GateAnswer = typeof GateAnswer.Type

export const GateRecord = Schema.Struct({
  kind: Schema.String,
  prompt: Null(Schema.String),
  minApprovals: Schema.Number,
  asksValue,
  mode: Schema.String,
  timeout: Schema.Number,
  options: Schema.Array(Schema.Struct({ key: Schema.String, text: Schema.String })),
  /** When a person was told that it waits; null: not yet, or nobody is to be told. */
  notifiedAt: Null(Time),
  answer: Null(GateAnswer)
})
export type GateRecord = typeof GateRecord.Type

/** What a gate's row says of the value that it asks for, as who is blocked on it says it. */
export const valueAsked = ({ asksValue }: Pick<GateRecord, "asksValue">): Pick<BlockedOn, "asksValue"> =>
  asksValue === undefined ? {} : { asksValue }

/** What a gate has where its row says nothing. */
export const blankGate = { notifiedAt: null } as const satisfies Partial<GateRecord>

export const FanOutCounters = Schema.Struct({
  total: Schema.Number,
  completed: Schema.Number,
  failed: Schema.Number,
  skipped: Schema.Number,
  running: Schema.Number
})
export type FanOutCounters = typeof FanOutCounters.Type

/**
 * The kinds of journal rows. Those before `condition` are the steps that users see; the others are decisions that
 * steer control flow (I3) and the phases of a run (I4).
 */
export const StepKind = Schema.Literal(
  "call",
  "script",
  "gate",
  "workflow",
  "foreach",
  "pipeline",
  "condition",
  "block",
  "loop",
  "value",
  "sleep",
  "signal",
  "phase"
)
export type StepKind = typeof StepKind.Type

const userKinds: ReadonlySet<StepKind> = new Set(["call", "script", "gate", "workflow", "foreach", "pipeline"])

/** Whether a row is a step that lists and counts show. */
export const isUserStep = (kind: StepKind): boolean => userKinds.has(kind)

/** One row of the journal: a step, or a decision. Live rows have one per path; superseded ones are kept. */
export const StepRecord = Schema.Struct({
  path: StepPath,
  /** The run's epoch in which the row was made. */
  epoch: Schema.Number,
  kind: StepKind,
  name: Schema.String,
  role: Null(Schema.String),
  canCommit: Schema.Boolean,
  /** Order of creation within the run, from 1. */
  position: Schema.Number,
  /** Of the innermost loop around it; 0 outside. */
  iteration: Schema.Number,
  status: StepStatus,
  /** Opened again by a later epoch: listed, but no longer part of the journal. */
  superseded: Schema.Boolean,
  startedAt: Null(Time),
  endedAt: Null(Time),
  attempts: Schema.Array(AttemptRecord),
  result: StepResult,
  error: Null(Schema.String),
  /** The encoded success or error of a code step, or the value of a decision. */
  value: Schema.Unknown,
  condition: Null(Schema.String),
  conditionMet: Null(Schema.Boolean),
  childRun: Null(RunId),
  gate: Null(GateRecord),
  fanOut: Null(FanOutCounters),
  /** `parallel:<path>` of the block around it. */
  group: Null(Schema.String),
  /** Until when it waits: a gate's or sleep's deadline, the end of a retry delay. */
  wakeAt: Null(Time),
  /** The same for all attempts. */
  idempotencyKey: Schema.String
})
export type StepRecord = typeof StepRecord.Type

/** What a row of the journal has where nothing else is said. The SQL store leaves these values out of its rows. */
export const blankStep = {
  role: null,
  canCommit: false,
  iteration: 0,
  startedAt: null,
  endedAt: null,
  error: null,
  value: null,
  condition: null,
  conditionMet: null,
  childRun: null,
  gate: null,
  fanOut: null,
  group: null,
  wakeAt: null
} as const satisfies Partial<StepRecord>

export const ItemRecord = Schema.Struct({
  /** The fan-out step. */
  path: StepPath,
  /** `type:id`, unique within the step. */
  key: Schema.String,
  position: Schema.Number,
  type: Schema.String,
  id: Schema.String,
  ref: Schema.String,
  /** The item's other texts: `item.<key>`. */
  context: Texts,
  status: ItemStatus,
  error: Null(Schema.String),
  childRun: Null(RunId),
  /** As in `AttemptRecord`. */
  childEpoch: Schema.Number,
  /** The child's last structured output. */
  output: Schema.Unknown,
  dispatchedAt: Null(Time),
  completedAt: Null(Time)
})
export type ItemRecord = typeof ItemRecord.Type

/** What an item has where its row says nothing. The SQL store leaves these values out of its rows. */
export const blankItem = {
  context: {},
  error: null,
  childRun: null,
  childEpoch: 1,
  output: null,
  dispatchedAt: null,
  completedAt: null
} as const satisfies Partial<ItemRecord>

/** What arrives from outside a run: each is a row until the run consumes it (I5). */
export const InboxMessage = Schema.Union(
  Schema.TaggedStruct("Answer", { path: StepPath, answer: GateAnswer }),
  Schema.TaggedStruct("Signal", { name: Schema.String, value: Schema.Unknown }),
  Schema.TaggedStruct("Cancel", { reason: Schema.Literal("user", "parent"), text: Null(Schema.String) }),
  Schema.TaggedStruct("Pause", {}),
  Schema.TaggedStruct("Unpause", {}),
  Schema.TaggedStruct("ChildEnded", { child: RunId, path: StepPath }),
  Schema.TaggedStruct("ChildWaiting", { child: RunId, path: StepPath, blockedOn: Schema.Array(BlockedOn) }),
  Schema.TaggedStruct("ChildRunning", { child: RunId, path: StepPath })
)
export type InboxMessage = typeof InboxMessage.Type

export interface InboxRow {
  /** Rises with each row in the store. */
  readonly id: number
  readonly run: RunId
  readonly message: InboxMessage
  readonly createdAt: number
}

/** An engine: a process that runs runs, and the lease that covers all it owns. */
export const EngineRecord = Schema.Struct({
  id: EngineId,
  host: Schema.String,
  /** Kernel's boot id: a pid means nothing after a restart of the machine. */
  boot: Schema.String,
  pid: Schema.Number,
  /** As the kernel tells it: a pid is used again. */
  processStart: Schema.String,
  leaseUntil: Time
})
export type EngineRecord = typeof EngineRecord.Type

/** The key that names a row in live state and stores. */
export const stepKey = (step: { readonly path: StepPath; readonly epoch: number }): string =>
  `${step.path}#${step.epoch}`

/** Unique within a database. */
export const stepId = (run: RunId, step: { readonly path: StepPath; readonly epoch: number }): string =>
  step.epoch === 1 ? `${run}${step.path}` : `${run}${step.path}#${step.epoch}`
