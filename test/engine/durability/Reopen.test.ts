/**
 * Explicit resume (spec/engine.md, "Records"): which rows stay, and which are superseded and done again.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ActionFailed, type ActionCall, type Executor } from "../../../src/action/Action.ts"
import { answer, cancel } from "../../../src/engine/Client.ts"
import { Engine } from "../../../src/engine/Engine.ts"
import { WorkflowFiles } from "../../../src/engine/interpreter/WorkflowFiles.ts"
import type { ReopenMode } from "../../../src/engine/Reopen.ts"
import { resume } from "../../../src/engine/Resume.ts"
import { Persistence } from "../../../src/persistence/Persistence.ts"
import type { RunId, RunSettings } from "../../../src/persistence/Records.ts"
import { readTree } from "../../../src/testing/RecordComparison.ts"
import { withVirtualClock } from "../../../src/testing/VirtualClock.ts"
import { definitionOf, type World } from "../TestEngine.ts"
import { outline, untilStatus, virtualLayer } from "./support.ts"

/** What actions do, changed between the runs of a test, and what they did. */
class Stage {
  readonly failing = new Set<string>()
  readonly log: Array<string> = []
  readonly calls: Array<ActionCall> = []
  readonly outputs: Record<string, object> = {}

  readonly executor: Executor = (call) =>
    Effect.suspend(() => {
      const item = call.variables["item.id"]
      const name = item === undefined || item === "" ? call.name : `${call.name} ${item}`
      this.log.push(name)
      this.calls.push(call)
      if (this.failing.has(name)) return Effect.fail(new ActionFailed({ message: `${name} fails` }))
      return Effect.succeed({ context: name, ...this.outputs[call.name] })
    })

  /** What was done since the last time. */
  get done(): ReadonlyArray<string> {
    return this.log.splice(0)
  }
}

const scenario = <A, E>(
  body: (stage: Stage) => Effect.Effect<A, E, Engine | WorkflowFiles | Persistence>,
  world: World = {}
) => {
  const stage = new Stage()
  return withVirtualClock(Effect.provide(body(stage), virtualLayer({ fallback: stage.executor, ...world })))
}

const run = (text: string, settings: Partial<RunSettings> = {}) =>
  Effect.gen(function* () {
    const files = yield* WorkflowFiles
    const id = yield* Effect.orDie(files.start(definitionOf(text), { settings }))
    return yield* endOf(id)
  })

const again = (id: RunId, mode?: Exclude<ReopenMode, { _tag: "Failed" }>) =>
  Effect.zipRight(resume(id, mode), endOf(id))

const endOf = (id: RunId) =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const record = yield* engine.await(id)
    const tree = yield* readTree(id)
    const steps = tree.runs.find(({ run }) => run.id === id)?.steps ?? []
    return { id, run: record, tree, steps, outline: outline(tree).slice(1) }
  })

const itemsOf = (end: Effect.Effect.Success<ReturnType<typeof endOf>>) =>
  end.tree.runs.flatMap(({ items }) => items.map((item) => `${item.id} ${item.status}`))

