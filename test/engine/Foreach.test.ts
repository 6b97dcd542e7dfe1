import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import { type ActionCall, ActionFailed, type Executor } from "../../src/action/Action.ts"
import { type Item, type ItemEdge, type ItemProvider, ItemProviderFailed } from "../../src/action/ItemProvider.ts"
import * as Client from "../../src/engine/Client.ts"
import { Engine } from "../../src/engine/Engine.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { Persistence, type PersistenceService } from "../../src/persistence/Persistence.ts"
import { loseEngines } from "../../src/testing/ProgramRunner.ts"
import { action, awaitEnd, isEvent, layerOf, runIn, runToEnd, start, watch, type World } from "./TestEngine.ts"

const ok = action(() => ({}))

const item = (id: string, context: Item["context"] = {}): Item => ({ type: "t", id, ref: `ref-${id}`, context })

const provider = (items: ReadonlyArray<Item>, edges: ReadonlyArray<ItemEdge> = []): ItemProvider => ({
  ordered: true,
  items: () => Effect.succeed({ items, edges })
})

const edge = (blocker: string, dependent: string): ItemEdge => ({ blocker, dependent })

/** An action that fails for the items named. */
const failingFor = (...ids: ReadonlyArray<string>): Executor =>
  action(({ variables }) => {
    const id = variables["item.id"] ?? ""
    if (ids.includes(id)) throw new Error(`no ${id}`)
    return { structuredOutput: { id } }
  })

/** An action whose items begin and end as the test says. */
const held = () => {
  const of = <A, E>(map: Map<string, Deferred.Deferred<A, E>>, id: string) => {
    const known = map.get(id) ?? Deferred.unsafeMake<A, E>(FiberId.none)
    map.set(id, known)
    return known
  }
  const began = new Map<string, Deferred.Deferred<void>>()
  const ends = new Map<string, Deferred.Deferred<object, ActionFailed>>()
  const order: Array<string> = []
  const execute: Executor = (call) =>
    Effect.suspend(() => {
      const id = call.variables["item.id"] ?? ""
      order.push(id)
      return Effect.zipRight(Deferred.succeed(of(began, id), undefined), Deferred.await(of(ends, id)))
    })
  return {
    execute,
    order,
    began: (id: string) => Deferred.await(of(began, id)),
    succeed: (id: string) => Deferred.succeed(of(ends, id), {}),
    fail: (id: string) => Deferred.fail(of(ends, id), new ActionFailed({ message: `no ${id}` }))
  }
}

const each = (options: string) => `workflow w { foreach each { over = p workflow = sub ${options} } }`
const sub = "workflow sub { call a }"

const statuses = (items: ReadonlyArray<{ readonly id: string; readonly status: string }>) =>
  items.map(({ id, status }) => `${id} ${status}`)

