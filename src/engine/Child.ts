/**
 * Child runs: runs of their own that a step of their parent waits for (spec/engine.md, "Child runs").
 *
 * - C1 A child is created in the commit that records who dispatched it.
 * - C2 A child tells its parent by rows (`ChildEnded`, `ChildWaiting`, `ChildRunning`), so the parent may be let go; its
 *   end without one where the parent lives beside it, which is not let go before it has heard of it.
 * - C3 A parent that stops waiting for good cancels the child and waits for its end, its always included.
 * - C6 What a child gives, or waits for, is shown by its parent only when that hides the child's secrets too.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { BlockedOn, RunId, RunRecord, RunSettings, StepPath, StepRecord } from "../persistence/Records.ts"
import { isEnded } from "../persistence/Records.ts"
import type { Texts } from "../workflow/Definition.ts"
import { type Secrets, withValues } from "../workflow/Secrets.ts"
import type { Branch } from "./Branch.ts"
import { awaitWithin } from "./Deadlines.ts"
import * as RunTotals from "./Totals.ts"
import { newRun } from "./NewRun.ts"
import { isAtRest, isPaused } from "./Pause.ts"
import { type Children, pathTopic, type RunContext } from "./RunContext.ts"

export interface ChildRequest {
  readonly workflow: string
  readonly title: string
  /** Key of its stored definition. */
  readonly definition: string
  readonly inputs: Texts
  readonly payload: unknown
  readonly path: StepPath
  /** Tells this child from the others of the run: an attempt's number, an item's key. */
  readonly key: string
  /** Laid over the parent's settings. */
  readonly settings: Partial<RunSettings>
  /** The child's own; what its parent hides it hides too. */
  readonly secrets?: Secrets | undefined
}

/** The record of a child that has not started: owned by its parent's engine. */
export const childRecord = (parent: RunContext, request: ChildRequest): RunRecord => {
  const { record } = parent
  const secrets = withValues(request.secrets, record.settings.secrets?.values ?? [])
  const { secrets: _own, ...inherited } = record.settings
  return newRun({
    id: parent.host.newRunId(),
    workflow: request.workflow,
    title: request.title,
    definition: request.definition,
    parent: { run: parent.id, path: request.path },
    root: record.root,
    depth: record.depth + 1,
    dryRun: record.dryRun,
    trigger: record.trigger,
    inputs: request.inputs,
    payload: request.payload,
    settings: {
      ...inherited,
      runTimeout: null,
      ...request.settings,
      ...(secrets === undefined ? {} : { secrets })
    },
    createdAt: parent.now(),
    target: record.target,
    idempotencyKey: `${parent.id}${request.path}/${request.key}`,
    owner: record.owner,
    generation: 1
  })
}

/** The encoded success of a child in code that completed. */
export const successInCode = (result: unknown): { readonly value: unknown } | undefined =>
  Predicate.isTagged(result, "Success") && Predicate.hasProperty(result, "value") ? result : undefined

export interface AwaitedChild {
  readonly branch: Branch
  /** Of the step or item that dispatched it. */
  readonly path: StepPath
  readonly child: RunId
  /** The child is opened again until it has this epoch. */
  readonly epoch: number
  /** Its record, should it have to be started elsewhere because a crash kept it from that. */
  readonly dispatched?: () => RunRecord
  /** When its parent waits no longer, ms since the epoch. */
  readonly deadline?: number | null
}

/**
 * Ends a child that its parent no longer wants, and waits for that end as long as an always block may take. Runs where
 * it cannot be interrupted.
 */
