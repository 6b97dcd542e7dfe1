/**
 * What a command failed with, as its user reads it: a message, the code to exit with, and sometimes what to do.
 */
import * as Schema from "effect/Schema"
import { ExitCode } from "./ExitCode.ts"

/** The command line, or something that it names, is wrong. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", {
  message: Schema.String,
  hint: Schema.optionalWith(Schema.String, { exact: true })
}) {}

/** The command was right, but cannot be carried out. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  message: Schema.String,
  hint: Schema.optionalWith(Schema.String, { exact: true })
}) {}

/** The run is of a workflow in code, which only the program that has it can run. */
export class RunOfProgram extends Schema.TaggedError<RunOfProgram>()("RunOfProgram", {
  run: Schema.String,
  workflow: Schema.String
}) {
  override get message() {
    return `run ${this.run} goes on in the program that has the workflow '${this.workflow}'`
  }
  get hint() {
    return "nothing was changed; start that program, unless it runs already"
  }
}

/** A failure of any part, as far as the command line looks at it. */
export interface AnyError {
  readonly _tag: string
  readonly message: string
  readonly hint?: string
}

/** Those that say that the user asked for something that is not there, or wrote something that is wrong. */
const usageErrors: ReadonlySet<string> = new Set([
  "UsageError",
  "InvalidWorkflow",
  "InvalidInputs",
  "InvalidSelection",
  "AmbiguousGate",
  "WorkflowUnavailable",
  "HomeUnavailable",
  "ConfigInvalid",
  "FileUnreadable",
  "RunNotFound",
  "StepNotFound"
])

export const exitCodeOf = (error: AnyError): ExitCode =>
  usageErrors.has(error._tag) ? ExitCode.usage : ExitCode.failed
