/**
 * The model's fan-outs: which items may start when, and what the failure of one means for the others (spec/engine.md,
 * "foreach").
 */
import type { ForeachNode, PipelineNode } from "../../src/workflow/Definition.ts"
import type { Item } from "./ModelWords.ts"
import type { Process, Timeline } from "./Timeline.ts"

export interface FanOut {
  readonly node: ForeachNode | PipelineNode
  /** Undefined: there is no such list. */
  readonly items: ReadonlyArray<Item> | undefined
  /** What happens in it may cut off what goes on beside it. */
  readonly isOpen: boolean
  readonly work: (item: Item, isOpen: boolean) => Process<string>
  readonly say: (what: string) => void
}

export function* fanOut(time: Timeline, { isOpen, items, node, say, work }: FanOut): Process<"completed" | "failed"> {
  if (items === undefined) return "failed"
  const { maxParallel, onChildFail = "continue" } = node
  const isOrdered = node._tag === "Foreach" && node.ordered === true
  const ends = new Map<string, string>()
  const blockersOf = ({ blocked_by: ids = [] }: Item) => (isOrdered ? items.filter(({ id }) => ids.includes(id)) : [])
  const hasEnded = ({ id }: Item) => (ends.get(id) ?? "running") !== "running"
  /** In the order in which they became so. */
  const ready: Array<Item> = []
  const blocked = new Set(items)
  const skip = (failed: Item): void => {
    for (const item of items.filter((it) => blockersOf(it).includes(failed) && !ends.has(it.id))) {
      ends.set(item.id, "skipped")
      skip(item)
    }
  }
  const next = () => {
    for (const item of blocked) if (blockersOf(item).every(hasEnded) && blocked.delete(item)) ready.push(item)
    const open = ready.filter(({ id }) => !ends.has(id))
    const item = open[isOrdered ? time.among(open.length) : 0]
    return item && one(item)
  }
  const one = function* (item: Item): Process<boolean> {
    ends.set(item.id, "running")
    let end = "cancelled"
    try {
      end = yield* work(item, onChildFail !== "continue" || isOpen)
    } finally {
      ends.set(item.id, end)
    }
    if (end === "failed" && onChildFail === "skip_dependents") skip(item)
    return end === "failed"
  }
  try {
    yield* time.sleep(0, isOpen)
    yield* time.pool(Math.max(1, maxParallel), next, (isFailed) => isFailed && onChildFail === "halt")
  } finally {
    for (const { id } of items) say(`[${id}] ${ends.get(id) ?? "pending"}`)
  }
  return [...ends.values()].includes("failed") ? "failed" : "completed"
}