export const endChild = (options: AwaitedChild): Effect.Effect<RunRecord | undefined> => {
  const { run } = options.branch
  const { deadlines, children, settings } = run.host
  const ended = Effect.zipRight(
    children.send(options.child, { _tag: "Cancel", reason: "parent", text: null }),
    untilEnded({ ...options, epoch: 0 }, { isCancelled: true, seen: -1, isFresh: false })
  )
  return Effect.flatMap(Effect.forkDaemon(Effect.interruptible(ended)), (fiber) => {
    // A parent that leaves this engine leaves its children too: whoever goes on with it waits for them.
    const unlisten = run.onSilent(() => fiber.unsafeInterruptAsFork(fiber.id()))
    const waited = awaitWithin(deadlines, fiber, settings.alwaysLimit + settings.interruptGrace)
    return Effect.ensuring(waited, Effect.sync(unlisten))
  })
}

/** Waits for a child's end. One that continued as new ends with the last run of its chain; its totals are those of all. */
export const awaitChild = (options: AwaitedChild): Effect.Effect<RunRecord> =>
  Effect.flatMap(untilEnded(options, { isCancelled: false, seen: 0, isFresh: false }), (child) =>
    child === undefined ? Effect.dieMessage(`child run ${options.child} is nowhere`) : Effect.succeed(child)
  )

interface Look {
  /** The child is wanted no longer. */
  readonly isCancelled: boolean
  /**
   * How often somebody had asked for the parent when the child was last seen to. One that is parked is tried again only
   * when somebody asks: a replay that does not fit would be parked, and wake its parent, for ever.
   */
  readonly seen: number
  /** The child was started or opened again since the last look: a pause may have missed it. */
  readonly isFresh: boolean
}

const untilEnded = (options: AwaitedChild, look: Look): Effect.Effect<RunRecord | undefined> =>
  Effect.suspend(() => {
    const { branch } = options
    const { children } = branch.run.host
    const { isCancelled } = look
    consumeNews(options)
    const seen = branch.run.timesAsked
    const again = (isFresh: boolean) => Effect.suspend(() => untilEnded(options, { isCancelled, seen, isFresh }))
    const isHeld = !isCancelled && branch.isHeld
    const dispatched = isCancelled || isHeld ? undefined : options.dispatched
    // Z2: a child is neither started nor opened again.
    const unheld = Effect.zipRight(branch.unpaused(), again(false))
    const found = Effect.tap(children.get(options.child, dispatched), (child) => learnFrom(branch.run, child))
    return Effect.flatMap(found, (child) => {
      if (child === undefined) return isHeld && options.dispatched !== undefined ? unheld : Effect.succeed(undefined)
      if (child.continuedAs !== null) return alongChain(options, child, child.continuedAs, look)
      if (isEnded(child.status)) {
        if (child.epoch >= options.epoch) return Effect.succeed(child)
        return isHeld ? unheld : Effect.zipRight(children.reopen(options.child), again(true))
      }
      const isParked = child.status === "needs_resume" && seen === look.seen
      if (isParked && isCancelled) return Effect.succeed(child)
      const isMissed = branch.isHeld && !isPaused(child) && (look.isFresh || dispatched !== undefined)
      const paused = isMissed ? children.send(options.child, { _tag: "Pause" }) : Effect.void
      const ensured = isParked ? Effect.succeed(false) : children.ensure(options.child)
      return Effect.flatMap(Effect.zipRight(paused, ensured), (hasEnded) =>
        hasEnded ? again(false) : Effect.zipRight(untilNews(options, child), again(false))
      )
    })
  })

/** C6 */
const learnFrom = (run: RunContext, child: RunRecord | undefined): Effect.Effect<void> => {
  const values = child?.settings.secrets?.values
  return values === undefined ? Effect.void : run.learn({ inputs: [], values })
}

const alongChain = (
  { branch, path, epoch, deadline = null }: AwaitedChild,
  { totals }: RunRecord,
  child: RunId,
  look: Look
): Effect.Effect<RunRecord | undefined> =>
  Effect.map(untilEnded({ branch, path, epoch, child, deadline }, look), (ended) =>
    ended === undefined ? undefined : { ...ended, totals: RunTotals.add(totals, ended.totals) }
  )

