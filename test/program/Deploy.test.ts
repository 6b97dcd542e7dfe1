/**
 * A replay that does not fit (design.md): a bad deploy parks its runs, takes nothing back, and the code that fits lets
 * them finish.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Engine } from "../../src/engine/Engine.ts"
import { resume } from "../../src/engine/Resume.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import type { Persistence, PersistenceService } from "../../src/persistence/Persistence.ts"
import type { RunId } from "../../src/persistence/Records.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import { engine, letGo, parked, type Workflows } from "./support.ts"

interface Account {
  balance: number
  charges: number
  invoices: number
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
    Invoice.toLayer(() => Effect.sync(() => void (account.invoices += 1)))
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
      Effect.zipRight(charged(cents), Effect.as(Workflow.gate("sleep").pipe(Effect.orDie), ""))
    ),
    reason: "/sleep is recorded as sleep 'sleep', but the workflow now has gate 'sleep' there"
  },
  "another step in the place of one that was done, without an undo": {
    code: deploy(({ cents }) => Effect.as(Action.call(Invoice, cents), "")),
    reason:
      "/charge is recorded as call 'charge' (completed), but the workflow goes on to call 'invoice' without coming to it"
  },
  "another step in the place of what the run waits for": {
    code: deploy(({ cents }) => Effect.zipRight(charged(cents), Effect.as(Action.call(Invoice, cents), ""))),
    reason:
      "/sleep is recorded as sleep 'sleep' (begun), but the workflow goes on to call 'invoice' without coming to it"
  },
  "a body that comes to its end too soon": {
    code: deploy(({ cents }) => Effect.as(charged(cents), "done")),
    reason: "/sleep is recorded as sleep 'sleep' (begun), but the workflow ends without coming to it"
  },
  "a body that dies before it comes to what was done": {
    code: deploy(() => Effect.dieMessage("no connection")),
    reason: "but the workflow ends (defect: no connection) without coming to it"
  },
  "a body that continues as new before it comes to what was done": {
    code: deploy((order) => Workflow.continueAsNew(Order, order)),
    reason: "/charge is recorded as call 'charge' (completed), but the workflow continues as new without coming to it"
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
        const account: Account = { balance: 1_000, charges: 0, invoices: 0 }
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
            expect(account).toEqual({ balance: 700, charges: 3, invoices: 0 })
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
            expect(account).toEqual({ balance: 700, charges: 3, invoices: 0 })
            for (const run of runs) expect((yield* store.get(run)).recoveries).toBe(0)
          })
        )
      })
    )
  }

  it.live("of another version leaves the runs of the old one alone, and parks one that is asked for by id", () =>
    Effect.gen(function* () {
      const account: Account = { balance: 1_000, charges: 0, invoices: 0 }
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
      const account: Account = { balance: 1_000, charges: 0, invoices: 0 }
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
      expect(account).toEqual({ balance: 900, charges: 1, invoices: 0 })
    })
  )
})

const Note = Action.make("note", { payload: Schema.String })

const Kept = Workflow.make("kept", { payload: Schema.Void })

const note = (text: string) => Action.call(Note, text)
const nap = Workflow.sleep("20 seconds")

type Noted = Effect.Effect<unknown, unknown, Workflow.WorkflowRun | Action.HandlerOf<typeof Note>>

const noted =
  (body: Noted) =>
  (notes: Array<string>): Workflows =>
    Layer.provide(
      Kept.toLayer(() => Effect.orDie(Effect.asVoid(body))),
      Note.toLayer((text) => Effect.sync(() => void notes.push(text)))
    )

/** Starts a run with one body until it waits, and goes on with another one. */
const redeployed = <A, E>(
  old: Noted,
  next: Noted,
  until: (store: PersistenceService, run: RunId) => Effect.Effect<A, E, Engine | Persistence>
) =>
  Effect.gen(function* () {
    const { service: store } = yield* MemoryPersistence.make()
    const notes: Array<string> = []
    const end = yield* withVirtualClock(
      Effect.gen(function* () {
        const started = Effect.tap(Kept.start(undefined), (run) => letGo(store, run))
        const run = yield* inEngine(store, noted(old)(notes), started)
        return yield* inEngine(store, noted(next)(notes), until(store, run))
      })
    )
    return { notes, end }
  })

