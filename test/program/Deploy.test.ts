/**
 * A replay that does not fit (design.md): a bad deploy parks its runs, takes nothing back, and the code that fits lets
 * them finish.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { resume } from "../../src/engine/Resume.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import type { PersistenceService } from "../../src/persistence/Persistence.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import { engine, letGo, parked, type Workflows } from "./support.ts"

interface Account {
  balance: number
  charges: number
}

const Charge = Action.make("charge", { payload: Schema.Number, success: Schema.Number })
const Refund = Action.make("refund", { payload: Schema.Number })
const Invoice = Action.make("invoice", { payload: Schema.Number })

const handlers = (account: Account) =>
  Layer.mergeAll(
    Charge.toLayer((cents) =>
      Effect.sync(() => {
        account.balance -= cents
        account.charges += 1
        return cents
      })
    ),
    Refund.toLayer((cents) => Effect.sync(() => void (account.balance += cents))),
    Invoice.toLayer(() => Effect.void)
  )

const payload = Schema.Struct({ id: Schema.String, cents: Schema.Number })
const shape = { payload, success: Schema.String }
const Order = Workflow.make("order", shape)

type Needs =
  | Workflow.WorkflowRun
  | Action.HandlerOf<typeof Charge>
  | Action.HandlerOf<typeof Refund>
  | Action.HandlerOf<typeof Invoice>

type Body = (order: typeof payload.Type) => Effect.Effect<string, never, Needs>

const deploy =
  (body: Body, workflow: typeof Order = Order) =>
  (account: Account): Workflows =>
    Layer.provide(
      workflow.toLayer((order) => Effect.orDie(body(order))),
      handlers(account)
    )

const charged = (cents: number) =>
  Action.call(Charge, cents).pipe(Workflow.withCompensation((paid) => Action.call(Refund, paid)))

/** What the runs were started with. */
const good = deploy(({ cents, id }) =>
  Effect.gen(function* () {
    const paid = yield* charged(cents)
    yield* Workflow.sleep("20 seconds")
    return `${id}: ${paid}`
  })
)

const bad: Readonly<Record<string, { readonly code: (account: Account) => Workflows; readonly reason: string }>> = {
  "another step at a path": {
    code: deploy(({ cents }) =>
      Effect.zipRight(Action.call(Invoice, cents), Effect.as(Workflow.gate("sleep").pipe(Effect.orDie), ""))
    ),
    reason: "/sleep is recorded as sleep 'sleep', but the workflow now has gate 'sleep' there"
  },
  "a result that its schema no longer reads": {
    code: () => {
      const Other = Action.make("charge", {
        payload: Schema.Number,
        success: Schema.Struct({ receipt: Schema.String })
      })
      return Layer.provide(
        Order.toLayer(({ cents }) => Effect.map(Action.call(Other, cents), ({ receipt }) => receipt)),
        Other.toLayer(() => Effect.succeed({ receipt: "" }))
      )
    },
    reason: "the recorded end of /charge cannot be read by action 'charge'"
  },
  "a payload that its schema no longer reads": {
    code: (account) => {
      const strict = Workflow.make("order", {
        payload: Schema.Struct({ cents: Schema.String }),
        success: Schema.String
      })
      return Layer.provide(
        strict.toLayer(({ cents }) => Effect.succeed(cents)),
        handlers(account)
      )
    },
    reason: "the payload cannot be read by workflow 'order'"
  }
}

const inEngine = <A, E>(
  store: PersistenceService,
  code: Workflows,
  effect: Effect.Effect<A, E, Layer.Layer.Success<ReturnType<typeof engine>>>
) => Effect.provide(effect, engine(store, code))

