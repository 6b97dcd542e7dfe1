import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberId from "effect/FiberId"
import * as TestClock from "effect/TestClock"
import type { ActionCall } from "../../src/action/Action.ts"
import {
  type GateQuestion,
  type GateResolver,
  GateResolverFailed,
  type GateVerdict
} from "../../src/action/GateResolver.ts"
import * as Client from "../../src/engine/Client.ts"
import { Engine } from "../../src/engine/Engine.ts"
import type { StartOptions } from "../../src/engine/interpreter/WorkflowFiles.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import type { RunId } from "../../src/persistence/Records.ts"
import { commitTo, engineId, gateRecord, runRecord, stepPath } from "../../src/testing/SampleRecords.ts"
import {
  action,
  awaitEnd,
  calm,
  isEvent,
  layerOf,
  park,
  runIn,
  start,
  watch,
  type Watch,
  type World
} from "./TestEngine.ts"

const ok = action(() => ({}))

const noting = () => {
  const seen: Array<ActionCall["variables"]> = []
  const feedback: Array<string | undefined> = []
  const execute = action((call) => {
    seen.push(call.variables)
    feedback.push(call.gateFeedback)
    return {}
  })
  return { seen, feedback, execute }
}

/** Starts a workflow, does something once its first gate waits, and waits for its end. */
const withGate = <A, E, R>(
  world: World,
  text: string,
  then: (id: RunId, watched: Watch) => Effect.Effect<A, E, R>,
  options: StartOptions = {}
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const watched = yield* watch
      const id = yield* start(text, options)
      yield* watched.until(isEvent("RunWaiting"))
      const done = yield* then(id, watched)
      return { ...(yield* awaitEnd(id, watched)), done }
    })
  ).pipe(Effect.provide(layerOf({ ...world, settings: { ...calm, ...world.settings } })))

