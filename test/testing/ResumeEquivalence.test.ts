/** The kit's crash test of users' workflows: passes what is right, and says of what is wrong where it shows. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Action, type Persistence, type Records, Workflow } from "millrace"
import { checkResumeEquivalence } from "millrace/testing"
import { place } from "../cli/support.ts"

class Declined extends Schema.TaggedError<Declined>()("Declined", { cents: Schema.Int }) {}

const Charge = Action.make("charge", { payload: Schema.Int, success: Schema.String, error: Declined })
const Refund = Action.make("refund", { payload: Schema.Int })
const Ship = Action.make("ship", { payload: Schema.String, retry: { times: 2, delay: "1 minute" } })
const Release = Workflow.makeGate("release")
const Packed = Workflow.signal("packed", Schema.String)

const Order = Workflow.make("order", {
  payload: Schema.Struct({ id: Schema.String, cents: Schema.Int }),
  success: Schema.Struct({ receipt: Schema.String, number: Schema.String, at: Schema.Number }),
  error: Schema.Union(Declined, Workflow.GateRejected, Workflow.GateTimedOut),
  idempotencyKey: ({ id }) => id
})

const order = Order.toLayer(({ cents }) =>
  Effect.gen(function* () {
    const [number, at] = [yield* Workflow.uuid, yield* Workflow.now]
    const receipt = yield* Action.call(Charge, cents).pipe(Workflow.withCompensation(() => Action.call(Refund, cents)))
    yield* Workflow.gate(Release)
    yield* Workflow.sleep("1 day")
    const parcels = ["a", "b", yield* Workflow.awaitSignal(Packed).pipe(Effect.orDie)]
    yield* Workflow.forEach(parcels, (parcel) => Action.call(Ship, parcel), { key: (parcel) => parcel })
    return { receipt, number, at }
  })
)

/** A bank that knows a request by its key, and one that does not. */
const world = (isCareful: boolean) => {
  const seen = new Map<string, number>()
  const keyOf = (key: string) => (isCareful ? key : `${key} ${seen.size}`)
  const actions = Layer.mergeAll(
    Charge.toLayer((cents, { idempotencyKey }) =>
      cents > 1_000
        ? Effect.fail(new Declined({ cents }))
        : Effect.sync(() => {
            seen.set(keyOf(idempotencyKey), cents)
            return "paid"
          })
    ),
    Refund.toLayer((cents, { idempotencyKey }) => Effect.sync(() => void seen.set(keyOf(idempotencyKey), -cents))),
    Ship.toLayer((parcel, { attempt }) =>
      parcel === "b" && attempt === 1 ? Effect.die("lost") : Effect.sleep("1 hour")
    )
  )
  return {
    layer: order.pipe(Layer.provide(actions)),
    observe: () => [...seen.values()].reduce((sum, cents) => sum + cents, 0),
    people: [
      (run: Records.RunId) => Order.answer(run, Release, { approved: true }),
      (run: Records.RunId) => Order.signal(run, Packed, "c")
    ] as const
  }
}

const failureOf = <A, E extends Error, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), ({ message }) => message)

const payload = { id: "o-1", cents: 100 }

