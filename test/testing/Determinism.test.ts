/** The kit's replay of users' workflows over their own journals: where a body does something else, it says where. */
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { Action, type Records, Workflow } from "millrace"
import { checkDeterminism, checkResumeEquivalence } from "millrace/testing"
import { randomUUID } from "node:crypto"

const Charge = Action.make("charge", { payload: Schema.Int, success: Schema.Int })
const Refund = Action.make("refund", { payload: Schema.Int })
const Ship = Action.make("ship", { payload: Schema.String })
const Release = Workflow.makeGate("release")

const Order = Workflow.make("order", { payload: Schema.Int, success: Schema.Unknown, error: Schema.String })

const Below = Workflow.make("below", { payload: Schema.Int, success: Schema.Int })
const below = Below.toLayer((n) => Effect.as(Workflow.sleep("1 hour"), n + 1))

type Needs = Action.HandlerOf<typeof Charge> | Action.HandlerOf<typeof Refund> | Action.HandlerOf<typeof Ship>

/** Actions that count how often they were called. */
const setup =
  (body: Effect.Effect<unknown, string, Needs | Workflow.WorkflowRun>, calls: Array<string> = []) =>
  () => ({
    layer: Layer.merge(
      Order.toLayer(() => body),
      below
    ).pipe(
      Layer.provide(
        Layer.mergeAll(
          Charge.toLayer((cents) => Effect.sync(() => (calls.push("charge"), cents))),
          Refund.toLayer(() => Effect.sync(() => void calls.push("refund"))),
          Ship.toLayer(() => Effect.sleep("1 minute"))
        )
      )
    ),
    people: [(run: Records.RunId) => Order.answer(run, Release, { approved: true })]
  })

const failureOf = <A, E extends Error, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), ({ message }) => message)

const charged = Action.call(Charge, 5).pipe(Workflow.withCompensation((cents) => Action.call(Refund, cents)))

describe("a body replayed over its own journal", { timeout: 60_000 }, () => {
  it.live("comes to the same everywhere, with time, chance, branches, a child and undos, and calls no handler", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const body = Effect.gen(function* () {
        const drawn = [yield* Workflow.uuid, yield* Workflow.now, yield* Workflow.random, yield* Random.next]
        yield* charged
        yield* Workflow.gate(Release).pipe(Effect.mapError(String))
        yield* Effect.sleep("3 days")
        yield* Workflow.timeout(Action.call(Ship, "slow"), "30 seconds").pipe(Effect.option)
        yield* Workflow.race({ a: Action.call(Ship, "a"), b: Workflow.sleep("2 minutes") })
        yield* Workflow.all([Action.call(Ship, "x"), Action.call(Ship, "y")])
        const child = yield* Workflow.child(Below, 1).pipe(Effect.mapError(String))
        return yield* Effect.fail(`enough ${drawn.length} ${child}`)
      })
      const { replays } = yield* checkDeterminism(Order, { payload: 1, setup: setup(body, calls) })
      expect(replays).toBeGreaterThan(15)
      expect(calls).toEqual(["charge", "refund"])
    })
  )

  it.live("that depends on a variable outside of it, comes to a step where it never was", () =>
    Effect.gen(function* () {
      let executions = 0
      const body = Effect.gen(function* () {
        executions += 1
        const cents = yield* Action.call(Charge, 5)
        if (executions > 1) yield* Action.call(Refund, cents)
        return cents
      })
      const options = { payload: 1, setup: setup(body) }
      const message = yield* failureOf(checkDeterminism(Order, options))
      expect(message).toContain("the body of workflow 'order' is not deterministic\nreplayed after write ")
      expect(message).toContain("it came to call 'refund' at /refund, and the first execution never came there")
      expect(message).toContain("use Workflow.now, random, uuid")
      const [, only = ""] = /only: (\d+)/.exec(message) ?? []
      executions = 0
      expect(yield* failureOf(checkDeterminism(Order, { ...options, only: Number(only) }))).toBe(message)
      expect(message).toContain("/charge completed, and nothing further")
    })
  )

  it.live("that comes to another kind of step at a path, does not fit", () =>
    Effect.gen(function* () {
      let executions = 0
      const body = Effect.suspend(() =>
        executions++ === 0 ? Workflow.sleep("1 minute") : Workflow.gate("sleep").pipe(Effect.mapError(String))
      )
      expect(yield* failureOf(checkDeterminism(Order, { payload: 1, setup: setup(body) }))).toContain(
        "it does not fit: /sleep is recorded as sleep 'sleep', but the workflow now has gate 'sleep' there"
      )
    })
  )

  it.live("that skips a step, comes to the next one too early, or to its end", () =>
    Effect.gen(function* () {
      const skipping = (rest: Effect.Effect<unknown, string, Needs | Workflow.WorkflowRun>) => {
        let executions = 0
        return Effect.gen(function* () {
          executions += 1
          yield* Action.call(Charge, 5)
          if (executions === 1) yield* Action.call(Refund, 5)
          yield* rest
        })
      }
      const early = skipping(Action.call(Ship, "x"))
      expect(yield* failureOf(checkDeterminism(Order, { payload: 1, setup: setup(early) }))).toContain(
        "it came to call 'ship' at /ship, where the first execution first had call 'refund' at /refund"
      )
      expect(yield* failureOf(checkDeterminism(Order, { payload: 1, setup: setup(skipping(Effect.void)) }))).toContain(
        "it came to its end without call 'refund' at /refund"
      )
    })
  )

  it.live("that no longer comes to a step that is done, is found where the step's end is the last row", () =>
    Effect.gen(function* () {
      let executions = 0
      const body = Effect.gen(function* () {
        if (executions++ === 0) yield* Action.call(Charge, 5)
        yield* Action.call(Ship, "x")
      })
      expect(yield* failureOf(checkDeterminism(Order, { payload: 1, setup: setup(body) }))).toContain(
        "it does not fit: /charge is recorded as call 'charge' (completed), but the workflow goes on to call 'ship' without coming to it"
      )
    })
  )

  it.live("that returns what only it knows, comes to another end", () =>
    Effect.gen(function* () {
      const body = Effect.zipRight(
        Action.call(Charge, 5),
        Effect.sync(() => process.hrtime.bigint().toString())
      )
      const message = yield* failureOf(checkDeterminism(Order, { payload: 1, setup: setup(body) }))
      expect(message).toContain("it came to another end\n  first  completed")
    })
  )
})