describe("a gate of people", () => {
  it.live("records the step and the run as waiting, with what the run is blocked on", () =>
    Effect.gen(function* () {
      const end = yield* withGate(
        { actions: { a: action(() => ({ structuredOutput: { who: "Ada" } })) } },
        `workflow w { call a gate human_review { prompt = "Ask {{who}}{{none}}" min_approvals = 2 timeout = 2h } }`,
        (id) =>
          Effect.gen(function* () {
            const persistence = yield* Persistence
            const run = yield* persistence.get(id)
            expect(run.status).toBe("waiting")
            const steps = yield* persistence.steps(id)
            const row = steps.find(({ kind }) => kind === "gate")
            expect(run.blockedOn).toEqual([
              {
                _tag: "gate",
                run: id,
                path: "/human_review",
                name: "human_review",
                kind: "human_review",
                prompt: "Ask Ada",
                options: [],
                minApprovals: 2,
                until: (row?.startedAt ?? 0) + 7_200_000
              }
            ])
            expect(row?.status).toBe("waiting")
            yield* Client.answer(id, { approved: true, feedback: "fine", by: "ana" })
          })
      )
      const row = end.step("/human_review")
      expect(row.status).toBe("completed")
      expect(row.gate).toMatchObject({
        kind: "human_review",
        prompt: "Ask Ada",
        timeout: 7_200_000,
        minApprovals: 2,
        answer: { approved: true, feedback: "fine", by: "ana" }
      })
      const events = end.events.map((event) => event._tag)
      expect(events.slice(events.indexOf("GateWaiting"))).toEqual([
        "GateWaiting",
        "RunWaiting",
        "GateResolved",
        "StepCompleted",
        "MetricsUpdated",
        "RunCompleted"
      ])
    })
  )

  it.live("keeps an approval's feedback for later steps until another gate gives some, and adds no context", () =>
    Effect.gen(function* () {
      const { execute, seen, feedback } = noting()
      yield* withGate(
        { actions: { a: execute } },
        "workflow w { gate human_approval { } call a gate human_review { } call a gate human_review { } call a }",
        (id, watched) =>
          Effect.gen(function* () {
            yield* Client.answer(id, { approved: true, feedback: "one" })
            yield* watched.until(isEvent("RunWaiting"), 2)
            yield* Client.answer(id, { approved: true })
            yield* watched.until(isEvent("RunWaiting"), 3)
            yield* Client.answer(id, { approved: true, feedback: "three" })
          })
      )
      expect(seen.map((variables) => variables["gate_feedback"])).toEqual(["one", "one", "three"])
      expect(feedback).toEqual(["one", "one", "three"])
      expect(seen[0]?.["prior_contexts"]).toBe("[]")
    })
  )

  it.live("rejected fails the run with the feedback, whatever fail_fast says", () =>
    Effect.gen(function* () {
      const end = yield* withGate(
        { actions: { a: ok } },
        "workflow w { gate human_approval { } call a }",
        (id) => Client.answer(id, { approved: false, feedback: "too risky" }),
        { settings: { failFast: false } }
      )
      expect(end.outline).toEqual(["/human_approval failed"])
      expect(end.run.error).toBe("human_approval: too risky")
      const [resolved] = end.events.filter(isEvent("GateResolved"))
      expect(resolved?.approved).toBe(false)
    })
  )

  it.live("takes the first answer; a second gets a typed error, as does one to a run that does not wait", () =>
    Effect.gen(function* () {
      const end = yield* withGate({ actions: { a: ok } }, "workflow w { gate human_approval { } call a }", (id) =>
        Effect.gen(function* () {
          yield* Client.answer(id, { approved: true })
          return yield* Effect.either(Client.answer(id, { approved: false }))
        })
      )
      expect(end.run.status).toBe("completed")
      const error = Either.isLeft(end.done) ? end.done.left._tag : "none"
      expect(error).toBe("NotWaiting")
    })
  )

  it.live("offers fixed options: selections must be among them, and are joined into the feedback and a context", () =>
    Effect.gen(function* () {
      const { execute, seen } = noting()
      const end = yield* withGate(
        { actions: { a: execute } },
        `workflow w { gate human_approval { options = { x = "The X" y = "The Y" z = "The Z" } } call a }`,
        (id) =>
          Effect.gen(function* () {
            const refused = yield* Effect.flip(Client.answer(id, { approved: true, selections: ["x", "q"] }))
            expect(refused).toMatchObject({ _tag: "InvalidSelection", unknown: ["q"], options: ["x", "y", "z"] })
            yield* Client.answer(id, { approved: true, selections: ["x", "z"] })
          })
      )
      expect(end.step("/human_approval").gate?.options).toEqual([
        { key: "x", text: "The X" },
        { key: "y", text: "The Y" },
        { key: "z", text: "The Z" }
      ])
      expect(seen[0]?.["gate_feedback"]).toBe("x, z")
      expect(seen[0]?.["prior_context"]).toBe("User selected the following items:\n- x\n- z")
    })
  )

  it.live("without options refuses selections", () =>
    Effect.gen(function* () {
      yield* withGate({}, "workflow w { gate human_approval { } }", (id) =>
        Effect.gen(function* () {
          const refused = yield* Effect.flip(Client.answer(id, { approved: true, selections: ["x"] }))
          expect(refused.message).toBe("gate 'human_approval' has no options to select from ('x')")
          yield* Client.answer(id, { approved: true })
        })
      )
    })
  )

  it.live("takes its options from a step's output: an array of texts or an object of texts", () =>
    Effect.gen(function* () {
      const options = (output: object) =>
        withGate(
          { actions: { a: action(() => ({ structuredOutput: output })) } },
          `workflow w { call a gate human_approval { options = a.list } }`,
          (id) => Client.answer(id, { approved: true })
        ).pipe(Effect.map((end) => end.step("/human_approval").gate?.options))
      expect(yield* options({ list: ["p", "q"] })).toEqual([
        { key: "p", text: "p" },
        { key: "q", text: "q" }
      ])
      expect(yield* options({ list: { k: "text" } })).toEqual([{ key: "k", text: "text" }])
    })
  )

  it.live("fails at once when the step has no such list", () =>
    Effect.gen(function* () {
      const end = yield* runIn({ actions: { a: ok } }, "workflow w { call a gate human_approval { options = a.list } }")
      expect(end.outline).toEqual(["/a completed", "/human_approval failed"])
      expect(end.run.error).toBe(
        "human_approval: the options of gate 'human_approval' come from a.list, which is no object or list of texts"
      )
    })
  )
})

