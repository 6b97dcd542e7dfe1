import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Executor } from "../../src/action/Action.ts"
import { WorkflowResolver } from "../../src/action/Resolvers.ts"
import {
  type TriggerEvent,
  type TriggerOutcome,
  type TriggerSource,
  TriggerSourceFailed,
  TriggerSources
} from "../../src/action/TriggerSource.ts"
import { Engine } from "../../src/engine/Engine.ts"
import * as Triggers from "../../src/engine/Triggers.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import type { RunId } from "../../src/persistence/Records.ts"
import { runRecord } from "../../src/testing/SampleRecords.ts"
import { action, definitionOf, layerOf } from "./TestEngine.ts"

interface Told {
  readonly event: string
  readonly workflow: string
  readonly outcome: TriggerOutcome
}

/** A source whose events a test gives, and that tells what became of them. */
const makeSource = Effect.gen(function* () {
  const given = yield* Queue.unbounded<TriggerEvent>()
  const told = yield* Queue.unbounded<Told>()
  const source: TriggerSource = {
    events: () => Stream.fromQueue(given),
    taken: (event, outcome, workflow) => Queue.offer(told, { event: event.id, workflow, outcome })
  }
  /** Gives an event and waits until it was taken. */
  const take = (event: TriggerEvent) => Effect.zipRight(Queue.offer(given, event), Queue.take(told))
  return { source, take }
})

const world = { actions: { act: action(() => ({})) } }

let active = 0
let most = 0

/** Takes a moment, and counts how many do so at once. */
const counted: Executor = () =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      active += 1
      most = Math.max(most, active)
    }),
    () => Effect.as(Effect.sleep(30), {}),
    () => Effect.sync(() => (active -= 1))
  )

const following = (workflows: ReadonlyArray<string>, sources: Readonly<Record<string, TriggerSource>>) =>
  Layer.provide(
    Triggers.layerWith({ settings: { model: "m" } }),
    Layer.merge(TriggerSources.layer(sources), WorkflowResolver.layerMemory(workflows.map(definitionOf)))
  )

const runOf = ({ outcome }: Told): Effect.Effect<RunId> =>
  outcome._tag === "Started" ? Effect.succeed(outcome.run) : Effect.dieMessage(outcome.reason)

