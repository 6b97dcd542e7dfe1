/** Typed actions and workflows in code, as `.wf` files call them. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { ItemProvider } from "../../src/action/ItemProvider.ts"
import type { Engine } from "../../src/engine/Engine.ts"
import type { StartOptions } from "../../src/engine/interpreter/WorkflowFiles.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import type { Texts } from "../../src/workflow/Definition.ts"
import { action, engineLayer, memoryLayer, runToEnd, type World } from "../engine/TestEngine.ts"

class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { reason: Schema.String }) {
  override get message() {
    return `it is ${this.reason}`
  }
}

const Review = Action.make("review", {
  payload: Schema.Struct({
    file: Schema.String,
    strict: Schema.Boolean,
    limit: Schema.optionalWith(Schema.Int, { default: () => 10 }),
    tags: Schema.Array(Schema.String)
  }),
  success: Schema.Struct({ verdict: Schema.String, findings: Schema.Int, at: Schema.Date, summary: Schema.String }),
  error: Rejected,
  markers: ({ findings }) => (findings > 0 ? ["has_findings"] : [])
})

const at = new Date("2026-01-02T03:04:05Z")

const seen: Array<typeof Review.payload.Type> = []
const reviewing = Review.toLayer((payload) =>
  Effect.suspend(() => {
    seen.push(payload)
    if (payload.file === "bad") return Effect.fail(new Rejected({ reason: "bad" }))
    return Effect.succeed({ verdict: `fine: ${payload.file}`, findings: payload.tags.length, at, summary: "looked" })
  })
)

const provider = (...items: ReadonlyArray<Texts & { readonly id: string }>): ItemProvider => ({
  ordered: false,
  items: () => Effect.succeed({ items: items.map(({ id, ...context }) => ({ type: "t", id, ref: id, context })) })
})

/** Runs a workflow in an engine whose layers hold these. */
const run = <H>(text: string, supplied: Layer.Layer<H>, world: World = {}, options: StartOptions = {}) =>
  Effect.suspend(() => {
    seen.length = 0
    return Effect.provide(
      runToEnd(text, options),
      engineLayer(world).pipe(Layer.provide(supplied), Layer.provideMerge(memoryLayer()))
    )
  })

