/**
 * The journal of a resumable call: the successful steps, as one JSON text, with what they were told (as a digest).
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Crypto from "node:crypto"
import type { Json } from "../workflow/Json.ts"
import { StepOutcome, type StepSpec } from "./Step.ts"

/** Raised when an older reader would misread what is written. */
export const schemaVersion = 1

const Success = Schema.Struct({ ...StepOutcome.fields, success: Schema.Literal(true) }).pipe(Schema.omit("failure"))

const JournaledStep = Schema.Struct({
  /** SHA-256 of the spec's content. */
  spec: Schema.String,
  outcome: Success
})
export type JournaledStep = typeof JournaledStep.Type

const Journal = Schema.parseJson(
  Schema.Struct({
    schemaVersion: Schema.Literal(schemaVersion),
    workflowId: Schema.String,
    steps: Schema.Array(JournaledStep)
  })
)

/** The journal exists but cannot be read, or is another workflow's. */
export class UnreadableJournal extends Schema.TaggedError<UnreadableJournal>()("UnreadableJournal", {
  workflowId: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `the journal of '${this.workflowId}' cannot be read: ${this.reason}`
  }
}

/** The journal was written by a newer version. */
export class NewerJournal extends Schema.TaggedError<NewerJournal>()("NewerJournal", {
  workflowId: Schema.String,
  version: Schema.Number,
  supported: Schema.Number
}) {
  override get message() {
    return `the journal of '${this.workflowId}' has schema version ${this.version}; this version reads up to ${this.supported}`
  }
}

/** Steps were journaled under these task ids, but with another content than the specs have. */
export class MismatchedJournal extends Schema.TaggedError<MismatchedJournal>()("MismatchedJournal", {
  workflowId: Schema.String,
  taskIds: Schema.Array(Schema.String)
}) {
  override get message() {
    return `the journal of '${this.workflowId}' has other steps under the same task ids: ${this.taskIds.join(", ")}`
  }
}

export type JournalRefused = UnreadableJournal | NewerJournal | MismatchedJournal

/** The journaled steps by task id. */
export const decode = (
  workflowId: string,
  text: string
): Either.Either<ReadonlyMap<string, JournaledStep>, UnreadableJournal | NewerJournal> =>
  Either.gen(function* () {
    const unreadable = (reason: string) => new UnreadableJournal({ workflowId, reason })
    const version = Schema.decodeEither(Versioned)(text)
    if (Either.isRight(version) && version.right.schemaVersion > schemaVersion) {
      const supported = schemaVersion
      return yield* Either.left(new NewerJournal({ workflowId, version: version.right.schemaVersion, supported }))
    }
    const journal = yield* Either.mapLeft(Schema.decodeEither(Journal)(text), ({ message }) => unreadable(message))
    if (journal.workflowId !== workflowId)
      return yield* Either.left(unreadable(`it is that of '${journal.workflowId}'`))
    return new Map(journal.steps.map((step) => [step.outcome.taskId, step]))
  })

const Versioned = Schema.parseJson(Schema.Struct({ schemaVersion: Schema.Number }))

/** The steps among the specs that were journaled with another content. */
export const mismatches = (
  steps: ReadonlyMap<string, JournaledStep>,
  specs: ReadonlyArray<StepSpec>
): ReadonlyArray<string> =>
  specs.flatMap((spec) => {
    const step = steps.get(spec.taskId)
    return step === undefined || step.spec === digest(spec) ? [] : [spec.taskId]
  })

/** Throws when the outcome is not that of a success, or no JSON. */
export const journaledStep = (spec: StepSpec, outcome: StepOutcome): JournaledStep =>
  Schema.validateSync(JournaledStep)({ spec: digest(spec), outcome }, { onExcessProperty: "ignore" })

/** A part of a journal's text. */
export const encodeStep = (step: JournaledStep): string => JSON.stringify(Schema.encodeSync(JournaledStep)(step))

export const encode = (workflowId: string, steps: Iterable<string>): string =>
  `{"schemaVersion":${schemaVersion},"workflowId":${JSON.stringify(workflowId)},"steps":[\n${[...steps].join(",\n")}\n]}\n`

/** The order of keys is no content, and neither is a key without a value. */
const digest = ({ taskId, agent, description, prompt, model, schema, timeout }: StepSpec): string =>
  Crypto.createHash("sha256")
    .update(JSON.stringify([taskId, agent, description, prompt, model, sorted(schema), timeout]))
    .digest("hex")

/** Objects as pairs: as objects, keys that look like numbers would not stay in order. */
const sorted = (value: Json | undefined): Json => {
  if (isArray(value)) return { list: value.map(sorted) }
  if (typeof value !== "object" || value === null) return value === undefined ? "" : { value }
  const pairs = Object.entries<Json>(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return pairs.map(([key, field]) => [key, sorted(field)])
}

/** `Array.isArray` does not know readonly arrays. */
const isArray = (value: Json | undefined): value is ReadonlyArray<Json> => Array.isArray(value)