describe("a trigger source", () => {
  it.live("starts one run for each event, however often it gives it", () =>
    Effect.gen(function* () {
      const { source, take } = yield* makeSource
      const text = "workflow onpr { meta { trigger = pr } inputs { number required } call act }"
      yield* Layer.build(following([text], { pr: source }))
      const told = yield* take({ id: "pr-1", inputs: { number: "1" }, target: "repo" })
      const id = yield* runOf(told)
      expect([told.event, told.workflow]).toEqual(["pr-1", "onpr"])
      expect(yield* runOf(yield* take({ id: "pr-1", inputs: { number: "1" } }))).toBe(id)
      const other = yield* runOf(yield* take({ id: "pr-2", inputs: { number: "2" } }))
      expect(other).not.toBe(id)
      const record = yield* (yield* Engine).await(id)
      expect(record).toMatchObject({ status: "completed", trigger: "pr", idempotencyKey: "pr-1", target: "repo" })
      expect(record.inputs).toEqual({ number: "1" })
      expect(record.settings.model).toBe("m")
      expect(yield* (yield* Persistence).list({ limit: 10 })).toHaveLength(2)
    }).pipe(Effect.scoped, Effect.provide(layerOf(world)))
  )

  it.live("starts no more runs at once than the engine may have", () =>
    Effect.gen(function* () {
      const { source, take } = yield* makeSource
      yield* Layer.build(following(["workflow onpr { meta { trigger = pr } call act }"], { pr: source }))
      const runs = yield* Effect.forEach(["1", "2", "3"], (id) => Effect.flatMap(take({ id }), runOf))
      for (const run of runs) expect((yield* (yield* Engine).await(run)).status).toBe("completed")
      expect(most).toBe(1)
    }).pipe(Effect.scoped, Effect.provide(layerOf({ actions: { act: counted }, settings: { maxConcurrentRuns: 1 } })))
  )

  it.live("starts its runs here where the engine looks for none by itself", () =>
    Effect.gen(function* () {
      const { source, take } = yield* makeSource
      yield* Layer.build(following(["workflow onpr { meta { trigger = pr } call act }"], { pr: source }))
      const run = yield* runOf(yield* take({ id: "1" }))
      expect((yield* (yield* Engine).await(run)).status).toBe("completed")
    }).pipe(Effect.scoped, Effect.provide(layerOf({ ...world, settings: { watchdog: false } })))
  )

  it.live("is told that an event has the wrong inputs, and goes on", () =>
    Effect.gen(function* () {
      const { source, take } = yield* makeSource
      yield* Layer.build(
        following(["workflow onpr { meta { trigger = pr } inputs { number required } call act }"], { pr: source })
      )
      expect((yield* take({ id: "bad" })).outcome).toMatchObject({ _tag: "Refused" })
      expect((yield* take({ id: "good", inputs: { number: "1" } })).outcome).toMatchObject({ _tag: "Started" })
    }).pipe(Effect.scoped, Effect.provide(layerOf(world)))
  )

  it.live("is asked only for the workflows that name it", () =>
    Effect.gen(function* () {
      const asked = yield* Queue.unbounded<string>()
      const source = (name: string): TriggerSource => ({
        events: (workflow) => Stream.execute(Queue.offer(asked, `${name} ${workflow.name}`))
      })
      const texts = ["workflow a { meta { trigger = pr } }", "workflow b {}", "workflow c { meta { trigger = tick } }"]
      yield* Layer.build(following(texts, { pr: source("pr"), tick: source("tick"), other: source("other") }))
      expect([yield* Queue.take(asked), yield* Queue.take(asked)].sort()).toEqual(["pr a", "tick c"])
      expect(yield* Queue.size(asked)).toBe(0)
    }).pipe(Effect.scoped, Effect.provide(layerOf(world)))
  )

  it.live("that fails is asked again", () =>
    Effect.gen(function* () {
      const { source, take } = yield* makeSource
      let asked = 0
      const flaky: TriggerSource = {
        ...source,
        events: (workflow) =>
          asked++ === 0 ? Stream.fail(new TriggerSourceFailed({ message: "offline" })) : source.events(workflow)
      }
      yield* Layer.build(following(["workflow onpr { meta { trigger = pr } call act }"], { pr: flaky }))
      expect((yield* take({ id: "1" })).outcome).toMatchObject({ _tag: "Started" })
      expect(asked).toBe(2)
    }).pipe(Effect.scoped, Effect.provide(layerOf(world)))
  )

  it.live("named hook starts nothing for what its own runs, or those below them, bring about", () =>
    Effect.gen(function* () {
      const { source, take } = yield* makeSource
      yield* Layer.build(following(["workflow after { meta { trigger = hook } call act }"], { hook: source }))
      const persistence = yield* Persistence
      yield* persistence.create(runRecord("01MANUAL", { status: "completed" }))
      const ofPerson = yield* runOf(yield* take({ id: "1", cause: runRecord("01MANUAL").id }))
      const refused = { _tag: "Refused", reason: "a run that a hook started starts no further hooks" }
      expect((yield* take({ id: "2", cause: ofPerson })).outcome).toEqual(refused)
      yield* persistence.create(runRecord("01CHILD", { status: "completed", root: ofPerson }))
      expect((yield* take({ id: "3", cause: runRecord("01CHILD").id })).outcome).toEqual(refused)
      expect((yield* take({ id: "4" })).outcome).toMatchObject({ _tag: "Started" })
      expect((yield* take({ id: "5", cause: runRecord("01GONE").id })).outcome).toMatchObject({ _tag: "Started" })
    }).pipe(Effect.scoped, Effect.provide(layerOf(world)))
  )
})