describe("a call of a typed action", () => {
  it.live("takes its payload from its inputs, then the variables, each read as the schema wants it", () =>
    Effect.gen(function* () {
      const text = `workflow w {
        inputs { file, strict boolean, tags default = "[]" }
        call review { inputs { tags = "[\\"{{file}}\\"]" } }
        if review.has_findings { call review { inputs { file = "other", limit = 3 } } }
      }`
      const { run: record, step } = yield* run(text, reviewing, {}, { inputs: { file: "a.ts", strict: "true" } })
      expect(record.status).toBe("completed")
      expect(seen).toEqual([
        { file: "a.ts", strict: true, limit: 10, tags: ["a.ts"] },
        { file: "other", strict: true, limit: 3, tags: [] }
      ])
      expect(step("/review").result).toMatchObject({
        structured: { verdict: "fine: a.ts", findings: 1, at: at.toISOString(), summary: "looked" },
        markers: ["has_findings"],
        context: "looked"
      })
      expect(step("/if:review.has_findings/review").result.markers).toEqual([])
    })
  )

  it.live("makes its success's texts variables, and its summary the context", () =>
    Effect.gen(function* () {
      const Note = Action.make("note", {
        payload: Schema.Struct({ verdict: Schema.String, prior_context: Schema.String }),
        success: Schema.Int,
        summary: (length) => `${length} characters`
      })
      const noting = Note.toLayer(({ prior_context, verdict }) => Effect.succeed(verdict.length + prior_context.length))
      const text = `workflow w {
        inputs { file default = "f", strict boolean, tags default = "[]" }
        call review
        call note
      }`
      const { step } = yield* run(text, Layer.merge(reviewing, noting))
      expect(step("/note").result).toMatchObject({ structured: 13, context: "13 characters", markers: [] })
    })
  )

  it.live("that fails has the tag and the message of the typed error as its reason", () =>
    Effect.gen(function* () {
      const text = `workflow w {
        inputs { strict boolean, tags default = "[]" }
        call review { inputs { file = bad } on_fail = tell }
      }`
      const told: Array<unknown> = []
      const tell = action(({ variables: { failed_step, failure_reason, retry_count } }) => {
        told.push({ failed_step, failure_reason, retry_count })
        return {}
      })
      const { run: record, step } = yield* run(text, reviewing, { actions: { tell } })
      expect(step("/review").error).toBe("Rejected: it is bad")
      expect(record).toMatchObject({ status: "failed", error: "review: Rejected: it is bad" })
      expect(told).toEqual([{ failed_step: "review", failure_reason: "Rejected: it is bad", retry_count: "0" }])
    })
  )

  it.live("is tried as often as the action says, unless the call says otherwise", () =>
    Effect.gen(function* () {
      const keys: Array<string> = []
      const Flaky = Action.make("flaky", {
        payload: Schema.Struct({ id: Schema.String }),
        retry: { times: 2 },
        idempotencyKey: ({ id }) => `key of ${id}`
      })
      const failing = Flaky.toLayer((_, { idempotencyKey }) => {
        keys.push(idempotencyKey)
        return Effect.dieMessage("not yet")
      })
      const text = `workflow w {
        call flaky { inputs { id = a } on_fail = continue }
        call flaky { inputs { id = b } retries = 0 on_fail = continue }
      }`
      const { step } = yield* run(text, failing)
      expect(step("/flaky").attempts).toHaveLength(3)
      expect(step("/flaky~2").attempts).toHaveLength(1)
      expect(keys).toEqual([...Array.from({ length: 3 }, () => "key of a"), "key of b"])
    })
  )

  it.live("that cannot be given its payload fails at once, with the key, however many retries there are", () =>
    Effect.gen(function* () {
      const text = `workflow w {
        inputs { file default = "f", strict boolean, tags default = "none" }
        call review { retries = 3 on_fail = continue }
        call lacking { on_fail = continue }
        call odd { on_fail = continue }
      }`
      const Lacking = Action.make("lacking", { payload: Schema.Struct({ file: Schema.String, cents: Schema.Int }) })
      const Odd = Action.make("odd", { payload: Schema.Array(Schema.Int) })
      const supplied = Layer.mergeAll(
        reviewing,
        Lacking.toLayer(() => Effect.void),
        Odd.toLayer(() => Effect.void)
      )
      const { step } = yield* run(text, supplied)
      expect(step("/review").attempts).toHaveLength(1)
      expect(step("/review").error).toContain("action 'review' does not take what it is given")
      expect(step("/review").error).toContain('tags: Expected ReadonlyArray<string>, actual "none"')
      expect(step("/lacking").error).toBe("action 'lacking' needs 'cents', which nothing gives")
      expect(step("/odd").error).toContain("action 'odd' takes ReadonlyArray<Int>, which no .wf file can give")
      expect(seen).toEqual([])
    })
  )

  it.live("goes before an executor of its name, and its handler knows a dry run", () =>
    Effect.gen(function* () {
      const dry: Array<boolean> = []
      const Ship = Action.make("ship", { payload: Schema.Void })
      const shipping = Ship.toLayer((_, { dryRun }) => Effect.sync(() => void dry.push(dryRun)))
      const world = { actions: { ship: action(() => ({ context: "the other" })) } }
      const { step } = yield* run("workflow w { call ship }", shipping, world, { dryRun: true })
      expect(step("/ship").result.context).toBe("")
      expect(dry).toEqual([true])
    })
  )

  it.live("stands in parallel blocks, loops and pipelines like any other", () =>
    Effect.gen(function* () {
      const Double = Action.make("double", {
        payload: Schema.Struct({ n: Schema.Int }),
        success: Schema.Struct({ doubled: Schema.Int }),
        markers: ({ doubled }) => (doubled < 8 ? ["small"] : [])
      })
      const doubling = Double.toLayer(({ n }) => Effect.succeed({ doubled: 2 * n }))
      const text = `workflow w {
        parallel { call double { inputs { n = 1 } } call double { inputs { n = 2 } } }
        do { max_iterations = 2 on_max_iter = continue call double { inputs { n = 3 } } } while double.small
        pipeline items {
          over = p max_parallel = 2
          call double { inputs { n = "{{item.id}}" } }
        }
      }`
      const {
        outline,
        run: record,
        steps
      } = yield* run(text, doubling, { providers: { p: provider({ id: "4" }, { id: "5" }) } })
      expect(record.status).toBe("completed")
      expect(outline.filter((line) => line.includes("double"))).toHaveLength(6)
      const doubled = steps.flatMap(({ name, result }) => (name === "double" ? [result.structured] : []))
      expect(doubled).toEqual([2, 4, 6, 6, 8, 10].map((doubled) => ({ doubled })))
    })
  )
})

