/**
 * Telling people of gates: the command of `onWaiting` or `--on-waiting`, run once for each wait (`engine/GateNotice`);
 * and answering the gates of runs that go on unattended, where nobody follows them.
 *
 * - H1 A command holds nobody up: it runs beside its run, few of them at once, each for a limited time. One that fails
 *   is a warning.
 * - H2 No command outlives the scope: its process group ends with it.
 * - H3 What a command is told is what the gate's record shows, without the run's secrets; its inputs are no part of it.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as BriefProgram from "../action/BriefProgram.ts"
import * as Process from "../action/Process.ts"
import type { Project } from "../action/Project.ts"
import { type GateNotice, GateNotifier, type GateNotifierService } from "../engine/GateNotice.ts"
import { Persistence, type PersistenceService } from "../persistence/Persistence.ts"
import type { RunRecord } from "../persistence/Records.ts"
import { shownBlockedOn, shownRun } from "../persistence/Redaction.ts"
import { contextNames } from "./Home.ts"

export interface WaitingHooksOptions {
  /** For `sh -c`, in the project's root; absent or empty: nobody is told. */
  readonly command: string | undefined
  readonly project: Pick<Project, "home" | "root">
  readonly database: string
  /** Whether the gates of runs that go on unattended are approved here; else whoever follows the run does it. */
  readonly approvesUnattended: boolean
}

/** The commands that are running, or about to. */
export class WaitingHooks extends Context.Tag("millrace/cli/WaitingHooks")<
  WaitingHooks,
  {
    /** Waits until there is none. */
    readonly done: Effect.Effect<void>
  }
>() {
  static readonly layer = (options: WaitingHooksOptions): Layer.Layer<WaitingHooks, never, Persistence> =>
    Layer.scopedContext(
      Effect.gen(function* () {
        const running = yield* FiberSet.make<void>()
        const slots = yield* Effect.makeSemaphore(atOnce)
        const persistence = yield* Persistence
        const start = (notice: GateNotice, command: string): Effect.Effect<void> =>
          Effect.gen(function* () {
            const begun = yield* Deferred.make<void>()
            const told = slots.withPermits(1)(tell(notice, command, options, Deferred.succeed(begun, undefined)))
            const fiber = yield* FiberSet.run(running, Effect.ensuring(told, Deferred.succeed(begun, undefined)))
            yield* Effect.onInterrupt(Deferred.await(begun), () => Fiber.interruptFork(fiber))
          })
        return Context.make(WaitingHooks, { done: FiberSet.awaitEmpty(running) }).pipe(
          Context.add(GateNotifier, notifierOf(options, persistence, start))
        )
      })
    )
}

/** Commands that run at the same time; the gates of a large fan-out take their turns. */
const atOnce = 4

/** The longest time that a command may take, ms. */
const limit = 30_000

/** Between TERM and KILL, ms. */
const grace = 1_000

const maxOutputBytes = 1024 * 1024

/** Characters of a prompt in the environment, which must not grow without limit; the JSON has all of it. */
const maxVariable = 4_000

export const isUnattended = ({ settings }: RunRecord): boolean => settings.values[contextNames.unattended] === "true"

const notifierOf =
  (
    { approvesUnattended, command }: WaitingHooksOptions,
    persistence: PersistenceService,
    start: (notice: GateNotice, command: string) => Effect.Effect<void>
  ): GateNotifierService =>
  (notice) => {
    if (isUnattended(notice.run)) return approvesUnattended ? approve(persistence, notice) : undefined
    return command === undefined || command === "" ? undefined : start(notice, command)
  }

const again = Schedule.spaced("1 second")

/** As `--yes` does. A gate that was answered meanwhile has what it needs. */
const approve = (persistence: PersistenceService, { gate }: GateNotice): Effect.Effect<void> =>
  Effect.gen(function* () {
    const at = yield* Clock.currentTimeMillis
    const answer = { approved: true, feedback: null, selections: [], by: "--yes", at }
    yield* persistence.send(gate.run, { _tag: "Answer", path: gate.path, answer }, at)
  }).pipe(
    Effect.retry({ while: (error) => error._tag === "PersistenceError" && error.transient, schedule: again }),
    Effect.catchAll((error) =>
      error._tag === "PersistenceError"
        ? Effect.logWarning(`gate ${gate.name} of run ${gate.run} could not be approved: ${error.message}`)
        : Effect.void
    )
  )

const tell = (
  given: GateNotice,
  command: string,
  options: WaitingHooksOptions,
  begun: Effect.Effect<unknown>
): Effect.Effect<void> => {
  const notice = { ...given, run: shownRun(given.run), gate: shownBlockedOn(given.run, given.gate) }
  return BriefProgram.run({
    command: ["/bin/sh", "-c", command],
    cwd: options.project.root,
    env: { ...Process.ownEnvironment(), ...variablesOf(notice, options) },
    stdin: `${JSON.stringify(messageOf(notice, options))}\n`,
    outputLimit: maxOutputBytes,
    grace,
    limit,
    late: `it took longer than ${limit / 1_000} s and was ended`,
    started: () => Effect.asVoid(begun)
  }).pipe(
    Effect.asVoid,
    Effect.catchAll((problem) =>
      Effect.logWarning(`the on-waiting command for gate ${notice.gate.name} of run ${notice.run.id}: ${problem}`)
    ),
    Effect.scoped
  )
}

/** What the command reads on its standard input. Times are ms since the epoch. */
const messageOf = ({ gate, run, since }: GateNotice, { database, project }: WaitingHooksOptions) => ({
  run: run.id,
  root: run.root,
  workflow: run.workflow,
  title: run.title,
  gate: gate.name,
  path: gate.path,
  kind: gate.kind,
  prompt: gate.prompt,
  options: gate.options,
  minApprovals: gate.minApprovals,
  since,
  until: gate.until,
  database,
  home: project.home
})

const variablesOf = ({ gate, run }: GateNotice, { database, project }: WaitingHooksOptions) => ({
  MILLRACE_RUN: run.id,
  MILLRACE_WORKFLOW: variable(run.workflow),
  MILLRACE_GATE: variable(gate.name),
  MILLRACE_PATH: variable(gate.path),
  MILLRACE_PROMPT: variable(gate.prompt ?? ""),
  MILLRACE_DB: database,
  MILLRACE_HOME: project.home
})

/** What an environment can hold. */
const variable = (text: string): string => text.replaceAll("\0", "").slice(0, maxVariable)