describe("the first execution", { timeout: 60_000 }, () => {
  const signalled = Workflow.awaitSignal(Workflow.signal("go", Schema.Void)).pipe(Effect.mapError(String))

  it.live("has to come to an end: what it waits for is said, and that nobody answers", () =>
    Effect.gen(function* () {
      const { layer } = setup(signalled)()
      const alone = yield* failureOf(checkDeterminism(Order, { payload: 1, setup: () => ({ layer }) }))
      expect(alone).toContain("workflow 'order' cannot be tested like this: the run is waiting after 60 days")
      expect(alone).toContain("it waits for the signal at /go; nobody answers: that is for `people`")
      const twice = setup(Effect.zipRight(Workflow.gate(Release).pipe(Effect.mapError(String)), signalled))
      const answered = yield* failureOf(checkDeterminism(Order, { payload: 1, setup: twice }))
      expect(answered).toContain("it waits for the signal at /go; all 1 of 'people' have done what they do")
    })
  )

  it.live("has to come to an end: why it is parked is said", () =>
    Effect.gen(function* () {
      const Missing = Workflow.make("missing", { payload: Schema.Void })
      const body = Workflow.child(Missing, undefined).pipe(Effect.mapError(String))
      expect(yield* failureOf(checkDeterminism(Order, { payload: 1, setup: setup(body) }))).toContain(
        "the run of 'missing' was parked: workflow 'missing' is not known here"
      )
    })
  )

  it.live("is told of: how it ended, and after how many steps", () =>
    Effect.gen(function* () {
      const good = yield* checkDeterminism(Order, { payload: 1, setup: setup(charged), end: "completed" })
      expect(good.end).toEqual({ status: "completed", error: undefined, steps: 1, unanswered: [] })
      const refused = setup(Effect.zipRight(charged, Effect.fail("too much")))
      const bad = yield* checkDeterminism(Order, { payload: 1, setup: refused })
      expect(bad.end).toEqual({ status: "failed", error: "too much", steps: 2, unanswered: [] })
      const wanted = yield* failureOf(checkDeterminism(Order, { payload: 1, setup: refused, end: "completed" }))
      expect(wanted).toContain("the run is failed after 2 steps (too much), where `end` says completed")
    })
  )

  it.live("is told of with what the world had come to then", () =>
    Effect.gen(function* () {
      const shipped: Array<string> = []
      const observed = setup(charged, shipped)
      const options = { payload: 1, setup: () => ({ ...observed(), observe: () => ({ calls: shipped }) }) }
      const { end } = yield* checkDeterminism(Order, options)
      shipped.push("afterwards")
      expect(end.observed).toEqual({ calls: ["charge"] })
      expect((yield* checkDeterminism(Order, { payload: 1, setup: observed })).end.observed).toBeUndefined()
    })
  )

  it.live("does not wait for real time: where a handler or one of the people does, that is said", () =>
    Effect.gen(function* () {
      const real = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 60_000).unref()))
      const layer = Order.toLayer(() => Action.call(Charge, 5)).pipe(
        Layer.provide(Charge.toLayer((cents) => Effect.as(real, cents)))
      )
      const slow = yield* failureOf(checkDeterminism(Order, { payload: 1, setup: () => ({ layer }) }))
      expect(slow).toContain("/charge: timed out after 43200000 ms; the clock of a check is virtual")
      const wanted = yield* failureOf(
        checkDeterminism(Order, { payload: 1, setup: () => ({ layer }), end: "completed" })
      )
      expect(wanted).toContain("where `end` says completed; the clock of a check is virtual")
      const asking = setup(Workflow.gate(Release).pipe(Effect.mapError(String)))()
      const { message } = yield* Effect.flip(
        checkDeterminism(Order, { payload: 1, setup: () => ({ ...asking, people: [() => real] }) })
      )
      expect(message).toContain("number 1 of `people` has not come to an end: the clock of a check is virtual")
    })
  )

  it.live("dies of what nobody meant, unless that is what is tested", () =>
    Effect.gen(function* () {
      const dying = setup(Effect.die(new Error("a typo")))
      const message = yield* failureOf(checkDeterminism(Order, { payload: 1, setup: dying }))
      expect(message).toContain("the run is failed after 0 steps, with what is no error of its type: defect: a typo")
      expect(message).toContain('`end: "failed"`')
      const { end } = yield* checkDeterminism(Order, { payload: 1, setup: dying, end: "failed" })
      expect(end).toMatchObject({ status: "failed", error: "defect: a typo", steps: 0 })
    })
  )

  it.live("has gates and signals answered, unless nobody is meant to", () =>
    Effect.gen(function* () {
      const Go = Workflow.signal("go", Schema.Void)
      const body = Effect.zipRight(
        Effect.either(Workflow.awaitSignal(Go, { timeout: "2 days" })),
        Workflow.gate(Release).pipe(Effect.mapError(String))
      )
      const { layer } = setup(body)()
      const message = yield* failureOf(checkDeterminism(Order, { payload: 1, setup: () => ({ layer }) }))
      expect(message).toContain(
        "nobody answered signal 'go' at /go, gate 'release' at /release, until the time was over"
      )
      expect(message).toContain("`people: []`")
      const { end } = yield* checkDeterminism(Order, { payload: 1, setup: () => ({ layer, people: [] }) })
      expect(end.unanswered).toEqual(["signal 'go' at /go", "gate 'release' at /release"])
      expect(end).toMatchObject({ status: "failed", steps: 1 })
    })
  )
})