describe("a workflow in code, called by a file", () => {
  const Pack = Workflow.make("pack", {
    payload: Schema.Struct({ order: Schema.String, parcels: Schema.Int, note: Schema.optional(Schema.String) }),
    success: Schema.Struct({ label: Schema.String, parcels: Schema.Int, summary: Schema.String }),
    error: Rejected
  })
  const pack = Pack.toLayer(({ order, parcels }) =>
    parcels === 0
      ? Effect.fail(new Rejected({ reason: "empty" }))
      : Effect.succeed({ label: `label of ${order}`, parcels, summary: `${parcels} parcels` })
  )

  const runWith = (
    text: string,
    workflows: Layer.Layer<never, never, Engine>,
    options: StartOptions = {},
    providers: NonNullable<World["providers"]> = {}
  ) =>
    Effect.provide(
      runToEnd(text, options),
      workflows.pipe(Layer.provideMerge(engineLayer({ providers })), Layer.provideMerge(memoryLayer()))
    )

  it.live("is a child run; its success is the step's output, and its texts are variables", () =>
    Effect.gen(function* () {
      const text = `workflow w {
        inputs { id }
        call workflow pack { inputs { order = "{{id}}", parcels = 2 } }
        script show { run = "printf %s {{label}}" }
      }`
      const { children, run: record, step } = yield* runWith(text, pack, { inputs: { id: "o-1" } })
      expect(record.status).toBe("completed")
      expect(children.map(({ status, workflow }) => [workflow, status])).toEqual([["pack", "completed"]])
      expect(step("/workflow:pack").result).toMatchObject({
        structured: { label: "label of o-1", parcels: 2, summary: "2 parcels" },
        context: "2 parcels"
      })
      expect(step("/show").result.context).toBe("label of o-1")
    })
  )

  it.live("fails the step with its typed error, or with what it is not given", () =>
    Effect.gen(function* () {
      const text = `workflow w {
        call workflow pack { inputs { order = a, parcels = 0 } on_fail = continue }
        call workflow pack { inputs { order = b } on_fail = continue }
        call workflow pack { inputs { order = c, parcels = many } on_fail = continue }
      }`
      const { children, step } = yield* runWith(text, pack)
      expect(step("/workflow:pack").error).toBe("Rejected: it is empty")
      expect(step("/workflow:pack~2").error).toBe("workflow 'pack' needs the input 'parcels'")
      expect(step("/workflow:pack~3").error).toContain("'pack' does not take what it is given")
      expect(children).toHaveLength(1)
    })
  )

  it.live("is run for each item of a foreach; an item that makes no payload fails by itself", () =>
    Effect.gen(function* () {
      const text = `workflow w {
        foreach orders {
          over = p max_parallel = 2 workflow = pack
          inputs = { order = "{{item.id}}", parcels = "{{item.parcels}}" }
        }
      }`
      const p = provider({ id: "a", parcels: "1" }, { id: "b", parcels: "x" })
      const { items, step } = yield* runWith(text, pack, {}, { p })
      expect(items.map(({ id, status }) => [id, status])).toEqual([
        ["a", "completed"],
        ["b", "failed"]
      ])
      expect(items[1]?.error).toContain("'pack' does not take what it is given")
      expect(step("/foreach:orders").result.structured).toMatchObject({
        items: [
          { item_id: "a", output: { label: "label of a" } },
          { item_id: "b", output: null }
        ]
      })
    })
  )
})