describe("foreach", () => {
  it.live("runs a child for each item, once for the same type and id, and hands on what they gave", () =>
    Effect.gen(function* () {
      const items = [item("b"), item("a"), item("b"), { ...item("b"), type: "other" }]
      const end = yield* runIn(
        { actions: { a: failingFor() }, workflows: [sub], providers: { p: provider(items) } },
        each("max_parallel = 2")
      )
      const row = end.step("/foreach:each")
      expect([row.name, row.kind, row.role]).toEqual(["foreach:each", "foreach", "foreach"])
      expect(end.items.map(({ key }) => key)).toEqual(["t:b", "t:a", "other:b"])
      expect(row.result).toMatchObject({
        markers: [],
        context: "foreach each: 3 completed, 0 failed, 0 skipped of 3 p",
        text: "foreach each: 3 completed, 0 failed, 0 skipped of 3 p",
        structured: {
          items: [
            { item_id: "a", status: "completed", output: { id: "a" } },
            { item_id: "b", status: "completed", output: { id: "b" } },
            { item_id: "b", status: "completed", output: { id: "b" } }
          ]
        }
      })
      expect(row.fanOut).toEqual({ total: 3, completed: 3, failed: 0, skipped: 0, running: 0 })
      expect(end.children).toHaveLength(3)
      expect(end.items.map((item) => item.childRun).sort()).toEqual(end.children.map(({ id }) => id).sort())
    })
  )

  it.live("is done with no items", () =>
    Effect.gen(function* () {
      const end = yield* runIn({ workflows: [sub], providers: { p: provider([]) } }, each("max_parallel = 1"))
      const row = end.step("/foreach:each")
      expect(row.result.text).toBe("foreach each: no items to process")
      expect(row.result.structured).toEqual({ items: [] })
      expect(end.events.filter(isEvent("FanOutItemsCollected")).map(({ total }) => total)).toEqual([0])
    })
  )

  it.live("gives the child the item's values beside inputs that mix them with the parent's variables", () =>
    Effect.gen(function* () {
      const seen: Array<ActionCall["variables"]> = []
      const a = action(({ variables }) => {
        seen.push(variables)
        return {}
      })
      const items = [item("1", { owner: "Ada", id: "not me" })]
      const end = yield* runIn(
        {
          actions: { a, before: action(() => ({ structuredOutput: { branch: "main" } })) },
          workflows: ["workflow sub { inputs { x required } call a }"],
          providers: { p: provider(items) }
        },
        `workflow w { call before foreach each { over = p workflow = sub max_parallel = 1
          inputs = { x = "{{item.id}} of {{item.owner}} on {{branch}}, {{item.none}}" extra = "1" } } }`,
        { settings: { identity: "root", model: "m" } }
      )
      expect(end.children[0]?.inputs).toEqual({
        "item.id": "1",
        "item.ref": "ref-1",
        "item.owner": "Ada",
        x: "1 of Ada on main, {{item.none}}",
        extra: "1"
      })
      expect(seen[0]).toMatchObject({ "item.id": "1", "item.owner": "Ada", prior_context: "" })
      expect(end.children[0]?.settings).toMatchObject({ identity: null, model: "m" })
      expect(end.warnings).toEqual(["workflow 'sub' declares no input 'extra'"])
    })
  )

  it.live("lets the inner fan-out's item win, and hands the outer's values on only where they are named", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const a = action(({ variables }) => {
        seen.push(`${variables["item.id"]} ${variables["outer"]} ${variables["item.owner"]}`)
        return {}
      })
      yield* runIn(
        {
          actions: { a },
          workflows: [
            `workflow mid { foreach inner { over = q workflow = leaf max_parallel = 1 inputs = { outer = "{{item.id}}" } } }`,
            `workflow leaf { inputs { outer required } call a }`
          ],
          providers: { p: provider([item("1", { owner: "Ada" })]), q: provider([item("x")]) }
        },
        "workflow w { foreach each { over = p workflow = mid max_parallel = 1 } }"
      )
      expect(seen).toEqual(["x x undefined"])
    })
  )

  it.live("renders scope and filter, and gives the provider earlier outputs", () =>
    Effect.gen(function* () {
      const asked: Array<unknown> = []
      const p: ItemProvider = {
        ordered: false,
        items: ({ scope, filter, name, output, ordered }) =>
          Effect.sync(() => {
            asked.push({ scope, filter, name, ordered, output: output("a") })
            return { items: [], warnings: ["careful"] }
          })
      }
      const end = yield* runIn(
        { actions: { a: action(() => ({ structuredOutput: { n: "7" } })) }, workflows: [sub], providers: { p } },
        `workflow w { call a foreach each { over = p workflow = sub max_parallel = 1
          scope = { project = "{{n}}-{{none}}" labels = ["x{{n}}"] } filter = { state = open } } }`
      )
      expect(asked).toEqual([
        {
          scope: { project: "7-", labels: ["x7"] },
          filter: { state: "open" },
          name: "each",
          ordered: false,
          output: { n: "7" }
        }
      ])
      expect(end.warnings).toEqual(["careful"])
    })
  )

  it.live("fails when its provider fails or throws, and when there are too many items", () =>
    Effect.gen(function* () {
      const error = (p: ItemProvider) =>
        Effect.map(
          runIn({ workflows: [sub], providers: { p }, settings: { maxFanOut: 2 } }, each("max_parallel = 1")),
          ({ run }) => run.error
        )
      const fails = () => Effect.fail(new ItemProviderFailed({ provider: "p", message: "no access" }))
      const throws = () => {
        throw new Error("boom")
      }
      expect(yield* error({ ordered: false, items: fails })).toBe("foreach:each: no access")
      expect(yield* error({ ordered: false, items: throws })).toBe("foreach:each: 'p' threw: boom")
      expect(yield* error({ ordered: false, items: () => Effect.die({}) })).toBe("foreach:each: 'p' threw")
      expect(yield* error(provider(["1", "2", "3"].map((id) => item(id))))).toBe(
        "foreach:each: 3 items are more than the limit of 2"
      )
    })
  )

  it.live("never has more than max_parallel children at work; 0 counts as 1", () =>
    Effect.gen(function* () {
      const most = (n: number) =>
        Effect.gen(function* () {
          let active = 0
          let most = 0
          const work: Executor = () =>
            Effect.acquireUseRelease(
              Effect.sync(() => (most = Math.max(most, ++active))),
              () => Effect.as(Effect.sleep(5), {}),
              () => Effect.sync(() => active--)
            )
          const items = ["1", "2", "3", "4", "5"].map((id) => item(id))
          yield* runIn(
            { actions: { a: work }, workflows: [sub], providers: { p: provider(items) } },
            each(`max_parallel = ${n}`)
          )
          return most
        })
      expect(yield* most(2)).toBe(2)
      expect(yield* most(0)).toBe(1)
    })
  )

  it.live("records all items as pending before the first is dispatched, each child's id with its dispatch", () =>
    Effect.gen(function* () {
      const h = held()
      yield* Effect.scoped(
        Effect.gen(function* () {
          const persistence = yield* Persistence
          const watched = yield* watch
          const id = yield* start(each("max_parallel = 1"))
          yield* h.began("1")
          const items = yield* persistence.items(id)
          expect(statuses(items)).toEqual(["1 running", "2 pending"])
          expect(items.map(({ childRun }) => childRun !== null)).toEqual([true, false])
          const [row] = yield* persistence.steps(id)
          expect(row?.fanOut).toEqual({ total: 2, completed: 0, failed: 0, skipped: 0, running: 1 })
          yield* h.succeed("1")
          yield* h.began("2")
          const [later] = yield* persistence.steps(id)
          expect(later?.fanOut).toEqual({ total: 2, completed: 1, failed: 0, skipped: 0, running: 1 })
          yield* h.succeed("2")
          const end = yield* awaitEnd(id, watched)
          const names = end.events.flatMap((event) =>
            "item" in event
              ? [`${event._tag} ${event.item}`]
              : event._tag === "FanOutItemsCollected"
                ? [event._tag]
                : []
          )
          expect(names).toEqual([
            "FanOutItemsCollected",
            "FanOutItemStarted 1",
            "FanOutItemCompleted 1",
            "FanOutItemStarted 2",
            "FanOutItemCompleted 2"
          ])
        })
      ).pipe(
        Effect.provide(
          layerOf({ actions: { a: h.execute }, workflows: [sub], providers: { p: provider([item("1"), item("2")]) } })
        )
      )
    })
  )

  it.live("adds its children's totals up; their results and contexts stay theirs", () =>
    Effect.gen(function* () {
      const a: Executor = action(({ variables }) => {
        if (variables["item.id"] === "2") throw new Error("no")
        return { metadata: { cost_usd: "1" }, context: "inner", markers: ["m"] }
      })
      const end = yield* runIn(
        {
          actions: { first: action(() => ({ metadata: { cost_usd: "1" } })), a, b: ok },
          workflows: ["workflow sub { call first call a }"],
          providers: { p: provider([item("1"), item("2")]) }
        },
        "workflow w { foreach each { over = p workflow = sub max_parallel = 2 } if a.m { call b } }",
        { settings: { failFast: false } }
      )
      expect(end.run.totals.cost_usd).toBe(3)
      expect(end.outline).toEqual(["/foreach:each failed"])
    })
  )
})

