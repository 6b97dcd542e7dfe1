/** Limits of actions, across the runs of an engine and both ways in (docs/typed.md, "Flow control"). */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { FlowLimits } from "../../src/action/FlowLimits.ts"
import * as Client from "../../src/engine/Client.ts"
import { Engine } from "../../src/engine/Engine.ts"
import { WorkflowFiles } from "../../src/engine/interpreter/WorkflowFiles.ts"
import { isAtRest, isPaused } from "../../src/engine/Pause.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import type { RunId } from "../../src/persistence/Records.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import type { Texts } from "../../src/workflow/Definition.ts"
import { definitionOf, engineLayer, memoryLayer, type World } from "../engine/TestEngine.ts"

interface Call {
  readonly customer: string
  readonly began: number
  readonly ended: number
}

const now = Effect.clockWith((clock) => clock.currentTimeMillis)

/** What `send` is called with; each call takes 100 ms. */
class Calls {
  readonly all: Array<Call> = []
  readonly began: Array<string> = []

  readonly send = ({ customer }: { readonly customer: string }): Effect.Effect<void> =>
    Effect.gen(this, function* () {
      this.began.push(customer)
      const began = yield* now
      yield* Effect.sleep(100)
      this.all.push({ customer, began, ended: yield* now })
    })

  /** The most that were at work at once. */
  most(of: (call: Call) => boolean = () => true): number {
    const calls = this.all.filter(of)
    return Math.max(...calls.map(({ began }) => calls.filter((c) => c.began <= began && c.ended > began).length))
  }
}

const declare = (limits: FlowLimits<{ readonly customer: string }>, retry: Action.RetryOptions = { times: 0 }) =>
  Action.make("send", { payload: Schema.Struct({ customer: Schema.String }), limits, retry, timeout: 150 })

type Send = ReturnType<typeof declare>

const SendAll = Workflow.make("send-all", { payload: Schema.Struct({ customers: Schema.Array(Schema.String) }) })

/** Sends to all customers at once. */
const sendAll = (send: Send) =>
  SendAll.toLayer(({ customers }) =>
    Effect.asVoid(
      Effect.orDie(
        Workflow.forEach(
          customers.map((customer, index) => ({ customer, key: String(index) })),
          ({ customer }) => Action.call(send, { customer }),
          { key: ({ key }) => key }
        )
      )
    )
  )

const inEngine = <A, E>(
  send: Send,
  calls: Calls,
  test: Effect.Effect<A, E, Engine | WorkflowFiles | Persistence>,
  world: World = {}
): Promise<A> =>
  Effect.runPromise(
    withVirtualClock(
      Effect.provide(
        test,
        sendAll(send).pipe(
          Layer.provideMerge(engineLayer(world)),
          Layer.provide(send.toLayer(calls.send)),
          Layer.provideMerge(memoryLayer())
        )
      )
    )
  )

const file = "workflow w { inputs { customer required } call send }"

const startFile = (customer: string) =>
  Effect.flatMap(WorkflowFiles, (files) => files.start(definitionOf(file), { inputs: { customer } }))

const endOf = (run: RunId) => Effect.flatMap(Engine, (engine) => engine.await(run))

