/**
 * Seeing a run through: what `run`, `resume`, `approve`, `reject` and `cancel` do once a run is going on here.
 *
 * - F1 The process ends when the run has ended, is parked, or waits for an answer that nobody here can give.
 * - F2 Whatever ends the process, the run can be resumed: the engine is shut down before it.
 * - F3 No event is shown before the run's headline, none behind its last line.
 * - F4 A worker may take the run up when it has waited: it is followed there to its end, without its events.
 */
import { existsSync } from "node:fs"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { shownPath } from "../action/ProjectFiles.ts"
import * as Client from "../engine/Client.ts"
import { Engine } from "../engine/Engine.ts"
import type { EngineEvent, EventsMissed } from "../engine/Events.ts"
import { isForPerson } from "../engine/GateNotice.ts"
import { isAtRest, isPaused } from "../engine/Pause.ts"
import { Persistence, type PersistenceError, type RunNotFound } from "../persistence/Persistence.ts"
import { isEnded, type RunId, type RunRecord } from "../persistence/Records.ts"
import { shownRun, shownStep, shownStepPath, shownText } from "../persistence/Redaction.ts"
import { CommandFailed } from "./CliError.ts"
import { ExitCode } from "./ExitCode.ts"
import { Gatekeeper, type KeepError } from "./Gatekeeper.ts"
import { dbArgument } from "./Home.ts"
import { guardProcess } from "./Guard.ts"
import { howToGoOn, howToResume } from "./Hints.ts"
import { jsonView } from "./JsonView.ts"
import { makeLinesView } from "./LinesView.ts"
import { canDraw, hasColor, inline, type Paint, paintFor, writeError } from "./Output.ts"
import { divertConsole } from "./Session.ts"
import { handleSignals } from "./Signals.ts"
import { makeTreeView } from "./TreeView.ts"
import type { View } from "./View.ts"
import { WaitingHooks } from "./WaitingHooks.ts"

export interface FollowOptions {
  readonly json: boolean
  /** Approve gates without asking. */
  readonly yes: boolean
  readonly database: string
  /** The run, if it is not a new one: what it has done so far is shown. */
  readonly known?: RunRecord
  /** The run that `begin` makes a fork of: what the fork has from it is shown. */
  readonly forked?: RunRecord
}

type FollowError = RunNotFound | PersistenceError | KeepError | CommandFailed

/** Does `begin`, which makes a run go on here, and stays until there is nothing more to do (F1). */
export const follow = <E, R>(
  begin: Effect.Effect<RunId, E, R>,
  options: FollowOptions
): Effect.Effect<ExitCode, E | FollowError, R | Engine | Persistence | WaitingHooks> =>
  Effect.scoped(
    Effect.gen(function* () {
      const paint = paintFor(hasColor(process.stdout))
      const interactive = !options.json && process.stdin.isTTY === true && process.stdout.isTTY === true
      const view = yield* makeView(options.json, interactive && canDraw(process.stdout), paint)
      divertConsole()
      const persistence = yield* Persistence
      const hooks = yield* WaitingHooks
      const follower = new Follower(yield* Engine, persistence, view, options, yield* dbArgument(options.database))
      const gatekeeper = new Gatekeeper(persistence, view, paint, options.yes)
      const terminated = yield* handleSignals({ cancel: () => follower.cancel(), leave: view.close })
      yield* guardProcess({ leave: view.close, hint: () => follower.howToGoOn })
      yield* follower.listen(gatekeeper)
      if (options.known !== undefined) yield* follower.load(options.known)
      const seen = Effect.flatMap(begin, (run) =>
        follower.seeThrough(run, options.yes || interactive ? gatekeeper : undefined)
      )
      // Who is told of a gate that is left waiting is told to the end; of any other gate there is nothing more to tell.
      const told = Effect.tap(seen, (code) => (code === ExitCode.waiting ? hooks.done : Effect.void))
      return yield* Effect.raceFirst(
        told,
        Effect.flatMap(terminated, (code) => follower.leave(code))
      )
    })
  )

const makeView = (json: boolean, drawn: boolean, paint: Paint): Effect.Effect<View, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => (json ? jsonView : drawn ? makeTreeView(paint) : makeLinesView(paint))),
    (view) => Effect.sync(view.close)
  )

