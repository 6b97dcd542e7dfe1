/**
 * What a project's code may do to the process that it runs in: end it, let it run dry, or leave a failure behind that
 * nobody waits for.
 */
import { writeSync } from "node:fs"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { messageOf } from "../engine/Step.ts"
import { ExitCode } from "./ExitCode.ts"
import { withoutSecrets, writeError } from "./Output.ts"

export interface GuardOptions {
  /** Gives the terminal back before the process ends at once. */
  readonly leave: () => void
  /** What to do about a run that is left as it is. */
  readonly hint: () => string
}

/** Runs that go on in this process; the last one says what is left of it. */
const guarded: Array<GuardOptions> = []

/** Until the scope closes: what is said of an early end is said of this run. */
export const guardProcess = (options: GuardOptions): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => void guarded.push(options)),
    () => Effect.sync(() => void guarded.splice(guarded.indexOf(options), 1))
  )

/** These end the process on purpose: an exception that nobody caught, and the second signal. */
const own: ReadonlySet<number> = new Set([ExitCode.failed, ExitCode.cancelled, ExitCode.shutDown])

const outsideOfRuns = "look at the project's configuration, and at what it imports"

const leaveSaying = (message: string): void => {
  const run = guarded.at(-1)
  run?.leave()
  writeSync(2, `error: ${message}\nhelp: ${run === undefined ? outsideOfRuns : run.hint()}\n`)
}

/**
 * Until what it gives is called: a rejected promise that nobody waits for is a warning; an exception that nobody catches
 * ends the process with a message; and a process that ends before its command does not say that all is well. Node ends
 * one that waits for what never comes, as for a configuration's promise, without a word.
 */
export const guardCommand = (): (() => void) => {
  const onRejection = (reason: unknown) =>
    writeError(`warning: something left a rejected promise behind: ${messageOf(reason) ?? String(reason)}`)
  const onException = (error: unknown) => {
    leaveSaying(`nobody caught: ${withoutSecrets(messageOf(error) ?? String(error))}`)
    process.exit(ExitCode.failed)
  }
  const onExit = (code: number) => {
    if (own.has(code)) return
    const when = guarded.length > 0 ? "while a run went on" : "before the command was done"
    leaveSaying(`something ended the process ${when}`)
    process.exitCode = ExitCode.failed
  }
  process.on("unhandledRejection", onRejection)
  process.on("uncaughtException", onException)
  process.on("exit", onExit)
  return () => void process.off("exit", onExit)
}