/** A child that is opened again instead of started anew. */
export interface ReopenableChild {
  readonly child: RunId
  /** The epoch that it is to have. */
  readonly epoch: number
}

/** The child of a step that an explicit resume does again. */
export const reopenableChild = (run: RunContext, path: StepPath): Effect.Effect<ReopenableChild | undefined> => {
  const before = run.writer.superseded.get(path)
  const isDone = before?.status === "completed" || before?.status === "skipped"
  const child = isDone ? null : (before?.attempts.at(-1)?.childRun ?? null)
  if (child === null) return Effect.succeed(undefined)
  return Effect.map(newestOf(run.host.children, child), (record) =>
    record === undefined ? undefined : { child: record.id, epoch: wantedEpoch(record) }
  )
}

const wantedEpoch = (child: RunRecord): number =>
  child.status === "failed" || child.status === "cancelled" ? child.epoch + 1 : child.epoch

/** The run that a child has come to: the last of its chain, where it continued as new. */
const newestOf = (children: Children, child: RunId): Effect.Effect<RunRecord | undefined> =>
  Effect.flatMap(children.get(child), (record) => {
    const next = record?.continuedAs ?? null
    return next === null ? Effect.succeed(record) : newestOf(children, next)
  })

/** Waits until the child has something to tell, or, where it lives elsewhere, may have. */
const untilNews = (options: AwaitedChild, child: RunRecord): Effect.Effect<void> => {
  const { run } = options.branch
  const isWaiting = isAtRest(child) || child.status === "needs_resume"
  const blockedOn = isWaiting ? blockers(options, child) : []
  const elsewhere = run.host.children.elsewhere(child)
  const look = elsewhere === undefined ? null : run.now() + elsewhere.within
  const times = [look, options.deadline ?? null].filter((time) => time !== null)
  const wakeAt = times.length === 0 ? null : Math.min(...times)
  const parked = run.park({ blockedOn, wakeAt }, [pathTopic(options.path)], () => hasNews(options))
  return elsewhere === undefined ? parked : Effect.raceFirst(parked, elsewhere.changed)
}

/** What a child that does not go on by itself is blocked on; a parked one on a resume. */
const blockers = (options: AwaitedChild, child: RunRecord): ReadonlyArray<BlockedOn> =>
  child.blockedOn.length > 0
    ? child.blockedOn
    : [
        {
          _tag: "child",
          run: child.id,
          path: options.path,
          name: child.workflow,
          kind: null,
          prompt: child.error,
          options: [],
          minApprovals: 0,
          until: null
        }
      ]

const newsOf = (options: AwaitedChild) =>
  options.branch.run.inbox.filter(
    ({ message }) =>
      (message._tag === "ChildEnded" || message._tag === "ChildWaiting" || message._tag === "ChildRunning") &&
      message.child === options.child
  )

const hasNews = (options: AwaitedChild): boolean =>
  options.branch.run.left.has(options.child) || newsOf(options).length > 0

/** The messages only wake: what they say is read from the child's own record. */
const consumeNews = (options: AwaitedChild): void => {
  const { run } = options.branch
  run.left.delete(options.child)
  const news = newsOf(options)
  if (news.length > 0) run.append([run.consume(news.map((row) => row.id))])
}

/** Ends the child of an attempt that was stopped; what it has cost counts all the same. */
export const stopChild = (branch: Branch, row: StepRecord): Effect.Effect<void> => {
  const { run } = branch
  const { childRun: child, childEpoch: epoch } = row.attempts.at(-1) ?? { childRun: null, childEpoch: 1 }
  if (child === null) return Effect.void
  return Effect.map(endChild({ branch, path: row.path, child, epoch }), (ended) => {
    if (ended === undefined || !isEnded(ended.status) || run.silent !== undefined) return
    const totals = RunTotals.add(run.record.totals, ended.totals)
    run.append([{ _tag: "Run", patch: { totals } }])
  })
}
