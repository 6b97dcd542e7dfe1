/**
 * The items of a fan-out: their rows, what is counted and told of them, and the shape of what is done for one
 * (spec/engine.md, "foreach", "Records").
 */
import type * as Effect from "effect/Effect"
import type { Item } from "../action/ItemProvider.ts"
import type { Change } from "../persistence/Journal.ts"
import {
  blankItem,
  type FanOutCounters,
  type ItemRecord,
  type ItemStatus,
  type RunId,
  type StepPath,
  type Totals
} from "../persistence/Records.ts"
import type { Branch } from "./Branch.ts"

/** How an item ended. */
export interface ItemEnd {
  readonly status: Extract<ItemStatus, "completed" | "failed" | "cancelled">
  readonly error: string | null
  /** Any JSON; null where there is none. */
  readonly output: unknown
  /** The run that the item's child has come to, where that continued as new. */
  readonly childRun?: RunId
  /** What is not in the run's sums yet. */
  readonly totals?: Totals
}

/** What is done for an item. */
export interface ItemWork {
  /** The item as it is dispatched, what joins the commit that says so, and what follows when it is durable. */
  readonly dispatch: (item: ItemRecord) => {
    readonly item: ItemRecord
    readonly changes: ReadonlyArray<Change>
    readonly started: Effect.Effect<void>
  }
  /** Takes a dispatched item to its end. */
  readonly run: (item: ItemRecord, branch: Branch) => Effect.Effect<ItemEnd>
  /** Ends what an interruption, or a crash before it, left at work. Runs where it cannot be interrupted. */
  readonly stop: (item: ItemRecord, branch: Branch) => Effect.Effect<ItemEnd | undefined>
}

export const isOpen = (status: ItemStatus): boolean => status === "pending" || status === "running"

export const pendingItem = (path: StepPath, key: string, position: number, item: Item): ItemRecord => ({
  path,
  key,
  position,
  type: item.type,
  id: item.id,
  ref: item.ref,
  ...blankItem,
  context: item.context,
  status: "pending"
})

export const endedItem = (item: ItemRecord, { status, error, output, childRun }: ItemEnd, now: number): ItemRecord => ({
  ...item,
  childRun: childRun ?? item.childRun,
  status,
  error,
  output,
  completedAt: now
})

export const noCounters: FanOutCounters = { total: 0, completed: 0, failed: 0, skipped: 0, running: 0 }

export const countersOf = (items: ReadonlyArray<ItemRecord>): FanOutCounters => {
  const of = (status: ItemStatus) => items.reduce((sum, item) => (item.status === status ? sum + 1 : sum), 0)
  return {
    total: items.length,
    completed: of("completed"),
    failed: of("failed"),
    skipped: of("skipped"),
    running: of("running")
  }
}

/** The structured output of a fan-out: the ended items, sorted by their ids. */
export const outputOf = (items: ReadonlyArray<ItemRecord>) => ({
  items: items
    .filter((item) => !isOpen(item.status))
    .sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : a.key < b.key ? -1 : 1))
    .map((item) => ({ item_id: item.id, status: item.status, output: item.output ?? null }))
})
