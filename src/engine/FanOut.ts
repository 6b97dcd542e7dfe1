/**
 * The fan-out: work for each item of a provider (spec/engine.md, "foreach"; spec/language.md, "Pipeline").
 *
 * Owns: which items there are, which may start when, and their rows. Neighbours: `ItemWork` is what is done for one.
 * - N1 All items are rows before the first is dispatched; a child's id is recorded in the commit that dispatches it.
 * - N2 An item that ended is kept over crashes and counts for ordering.
 * - N3 A dependent starts when all its blockers have ended; a cycle is found before anything is dispatched.
 * - N4 With `skip_dependents`, what depends on an item that failed is skipped, also if it is reported only after that.
 * - N5 An item that was left running keeps its place among those at work, and those that may start do so by position:
 *   what is done next after a crash is what would have been done.
 */
import * as Effect from "effect/Effect"
import type { ItemEdge, ItemProviderFailed, Items } from "../action/ItemProvider.ts"
import type { Change } from "../persistence/Journal.ts"
import type { FanOutCounters, ItemRecord, ItemStatus, StepRecord } from "../persistence/Records.ts"
import { noResult } from "../persistence/Records.ts"
import type { OnChildFail } from "../workflow/Definition.ts"
import { encodeKey } from "../workflow/StepNames.ts"
import type { Branch } from "./Branch.ts"
import type { EngineEvent } from "./Events.ts"
import { forkJoin, type Task } from "./ForkJoin.ts"
import { stopItemChild } from "./ItemChildren.ts"
import { dropCycles, ItemGraph } from "./ItemGraph.ts"
import {
  countersOf,
  endedItem,
  isOpen,
  type ItemEnd,
  type ItemWork,
  noCounters,
  outputOf,
  pendingItem
} from "./ItemRecords.ts"
import type { RunContext } from "./RunContext.ts"
import type { Attempt, AttemptFailure, AttemptSuccess } from "./Step.ts"
import type { StopReason } from "./StopReason.ts"
import * as RunTotals from "./Totals.ts"

export interface FanOutSpec {
  readonly kind: "foreach" | "pipeline"
  readonly name: string
  readonly provider: string
  readonly items: Effect.Effect<Items, ItemProviderFailed>
  readonly maxParallel: number
  readonly ordered: boolean
  readonly onCycle: "fail" | "warn"
  readonly onChildFail: OnChildFail
  readonly work: ItemWork
}

/** The body of a fan-out's attempt. */
export const fanOut = (attempt: Attempt, spec: FanOutSpec): Effect.Effect<AttemptSuccess, AttemptFailure> =>
  Effect.flatMap(
    Effect.mapError(spec.items, (error): AttemptFailure => ({ message: error.message })),
    (provided) => new FanOut(attempt, spec, provided).run
  )

/** Ends the items that an attempt left running, their children included: it never began, or its engine died. */
export const stopItems = (branch: Branch, step: StepRecord): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { run } = branch
    const items = run.writer.journal.items.get(step.path)?.values() ?? []
    const running = [...items].filter((item) => item.status === "running")
    return Effect.forEach(
      running,
      (item) =>
        Effect.map(stopItemChild(branch, step.path, item), (end) => {
          if (run.silent === undefined) recordStopped(run, step, item, end)
        }),
      { concurrency: "unbounded", discard: true }
    )
  })

const wasStopped: ItemEnd = { status: "cancelled", error: null, output: null }

/** As the fan-out itself records an item that it stopped. */
const recordStopped = (run: RunContext, step: StepRecord, item: ItemRecord, end: ItemEnd | undefined): void => {
  const ended = endedItem(item, end ?? wasStopped, run.now())
  const items = new Map(run.writer.journal.items.get(step.path)).set(item.key, ended)
  const row = { ...(run.row(step.path) ?? step), fanOut: countersOf([...items.values()]) }
  const changes: Array<Change> = [{ _tag: "Item", item: ended }, { _tag: "Step", step: row }, ...totalsOf(run, end)]
  run.append(changes, [itemCompleted(run, row, ended)])
}

