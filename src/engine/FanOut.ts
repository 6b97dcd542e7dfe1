/**
 * The fan-out: a child run for each item of a provider (spec/engine.md, "foreach").
 *
 * - N1 All items are rows before the first is dispatched; a child's id is recorded in the commit that dispatches it.
 * - N2 An item that ended is kept over crashes and counts for ordering.
 * - N3 A dependent starts when all its blockers have ended; a cycle is found before anything is dispatched.
 */
import * as Effect from "effect/Effect"
import type { Item, ItemEdge, ItemProviderFailed, Items } from "../action/ItemProvider.ts"
import type { Change } from "../persistence/Journal.ts"
import type { FanOutCounters, ItemRecord, ItemStatus, RunId, RunRecord, StepRecord } from "../persistence/Records.ts"
import { noResult } from "../persistence/Records.ts"
import type { OnChildFail } from "../workflow/Definition.ts"
import { encodeKey } from "../workflow/StepNames.ts"
import type { Branch } from "./Branch.ts"
import { awaitChild, type ChildRequest, childRecord, endChild } from "./Child.ts"
import { dropCycles, ItemGraph } from "./ItemGraph.ts"
import { forkJoin, type Task } from "./ForkJoin.ts"
import type { RunContext } from "./RunContext.ts"
import type { Attempt, AttemptFailure, AttemptSuccess } from "./Step.ts"
import type { StopReason } from "./StopReason.ts"
import * as RunTotals from "./Totals.ts"

export interface FanOutSpec {
  readonly name: string
  readonly provider: string
  readonly items: Effect.Effect<Items, ItemProviderFailed>
  readonly maxParallel: number
  readonly ordered: boolean
  readonly onCycle: "fail" | "warn"
  readonly onChildFail: OnChildFail
  readonly child: (item: ItemRecord) => Omit<ChildRequest, "path" | "key">
}

/** The body of a fan-out's attempt. */
export const fanOut = (attempt: Attempt, spec: FanOutSpec): Effect.Effect<AttemptSuccess, AttemptFailure> =>
  Effect.flatMap(
    Effect.mapError(spec.items, (error): AttemptFailure => ({ message: error.message })),
    (provided) => new FanOut(attempt, spec, provided).run
  )

/** Ends the children of items that an attempt left running: it never began, or its engine died. */
export const stopItems = (branch: Branch, step: StepRecord): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { run } = branch
    const items = run.writer.journal.items.get(step.path)?.values() ?? []
    const running = [...items].filter((item) => item.status === "running")
    return Effect.forEach(
      running,
      (item) => {
        const ended =
          item.childRun === null
            ? Effect.void
            : endChild({ branch, path: step.path, child: item.childRun, epoch: item.childEpoch })
        return Effect.map(ended, (child) => recordStopped(run, step, item, child ?? undefined))
      },
      { concurrency: "unbounded", discard: true }
    )
  })

/** As the fan-out itself records an item that it stopped. */
const recordStopped = (run: RunContext, step: StepRecord, item: ItemRecord, child: RunRecord | undefined): void => {
  const ended = endedItem(run, item, stoppedAs(child), child)
  const items = new Map(run.writer.journal.items.get(step.path)).set(item.key, ended)
  const row = { ...(run.row(step.path) ?? step), fanOut: countersOf([...items.values()]) }
  const changes: Array<Change> = [{ _tag: "Item", item: ended }, { _tag: "Step", step: row }, ...totalsOf(run, child)]
  const succeeded = ended.status === "completed"
  run.append(changes, [{ _tag: "FanOutItemCompleted", ...run.about(row), item: item.id, succeeded }])
}

/** A child that had ended by itself when it was stopped keeps its end. */
const stoppedAs = (child: RunRecord | undefined): ItemStatus =>
  child?.status === "completed" || child?.status === "failed" ? child.status : "cancelled"