describe("a deployed body that does not fit", () => {
  for (const [what, { code, reason }] of Object.entries(bad)) {
    it.live(`parks its runs, refunds nothing, and restoring it lets them finish: ${what}`, () =>
      Effect.gen(function* () {
        const account: Account = { balance: 1_000, charges: 0 }
        const { service: store } = yield* MemoryPersistence.make()
        yield* withVirtualClock(
          Effect.gen(function* () {
            const ids = ["a", "b", "c"]
            const runs = yield* inEngine(
              store,
              good(account),
              Effect.forEach(ids, (id) => Effect.tap(Order.start({ id, cents: 100 }), (run) => letGo(store, run)))
            )
            const records = yield* inEngine(
              store,
              code(account),
              Effect.forEach(runs, (run) => parked(store, run))
            )
            for (const { error } of records) expect(error).toContain(reason)
            expect(account).toEqual({ balance: 700, charges: 3 })
            // Again, by a new engine with the same code and by an explicit resume: they stay parked.
            yield* inEngine(
              store,
              code(account),
              Effect.forEach(runs, (run) => Effect.zipRight(resume(run), parked(store, run)))
            )
            for (const run of runs) {
              const steps = yield* store.steps(run)
              expect(steps.some(({ status }) => status === "cancelled" || status === "failed")).toBe(false)
            }
            const ends = yield* inEngine(
              store,
              good(account),
              Effect.forEach(runs, (run) => Order.await(run))
            )
            expect(ends).toEqual(ids.map((id) => `${id}: 100`))
            expect(account).toEqual({ balance: 700, charges: 3 })
            for (const run of runs) expect((yield* store.get(run)).recoveries).toBe(0)
          })
        )
      })
    )
  }

  it.live("of another version leaves the runs of the old one alone, and parks one that is asked for by id", () =>
    Effect.gen(function* () {
      const account: Account = { balance: 1_000, charges: 0 }
      const { service: store } = yield* MemoryPersistence.make()
      const Next = Workflow.make("order", { ...shape, version: "2" })
      const next = deploy(() => Effect.succeed("new"), Next)
      yield* withVirtualClock(
        Effect.gen(function* () {
          const run = yield* inEngine(
            store,
            good(account),
            Effect.tap(Order.start({ id: "a", cents: 100 }), (run) => letGo(store, run))
          )
          yield* inEngine(
            store,
            next(account),
            Effect.gen(function* () {
              yield* Effect.sleep("1 minute")
              expect((yield* store.get(run)).status).toBe("waiting")
              yield* resume(run)
              const { error } = yield* parked(store, run)
              expect(error).toBe("workflow 'order' is not known here")
              expect(yield* Next.execute({ id: "b", cents: 1 })).toBe("new")
            })
          )
          const both = Layer.merge(good(account), next(account))
          expect(yield* inEngine(store, both, Order.await(run))).toBe("a: 100")
        })
      )
      expect(account.balance).toBe(900)
    })
  )

  it.live("in a child parks the child, and its parent waits for it until the code fits", () =>
    Effect.gen(function* () {
      const account: Account = { balance: 1_000, charges: 0 }
      const { service: store } = yield* MemoryPersistence.make()
      const Parent = Workflow.make("parent", { payload: Schema.Void, success: Schema.String })
      const parent = Parent.toLayer(() => Effect.orDie(Workflow.child(Order, { id: "kid", cents: 100 })))
      const withParent = (code: (account: Account) => Workflows) => Layer.merge(parent, code(account))
      const wrong = bad["another step at a path"]?.code ?? good
      yield* withVirtualClock(
        Effect.gen(function* () {
          const run = yield* inEngine(
            store,
            withParent(good),
            Effect.tap(Parent.start(undefined), (run) => letGo(store, run))
          )
          const [child] = yield* store.list({ parent: run, limit: 1 })
          if (child === undefined) return expect(child).toBeDefined()
          yield* inEngine(store, withParent(wrong), parked(store, child.id))
          expect(yield* inEngine(store, withParent(good), Parent.await(run))).toBe("kid: 100")
        })
      )
      expect(account).toEqual({ balance: 900, charges: 1 })
    })
  )
})