const itemCompleted = (run: RunContext, step: StepRecord, { error, id, status }: ItemRecord): EngineEvent => ({
  _tag: "FanOutItemCompleted",
  ...run.about(step),
  item: id,
  succeeded: status === "completed",
  error
})

const totalsOf = (run: RunContext, end: ItemEnd | undefined): ReadonlyArray<Change> =>
  end?.totals === undefined ? [] : [{ _tag: "Run", patch: { totals: RunTotals.add(run.record.totals, end.totals) } }]

class FanOut {
  readonly #graph = new ItemGraph()
  /** Items that may start, those that were left running first (N5), and those that wait for blockers; by position. */
  #ready: Array<ItemRecord> = []
  #blocked: Array<ItemRecord> = []
  #nextReady = 0
  /** Items by id that have not ended. */
  readonly #open = new Map<string, number>()
  #counters: FanOutCounters = noCounters
  /** Nothing more is dispatched. */
  #isHalted = false
  /** Whether the run has been told of items left to dispatch. */
  #hasLeft = false

  constructor(
    private readonly attempt: Attempt,
    private readonly spec: FanOutSpec,
    private readonly provided: Items
  ) {}

  get #run(): RunContext {
    return this.attempt.run
  }

  get #path() {
    return this.attempt.spec.path
  }

  get #items(): ReadonlyMap<string, ItemRecord> {
    return this.#run.writer.journal.items.get(this.#path) ?? new Map()
  }

  get run(): Effect.Effect<AttemptSuccess, AttemptFailure> {
    return Effect.gen(this, function* () {
      for (const warning of this.provided.warnings ?? []) yield* this.attempt.warn(warning)
      const limit = this.#run.settings.maxFanOut
      const { length } = this.provided.items
      if (length > limit) return yield* Effect.fail({ message: `${length} items are more than the limit of ${limit}` })
      yield* this.#order()
      this.#collect()
      yield* this.#run.flush
      yield* this.#dispatchAll()
      return yield* this.#finish()
    })
  }

  #dispatchAll(): Effect.Effect<void> {
    const { spec } = this.attempt
    const joined = forkJoin({
      parent: spec.branch,
      limit: Math.max(1, this.spec.maxParallel),
      next: () => this.#next(),
      ended: (_branch, item) => this.#itemEnded(item)
    })
    const over = Effect.sync(() => {
      this.#isHalted = true
      this.#noteLeft()
    })
    return Effect.ensuring(joined, over)
  }

  /** N3. Edges to items outside the set are ignored with a warning. */
  #order(): Effect.Effect<void, AttemptFailure> {
    if (!this.spec.ordered) return Effect.void
    return Effect.gen(this, function* () {
      const known = new Set([...this.provided.items, ...this.#items.values()].map((item) => item.id))
      const inside: Array<ItemEdge> = []
      for (const edge of this.provided.edges ?? []) {
        if (known.has(edge.blocker) && known.has(edge.dependent)) inside.push(edge)
        else {
          yield* this.attempt.warn(`the edge from '${edge.blocker}' to '${edge.dependent}' leaves the items: ignored`)
        }
      }
      const { edges, cycles } = dropCycles(inside)
      for (const cycle of cycles) {
        const message = `the items' dependencies have a cycle: ${cycle.join(" -> ")}`
        if (this.spec.onCycle === "fail") return yield* Effect.fail({ message, permanent: true })
        yield* this.attempt.warn(`${message}; the last edge is dropped`)
      }
      for (const edge of edges) this.#graph.add(edge)
    })
  }

  /** N1: rows for the items that are new. */
  #collect(): void {
    const items = new Map(this.#items)
    const changes: Array<Change> = []
    for (const item of this.provided.items) {
      const key = `${item.type}:${item.id}`
      if (items.has(key)) continue
      const record = pendingItem(this.#path, key, items.size + 1, item)
      items.set(key, record)
      changes.push({ _tag: "Item", item: record })
    }
    // N4
    for (const failed of [...items.values()].filter((item) => item.status === "failed")) {
      for (const item of this.#dependents(failed, items)) {
        items.set(item.key, item)
        changes.push({ _tag: "Item", item })
      }
    }
    const all = [...items.values()]
    this.#counters = countersOf(all)
    const counted = this.attempt.patchStep({ fanOut: this.#counters })
    const event = { ...this.#run.about(this.attempt.step), total: items.size, counters: this.#counters }
    this.#run.append([...changes, counted], [{ _tag: "FanOutItemsCollected", ...event }])
    this.#isHalted = this.spec.onChildFail === "halt" && all.some((item) => item.status === "failed")
    this.#queue(all.filter((item) => isOpen(item.status)))
  }

  #queue(open: ReadonlyArray<ItemRecord>): void {
    for (const item of open) this.#open.set(item.id, (this.#open.get(item.id) ?? 0) + 1)
    this.#ready = open.filter((item) => this.#mayStart(item)).sort(inTurn)
    this.#blocked = open.filter((item) => !this.#mayStart(item))
    this.#noteLeft()
  }

  /** Tells the run whether items are left to dispatch: then it does not wait, whatever its children do. */
  #noteLeft(): void {
    const left = !this.#isHalted && (this.#nextReady < this.#ready.length || this.#blocked.length > 0)
    if (left === this.#hasLeft) return
    this.#hasLeft = left
    this.#run.addQueued(left ? 1 : -1)
  }

  #mayStart(item: ItemRecord): boolean {
    if (item.status === "running") return true
    for (const blocker of this.#graph.blockers(item.id)) if (this.#open.has(blocker)) return false
    return true
  }

  /** The next item that may start; after a halt that a crash cut short, only those left running, to be ended. */
  #next(): Task<ItemRecord, never> | undefined {
    for (let item = this.#ready[this.#nextReady]; item !== undefined; item = this.#ready[this.#nextReady]) {
      this.#nextReady += 1
      if (this.#isHalted && item.status !== "running") continue
      this.#noteLeft()
      const branch = this.attempt.spec.branch.child(`${lastSegment(this.#path)}/${encodeKey(item.key)}`)
      if (this.#isHalted) branch.stop({ _tag: "FailFast" })
      return { branch, alwaysBegins: true, effect: this.#runItem(item, branch) }
    }
    return undefined
  }

  /** An item ended: what waited only for it may start. */
  #close(items: ReadonlyArray<ItemRecord>): void {
    for (const item of items) {
      const left = (this.#open.get(item.id) ?? 1) - 1
      if (left === 0) this.#open.delete(item.id)
      else this.#open.set(item.id, left)
    }
    if (this.#blocked.length === 0) return
    const skipped = new Set(items.map((item) => item.key))
    const waiting = this.#blocked.filter((item) => !skipped.has(item.key))
    const freed = waiting.filter((item) => this.#mayStart(item))
    if (freed.length > 0) {
      this.#ready = [...this.#ready.slice(this.#nextReady), ...freed].sort(inTurn)
      this.#nextReady = 0
    }
    this.#blocked = waiting.filter((item) => !this.#mayStart(item))
    this.#noteLeft()
  }

  /** Dispatches an item, or takes up what was dispatched, and records its end. */
  #runItem(item: ItemRecord, branch: Branch): Effect.Effect<ItemRecord> {
    const { work } = this.spec
    return Effect.uninterruptible(
      Effect.gen(this, function* () {
        if (item.status === "pending") yield* Effect.interruptible(branch.unpaused())
        if (branch.stopReason !== undefined) return yield* this.#stopLeft(item, branch)
        const { record, started } = this.#dispatch(item)
        yield* Effect.zipRight(this.#run.flush, started)
        const exit = yield* Effect.exit(Effect.interruptible(work.run(record, branch)))
        if (exit._tag === "Success") return this.#record(record, exit.value)
        yield* this.#stop(record, branch)
        return yield* Effect.failCause(exit.cause)
      })
    )
  }

  /** An item that has not started never will; one that was left running is ended. */
  #stopLeft(item: ItemRecord, branch: Branch): Effect.Effect<never> {
    const stopped = item.status === "running" ? this.#stop(item, branch) : Effect.void
    return Effect.zipRight(stopped, Effect.interrupt)
  }

  /** Ends an item that was dispatched. A silent stop meanwhile leaves that to whoever goes on with the run. */
  #stop(item: ItemRecord, branch: Branch): Effect.Effect<void> {
    if (this.#run.silent !== undefined) return Effect.void
    return Effect.map(this.spec.work.stop(item, branch), (end) => {
      if (this.#run.silent === undefined) this.#record(item, end)
    })
  }

  #dispatch(item: ItemRecord): { readonly record: ItemRecord; readonly started: Effect.Effect<void> } {
    if (item.status === "running") return { record: item, started: Effect.void }
    const dispatched = this.spec.work.dispatch(item)
    const dispatchedAt = this.#run.now()
    const record: ItemRecord = { ...dispatched.item, status: "running", dispatchedAt, error: null }
    const event = { ...this.#run.about(this.attempt.step), item: item.id }
    const counted = this.#count(item.status, "running", 1)
    this.#run.append(
      [{ _tag: "Item", item: record }, ...dispatched.changes, counted],
      [{ _tag: "FanOutItemStarted", ...event }]
    )
    return { record, started: dispatched.started }
  }

  /** The step with its counters after `n` items changed their status. */
  #count(from: ItemStatus, to: ItemStatus, n: number): Change {
    const counters = { ...this.#counters }
    if (from === "running") counters.running -= n
    if (to === "running" || to === "completed" || to === "failed" || to === "skipped") counters[to] += n
    this.#counters = counters
    return this.attempt.patchStep({ fanOut: counters })
  }

  #record(item: ItemRecord, end: ItemEnd = wasStopped): ItemRecord {
    const ended = endedItem(item, end, this.#run.now())
    const { status } = end
    const skipped = status === "failed" ? this.#dependents(ended, this.#items) : []
    const changes: Array<Change> = [ended, ...skipped].map((item) => ({ _tag: "Item", item }))
    changes.push(this.#count("running", status, 1))
    if (skipped.length > 0) changes.push(this.#count("pending", "skipped", skipped.length))
    changes.push(...totalsOf(this.#run, end))
    this.#run.append(changes, [itemCompleted(this.#run, this.attempt.step, ended)])
    this.#close([ended, ...skipped])
    return ended
  }

  /** The items that can no longer be reached, as skipped. */
  #dependents(failed: ItemRecord, items: ReadonlyMap<string, ItemRecord>): ReadonlyArray<ItemRecord> {
    if (this.spec.onChildFail !== "skip_dependents") return []
    const reachable = this.#graph.reachableFrom(failed.id)
    const error = `skipped: '${failed.id}' failed`
    return [...items.values()]
      .filter((item) => item.status === "pending" && reachable.has(item.id))
      .map((item) => ({ ...item, status: "skipped", error, completedAt: this.#run.now() }))
  }

  #itemEnded(item: ItemRecord): StopReason | undefined {
    if (item.status !== "failed" || this.spec.onChildFail !== "halt") return undefined
    this.#isHalted = true
    this.#noteLeft()
    return { _tag: "FailFast" }
  }

  #finish(): Effect.Effect<AttemptSuccess, AttemptFailure> {
    const { kind, name, provider } = this.spec
    const items = [...this.#items.values()]
    const { total, completed, failed, skipped } = countersOf(items)
    const text =
      total === 0
        ? `${kind} ${name}: no items to process`
        : `${kind} ${name}: ${completed} completed, ${failed} failed, ${skipped} skipped of ${total} ${provider}`
    const result = { ...noResult, context: text, text, structured: outputOf(items) }
    if (failed === 0) return Effect.succeed({ result })
    const message = `${kind} '${name}': ${failed} of ${total} items failed`
    return Effect.fail({ message, permanent: true, result })
  }
}

/** N5. */
const inTurn = (one: ItemRecord, other: ItemRecord): number => {
  const isFirst = Number(other.status === "running") - Number(one.status === "running")
  return isFirst === 0 ? one.position - other.position : isFirst
}

const lastSegment = (path: string): string => path.slice(path.lastIndexOf("/") + 1)