describe("the timeout of a gate", () => {
  const timedOut = (text: string, wait: number) =>
    Effect.gen(function* () {
      const watched = yield* watch
      const id = yield* start(text)
      yield* watched.until(isEvent("RunWaiting"))
      yield* TestClock.adjust(wait - 1)
      const before = yield* Effect.flatMap(Persistence, (persistence) => persistence.get(id))
      expect(before.status).toBe("waiting")
      yield* TestClock.adjust(1)
      return yield* awaitEnd(id, watched)
    }).pipe(Effect.provide(layerOf({ actions: { a: ok }, settings: calm })))

  it.live("is 24 hours by default", () =>
    Effect.gen(function* () {
      const end = yield* withGate({}, "workflow w { gate human_approval { } }", (id) =>
        Effect.gen(function* () {
          const { blockedOn } = yield* Effect.flatMap(Persistence, (persistence) => persistence.get(id))
          yield* Client.answer(id, { approved: true })
          return blockedOn[0]?.until ?? 0
        })
      )
      expect(end.done - (end.step("/human_approval").startedAt ?? 0)).toBe(86_400_000)
    })
  )

  it.scoped("fails the step and the run", () =>
    Effect.gen(function* () {
      const end = yield* timedOut("workflow w { gate human_approval { timeout = 2m } call a }", 120_000)
      expect(end.outline).toEqual(["/human_approval failed"])
      expect(end.step("/human_approval").error).toBe("gate timed out")
      expect(end.run.error).toBe("human_approval: gate timed out")
    })
  )

  it.scoped("with on_timeout = continue is recorded, and the run goes on", () =>
    Effect.gen(function* () {
      const end = yield* timedOut(
        "workflow w { gate human_approval { timeout = 90 on_timeout = continue } call a }",
        90_000
      )
      expect(end.outline).toEqual(["/human_approval timed_out", "/a completed"])
      expect(end.run.status).toBe("completed")
    })
  )

  it.scoped("counts from the first wait, also when the run was let go meanwhile", () =>
    Effect.gen(function* () {
      const end = yield* Effect.gen(function* () {
        const engine = yield* Engine
        const watched = yield* watch
        const id = yield* start("workflow w { gate human_approval { timeout = 10s on_timeout = continue } }")
        yield* watched.until(isEvent("RunWaiting"))
        yield* TestClock.adjust(4_000)
        yield* engine.letGo(id)
        yield* engine.awaitRelease(id)
        expect(yield* engine.resident).toEqual([])
        yield* TestClock.adjust(6_000)
        return yield* awaitEnd(id, watched)
      }).pipe(Effect.provide(layerOf({ settings: calm })))
      const row = end.step("/human_approval")
      expect([row.status, (row.endedAt ?? 0) - (row.startedAt ?? 0)]).toEqual(["timed_out", 10_000])
    })
  )
})

