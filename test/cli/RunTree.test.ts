import { describe, expect, it } from "@effect/vitest"
import { duration, inColumns, inline, paintFor, shorten, table, width, wrapped } from "../../src/cli/Output.ts"
import { RunTree } from "../../src/cli/RunTree.ts"
import type { EngineEvent } from "../../src/engine/Events.ts"
import type { FanOutCounters } from "../../src/persistence/Records.ts"
import { runId, stepPath, stepRecord } from "../../src/testing/SampleRecords.ts"

const root = runId("root")
const child = runId("child")

const of = (path: string, run = root, timestamp = 1_000) => ({
  timestamp,
  run,
  path: stepPath(path),
  step: path.slice(path.lastIndexOf("/") + 1),
  stepId: `${run}${path}`
})

const started = (path: string, kind = "script", run = root): EngineEvent => ({
  _tag: "StepStarted",
  ...of(path, run),
  kind,
  attempt: 1
})

const completed = (path: string, kind = "script", run = root): EngineEvent => ({
  _tag: "StepCompleted",
  ...of(path, run, 3_500),
  kind,
  succeeded: true,
  status: "completed",
  error: null
})

const counters = (total: number): FanOutCounters => ({ total, completed: 0, failed: 0, skipped: 0, running: 0 })

const begun: EngineEvent = {
  _tag: "RunStarted",
  timestamp: 1_000,
  run: root,
  workflow: "w",
  parent: null,
  dryRun: false
}

const lines = (tree: RunTree, options: { readonly rows?: number; readonly columns?: number } = {}) =>
  tree.render({ now: 6_000, columns: 100, rows: 0, unicode: false, paint: paintFor(false), ...options })

const treeOf = (...events: ReadonlyArray<EngineEvent>): RunTree => {
  const tree = new RunTree()
  for (const event of [begun, ...events]) tree.apply(event)
  return tree
}

describe("the live tree", () => {
  it("has a line for each step with its state, attempt and time", () => {
    const retrying: EngineEvent = { _tag: "StepRetrying", ...of("/b"), attempt: 1, error: "no luck" }
    const again: EngineEvent = { _tag: "StepStarted", ...of("/b", root, 2_000), kind: "call", attempt: 2 }
    expect(lines(treeOf(started("/a"), completed("/a"), started("/b", "call"), retrying, again))).toEqual([
      "  + a  completed  2.5s",
      "  > b  running  attempt 2  5.0s"
    ])
  })

  it("says the round of a loop, and what belongs to on_fail and always", () => {
    const tree = treeOf(started("/while:x.y/@2/fix"), started("/a/on_fail"), started("/@always/end"))
    expect(lines(tree).map((line) => line.replace(/ {2}running.*/, ""))).toEqual([
      "  > fix (round 2)",
      "  > on_fail (on_fail)",
      "  > end (always)"
    ])
  })

  it("hangs a called workflow below its step, and shows a fan-out as a bar", () => {
    const tree = treeOf(
      started("/workflow:c", "workflow"),
      started("/inner", "call", child),
      started("/foreach:f", "foreach"),
      { _tag: "FanOutItemsCollected", ...of("/foreach:f"), total: 4, counters: counters(4) },
      { _tag: "FanOutItemStarted", ...of("/foreach:f"), item: "x" },
      { _tag: "FanOutItemCompleted", ...of("/foreach:f"), item: "x", succeeded: false, error: "no" },
      { _tag: "FanOutItemStarted", ...of("/foreach:f"), item: "y" }
    )
    tree.attach(child, root, stepPath("/workflow:c"))
    expect(lines(tree)).toEqual([
      "  > workflow:c  running  5.0s",
      "    > inner  running  5.0s",
      "  > foreach:f  [#####---------------] 1/4 (1 failed, 1 running)  running  5.0s  x: no"
    ])
  })

  it("says at a fan-out's bar what began last below it, in runs that items' runs called too", () => {
    const tree = treeOf(started("/foreach:f", "foreach"), {
      _tag: "FanOutItemsCollected",
      ...of("/foreach:f"),
      total: 4,
      counters: counters(4)
    })
    const inner = runId("inner")
    tree.attach(child, root, stepPath("/foreach:f"), "x")
    tree.attach(inner, child, stepPath("/workflow:c"))
    tree.apply(started("/plan", "call", child))
    expect(lines(tree)).toEqual(["  > foreach:f  [--------------------] 0/4  running  5.0s  x: plan"])
    tree.apply(started("/deep", "call", inner))
    expect(lines(tree)[0]).toMatch(/ x: deep$/)
  })

  it("counts anew from where the items of a resumed fan-out stand: what failed is run again", () => {
    const tree = new RunTree()
    const failed = { ...counters(3), completed: 1, failed: 2 }
    tree.load(root, [stepRecord("/foreach:f", { kind: "foreach", status: "failed", fanOut: failed })])
    tree.apply(started("/foreach:f", "foreach"))
    const kept = { ...counters(3), completed: 1, running: 1 }
    tree.apply({ _tag: "FanOutItemsCollected", ...of("/foreach:f"), total: 3, counters: kept })
    expect(lines(tree)[0]).toContain("1/3 (1 running)")
    tree.apply({ _tag: "FanOutItemStarted", ...of("/foreach:f"), item: "z" })
    for (const item of ["y", "z"]) {
      tree.apply({ _tag: "FanOutItemCompleted", ...of("/foreach:f"), item, succeeded: true, error: null })
    }
    expect(lines(tree)[0]).toContain(" 3/3  ")
  })

  it("begins with the steps that a resumed run has, but for those that it will run again", () => {
    const tree = new RunTree()
    tree.load(root, [
      stepRecord("/a", { status: "completed", startedAt: 1_000, endedAt: 2_000 }),
      stepRecord("/b", { status: "failed", superseded: true }),
      stepRecord("/if:a.b", { kind: "condition", status: "completed" })
    ])
    expect(lines(tree)).toEqual(["  + a  completed  1.0s"])
  })

  it("gives way where there are more steps than lines: ended ones first", () => {
    const names = ["/a", "/b", "/c", "/d", "/e"]
    const tree = treeOf(...names.map((name) => started(name)), ...["/a", "/b", "/d"].map((name) => completed(name)))
    expect(lines(tree, { rows: 4 }).map((line) => line.replace(/ {2}(running|completed).*/, ""))).toEqual([
      "  … 2 more",
      "  > c",
      "  + d",
      "  > e"
    ])
  })

  it("never prints a line that is wider than the terminal, nor what a step says as commands to it", () => {
    const waiting: EngineEvent = { _tag: "GateWaiting", ...of("/gate"), kind: "x", prompt: "\u001b[2Jlong ".repeat(30) }
    const deep = `/while:x.y/@2/${"n".repeat(60)}`
    for (const columns of [4, 8, 12, 20, 40, 80]) {
      for (const line of lines(treeOf(started(deep), waiting), { columns, rows: 1 })) {
        expect(width(line)).toBeLessThan(columns)
        expect(line).not.toContain("\u001b")
      }
    }
  })

  it("counts the columns of wide characters", () => {
    const failed: EngineEvent = { ...of("/a"), _tag: "StepWarning", message: "失敗".repeat(40) }
    const [line = ""] = lines(treeOf(started("/a"), failed), { columns: 40 })
    expect(line).toMatch(/^ {2}> a {2}running {2}5\.0s {2}(失敗)+失?…$/)
    expect(width(line)).toBeGreaterThan(36)
    expect(width(line)).toBeLessThan(40)
  })
})