/** How long the last event of a run is awaited when its record says that it ended, ms. */
const lastEventWait = 1_000

class Follower {
  #run: RunId | undefined
  #cancelling = false
  #isOver = false
  /** F4. */
  #isElsewhere = false
  /** Events of the time before the run was known (F3). */
  #early: Array<EngineEvent | EventsMissed> | undefined = []
  readonly #lastEvent = Deferred.unsafeMake<void>(FiberId.none)
  /** The run is not ours any longer. */
  readonly #lost = Deferred.unsafeMake<never, CommandFailed>(FiberId.none)
  /** What the store said last. */
  #trouble: string | undefined

  constructor(
    private readonly engine: typeof Engine.Service,
    private readonly persistence: typeof Persistence.Service,
    private readonly view: View,
    private readonly options: FollowOptions,
    private readonly db: string
  ) {}

  listen(gatekeeper: Gatekeeper): Effect.Effect<void, never, Scope.Scope> {
    return Effect.gen(this, function* () {
      // This engine's first.
      const events = yield* Effect.orDie(this.engine.events())
      const shown = Stream.runForEach(events, (event) =>
        Effect.zipRight(this.#receive(event), gatekeeper.notice(event))
      )
      yield* Effect.forkScoped(shown)
    })
  }

  /** Shows what a run and those below it have done. */
  load(run: RunRecord): Effect.Effect<void, PersistenceError> {
    return Effect.gen(this, function* () {
      const steps = yield* this.persistence.steps(run.id)
      const shown = steps.map((step) => shownStep(run, step))
      this.view.load(shownRun(run), shown)
      for (const child of yield* this.persistence.list({ parent: run.id, limit: maxChildren })) {
        attach(this.view, child)
        yield* this.load(child)
      }
    })
  }

  seeThrough(run: RunId, gatekeeper: Gatekeeper | undefined): Effect.Effect<ExitCode, FollowError> {
    return Effect.gen(this, function* () {
      this.#run = run
      if (this.options.forked !== undefined) yield* this.load(yield* this.persistence.get(run))
      yield* this.#headline(run)
      if (this.#cancelling) this.#sendCancel(run)
      const settled = this.#settled(run, gatekeeper)
      const asking = gatekeeper === undefined ? Effect.never : gatekeeper.keep(run, this.engine.letGo(run))
      const record = yield* Effect.raceFirst(Effect.raceFirst(settled, asking), Deferred.await(this.#lost))
      if (this.#isElsewhere) yield* this.load(record)
      else if (isEnded(record.status)) yield* Effect.timeoutOption(Deferred.await(this.#lastEvent), lastEventWait)
      return yield* this.#conclude(record)
    })
  }

  #headline(run: RunId): Effect.Effect<void, FollowError> {
    return Effect.gen(this, function* () {
      const record = yield* this.persistence.get(run)
      const dry = record.dryRun ? " (dry run)" : ""
      const database = shownPath(this.options.database)
      const { forked } = this.options
      const origin = forked === undefined ? "" : `, forked from ${forked.id}`
      const headline = `run ${run} of ${inline(record.workflow)}${dry}${origin}, recorded in ${database}`
      if (!this.options.json) this.view.say(headline)
      const early = this.#early ?? []
      this.#early = undefined
      yield* Effect.forEach(early, (event) => this.#show(event), { discard: true })
    })
  }

  // ---- events

  #receive(event: EngineEvent | EventsMissed): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#early === undefined) return this.#show(event)
      this.#early.push(event)
      return Effect.void
    })
  }

  #show(event: EngineEvent | EventsMissed): Effect.Effect<void> {
    if (this.#isOver) return Effect.void
    const shown = Effect.sync(() => this.view.event(event))
    switch (event._tag) {
      case "RunStarted":
        return event.parent === null ? shown : Effect.zipRight(this.#attach(event.run), shown)
      case "EventsMissed":
        return Effect.zipRight(shown, this.#catchUp())
      case "StorageTrouble":
        this.#trouble = event.message
        return shown
      case "LeaseLost":
        return event.run === this.#run
          ? Effect.zipRight(shown, Deferred.fail(this.#lost, this.#givenUp(event.run, event.expired)))
          : shown
      case "RunCompleted":
      case "RunCancelled": {
        const isLast = event.run === this.#run
        return isLast ? Effect.zipRight(shown, Deferred.succeed(this.#lastEvent, undefined)) : shown
      }
      default:
        return shown
    }
  }

  /** Shows how far the run has come, where events that would have told it were missed. */
  #catchUp(): Effect.Effect<void> {
    const run = this.#run
    if (run === undefined) return Effect.void
    return Effect.catchAll(
      Effect.flatMap(this.persistence.get(run), (record) => this.load(record)),
      (error) => Effect.logWarning(`run ${run}: ${error.message}`)
    )
  }

  /** The event does not say which step called the child. */
  #attach(child: RunId): Effect.Effect<void> {
    return this.persistence.get(child).pipe(
      Effect.map((record) => attach(this.view, record)),
      Effect.catchAll((error) => Effect.logWarning(`run ${child}: ${error.message}`))
    )
  }

  // ---- the end

  /** The record of the run when nothing more will happen to it here. */
  #settled(run: RunId, gatekeeper: Gatekeeper | undefined): Effect.Effect<RunRecord, FollowError> {
    return Effect.gen(this, function* () {
      for (;;) {
        yield* this.#letGoWhenWaiting(run, gatekeeper)
        const record = yield* Effect.raceFirst(this.engine.awaitRelease(run), this.#stuck(run, gatekeeper))
        if (isEnded(record.status) || record.status === "needs_resume") return record
        yield* this.#noteOwner(record, gatekeeper)
        if (isLeft(record) && isForOthers(record, gatekeeper)) return record
        yield* Effect.raceFirst(Effect.asVoid(Stream.runHead(this.persistence.changes)), Effect.sleep("200 millis"))
      }
    })
  }

  /** F4. Events of gates that open elsewhere do not come here. */
  #noteOwner({ owner }: RunRecord, gatekeeper: Gatekeeper | undefined): Effect.Effect<void> {
    if (owner === null) return Effect.void
    const isElsewhere = owner !== this.engine.id
    if (isElsewhere && !this.#isElsewhere) this.view.say("the run goes on in another process")
    this.#isElsewhere = isElsewhere
    return isElsewhere && gatekeeper !== undefined ? gatekeeper.look : Effect.void
  }

  /**
   * The record of a run that does not wait itself, since items are left to dispatch, but cannot go on: all its children
   * wait for what has to come from elsewhere.
   */
  #stuck(run: RunId, gatekeeper: Gatekeeper | undefined): Effect.Effect<RunRecord, FollowError> {
    const looked = Effect.flatMap(this.persistence.get(run), (record) =>
      record.status === "running"
        ? Effect.map(this.#isStuck(record, gatekeeper), (stuck) => (stuck ? record : undefined))
        : Effect.succeed(undefined)
    )
    return Effect.flatMap(Effect.zipRight(Effect.sleep(stuckInterval), looked), (record) =>
      record === undefined
        ? this.#stuck(run, gatekeeper)
        : Effect.succeed({ ...record, status: "waiting", owner: null, readyAt: null })
    )
  }

  #isStuck(run: RunRecord, gatekeeper: Gatekeeper | undefined): Effect.Effect<boolean, PersistenceError> {
    if (!isForOthers(run, gatekeeper)) return Effect.succeed(false)
    if (isAtRest(run)) return Effect.succeed(true)
    const open = { parent: run.id, status: openStatuses, limit: maxChildren }
    return Effect.flatMap(this.persistence.list(open), (children) =>
      children.length === 0
        ? Effect.succeed(false)
        : Effect.map(
            Effect.forEach(children, (child) => this.#isStuck(child, gatekeeper)),
            (stuck) => stuck.every(Boolean)
          )
    )
  }

  /** Without anybody to ask a waiting run is not kept for its linger. */
  #letGoWhenWaiting(run: RunId, gatekeeper: Gatekeeper | undefined): Effect.Effect<void, FollowError> {
    if (gatekeeper !== undefined) return Effect.void
    return Effect.flatMap(this.persistence.get(run), (record) =>
      record.status === "waiting" && isForOthers(record, gatekeeper) ? this.engine.letGo(run) : Effect.void
    )
  }

  /** The process is told to go: the run will be left as it is. */
  leave(code: ExitCode): Effect.Effect<ExitCode, FollowError> {
    return Effect.gen(this, function* () {
      if (this.#run === undefined) return code
      if (this.options.json) this.#end(yield* this.persistence.get(this.#run))
      yield* this.sayHowToGoOn()
      return code
    })
  }

  #end(run: RunRecord): void {
    this.#isOver = true
    this.view.end(shownRun(run))
  }

  #conclude(run: RunRecord): Effect.Effect<ExitCode, RunNotFound | PersistenceError | CommandFailed> {
    return Effect.gen(this, function* () {
      if (!existsSync(this.options.database))
        return yield* new CommandFailed({
          message: `the database ${shownPath(this.options.database)} was deleted while the run went on: it is recorded nowhere`
        })
      this.#end(run)
      switch (run.status) {
        case "completed":
          return ExitCode.done
        case "failed":
          yield* this.sayHowToGoOn()
          return ExitCode.failed
        case "cancelled":
          return ExitCode.cancelled
        case "needs_resume":
          yield* this.sayHowToGoOn()
          return ExitCode.needsResume
        case "pending":
        case "waiting": {
          const gates = yield* Effect.provideService(Client.gatesToAnswer(run), Persistence, this.persistence)
          for (const line of howToGoOn(run, gates, this.db)) this.view.say(line)
          return ExitCode.waiting
        }
        default:
          return yield* this.#givenUp(run.id, this.#trouble !== undefined)
      }
    })
  }

  /** The lease ran out while nothing could be written, or another engine has the run. */
  #givenUp(run: RunId, expired: boolean): CommandFailed {
    if (!expired) return new CommandFailed({ message: `run ${run} has been taken over by another process` })
    const why = this.#trouble?.replace(/; trying again$/, "") ?? "its lease could not be renewed in time"
    return new CommandFailed({ message: `run ${run} is given up here: ${why}`, hint: howToResume(run, this.db) })
  }

  get howToGoOn(): string {
    return this.#run === undefined ? "nothing was recorded" : howToResume(this.#run, this.db)
  }

  sayHowToGoOn(): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.#run !== undefined) this.view.say(howToResume(this.#run, this.db))
    })
  }

  // ---- Ctrl-C

  cancel(): void {
    this.#cancelling = true
    this.view.say("cancelling; once more stops at once")
    if (this.#run !== undefined) this.#sendCancel(this.#run)
  }

  #sendCancel(run: RunId): void {
    Client.cancel(run, "interrupted on the terminal").pipe(
      Effect.provideService(Persistence, this.persistence),
      // It ended in the meantime, which is what is wanted.
      Effect.catchTag("RunAlreadyEnded", () => Effect.void),
      Effect.catchAll((error) => Effect.sync(() => writeError(`error: ${error.message}`))),
      Effect.runFork
    )
  }
}

const attach = (view: View, child: RunRecord): void => {
  const { id, inputs, parent } = child
  if (parent === null) return
  const item = inputs["item.id"]
  const path = shownStepPath(child, parent.path)
  view.attach(id, parent.run, path, item === undefined ? undefined : shownText(child, item))
}

/** Between two looks whether a run can go on by itself, ms. */
const stuckInterval = 500

const openStatuses = ["pending", "running", "waiting", "cancelling"] as const

/** Children that are shown of what a run has done before. */
const maxChildren = 200

/** Nobody owns the run, and nothing makes it go on by now. */
const isLeft = (run: RunRecord): boolean =>
  isAtRest(run) && run.owner === null && (run.readyAt === null || run.readyAt > Date.now())

/** Whether a run waits for what has to come from elsewhere: not for a time, a resolver, or whom is asked here. */
const isForOthers = (run: RunRecord, gatekeeper: Gatekeeper | undefined): boolean => {
  if (isPaused(run)) return true
  const isAsked = gatekeeper !== undefined && !gatekeeper.hasLeft
  const outside = run.blockedOn.filter(
    (blocker) => isForPerson(blocker) || blocker._tag === "signal" || blocker._tag === "paused"
  )
  return outside.length > 0 && !(isAsked && outside.some(isForPerson))
}
