/**
 * What actions may do to the process that they run in: end it, or leave a failure behind that nobody waits for.
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

/**
 * Until the scope closes: a rejected promise that nobody waits for is a warning; an exception that nobody catches ends
 * the process with a message; and a process that something ends meanwhile does not say that all is well.
 */
export const guardProcess = (options: GuardOptions): Effect.Effect<void, never, Scope.Scope> => {
  const onRejection = (reason: unknown) =>
    writeError(`warning: something left a rejected promise behind: ${messageOf(reason) ?? String(reason)}`)
  const onException = (error: unknown) => {
    options.leave()
    const said = withoutSecrets(messageOf(error) ?? String(error))
    writeSync(2, `error: nobody caught: ${said}\nhelp: ${options.hint()}\n`)
    process.exit(ExitCode.failed)
  }
  const onExit = (code: number) => {
    if (code !== 0) return
    options.leave()
    writeSync(2, `error: something ended the process while a run went on\nhelp: ${options.hint()}\n`)
    process.exitCode = ExitCode.failed
  }
  const add = Effect.sync(() => {
    process.on("unhandledRejection", onRejection)
    process.on("uncaughtException", onException)
    process.on("exit", onExit)
  })
  const remove = Effect.sync(() => {
    process.off("unhandledRejection", onRejection)
    process.off("uncaughtException", onException)
    process.off("exit", onExit)
  })
  return Effect.acquireRelease(add, () => remove)
}