const either = (is: () => boolean) =>
  Effect.suspend(
    (): Effect.Effect<unknown, string, Needs | Workflow.WorkflowRun> =>
      is() ? Action.call(Charge, 1) : Action.call(Ship, "x")
  )

describe("a body that decides by what is not the workflow's own", { timeout: 60_000 }, () => {
  const bodies = {
    "the time that has passed over a sleep": Effect.suspend(() => {
      const began = Date.now()
      return Effect.zipRight(
        Workflow.sleep("1 day"),
        either(() => Date.now() - began > 12 * 3_600_000)
      )
    }),
    "the hour of the day": either(() => new Date().getUTCHours() < 12),
    "the day, as text": either(() => Date().startsWith("Tue")),
    "chance, with even odds": either(() => Math.random() < 0.5),
    "chance, with long odds": either(() => Math.random() < 0.01),
    "chance, with short odds": either(() => Math.random() < 0.99),
    "the second of its numbers": either(() => Math.random() + Math.random() < 1)
  }

  for (const [what, body] of Object.entries(bodies)) {
    it.live(`is found: by ${what}`, () =>
      Effect.gen(function* () {
        const options = { payload: 1, setup: setup(Effect.zipLeft(body, Workflow.sleep("1 minute"))) }
        expect(yield* failureOf(checkDeterminism(Order, options))).toContain("is not deterministic")
        expect(yield* failureOf(checkResumeEquivalence(Order, options))).toContain(
          "two histories without a crash differ, in what Date.now() or Math.random() gave the body"
        )
      })
    )
  }

  it.live("does not draw for ever, where it draws until a number fits", () =>
    Effect.gen(function* () {
      const drawing = Effect.sync(() => {
        while (Math.random() > 0.2 || Math.random() < 0.8);
      })
      const body = Effect.zipRight(drawing, charged)
      expect((yield* checkDeterminism(Order, { payload: 1, setup: setup(body) })).end.status).toBe("completed")
    })
  )
})