describe("a gate's resolver", () => {
  /** Gives its answers one after another, then pending. */
  const resolver = (...verdicts: ReadonlyArray<Effect.Effect<GateVerdict, GateResolverFailed>>) => {
    const questions: Array<GateQuestion> = []
    const resolve: GateResolver = (question) =>
      Effect.suspend(() => {
        const verdict = verdicts[questions.length]
        questions.push(question)
        return verdict ?? Effect.succeed({ _tag: "Pending" })
      })
    return { questions, resolve }
  }
  const pending = Effect.succeed<GateVerdict>({ _tag: "Pending" })
  const approved = Effect.succeed<GateVerdict>({ _tag: "Approved", feedback: "merged" })

  it.live("is asked with all that the gate says, and approves with feedback", () =>
    Effect.gen(function* () {
      const { execute, seen } = noting()
      const { questions, resolve } = resolver(approved)
      const end = yield* runIn(
        { actions: { a: execute }, gates: { pr_approval: resolve } },
        `workflow w { gate pr_approval { prompt = "p" min_approvals = 2 timeout = 1m as = bot } call a }`
      )
      expect(questions).toEqual([
        {
          gate: "pr_approval",
          prompt: "p",
          minApprovals: 2,
          mode: "min_approvals",
          options: [],
          timeout: 60_000,
          identity: "bot",
          run: end.id,
          path: "/pr_approval",
          workingDirectory: process.cwd()
        }
      ])
      expect(seen[0]?.["gate_feedback"]).toBe("merged")
      expect(end.step("/pr_approval").gate?.answer?.by).toBe("resolver")
    })
  )

  it.live("rejects with a reason", () =>
    Effect.gen(function* () {
      const { resolve } = resolver(Effect.succeed({ _tag: "Rejected", reason: "checks are red" }))
      const end = yield* runIn({ gates: { pr_checks: resolve } }, "workflow w { gate pr_checks { } }")
      expect(end.run.error).toBe("pr_checks: checks are red")
    })
  )

  it.scoped("is asked again every 5 s while it says pending, and after an error, which is logged", () =>
    Effect.gen(function* () {
      const failed = Effect.fail(new GateResolverFailed({ gate: "pr_checks", message: "no network" }))
      const dies = Effect.dieMessage("boom")
      const { questions, resolve } = resolver(pending, failed, dies, approved)
      const end = yield* Effect.gen(function* () {
        const watched = yield* watch
        const id = yield* start("workflow w { gate pr_checks { } }")
        yield* watched.until(isEvent("RunWaiting"))
        for (let asked = 1; asked < 4; asked++) {
          expect(questions).toHaveLength(asked)
          yield* TestClock.adjust(4_999)
          expect(questions).toHaveLength(asked)
          yield* TestClock.adjust(1)
        }
        return yield* awaitEnd(id, watched)
      }).pipe(Effect.provide(layerOf({ gates: { pr_checks: resolve }, settings: calm })))
      expect(end.run.status).toBe("completed")
      expect(end.warnings).toEqual([
        "gate 'pr_checks': the resolver failed: no network",
        "gate 'pr_checks': the resolver failed: boom"
      ])
    })
  )

  it.live("is overruled by a stored answer, also while it is being asked", () =>
    Effect.gen(function* () {
      const asked = Deferred.unsafeMake<void>(FiberId.none)
      const slow: GateResolver = () => Effect.zipRight(Deferred.succeed(asked, undefined), Effect.never)
      const end = yield* Effect.scoped(
        Effect.gen(function* () {
          const watched = yield* watch
          const id = yield* start("workflow w { gate pr_checks { } }")
          yield* Deferred.await(asked)
          yield* Client.answer(id, { approved: false, feedback: "by hand" })
          return yield* awaitEnd(id, watched)
        })
      ).pipe(Effect.provide(layerOf({ gates: { pr_checks: slow } })))
      expect(end.run.error).toBe("pr_checks: by hand")
    })
  )

  it.live("that takes its time does not hold up the gate's timeout", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { gates: { pr_checks: () => Effect.never } },
        "workflow w { gate pr_checks { timeout = 50ms on_timeout = continue } }"
      )
      expect(end.outline).toEqual(["/pr_checks timed_out"])
    })
  )

  it.live("that does not exist parks the run", () =>
    Effect.gen(function* () {
      const { parked } = yield* park({}, "workflow w { gate pr_checks { } }")
      expect([parked.status, parked.error]).toEqual(["needs_resume", "no resolver for gate 'pr_checks'"])
    })
  )
})

describe("a quality gate", () => {
  const gate = (output: object | undefined, options: string, start: StartOptions = {}) =>
    runIn(
      { actions: { a: action(() => (output === undefined ? {} : { structuredOutput: output })), b: ok } },
      `workflow w { call a gate quality_gate { source = a ${options} } call b }`,
      start
    )

  it.live("passes when the source's confidence reaches the threshold, cut to a whole number from 0 to 100", () =>
    Effect.gen(function* () {
      const status = (confidence: unknown, threshold: number) =>
        Effect.map(gate({ confidence }, `threshold = ${threshold}`), (end) => {
          const row = end.step("/quality_gate")
          return `${row.status}: ${row.result.text}`
        })
      const text = (confidence: string, threshold: number) =>
        `quality gate on 'a': confidence ${confidence}, threshold ${threshold}`
      expect(yield* status(80, 80)).toBe(`completed: ${text("80", 80)}`)
      expect(yield* status(79.9, 80)).toBe(`failed: ${text("79", 80)}`)
      expect(yield* status("85", 80)).toBe(`completed: ${text("85", 80)}`)
      expect(yield* status(1_000, 100)).toBe(`completed: ${text("100", 100)}`)
      expect(yield* status(-5, 0)).toBe(`completed: ${text("0", 0)}`)
      expect(yield* status("high", 1)).toBe(`failed: ${text("0 (unreadable)", 1)}`)
      expect(yield* status(undefined, 1)).toBe(`failed: ${text("0 (missing)", 1)}`)
    })
  )

  it.live("fails the run with what it found", () =>
    Effect.gen(function* () {
      const end = yield* gate({ confidence: 40 }, "threshold = 80")
      expect(end.outline).toEqual(["/a completed", "/quality_gate failed"])
      expect(end.run.error).toBe("quality_gate: quality gate on 'a': confidence 40, threshold 80")
    })
  )

  it.live("with on_fail = continue is recorded as completed, and the run goes on", () =>
    Effect.gen(function* () {
      const end = yield* gate({ confidence: 40 }, "threshold = 80 on_fail = continue")
      expect(end.outline).toEqual(["/a completed", "/quality_gate completed", "/b completed"])
      expect(end.step("/quality_gate").result.text).toBe("quality gate on 'a': confidence 40, threshold 80")
    })
  )

  it.live("fails when its source has no result at all, even with on_fail = continue", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: ok, b: ok } },
        "workflow w { call b if b.never { call a } gate quality_gate { source = a threshold = 0 on_fail = continue } call b }"
      )
      expect(end.outline).toEqual(["/b completed", "/quality_gate failed"])
      expect(end.run.error).toBe("quality_gate: quality gate: step 'a' has no result")
    })
  )

  it.live("finds its source by the short name of a child workflow or a foreach", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        {
          actions: { a: action(() => ({ structuredOutput: { confidence: 90 } })) },
          workflows: ["workflow sub { call a }"]
        },
        `workflow w {
          foreach each { over = json scope = { file = "package.json" } workflow = sub max_parallel = 1 }
          gate quality_gate { source = each threshold = 0 }
          gate quality_gate { source = "foreach:each" threshold = 0 }
        }`,
        { settings: { failFast: false } }
      )
      expect(end.outline).toEqual(["/foreach:each failed", "/quality_gate completed", "/quality_gate~2 completed"])
    })
  )
})