const endedItem = (run: RunContext, item: ItemRecord, status: ItemStatus, child: RunRecord | undefined): ItemRecord => {
  const error = child === undefined || status === "completed" ? null : (child.error ?? `child run ${child.status}`)
  const output = child === undefined ? null : structuredOf(child)
  return { ...item, status, error, output, completedAt: run.now() }
}

const totalsOf = (run: RunContext, child: RunRecord | undefined): ReadonlyArray<Change> =>
  child === undefined ? [] : [{ _tag: "Run", patch: { totals: RunTotals.add(run.record.totals, child.totals) } }]

const isOpen = (status: ItemStatus): boolean => status === "pending" || status === "running"

class FanOut {
  readonly #graph = new ItemGraph()
  /** Items that may start, and those that wait for blockers; by position. */
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
    const all = [...items.values()]
    this.#counters = countersOf(all)
    const counted = this.attempt.patchStep({ fanOut: this.#counters })
    const event = { ...this.#run.about(this.attempt.step), total: items.size }
    this.#run.append([...changes, counted], [{ _tag: "FanOutItemsCollected", ...event }])
    this.#isHalted = this.spec.onChildFail === "halt" && all.some((item) => item.status === "failed")
    this.#queue(all.filter((item) => isOpen(item.status)))
  }

  #queue(open: ReadonlyArray<ItemRecord>): void {
    for (const item of open) this.#open.set(item.id, (this.#open.get(item.id) ?? 0) + 1)
    this.#ready = open.filter((item) => this.#mayStart(item))
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
      return { branch, effect: this.#runItem(item, branch) }
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
    for (const item of waiting) if (this.#mayStart(item)) this.#ready.push(item)
    this.#blocked = waiting.filter((item) => !this.#mayStart(item))
    this.#noteLeft()
  }

  /** Dispatches an item, or takes up the child that it has, and records its end. */
  #runItem(item: ItemRecord, branch: Branch): Effect.Effect<ItemRecord> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen(this, function* () {
        if (branch.stopReason !== undefined) return yield* this.#stopLeft(item, branch)
        const { record, create } = this.#dispatch(item)
        yield* this.#run.flush
        if (create !== undefined) yield* this.#run.host.children.start(create)
        const { childRun: child, childEpoch: epoch } = record
        if (child === null) return yield* Effect.dieMessage(`item ${item.key} was dispatched without a child`)
        const dispatched = () => create ?? { ...this.#childOf(item), id: child }
        const wait = awaitChild({ branch, path: this.#path, child, epoch, dispatched })
        const exit = yield* Effect.exit(restore(wait))
        if (exit._tag === "Success") {
          const { value } = exit
          return this.#record(record, value.status === "completed" ? "completed" : "failed", value)
        }
        if (this.#run.silent === undefined) yield* this.#stopItem(record, branch, child)
        return yield* Effect.failCause(exit.cause)
      })
    )
  }

  #childOf(item: ItemRecord): RunRecord {
    const key = `${item.key}#${this.attempt.step.epoch}`
    return childRecord(this.#run, { ...this.spec.child(item), path: this.#path, key })
  }

  /** An item that has not started never will; one that was left running is ended. */
  #stopLeft(item: ItemRecord, branch: Branch): Effect.Effect<never> {
    const { childRun } = item
    const isRunning = item.status === "running" && childRun !== null && this.#run.silent === undefined
    return isRunning ? Effect.zipRight(this.#stopItem(item, branch, childRun), Effect.interrupt) : Effect.interrupt
  }

  #stopItem(item: ItemRecord, branch: Branch, child: RunId): Effect.Effect<void> {
    return Effect.map(endChild({ branch, path: this.#path, child, epoch: 0 }), (ended) => {
      this.#record(item, stoppedAs(ended), ended)
    })
  }

  #dispatch(item: ItemRecord): { readonly record: ItemRecord; readonly create: RunRecord | undefined } {
    if (item.status === "running" && item.childRun !== null) return { record: item, create: undefined }
    const create = item.childRun === null ? this.#childOf(item) : undefined
    const childRun = create?.id ?? item.childRun
    const record: ItemRecord = { ...item, status: "running", childRun, dispatchedAt: this.#run.now(), error: null }
    const creation = create === undefined ? [] : this.#run.host.children.create(create)
    const started = { ...this.#run.about(this.attempt.step), item: item.id }
    const counted = this.#count(item.status, "running", 1)
    this.#run.append(
      [{ _tag: "Item", item: record }, ...creation, counted],
      [{ _tag: "FanOutItemStarted", ...started }]
    )
    return { record, create }
  }

  /** The step with its counters after `n` items changed their status. */
  #count(from: ItemStatus, to: ItemStatus, n: number): Change {
    const counters = { ...this.#counters }
    if (from === "running") counters.running -= n
    if (to === "running" || to === "completed" || to === "failed" || to === "skipped") counters[to] += n
    this.#counters = counters
    return this.attempt.patchStep({ fanOut: counters })
  }

  #record(item: ItemRecord, status: ItemStatus, child: RunRecord | undefined): ItemRecord {
    const ended = endedItem(this.#run, item, status, child)
    const skipped = status === "failed" && this.spec.onChildFail === "skip_dependents" ? this.#dependents(ended) : []
    const changes: Array<Change> = [ended, ...skipped].map((item) => ({ _tag: "Item", item }))
    changes.push(this.#count("running", status, 1))
    if (skipped.length > 0) changes.push(this.#count("pending", "skipped", skipped.length))
    changes.push(...totalsOf(this.#run, child))
    const about = this.#run.about(this.attempt.step)
    const succeeded = status === "completed"
    this.#run.append(changes, [{ _tag: "FanOutItemCompleted", ...about, item: item.id, succeeded }])
    this.#close([ended, ...skipped])
    return ended
  }

  /** The items that can no longer be reached, as skipped. */
  #dependents(failed: ItemRecord): ReadonlyArray<ItemRecord> {
    const reachable = this.#graph.reachableFrom(failed.id)
    const error = `skipped: '${failed.id}' failed`
    return [...this.#items.values()]
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
    const { name, provider } = this.spec
    const items = [...this.#items.values()]
    const { total, completed, failed, skipped } = countersOf(items)
    const text =
      total === 0
        ? `foreach ${name}: no items to process`
        : `foreach ${name}: ${completed} completed, ${failed} failed, ${skipped} skipped of ${total} ${provider}`
    const result = { ...noResult, context: text, text, structured: { items: endedItems(items) } }
    if (failed === 0) return Effect.succeed({ result })
    const message = `foreach '${name}': ${failed} of ${total} items failed`
    return Effect.fail({ message, permanent: true, result })
  }
}

const pendingItem = (path: StepRecord["path"], key: string, position: number, item: Item): ItemRecord => ({
  path,
  key,
  position,
  type: item.type,
  id: item.id,
  ref: item.ref,
  context: item.context,
  status: "pending",
  error: null,
  childRun: null,
  childEpoch: 1,
  output: null,
  dispatchedAt: null,
  completedAt: null
})

const lastSegment = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

const noCounters: FanOutCounters = { total: 0, completed: 0, failed: 0, skipped: 0, running: 0 }

const countersOf = (items: ReadonlyArray<ItemRecord>): FanOutCounters => {
  const of = (status: ItemStatus) => items.reduce((sum, item) => (item.status === status ? sum + 1 : sum), 0)
  return {
    total: items.length,
    completed: of("completed"),
    failed: of("failed"),
    skipped: of("skipped"),
    running: of("running")
  }
}

const endedItems = (items: ReadonlyArray<ItemRecord>) =>
  items
    .filter((item) => !isOpen(item.status))
    .sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : a.key < b.key ? -1 : 1))
    .map((item) => ({ item_id: item.id, status: item.status, output: item.output ?? null }))

/** The last structured output of a child's body. */
const structuredOf = (child: RunRecord): unknown => {
  const { result } = child
  return typeof result === "object" && result !== null && "structured" in result ? result.structured : null
}