describe("a failed item", () => {
  const items = ["1", "2", "3"].map((id) => item(id))

  it.live("fails the step after all is done, which keeps its structured output and the child's error", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: failingFor("2"), b: ok }, workflows: [sub], providers: { p: provider(items) } },
        each("max_parallel = 1")
      )
      expect(statuses(end.items)).toEqual(["1 completed", "2 failed", "3 completed"])
      expect(end.items[1]?.error).toBe("a: 'a' threw: no 2")
      expect(end.run.error).toBe("foreach:each: foreach 'each': 1 of 3 items failed")
      expect(end.step("/foreach:each").result.structured).toEqual({
        items: [
          { item_id: "1", status: "completed", output: { id: "1" } },
          { item_id: "2", status: "failed", output: null },
          { item_id: "3", status: "completed", output: { id: "3" } }
        ]
      })
      const completed = end.events.filter(isEvent("FanOutItemCompleted"))
      expect(completed.map(({ item, succeeded, error }) => [item, succeeded, error])).toEqual([
        ["1", true, null],
        ["2", false, "a: 'a' threw: no 2"],
        ["3", true, null]
      ])
    })
  )

  it.live("leaves its structured output and context to later steps where the run goes on", () =>
    Effect.gen(function* () {
      const seen: Array<ActionCall["variables"]> = []
      const look = action(({ variables }) => {
        seen.push(variables)
        return {}
      })
      const end = yield* runIn(
        {
          actions: { a: failingFor("2"), look },
          workflows: [sub, "workflow again { call look }"],
          providers: { p: provider(items) }
        },
        `workflow w {
          foreach each { over = p workflow = sub max_parallel = 1 }
          call look
          foreach again { over = json scope = { from = "each.items" } workflow = again max_parallel = 1 }
        }`,
        { settings: { failFast: false } }
      )
      expect(seen[0]?.["prior_context"]).toBe("foreach each: 2 completed, 1 failed, 0 skipped of 3 p")
      expect(JSON.parse(seen[0]?.["prior_output"] ?? "")).toMatchObject({ items: [{ item_id: "1" }, {}, {}] })
      expect(end.step("/foreach:again").error).toContain("has no `id`")
    })
  )

  it.live("with halt stops dispatching, and interrupts the children in flight, which end cancelled", () =>
    Effect.gen(function* () {
      const h = held()
      const world: World = {
        actions: { a: h.execute },
        workflows: [sub],
        providers: { p: provider(["1", "2", "3", "4"].map((id) => item(id))) }
      }
      const run = yield* Effect.fork(runIn(world, each("max_parallel = 2 on_child_fail = halt")))
      yield* h.began("1")
      yield* h.began("2")
      yield* h.fail("2")
      const end = yield* run
      expect(statuses(end.items)).toEqual(["1 cancelled", "2 failed", "3 pending", "4 pending"])
      expect(end.run.error).toBe("foreach:each: foreach 'each': 1 of 4 items failed")
      const cancelled = end.children.find(({ status }) => status === "cancelled")
      expect(cancelled?.cancelReason).toBe("parent cancelled")
      expect(end.step("/foreach:each").fanOut).toEqual({ total: 4, completed: 0, failed: 1, skipped: 0, running: 0 })
      expect(end.step("/foreach:each").result.structured).toEqual({
        items: [
          { item_id: "1", status: "cancelled", output: null },
          { item_id: "2", status: "failed", output: null }
        ]
      })
    })
  )

  it.live("with skip_dependents skips everything reachable from it", () =>
    Effect.gen(function* () {
      const ids = ["1", "2", "3", "4"].map((id) => item(id))
      const p = provider(ids, [edge("1", "2"), edge("2", "3")])
      const end = yield* runIn(
        { actions: { a: failingFor("1") }, workflows: [sub], providers: { p } },
        each("max_parallel = 1 ordered = true on_child_fail = skip_dependents")
      )
      expect(statuses(end.items)).toEqual(["1 failed", "2 skipped", "3 skipped", "4 completed"])
      expect(end.step("/foreach:each").fanOut).toEqual({ total: 4, completed: 1, failed: 1, skipped: 2, running: 0 })
      expect(end.step("/foreach:each").result.text).toBe("foreach each: 1 completed, 1 failed, 2 skipped of 4 p")
    })
  )
})