describe("a failed run that is resumed", () => {
  it.live("keeps what completed, does the rest again with retries afresh, and always once more", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        stage.failing.add("b")
        const first = yield* run("workflow w { call a call b { retries = 1 } call c always { call clean } }")
        expect(first.run.status).toBe("failed")
        expect(stage.done).toEqual(["a", "b", "b", "clean"])
        stage.failing.clear()
        const second = yield* again(first.id)
        expect(stage.done).toEqual(["b", "c", "clean"])
        expect(second.run).toMatchObject({ status: "completed", error: null, epoch: 2, generation: 2 })
        expect(second.outline).toEqual([
          "w /a completed",
          "w /b completed",
          "w /c completed",
          "w /@always/clean completed"
        ])
        const old = second.steps.filter((step) => step.superseded)
        expect(old.map((step) => `${step.path} ${step.status} ${step.attempts.length}`)).toEqual([
          "/b failed 2",
          "/@body failed 0",
          "/@always/clean completed 1",
          "/@always completed 0"
        ])
        expect(second.steps.find((step) => step.path === "/b" && step.epoch === 2)).toMatchObject({
          position: 2,
          attempts: [{ number: 1, outcome: "completed" }]
        })
      })
    )
  )

  it.live("keeps a step's idempotency key over its failures", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        stage.failing.add("a")
        const first = yield* run("workflow w { call a { retries = 1 } }")
        stage.failing.clear()
        yield* again(first.id)
        expect(new Set(stage.calls.map((call) => call.idempotencyKey)).size).toBe(1)
        yield* again(first.id, { _tag: "Restart" })
        expect(new Set(stage.calls.map((call) => call.idempotencyKey)).size).toBe(2)
      })
    )
  )

  it.live(
    "keeps what stands in a block that succeeded, failures included, and redoes the branches of one that failed",
    () =>
      scenario((stage) =>
        Effect.gen(function* () {
          stage.failing.add("bad").add("worse")
          const first = yield* run(
            `workflow w {
            parallel { min_success = 1 fail_fast = false call good call bad }
            parallel { fail_fast = false call fine call worse }
            call last
          }`
          )
          expect([...stage.done].sort()).toEqual(["bad", "fine", "good", "worse"])
          stage.failing.clear()
          const second = yield* again(first.id)
          expect(stage.done).toEqual(["worse", "last"])
          expect(second.outline).toEqual([
            "w /parallel/good completed",
            "w /parallel/bad failed",
            "w /parallel~2/fine completed",
            "w /parallel~2/worse completed",
            "w /last completed"
          ])
        })
      )
  )

  it.live("goes on with branches that a failure cancelled", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        stage.failing.add("bad")
        const first = yield* run("workflow w { parallel { max_parallel = 1 call good call bad call late } }")
        expect(first.outline).toEqual([
          "w /parallel/good completed",
          "w /parallel/bad failed",
          "w /parallel/late cancelled"
        ])
        stage.failing.clear()
        yield* again(first.id)
        expect(stage.done).toEqual(["good", "bad", "bad", "late"])
      })
    )
  )

  it.live("takes conditions anew that a failure may have decided, and keeps those before it", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        stage.failing.add("b")
        stage.outputs["a"] = { markers: ["yes"] }
        const first = yield* run("workflow w { call a if a.yes { call c } call b if b.good { call d } call e }", {
          failFast: false
        })
        expect(stage.done).toEqual(["a", "c", "b", "e"])
        stage.failing.clear()
        stage.outputs["b"] = { markers: ["good"] }
        const second = yield* again(first.id)
        expect(stage.done).toEqual(["b", "d"])
        expect(second.run.status).toBe("completed")
      })
    )
  )

  it.live("goes on in the round in which a loop failed", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        stage.outputs["a"] = { markers: ["more"] }
        stage.failing.add("b")
        const first = yield* run(
          "workflow w { do { max_iterations = 2 on_max_iter = continue call a call b } while a.more }"
        )
        stage.failing.clear()
        const second = yield* again(first.id)
        expect(stage.done).toEqual(["a", "b", "b", "a", "b"])
        expect(second.run.status).toBe("completed")
      })
    )
  )

  it.live("opens a failed child again instead of starting another", () =>
    scenario(
      (stage) =>
        Effect.gen(function* () {
          stage.failing.add("b")
          const first = yield* run("workflow w { call workflow sub call c }")
          stage.failing.clear()
          const second = yield* again(first.id)
          expect(stage.done).toEqual(["a", "b", "b", "c"])
          const children = second.tree.runs.filter(({ run }) => run.depth === 1)
          expect(children.map(({ run }) => `${run.status} ${run.epoch}`)).toEqual(["completed 2"])
        }),
      { workflows: ["workflow sub { call a call b }"] }
    )
  )

  it.live("keeps the completed items of a foreach, opens the failed ones again, and sets skipped ones back", () =>
    scenario(
      (stage) =>
        Effect.gen(function* () {
          const list = [{ id: "p" }, { id: "q" }, { id: "r", blocked_by: ["q"] }]
          stage.outputs["items"] = { structuredOutput: { list } }
          stage.failing.add("work q")
          const first = yield* run(
            `workflow w { call items foreach each { over = json scope = { from = "items.list" } max_parallel = 1
              ordered = true on_child_fail = skip_dependents workflow = item } }`
          )
          expect(itemsOf(first)).toEqual(["p completed", "q failed", "r skipped"])
          expect(stage.done).toEqual(["items", "before p", "work p", "before q", "work q"])
          stage.failing.clear()
          const second = yield* again(first.id)
          expect(stage.done).toEqual(["work q", "before r", "work r"])
          expect(itemsOf(second)).toEqual(["p completed", "q completed", "r completed"])
          expect(second.run.status).toBe("completed")
          expect(second.tree.runs.length).toBe(4)
        }),
      { workflows: ["workflow item { call before call work }"] }
    )
  )

  it.live("keeps gates that were approved or let it go on, and asks again at one that was rejected", () =>
    scenario(() =>
      Effect.gen(function* () {
        const files = yield* WorkflowFiles
        const id = yield* Effect.orDie(
          files.start(
            definitionOf(
              `workflow w { gate human_review { timeout = "1s" on_timeout = continue } gate human_approval { prompt = "sure?" } call a }`
            )
          )
        )
        const untilAsked = Effect.gen(function* () {
          const persistence = yield* Persistence
          for (;;) {
            const { blockedOn } = yield* persistence.get(id)
            if (blockedOn.some((on) => on.name === "human_approval")) return
            yield* Effect.sleep(10)
          }
        })
        yield* untilAsked
        yield* answer(id, { approved: false, feedback: "not yet" })
        const first = yield* endOf(id)
        expect(first.outline).toEqual(["w /human_review timed_out", "w /human_approval failed"])
        yield* resume(id)
        yield* untilAsked
        yield* answer(id, { approved: true })
        const second = yield* endOf(id)
        expect(second.outline).toEqual(["w /human_review timed_out", "w /human_approval completed", "w /a completed"])
      })
    )
  )

  it.live("fails again, and is resumed again", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        stage.failing.add("b")
        const first = yield* run("workflow w { call a call b }")
        const second = yield* again(first.id)
        expect(second.run).toMatchObject({ status: "failed", epoch: 2 })
        stage.failing.clear()
        const third = yield* again(first.id)
        expect(third.run).toMatchObject({ status: "completed", epoch: 3 })
        expect(stage.done).toEqual(["a", "b", "b", "b"])
        expect(third.steps.filter((step) => step.path === "/b").map((step) => step.superseded)).toEqual([
          true,
          true,
          false
        ])
      })
    )
  )
})