describe("the limits of an action", () => {
  it("hold for all runs of an engine together, be they in code or .wf files", async () => {
    const calls = new Calls()
    await inEngine(
      declare({ concurrency: 2 }),
      calls,
      Effect.gen(function* () {
        const inCode = yield* SendAll.start({ customers: ["a", "b", "c"] })
        const inFiles = yield* Effect.forEach(["d", "e", "f"], startFile)
        for (const run of [inCode, ...inFiles]) expect(yield* endOf(run)).toMatchObject({ status: "completed" })
      })
    )
    expect(calls.all).toHaveLength(6)
    expect(calls.most()).toBe(2)
    // Each had the 150 ms of its timeout from its turn on.
    expect(Math.max(...calls.all.map(({ ended }) => ended)) - (calls.all[0]?.began ?? 0)).toBe(300)
  })

  it("by key let each key's attempts wait for each other only, with the same keys both ways in", async () => {
    const calls = new Calls()
    await inEngine(
      declare({ perKey: { key: ({ customer }) => customer, concurrency: 1 } }),
      calls,
      Effect.gen(function* () {
        const inCode = yield* SendAll.start({ customers: ["a", "a", "b"] })
        const inFiles = yield* Effect.forEach(["a", "b"], startFile)
        for (const run of [inCode, ...inFiles]) expect(yield* endOf(run)).toMatchObject({ status: "completed" })
      })
    )
    expect(calls.most(({ customer }) => customer === "a")).toBe(1)
    expect(calls.most(({ customer }) => customer === "b")).toBe(1)
    expect(calls.most()).toBe(2)
  })

  it("by rate let so many begin within an interval, retries included", async () => {
    const began: Array<number> = []
    const calls = new Calls()
    const flaky = Object.assign(new Calls(), {
      send: (payload: { readonly customer: string }) =>
        Effect.flatMap(now, (time) => {
          began.push(time)
          return began.length < 3 ? Effect.dieMessage("down") : calls.send(payload)
        })
    })
    await inEngine(
      declare({ rate: { limit: 1, interval: "1 minute" } }, { times: 5 }),
      flaky,
      Effect.flatMap(SendAll.start({ customers: ["a", "b"] }), endOf)
    )
    const [first = 0] = began
    expect(began.map((time) => time - first)).toEqual([0, 60_000, 120_000, 180_000])
  })

  it("let go whoever is cancelled while waiting, and nothing of it runs", async () => {
    const calls = new Calls()
    await inEngine(
      declare({ concurrency: 1 }),
      calls,
      Effect.gen(function* () {
        const first = yield* startFile("first")
        const second = yield* startFile("second")
        const third = yield* startFile("third")
        while (calls.began.length === 0) yield* Effect.sleep(1)
        yield* Client.cancel(second)
        expect(yield* endOf(second)).toMatchObject({ status: "cancelled" })
        for (const run of [first, third]) expect(yield* endOf(run)).toMatchObject({ status: "completed" })
      })
    )
    expect(calls.began).toEqual(["first", "third"])
  })

  it("give the turn of a paused run to the next, and the paused one its own when it goes on", async () => {
    const calls = new Calls()
    await inEngine(
      declare({ concurrency: 1 }),
      calls,
      Effect.gen(function* () {
        const persistence = yield* Persistence
        const first = yield* startFile("first")
        const second = yield* startFile("second")
        const third = yield* startFile("third")
        while (calls.began.length === 0) yield* Effect.sleep(1)
        yield* Client.pause(second)
        for (const run of [first, third]) expect(yield* endOf(run)).toMatchObject({ status: "completed" })
        yield* Effect.repeat(Effect.zipRight(Effect.sleep(10), persistence.get(second)), {
          until: (record) => isPaused(record) && isAtRest(record)
        })
        expect(calls.began).toEqual(["first", "third"])
        yield* Client.unpause(second)
        expect(yield* endOf(second)).toMatchObject({ status: "completed" })
      })
    )
    expect(calls.began).toEqual(["first", "third", "second"])
  })

  it("fail the attempt where the key cannot be made", async () => {
    const key = (): string => {
      throw new Error("no such customer")
    }
    const calls = new Calls()
    const end = await inEngine(
      declare({ perKey: { key, concurrency: 1 } }),
      calls,
      Effect.flatMap(startFile("a"), endOf)
    )
    expect(end).toMatchObject({
      status: "failed",
      error: "send: the limit `perKey.key` of action 'send' threw: no such customer"
    })
    expect(calls.began).toEqual([])
  })

  it("fail the attempt, and try no other, where the key is no text", async () => {
    let asked = 0
    // What comes from outside of the types: a field that is optional in the world, a function that is async.
    const untyped = (value: unknown) => () => {
      asked += 1
      return JSON.parse(JSON.stringify({ value })).value
    }
    for (const [value, kind] of [
      [undefined, "nothing"],
      [null, "null"],
      [7, "a number"],
      [{}, "an object"]
    ] as const) {
      const calls = new Calls()
      asked = 0
      const end = await inEngine(
        declare({ perKey: { key: untyped(value), concurrency: 1 } }, { times: 3 }),
        calls,
        Effect.flatMap(startFile("a"), endOf)
      )
      const error = `send: the limit \`perKey.key\` of action 'send' has to give a text, not ${kind}`
      expect(end).toMatchObject({ status: "failed", error })
      expect({ asked, began: calls.began }).toEqual({ asked: 1, began: [] })
    }
  })

  it("of an executor without types are found with it", async () => {
    const calls = new Calls()
    const other = {
      execute: ({ variables }: { readonly variables: Texts }) =>
        Effect.as(calls.send({ customer: variables["customer"] ?? "" }), {}),
      limits: { concurrency: 1 }
    }
    await inEngine(
      declare({}),
      new Calls(),
      Effect.gen(function* () {
        const definition = definitionOf(
          "workflow w { inputs { customer required } parallel { call other call other } }"
        )
        const files = yield* WorkflowFiles
        const run = yield* files.start(definition, { inputs: { customer: "a" } })
        expect(yield* endOf(run)).toMatchObject({ status: "completed" })
      }),
      { actions: { other } }
    )
    expect(calls.all).toHaveLength(2)
    expect(calls.most()).toBe(1)
  })

  it("are refused where they could never be met", () => {
    expect(() => declare({ concurrency: 0 })).toThrow(
      new RangeError("action 'send', limits: `concurrency` has to be an integer of at least 1")
    )
  })
})