describe("a crash at every write of a user's workflow", { timeout: 120_000 }, () => {
  it.live("is survived by one with gates, signals, sleeps, retries, branches and drawn values", () =>
    Effect.gen(function* () {
      const report = yield* checkResumeEquivalence(Order, { payload, setup: () => world(true) })
      expect(report.writes).toBeGreaterThan(10)
      expect(report.histories).toBe(report.writes * 2 + 10)
      expect(report.end).toEqual({ status: "completed", error: undefined, steps: 5, unanswered: [], observed: 100 })
    })
  )

  it.live("is survived by one that is refused, and by one that is rejected and refunds", () =>
    Effect.gen(function* () {
      const declined = { payload: { id: "o-1", cents: 5_000 }, setup: () => world(true) }
      const { end } = yield* checkResumeEquivalence(Order, declined)
      const error: unknown = expect.stringContaining("Declined")
      expect(end).toEqual({ status: "failed", error, steps: 1, unanswered: [], observed: 0 })
      const rejecting = () => ({
        ...world(true),
        people: [(run: Records.RunId) => Order.answer(run, Release, { approved: false })]
      })
      yield* checkResumeEquivalence(Order, { payload, setup: rejecting })
    })
  )

  it.live("shows a handler that charges twice, says at which write, and repeats that history alone", () =>
    Effect.gen(function* () {
      const options = { payload, setup: () => world(false), secondCrashes: 0 }
      const message = yield* failureOf(checkResumeEquivalence(Order, options))
      expect(message).toContain("workflow 'order' does not survive")
      expect(message).toMatch(/killed before write \d+ \(commit: \/charge completed/)
      expect(message).toContain("the world is not the same\n  expected 100\n  actual   200")
      const [, write = ""] = /only: \[\{ write: (\d+), moment: "before" \}\]/.exec(message) ?? []
      const only = [{ write: Number(write), moment: "before" }] as const
      expect(yield* failureOf(checkResumeEquivalence(Order, { ...options, only }))).toContain("survive 1 of 1 crashes")
      const other = [{ write: 1, moment: "after" }] as const
      expect(yield* checkResumeEquivalence(Order, { ...options, only: other })).toMatchObject({ histories: 1 })
    })
  )

  it.live("is told of by the crashes that happened, and by those only", () =>
    Effect.gen(function* () {
      const options = { payload, setup: () => world(false), secondCrashes: 40 }
      const failed = yield* Effect.flip(checkResumeEquivalence(Order, options))
      expect(failed._tag).toBe("ResumeDiffers")
      for (const failure of failed._tag === "ResumeDiffers" ? failed.failures : []) {
        const [killed = "", ...rest] = failure.split("\n")
        expect(killed).toMatch(/^killed (before|after) write \d+ \((commit|create|release|claim)/)
        expect(rest.at(-1)?.split("write:").length).toBe(killed.split(" write ").length)
      }
    })
  )

  it.live("is none where a history ends before its process is to be killed: it is the body that differs", () =>
    Effect.gen(function* () {
      let histories = 0
      const setup = () => {
        const isLong = histories++ < 2
        const body = Effect.zipRight(
          isLong ? Workflow.sleep("1 hour") : Effect.void,
          Effect.fail(new Declined({ cents: 1 }))
        )
        return { layer: Order.toLayer(() => body) }
      }
      const failed = yield* Effect.flip(checkResumeEquivalence(Order, { payload, setup }))
      expect(failed._tag).toBe("NotRepeatable")
      expect(failed.message).toContain("two histories without a crash differ")
      expect(failed.message).not.toContain("killed")
    })
  )

  it.live("has to happen where it is asked for alone", () =>
    Effect.gen(function* () {
      const only = [{ write: 99, moment: "before" }] as const
      const message = yield* failureOf(checkResumeEquivalence(Order, { payload, setup: () => world(true), only }))
      expect(message).toMatch(/`only` kills process 1 before write 99, and it makes \d+$/)
    })
  )

  it.live("is not tried where a run only waits, or dies, without anybody meaning it", () =>
    Effect.gen(function* () {
      const { layer } = world(true)
      const waiting = yield* failureOf(checkResumeEquivalence(Order, { payload, setup: () => ({ layer }) }))
      expect(waiting).toContain("nobody answered gate 'release' at /release, until the time was over; `people`, beside")
      const nobody = yield* checkResumeEquivalence(Order, { payload, setup: () => ({ layer, people: [] }) })
      expect(nobody.end).toMatchObject({ status: "failed", unanswered: ["gate 'release' at /release"] })
      const dying = () => ({ layer: Order.toLayer(() => Effect.die("a typo")) })
      expect(yield* failureOf(checkResumeEquivalence(Order, { payload, setup: dying }))).toContain("defect: a typo")
      const meant = yield* checkResumeEquivalence(Order, { payload, setup: dying, end: "failed" })
      expect(meant.end).toMatchObject({ status: "failed", steps: 0 })
    })
  )

  it.live("is not tried where a body draws from outside of the journal", () =>
    Effect.gen(function* () {
      let runs = 0
      const counting = Order.toLayer(() => Effect.sync(() => ({ receipt: `${runs++}`, number: "", at: 0 })))
      const message = yield* failureOf(checkResumeEquivalence(Order, { payload, setup: () => ({ layer: counting }) }))
      expect(message).toContain("two histories without a crash differ")
      expect(message).toContain(`"receipt":"0"`)
    })
  )

  it.live("says what a run waits for that does not end, and what its people are refused with", () =>
    Effect.gen(function* () {
      const {
        layer,
        people: [approve]
      } = world(true)
      const alone = yield* failureOf(
        checkResumeEquivalence(Order, { payload, setup: () => ({ layer, people: [approve] }) })
      )
      expect(alone).toContain("the run is waiting after 60 days; it waits for the signal at /packed")
      const people = [approve, () => Effect.fail("closed today")]
      const refused = yield* failureOf(checkResumeEquivalence(Order, { payload, setup: () => ({ layer, people }) }))
      expect(refused).toContain("the next of 'people' still fails: closed today")
    })
  )

  it.live("says who of its people is never taken, with what, where the run ends without them", () =>
    Effect.gen(function* () {
      const [approve, packed] = world(true).people
      const check = (...people: ReadonlyArray<(run: Records.RunId) => Effect.Effect<unknown, unknown, Persistence>>) =>
        checkResumeEquivalence(Order, { payload, setup: () => ({ ...world(true), people }) })
      const misspelt = (run: Records.RunId) => Order.answer(run, Workflow.makeGate("releas"), { approved: true })
      expect(yield* failureOf(check(misspelt, packed))).toMatch(
        /number 1 of `people` tried until the run had ended, and was never taken: NotWaiting: releas .+; nobody else answered gate 'release' at \/release$/
      )
      const Wanted = Workflow.makeGate("release", { answer: Schema.Int })
      const refused = (run: Records.RunId) => Order.answer(run, Wanted, { approved: true, value: 1.5 })
      expect(yield* failureOf(check(refused))).toMatch(
        /was never taken: InvalidAnswer: gate 'release' does not take .+1\.5/
      )
      expect(yield* failureOf(check(approve, packed, () => Effect.fail("no time")))).toContain(
        "number 3 of `people` tried until the run had ended, and was never taken: no time"
      )
      const setup = () => {
        let tries = 0
        const late = (run: Records.RunId): Effect.Effect<unknown, unknown, Persistence> =>
          tries++ < 3 ? Effect.fail("not yet") : approve(run)
        return { ...world(true), people: [late, packed] }
      }
      expect((yield* checkResumeEquivalence(Order, { payload, setup })).end.status).toBe("completed")
    })
  )

  it.live("is survived by a `.wf` file, and shows an action in it that acts twice", () =>
    Effect.gen(function* () {
      const Bill = Action.make("bill", { payload: Schema.Struct({ who: Schema.String }) })
      const file = place().write(
        "billing.wf",
        'workflow billing {\n  inputs { who }\n  call bill { inputs { who = "{{who}}" } }\n  gate human_approval { prompt = "Sent?" }\n}\n'
      )
      const Billing = Workflow.fromFile(file, { actions: [Bill], payload: Schema.Struct({ who: Schema.String }) })
      const setup = (isCareful: boolean) => () => {
        const bills: Array<string> = []
        const billing = Bill.toLayer((_, { idempotencyKey }) =>
          Effect.sync(() => void (isCareful && bills.includes(idempotencyKey) ? 0 : bills.push(idempotencyKey)))
        )
        const approval = Workflow.makeGate("human_approval")
        return {
          layer: Billing.layer.pipe(Layer.provide(billing)),
          observe: () => bills.length,
          people: [(run: Records.RunId) => Billing.answer(run, approval, { approved: true })]
        }
      }
      yield* checkResumeEquivalence(Billing, { payload: { who: "ann" }, setup: setup(true) })
      const twice = checkResumeEquivalence(Billing, { payload: { who: "ann" }, setup: setup(false) })
      expect(yield* failureOf(twice)).toContain("expected 1\n  actual   2")
    })
  )

  it.live("is not tried where the layer cannot be built: the check dies of that", () =>
    Effect.gen(function* () {
      const layer = Layer.effectDiscard(Effect.die("no such database"))
      const exit = yield* Effect.exit(checkResumeEquivalence(Order, { payload, setup: () => ({ layer }) }))
      expect(String(exit)).toContain("no such database")
    })
  )
})