describe("a resume", () => {
  it.live("of a run that completed, or was cancelled, is refused", () =>
    scenario(() =>
      Effect.gen(function* () {
        const first = yield* run("workflow w { call a }")
        expect(yield* Effect.flip(resume(first.id))).toMatchObject({ _tag: "NothingToResume", status: "completed" })
      })
    )
  )

  it.live("from a step supersedes it and all behind it, by path or by a name that is its own", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        const first = yield* run("workflow w { call a call b call a call c always { call clean } }")
        expect(stage.done).toEqual(["a", "b", "a", "c", "clean"])
        yield* again(first.id, { _tag: "From", step: "b" })
        expect(stage.done).toEqual(["b", "a", "c", "clean"])
        const third = yield* again(first.id, { _tag: "From", step: "/a~2" })
        expect(stage.done).toEqual(["a", "c", "clean"])
        // Places stay, however often steps are done again.
        yield* again(first.id, { _tag: "From", step: "c" })
        expect(stage.done).toEqual(["c", "clean"])
        expect(third.outline.length).toBe(5)
        const ambiguous = yield* Effect.flip(resume(first.id, { _tag: "From", step: "a" }))
        expect(ambiguous).toMatchObject({ _tag: "StepNotFound", candidates: ["/a", "/a~2"] })
        const unknown = yield* Effect.flip(resume(first.id, { _tag: "From", step: "nothing" }))
        expect(unknown).toMatchObject({ _tag: "StepNotFound", candidates: [] })
      })
    )
  )

  it.live("from a step inside a block opens the block again", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        const first = yield* run("workflow w { call a parallel { call b call c } call d }")
        expect(stage.done).toEqual(["a", "b", "c", "d"])
        yield* again(first.id, { _tag: "From", step: "c" })
        expect(stage.done).toEqual(["c", "d"])
      })
    )
  )

  it.live("from a failed step after the steps behind it were done anew keeps to the program's order", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        stage.failing.add("b")
        const first = yield* run("workflow w { call a call b call c }", { failFast: false })
        stage.failing.clear()
        yield* again(first.id)
        expect(stage.done).toEqual(["a", "b", "c", "b"])
        yield* again(first.id, { _tag: "From", step: "c" })
        expect(stage.done).toEqual(["c"])
        yield* again(first.id, { _tag: "From", step: "b" })
        expect(stage.done).toEqual(["b", "c"])
      })
    )
  )

  it.live("as a restart does every step again, children included", () =>
    scenario(
      (stage) =>
        Effect.gen(function* () {
          const first = yield* run("workflow w { call a call workflow sub }")
          expect(stage.done).toEqual(["a", "b"])
          const second = yield* again(first.id, { _tag: "Restart" })
          expect(stage.done).toEqual(["a", "b"])
          expect(second.run).toMatchObject({ status: "completed", epoch: 2 })
          expect(second.tree.runs.length).toBe(3)
        }),
      { workflows: ["workflow sub { call b }"] }
    )
  )

  // An answer that came too late for the run that was cancelled approved the gate of the new epoch.
  it.live("asks its gates again, whatever was said to the epoch that ended", () =>
    scenario(() =>
      Effect.gen(function* () {
        const engine = yield* Engine
        const files = yield* WorkflowFiles
        const store = yield* Persistence
        const id = yield* Effect.orDie(files.start(definitionOf("workflow w { gate human_review {} }")))
        yield* untilStatus(id, "waiting")
        yield* engine.letGo(id)
        yield* engine.awaitRelease(id)
        // Both are in the inbox before anybody looks.
        yield* Effect.all([cancel(id), answer(id, { approved: true })])
        expect((yield* endOf(id)).run.status).toBe("cancelled")
        yield* resume(id, { _tag: "Restart" })
        yield* untilStatus(id, "waiting")
        expect((yield* store.load(id)).inbox).toEqual([])
        yield* answer(id, { approved: false, feedback: "no" })
        expect((yield* endOf(id)).run).toMatchObject({ status: "failed", epoch: 2 })
      })
    )
  )

  it.live("of a run that waits takes it up as it is", () =>
    scenario(() =>
      Effect.gen(function* () {
        const files = yield* WorkflowFiles
        const id = yield* Effect.orDie(files.start(definitionOf("workflow w { gate human_review {} }")))
        yield* untilStatus(id, "waiting")
        yield* resume(id)
        yield* answer(id, { approved: true })
        expect((yield* endOf(id)).run).toMatchObject({ status: "completed", epoch: 1 })
      })
    )
  )

  it.live("refuses a step of a run that has not ended", () =>
    scenario(() =>
      Effect.gen(function* () {
        const files = yield* WorkflowFiles
        const id = yield* Effect.orDie(files.start(definitionOf("workflow w { gate human_review {} }")))
        yield* untilStatus(id, "waiting")
        const refused = yield* Effect.flip(resume(id, { _tag: "Restart" }))
        expect(refused).toMatchObject({ _tag: "RunNotEnded", status: "waiting" })
      })
    )
  )
})