describe("a deployed branch that does not fit", () => {
  const cases: Readonly<Record<string, { readonly old: Noted; readonly next: Noted; readonly reason: string }>> = {
    "begins something else than it did": {
      old: Workflow.all({ a: Effect.zipRight(note("a"), nap), b: nap }),
      next: Workflow.all({ a: Effect.zipRight(Workflow.uuid, nap), b: nap }),
      reason: "/all/a/note is recorded as call 'note' (completed), but the workflow goes on to value 'uuid'"
    },
    "ends before it comes to what it did": {
      old: Workflow.forEach(["x", "y"], (item) => Effect.zipRight(note(item), nap), { key: (item) => item }),
      next: Workflow.forEach(["x", "y"], (item) => (item === "x" ? nap : Effect.void), { key: (item) => item }),
      reason: "is recorded as call 'note' (completed), but the workflow"
    },
    "would record something as done": {
      old: Effect.zipRight(note("a"), nap),
      next: Effect.zipRight(Effect.void.pipe(Workflow.withCompensation(() => note("undo"))), nap),
      reason: "/note is recorded as call 'note' (completed), but the workflow goes on to 'undo' without coming to it"
    },
    "begins something in a block that is over": {
      old: Effect.zipRight(Workflow.all({ a: note("a") }), nap),
      next: Effect.zipRight(Workflow.all({ a: Effect.zipRight(note("a"), note("new")) }), nap),
      reason: "/sleep is recorded as sleep 'sleep' (begun), but the workflow goes on to call 'note'"
    },
    "is gone, with what it did": {
      old: Workflow.all({ a: Effect.zipRight(note("a"), nap), b: nap }),
      next: Workflow.all({ b: nap }),
      reason: "/all/a/note is recorded as call 'note' (completed), but the workflow has no such branch in all /all"
    },
    "is gone, and had won a race": {
      old: Effect.zipRight(Workflow.race({ a: Effect.void, b: nap }), nap),
      next: Effect.zipRight(Workflow.race({ b: nap }), nap),
      reason: "/race was decided by its branch 'a', which the workflow no longer has"
    },
    "passes over a stage of its pipeline": {
      old: Workflow.pipeline(
        ["x"],
        { key: (item) => item },
        (item) => note(item),
        () => nap
      ),
      next: Workflow.pipeline(["x"], { key: (item) => item }, () => nap),
      reason: "/pipeline/x/note is recorded as call 'note' (completed), but the workflow ends"
    }
  }
  for (const [what, { next, old, reason }] of Object.entries(cases)) {
    it.live(`parks the run where it ${what}`, () =>
      Effect.gen(function* () {
        expect((yield* redeployed(old, next, parked)).end.error).toContain(reason)
      })
    )
  }

  const ended = (_store: PersistenceService, run: RunId) => Kept.await(run)

  it.live("is not looked for in a branch that was stopped: a loser that has lost steps lets the run end", () =>
    Effect.gen(function* () {
      const race = (loser: Noted) => Effect.zipRight(Workflow.race({ won: note("won"), lost: loser }), nap)
      const old = race(Effect.zipRight(Workflow.uuid, nap))
      expect((yield* redeployed(old, race(nap), ended)).notes).toEqual(["won"])
    })
  )

  it.live("may lose an undo of what went well", () =>
    Effect.gen(function* () {
      const old = Effect.zipRight(note("a").pipe(Workflow.withCompensation(() => note("undo"))), nap)
      const next = Effect.zipRight(note("a"), nap)
      expect((yield* redeployed(old, next, ended)).notes).toEqual(["a"])
    })
  )

  it.live("may drop a step that the run has not come to, and begin another one there", () =>
    Effect.gen(function* () {
      const old = Effect.zipRight(Effect.zipRight(note("a"), nap), note("old"))
      const next = Effect.zipRight(Effect.zipRight(note("a"), nap), Effect.zipRight(Workflow.uuid, note("new")))
      expect((yield* redeployed(old, next, ended)).notes).toEqual(["a", "new"])
    })
  )

  it.live("drops a step for new runs behind a patch, and lets those that did it end", () =>
    Effect.gen(function* () {
      const old = Effect.zipRight(note("dropped"), nap)
      const next = Effect.gen(function* () {
        if (!(yield* Workflow.patched("no-note"))) yield* note("dropped")
        yield* nap
      })
      expect((yield* redeployed(old, next, ended)).notes).toEqual(["dropped"])
      expect((yield* redeployed(next, next, ended)).notes).toEqual([])
    })
  )
})

describe("a run that is done again from a failure", () => {
  it.live("may take another way than it did, behind what failed", () =>
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      const notes: Array<string> = []
      const Try = Action.make("try", { payload: Schema.Void, error: Schema.String })
      let isBroken = true
      const body = Effect.gen(function* () {
        const took = yield* Effect.either(Action.call(Try, undefined))
        if (took._tag === "Right") return yield* note("well")
        yield* Workflow.uuid
        return yield* Effect.dieMessage("given up")
      })
      const workflows = Layer.provide(
        Kept.toLayer(() => Effect.orDie(body)),
        Layer.merge(
          Note.toLayer((text) => Effect.sync(() => void notes.push(text))),
          Try.toLayer(() => Effect.suspend(() => (isBroken ? Effect.fail("broken") : Effect.void)))
        )
      )
      yield* inEngine(
        store,
        workflows,
        Effect.gen(function* () {
          const run = yield* Kept.start(undefined)
          yield* Effect.flip(Kept.await(run))
          isBroken = false
          yield* resume(run)
          yield* Kept.await(run)
        })
      )
      expect(notes).toEqual(["well"])
    })
  )
})