describe("an ordered foreach", () => {
  it.live("starts a dependent when all its blockers have ended, failed or not", () =>
    Effect.gen(function* () {
      const h = held()
      const p = provider([item("3"), item("1"), item("2")], [edge("1", "3"), edge("2", "3")])
      const world: World = { actions: { a: h.execute }, workflows: [sub], providers: { p } }
      const run = yield* Effect.fork(runIn(world, each("max_parallel = 3 ordered = true")))
      yield* h.began("1")
      yield* h.began("2")
      yield* h.fail("2")
      yield* h.succeed("1")
      yield* h.began("3")
      yield* h.succeed("3")
      const end = yield* run
      expect(h.order.at(-1)).toBe("3")
      expect(statuses(end.items)).toEqual(["3 completed", "1 completed", "2 failed"])
    })
  )

  it.live("ignores edges to items outside the set, with a warning", () =>
    Effect.gen(function* () {
      const p = provider([item("1"), item("2")], [edge("gone", "1"), edge("1", "2")])
      const end = yield* runIn(
        { actions: { a: ok }, workflows: [sub], providers: { p } },
        each("max_parallel = 2 ordered = true")
      )
      expect(end.run.status).toBe("completed")
      expect(end.warnings).toEqual(["the edge from 'gone' to '1' leaves the items: ignored"])
    })
  )

  const cyclic = provider(
    ["1", "2", "3"].map((id) => item(id)),
    [edge("1", "2"), edge("2", "3"), edge("3", "1")]
  )

  it.live("finds a cycle before anything is dispatched, and names it", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: ok }, workflows: [sub], providers: { p: cyclic } },
        each("max_parallel = 2 ordered = true")
      )
      expect(end.run.error).toBe("foreach:each: the items' dependencies have a cycle: 1 -> 2 -> 3 -> 1")
      expect(end.children).toEqual([])
    })
  )

  it.live("with on_cycle = warn drops the back edge", () =>
    Effect.gen(function* () {
      const order: Array<string | undefined> = []
      const a = action(({ variables }) => {
        order.push(variables["item.id"])
        return {}
      })
      const end = yield* runIn(
        { actions: { a }, workflows: [sub], providers: { p: cyclic } },
        each("max_parallel = 3 ordered = true on_cycle = warn")
      )
      expect(order).toEqual(["1", "2", "3"])
      expect(end.warnings).toEqual(["the items' dependencies have a cycle: 1 -> 2 -> 3 -> 1; the last edge is dropped"])
    })
  )
})