describe("the places of steps that a resumed run comes to for the first time", () => {
  const positions = (end: Effect.Effect.Success<ReturnType<typeof endOf>>) =>
    end.steps.filter(({ kind, superseded }) => !superseded && kind !== "phase").map(({ path }) => path)

  it.live("are in front of the kept steps behind them, and so are lists and --from-step", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        stage.failing.add("b")
        const first = yield* run("workflow w { call a call b if b.good { call c call d } call e call f }", {
          failFast: false
        })
        expect(stage.done).toEqual(["a", "b", "e", "f"])
        stage.failing.clear()
        stage.outputs["b"] = { markers: ["good"] }
        const second = yield* again(first.id)
        expect(stage.done).toEqual(["b", "c", "d"])
        const order = ["/a", "/b", "/if:b.good", "/if:b.good/c", "/if:b.good/d", "/e", "/f"]
        expect(positions(second)).toEqual(order)
        expect(second.outline.map((line) => line.split(" ")[1])).toEqual(order.filter((path) => path !== "/if:b.good"))
        expect(
          second.run.summary
            ?.split("\n")
            .slice(1, -1)
            .map((line) => line.split(/[ :]/)[1])
        ).toEqual(["a", "b", "c", "d", "e", "f"])
        yield* again(first.id, { _tag: "From", step: "d" })
        expect(stage.done).toEqual(["d", "e", "f"])
        const fourth = yield* again(first.id, { _tag: "From", step: "e" })
        expect(stage.done).toEqual(["e", "f"])
        expect(positions(fourth)).toEqual(order)
      })
    )
  )

  it.live("are behind what stands in a kept block in front of them", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        stage.failing.add("b")
        const first = yield* run(
          `workflow w {
            call b
            parallel { call one call two { if = b.good } call three }
            if b.good { parallel { call four call five } }
            call last
          }`,
          { failFast: false }
        )
        stage.failing.clear()
        stage.outputs["b"] = { markers: ["good"] }
        const second = yield* again(first.id)
        expect(second.run.status).toBe("completed")
        expect(positions(second)).toEqual([
          "/b",
          "/parallel",
          "/parallel/one",
          "/parallel/two",
          "/parallel/three",
          "/if:b.good",
          "/if:b.good/parallel",
          "/if:b.good/parallel/four",
          "/if:b.good/parallel/five",
          "/last"
        ])
      })
    )
  )

  it.live("find room also where there are many", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        stage.failing.add("b")
        stage.outputs["n"] = { markers: ["more"] }
        const first = yield* run(
          `workflow w {
            call b
            if b.good { do { max_iterations = 150 on_max_iter = continue call n } while n.more }
            call last
          }`,
          { failFast: false }
        )
        stage.failing.clear()
        stage.outputs["b"] = { markers: ["good"] }
        const second = yield* again(first.id)
        expect(second.run.status).toBe("completed")
        const live = second.steps.filter(({ kind, superseded }) => !superseded && kind !== "phase")
        const paths = live.map(({ path }) => path)
        expect(paths.slice(0, 3)).toEqual(["/b", "/if:b.good", "/if:b.good/do-while:n.more/@1/n"])
        expect(paths.slice(-3)).toEqual(["/if:b.good/do-while:n.more/@150", "/if:b.good/do-while:n.more", "/last"])
        expect(new Set(live.map(({ position }) => position)).size).toBe(live.length)
      })
    )
  )
})

describe("requests that came too late", () => {
  it.live("for the end of a run do not count when it is opened again", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        const persistence = yield* Persistence
        stage.failing.add("b")
        const first = yield* run("workflow w { call a call b }")
        // As a store holds them that took a message in the moment in which the run ended.
        const { journal } = yield* persistence.load(first.id)
        const engine = yield* Engine
        const id = yield* engine.newRunId
        yield* persistence.create({
          ...journal.run,
          id,
          root: id,
          status: "running",
          seq: 0,
          owner: null,
          readyAt: null
        })
        for (const message of [{ _tag: "Pause" }, { _tag: "Cancel", reason: "user", text: null }] as const) {
          yield* persistence.send(id, message, 1)
        }
        const claim = yield* persistence.claim(id, { engine: engine.id, now: 2 })
        yield* persistence.commit({
          ...claim,
          expectedSeq: 0,
          changes: [{ _tag: "Run", patch: { status: "failed", endedAt: 3 } }]
        })
        stage.failing.clear()
        const second = yield* again(id)
        expect(second.run).toMatchObject({ status: "completed", cancelReason: null, blockedOn: [] })
        expect((yield* persistence.load(id)).inbox).toEqual([])
      })
    )
  )
})
