/**
 * Why fibers of a run are interrupted (design.md, "Interruption carries no reason"): whoever interrupts first says so
 * in the branch's cell or the run's, and the step that notices the interruption reads it there.
 */
import type { PersistenceError } from "../persistence/Persistence.ts"

export type StopReason =
  | { readonly _tag: "User"; readonly text: string | null }
  | { readonly _tag: "Parent" }
  | { readonly _tag: "FailFast" }
  | { readonly _tag: "RunTimeout" }
  /** The body continues as new. */
  | { readonly _tag: "Continued" }
  | SilentReason

/** The run leaves this engine as it is: no step is recorded cancelled, no always runs. */
export type SilentReason =
  | { readonly _tag: "Shutdown" }
  | { readonly _tag: "LeaseLost" }
  /** `readyAt`: when it has to go on by itself; null: when a message after `lastInbox` arrives. */
  | { readonly _tag: "LetGo"; readonly readyAt: number | null; readonly lastInbox: number | null }
  /** The replay does not fit the journal: the run is parked with this message. */
  | { readonly _tag: "Misfit"; readonly message: string }
  /** The store cannot be written, and will not be. */
  | { readonly _tag: "StorageFailed"; readonly error: PersistenceError }

/** As records and messages name it (spec/engine.md, "Cancellation"). */
export const describe = (reason: StopReason): string => {
  switch (reason._tag) {
    case "User":
      return reason.text === null ? "user requested" : `user requested: ${reason.text}`
    case "Parent":
      return "parent cancelled"
    case "FailFast":
      return "fail_fast"
    case "RunTimeout":
      return "run timeout"
    case "Continued":
      return "continued as new"
    case "Shutdown":
      return "engine shutdown"
    case "LeaseLost":
      return "lease lost"
    case "LetGo":
      return "let go"
    case "Misfit":
      return reason.message
    case "StorageFailed":
      return reason.error.message
  }
}

/** The reason in a record, after a restart. */
export const parseReason = (text: string): StopReason => {
  if (text === describe({ _tag: "Parent" })) return { _tag: "Parent" }
  const prefix = describe({ _tag: "User", text: "" })
  return { _tag: "User", text: text.startsWith(prefix) ? text.slice(prefix.length) : null }
}