describe("the live tree of a run that is paused", () => {
  const waiting = (isPaused: boolean, run = root): EngineEvent => ({
    _tag: "RunWaiting",
    timestamp: 4_000,
    run,
    on: ["paused"],
    isPaused
  })

  it("says so below its steps, within the lines that there are, until it goes on", () => {
    const tree = treeOf(started("/a"), completed("/a"), started("/b"), completed("/b"), waiting(true))
    expect(lines(tree)).toEqual(["  + a  completed  2.5s", "  + b  completed  2.5s", "  ? paused"])
    expect(lines(tree, { rows: 2 })).toHaveLength(2)
    tree.apply({ _tag: "RunResumed", timestamp: 5_000, run: root, epoch: 1 })
    expect(lines(tree)).toHaveLength(2)
  })

  it("does not where it only waits, nor for a run below it", () => {
    const tree = treeOf(started("/a"), waiting(false))
    tree.attach(child, root, stepPath("/a"))
    tree.apply(waiting(true, child))
    expect(lines(tree)).toEqual(["  > a  running  5.0s"])
  })
})

describe("texts for people", () => {
  it("are durations of four sizes", () => {
    expect([0, 999, 1_000, 59_940, 59_960, 60_000, 3_599_400, 3_600_000, 90_000_000].map(duration)).toEqual([
      "0ms",
      "999ms",
      "1.0s",
      "59.9s",
      "1m 00s",
      "1m 00s",
      "59m 59s",
      "1h 00m",
      "25h 00m"
    ])
  })

  it("stay on one line, harmless and short", () => {
    expect(inline("a \n\n b\tc\u001b[31m")).toBe("a b c\\x1b[31m")
    expect(shorten("häßlich", 4)).toBe("häß…")
    expect(shorten("häßlich", 7)).toBe("häßlich")
    expect([0, 1, 2].map((columns) => shorten("häßlich", columns))).toEqual(["", "…", "h…"])
    expect(
      table([
        ["a", "bb", ""],
        ["ccc", "d", "e"]
      ])
    ).toBe("a    bb  \nccc  d   e")
  })

  it("take the columns that a terminal gives them: two for East Asian ones and emoji, none for marks on letters", () => {
    expect(["abc", "失敗", "✅", "⚡", "é", "🇩🇪", "ﾊ", "ハ", "▸✓✗"].map(width)).toEqual([3, 4, 2, 2, 1, 2, 1, 2, 3])
    expect(shorten("失敗しました", 7)).toBe("失敗し…")
    expect(shorten("失敗しました", 6)).toBe("失敗…")
    expect(shorten("e\u0301".repeat(5), 3)).toBe("e\u0301e\u0301…")
    expect(
      table([
        ["失敗", "x"],
        ["a", "y"]
      ])
    ).toBe("失敗  x\na     y")
    expect(shorten("x".repeat(10_000_000), 20)).toBe(`${"x".repeat(19)}…`)
  })

  it("are broken between words beside their names, where there is room for it", () => {
    expect(wrapped("one two three", 7)).toEqual(["one two", "three"])
    expect(wrapped("a-word-that-is-longer than that", 7)).toEqual(["a-word-that-is-longer", "than", "that"])
    const rows = [
      ["--a", "what it is all about"],
      ["--long", "more"]
    ] as const
    expect(inColumns(rows, undefined)).toBe("  --a     what it is all about\n  --long  more")
    expect(inColumns(rows, 26)).toBe("  --a     what it is all\n          about\n  --long  more")
    // So narrow that a column beside the names would be none.
    expect(inColumns(rows, 20)).toBe("  --a     what it is all about\n  --long  more")
  })
})