describe("a body that gives its steps what it drew by itself", { timeout: 60_000 }, () => {
  const requestIds = {
    "Math.random()": () => String(Math.random()),
    "new Date()": () => new Date().toISOString(),
    "randomUUID()": () => randomUUID()
  }
  const gave = (what: string) => new RegExp(`it gave ${what} another payload\\n {2}first {2}".+"\\n {2}now {4}".+"\\n`)

  for (const [what, draw] of Object.entries(requestIds)) {
    it.live(`is found, though it comes to the same steps and the same end: ${what}`, () =>
      Effect.gen(function* () {
        const body = Effect.suspend(() => {
          const request = draw()
          return Effect.zipRight(Workflow.sleep("1 minute"), Action.call(Ship, request))
        })
        const options = { payload: 1, setup: setup(body) }
        const message = yield* failureOf(checkDeterminism(Order, options))
        expect(message).toMatch(gave("call 'ship' at /ship"))
        const [, only = ""] = /only: (\d+)/.exec(message) ?? []
        const again = yield* failureOf(checkDeterminism(Order, { ...options, only: Number(only) }))
        expect(again).toMatch(gave("call 'ship' at /ship"))
      })
    )
  }

  it.live("is found where an undo or a branch gets it", () =>
    Effect.gen(function* () {
      const undone = Action.call(Charge, 5).pipe(
        Workflow.withCompensation(() => Action.call(Ship, randomUUID())),
        Effect.zipRight(Effect.fail("enough"))
      )
      expect(yield* failureOf(checkDeterminism(Order, { payload: 1, setup: setup(undone) }))).toMatch(
        gave("call 'ship' at .*/ship")
      )
      const branches = Workflow.all([Action.call(Charge, 5), Effect.suspend(() => Action.call(Ship, randomUUID()))])
      expect(yield* failureOf(checkDeterminism(Order, { payload: 1, setup: setup(branches) }))).toMatch(
        gave("call 'ship' at .*/ship")
      )
    })
  )

  it.live("is found where a child gets it, or a step of the child", () =>
    Effect.gen(function* () {
      const drawn = Effect.sync(() => Math.floor(Math.random() * 1e6))
      const body = Effect.flatMap(drawn, (n) => Workflow.child(Below, n)).pipe(
        Effect.as("done"),
        Effect.mapError(String)
      )
      expect(yield* failureOf(checkDeterminism(Order, { payload: 1, setup: setup(body) }))).toMatch(
        /it gave workflow 'workflow:below' at \/workflow:below another payload\n {2}first {2}\d+\n {2}now {4}\d+\n/
      )
      const Deep = Workflow.make("deep", { payload: Schema.Void })
      const layer = Layer.merge(
        Order.toLayer(() => Effect.mapError(Workflow.child(Deep, undefined), String)),
        Deep.toLayer(() => Effect.flatMap(drawn, (n) => Action.call(Refund, n)))
      ).pipe(Layer.provide(Refund.toLayer(() => Effect.void)))
      expect(yield* failureOf(checkDeterminism(Order, { payload: 1, setup: () => ({ layer }) }))).toContain(
        "it gave call 'refund' at /refund another payload"
      )
    })
  )

  it.live("is found where it continues as new with it", () =>
    Effect.gen(function* () {
      const Poll = Workflow.make("poll", { payload: Schema.Struct({ id: Schema.String, left: Schema.Int }) })
      const polling = (idOf: () => Effect.Effect<string, never, Workflow.WorkflowRun>) =>
        Poll.toLayer(({ left }) =>
          Effect.gen(function* () {
            const id = yield* idOf()
            yield* Workflow.sleep("1 hour")
            if (left > 0) yield* Workflow.continueAsNew(Poll, { id, left: left - 1 })
          })
        )
      const check = (layer: ReturnType<typeof polling>) =>
        checkDeterminism(Poll, { payload: { id: "", left: 2 }, setup: () => ({ layer }) })
      const message = yield* failureOf(check(polling(() => Effect.sync(() => randomUUID()))))
      expect(message).toMatch(
        /it continued as new with another payload\n {2}first {2}\{"id":".+\n {2}now {4}\{"id":".+\n/
      )
      yield* check(polling(() => Workflow.uuid))
    })
  )

  it.live("is not found where the workflow drew it, or is told the time", () =>
    Effect.gen(function* () {
      const text = Effect.gen(function* () {
        const times = [yield* Workflow.now, yield* Clock.currentTimeMillis, (yield* DateTime.now).epochMillis]
        return [yield* Workflow.uuid, yield* Workflow.random, yield* Random.next, ...times].join(" ")
      })
      const shipped = Effect.flatMap(text, (drawn) => Action.call(Ship, drawn))
      const body = Effect.gen(function* () {
        yield* shipped
        yield* Workflow.sleep("1 hour")
        const cents = yield* Action.call(Charge, 5).pipe(Workflow.withCompensation(() => shipped))
        yield* Workflow.all([shipped, shipped])
        yield* Workflow.race({ a: shipped, b: Workflow.sleep("2 minutes") })
        yield* Effect.flatMap(Workflow.random, (n) => Workflow.child(Below, Math.floor(n * 100))).pipe(Effect.orDie)
        yield* Effect.fail(`enough ${cents}`)
      })
      const { end, replays } = yield* checkDeterminism(Order, { payload: 1, setup: setup(body) })
      expect(end.error).toBe("enough 5")
      expect(replays).toBeGreaterThan(15)
    })
  )

  it.live("is not found where the body goes on to change what it gave", () =>
    Effect.gen(function* () {
      const Store = Action.make("store", { payload: Schema.Unknown })
      const layer = Order.toLayer(() =>
        Effect.gen(function* () {
          const seen = [1]
          yield* Action.call(Store, seen)
          seen.push(2)
          yield* Workflow.sleep("1 hour")
        })
      ).pipe(Layer.provide(Store.toLayer(() => Effect.void)))
      const { replays } = yield* checkDeterminism(Order, { payload: 1, setup: () => ({ layer }) })
      expect(replays).toBeGreaterThan(2)
    })
  )

  it.live("is told of without what is secret", () =>
    Effect.gen(function* () {
      const Login = Action.make("login", {
        payload: Schema.Struct({ token: Schema.Redacted(Schema.String), at: Schema.String })
      })
      const Access = Workflow.make("access", { payload: Schema.Redacted(Schema.String) })
      const layer = Access.toLayer((token) =>
        Effect.suspend(() => Action.call(Login, { token, at: randomUUID() }))
      ).pipe(Layer.provide(Login.toLayer(() => Effect.void)))
      const options = { payload: Redacted.make("hunter2-hunter2"), setup: () => ({ layer }) }
      const message = yield* failureOf(checkDeterminism(Access, options))
      expect(message).toContain("it gave call 'login' at /login another payload")
      expect(message).not.toContain("hunter2")
    })
  )
})

describe("the globals of a process in which bodies are tested", { timeout: 60_000 }, () => {
  it.live("are those of a body only to the body; handlers, and what goes on beside, have the real ones", () =>
    Effect.gen(function* () {
      const [date, random] = [Date, Math.random]
      const began = Date.now()
      const seen: Array<readonly [string, Date, number]> = []
      const note = (who: string) => void seen.push([who, new Date(), Math.random()])
      const Noted = Action.make("noted", { payload: Schema.Void })
      const body = Effect.gen(function* () {
        yield* Effect.sync(() => note("body"))
        yield* Action.call(Noted, undefined)
        yield* Workflow.sleep("1 hour")
        yield* Effect.sync(() => expect(new Date(0) instanceof Date && new Date(5).getTime() === 5).toBe(true))
      })
      const noted = Noted.toLayer(() => Effect.sync(() => note("handler")))
      const layer = Order.toLayer(() => body).pipe(Layer.provide(noted))
      const beside = setInterval(() => note("beside"), 1)
      const check = checkDeterminism(Order, { payload: 1, setup: () => ({ layer }) })
      const other = checkResumeEquivalence(Order, { payload: 1, setup: () => ({ layer }) })
      yield* Effect.ensuring(
        Effect.all([check, other], { concurrency: 2 }),
        Effect.sync(() => clearInterval(beside))
      )
      expect([Date, Math.random]).toEqual([date, random])
      const by = (name: string) => seen.flatMap(([who, at]) => (who === name ? [at.getTime()] : []))
      for (const at of by("body")) expect(at).toBeGreaterThanOrEqual(Date.UTC(2030, 0, 1))
      expect(new Set(by("body").map((at) => Math.floor(at / 3_600_000))).size).toBeGreaterThan(2)
      expect(by("beside").length).toBeGreaterThan(0)
      for (const at of [...by("handler"), ...by("beside")]) {
        expect(at).toBeGreaterThanOrEqual(began)
        expect(at).toBeLessThanOrEqual(Date.now())
      }
      expect(new Set(seen.flatMap(([who, , drawn]) => (who === "body" ? [] : [drawn]))).size).toBeGreaterThan(2)
    })
  )
})