describe("a gate in a dry run", () => {
  it.live("is approved, whatever its kind, and a quality gate too", () =>
    Effect.gen(function* () {
      let asked = 0
      const resolve: GateResolver = () =>
        Effect.zipRight(
          Effect.sync(() => (asked += 1)),
          Effect.never
        )
      const end = yield* runIn(
        { actions: { a: ok }, gates: { pr_checks: resolve } },
        `workflow w {
          call a
          gate human_approval { options = a.nothing }
          gate pr_checks { }
          gate quality_gate { source = a threshold = 100 }
        }`,
        { dryRun: true }
      )
      expect(end.outline).toEqual([
        "/a completed",
        "/human_approval completed",
        "/pr_checks completed",
        "/quality_gate completed"
      ])
      expect(asked).toBe(0)
      expect(end.step("/human_approval").gate?.answer).toMatchObject({ approved: true, by: "dry run" })
    })
  )
})

describe("a gate whose run has yet to take what was sent to it", () => {
  const waiting = Effect.gen(function* () {
    const persistence = yield* Persistence
    const run = runRecord("R", { owner: engineId("E"), generation: 1 })
    yield* persistence.create(run)
    const gates = ["/a", "/b"].map((path) => ({ _tag: "Step", step: gateRecord(path) }) as const)
    yield* persistence.commit(commitTo(run, ...gates))
    const open = Effect.map(Effect.flatMap(persistence.get(run.id), Client.gatesToAnswer), (found) =>
      found.map(({ path }) => path)
    )
    return { run, open }
  })

  it.effect("needs no other answer", () =>
    Effect.gen(function* () {
      const { open, run } = yield* waiting
      expect(yield* open).toEqual(["/a", "/b"])
      yield* Client.answer(run.id, { gate: "/a", approved: true })
      expect(yield* open).toEqual(["/b"])
      expect((yield* Client.openGates(run)).map(({ path }) => path)).toEqual(["/a", "/b"])
    }).pipe(Effect.provide(MemoryPersistence.layer))
  )

  it.effect("needs none if that is a cancellation, also if it is that of the run above", () =>
    Effect.gen(function* () {
      const persistence = yield* Persistence
      const { open, run } = yield* waiting
      const child = runRecord("C", {
        parent: { run: run.id, path: stepPath("/workflow:c") },
        status: "waiting",
        owner: engineId("E"),
        generation: 1
      })
      yield* persistence.create(child)
      yield* persistence.commit(commitTo(child, { _tag: "Step", step: gateRecord("/inner") }))
      expect(yield* open).toEqual(["/a", "/b", "/inner"])
      yield* Client.cancel(child.id)
      expect(yield* open).toEqual(["/a", "/b"])
      yield* Client.cancel(run.id)
      expect(yield* open).toEqual([])
    }).pipe(Effect.provide(MemoryPersistence.layer))
  )
})