describe("a foreach with skip_dependents whose engine died after an item had failed", () => {
  it.live("skips what is reported only afterwards and depends on that item, directly or not", () =>
    Effect.gen(function* () {
      const memory = yield* MemoryPersistence.make()
      const h = held()
      let items = [item("1"), item("2")]
      let edges: ReadonlyArray<ItemEdge> = []
      const p: ItemProvider = { ordered: true, items: () => Effect.sync(() => ({ items, edges })) }
      const world: World = { actions: { a: h.execute }, workflows: [sub], providers: { p } }
      const text = each("max_parallel = 2 ordered = true on_child_fail = skip_dependents")
      const { id, snapshot } = yield* Effect.scoped(
        Effect.gen(function* () {
          const watched = yield* watch
          const id = yield* start(text)
          yield* h.began("2")
          yield* h.fail("1")
          yield* watched.until(isEvent("FanOutItemCompleted"))
          return { id, snapshot: memory.snapshot() }
        })
      ).pipe(Effect.provide(layerOf(world, memory.service)))
      items = [...items, item("3"), item("4"), item("5")]
      edges = [edge("1", "3"), edge("3", "4")]
      const copy = yield* MemoryPersistence.make({ from: snapshot })
      yield* loseEngines(copy.service)
      yield* h.succeed("2")
      yield* h.succeed("5")
      const run = Effect.flatMap(Engine, (engine) => engine.await(id))
      expect((yield* Effect.provide(run, layerOf(world, copy.service))).status).toBe("failed")
      const found = yield* copy.service.items(id)
      expect(statuses(found)).toEqual(["1 failed", "2 completed", "3 skipped", "4 skipped", "5 completed"])
      expect(found.map(({ error }) => error).slice(2, 4)).toEqual(["skipped: '1' failed", "skipped: '1' failed"])
      expect((yield* copy.service.steps(id))[0]?.fanOut).toEqual({
        total: 5,
        completed: 2,
        failed: 1,
        skipped: 2,
        running: 0
      })
    })
  )
})

describe("a foreach that is cancelled", () => {
  it.live("ends cancelled: interrupted items cancelled, those never dispatched pending", () =>
    Effect.gen(function* () {
      const h = held()
      const end = yield* Effect.scoped(
        Effect.gen(function* () {
          const watched = yield* watch
          const id = yield* start(each("max_parallel = 1"))
          yield* h.began("1")
          yield* Client.cancel(id)
          return yield* awaitEnd(id, watched)
        })
      ).pipe(
        Effect.provide(
          layerOf({ actions: { a: h.execute }, workflows: [sub], providers: { p: provider([item("1"), item("2")]) } })
        )
      )
      expect(end.outline).toEqual(["/foreach:each cancelled"])
      expect(statuses(end.items)).toEqual(["1 cancelled", "2 pending"])
      expect(end.children.map(({ status }) => status)).toEqual(["cancelled"])
    })
  )
})

describe("a foreach whose child waits at a gate", () => {
  it.live("keeps its slot, and is running as long as items are left to dispatch", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const persistence = yield* Persistence
          const watched = yield* watch
          const id = yield* start(each("max_parallel = 1"))
          const gateOf = (n: number) => watched.until(isEvent("GateWaiting"), n)
          const first = yield* gateOf(1)
          yield* watched.until((event): event is typeof event => event._tag === "RunWaiting" && event.run === first.run)
          const blockedOn = yield* untilBlocked(id)
          expect(blockedOn.map((on) => [on.run, on.name])).toEqual([[first.run, "human_approval"]])
          expect((yield* persistence.get(id)).status).toBe("running")
          expect(statuses(yield* persistence.items(id))).toEqual(["1 running", "2 pending"])
          yield* Client.answer(id, { approved: true })
          const second = yield* gateOf(2)
          yield* watched.until((event): event is typeof event => event._tag === "RunWaiting" && event.run === id)
          expect((yield* persistence.get(id)).status).toBe("waiting")
          expect((yield* Client.answer(id, { approved: true })).run).toBe(second.run)
          const end = yield* awaitEnd(id, watched)
          expect(statuses(end.items)).toEqual(["1 completed", "2 completed"])
        })
      ).pipe(
        Effect.provide(
          layerOf({
            workflows: ["workflow sub { gate human_approval { } }"],
            providers: { p: provider([item("1"), item("2")]) },
            settings: { linger: 1e6 }
          })
        )
      )
    })
  )
})

describe("a foreach whose children live in its engine", () => {
  it.live("asks the store for no child that has ended here", () =>
    Effect.gen(function* () {
      const { service } = yield* MemoryPersistence.make()
      const asked: Array<string> = []
      const store: PersistenceService = {
        ...service,
        get: (run) => Effect.tap(service.get(run), ({ workflow }) => Effect.sync(() => asked.push(workflow)))
      }
      const world = { workflows: [sub], actions: { a: ok }, providers: { p: provider([item("1"), item("2")]) } }
      const end = yield* Effect.provide(runToEnd(each("max_parallel = 2")), layerOf(world, store))
      expect(statuses(end.items)).toEqual(["1 completed", "2 completed"])
      expect(asked.filter((workflow) => workflow === "sub")).toEqual([])
    })
  )
})

/** What a run is blocked on, as soon as that is recorded. */
const untilBlocked = (id: Parameters<typeof Client.cancel>[0]) =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    for (;;) {
      const { blockedOn } = yield* persistence.get(id)
      if (blockedOn.length > 0) return blockedOn
      yield* Effect.yieldNow()
    }
  })
