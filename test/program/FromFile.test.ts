/** `.wf` files as typed workflows. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Client from "../../src/engine/Client.ts"
import type { Declared } from "../../src/action/TypedAction.ts"
import { Engine } from "../../src/engine/Engine.ts"
import { EngineConfig } from "../../src/engine/EngineConfig.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import * as OutputFiles from "../../src/persistence/OutputFiles.ts"
import { Persistence, type PersistenceService } from "../../src/persistence/Persistence.ts"
import * as Action from "../../src/program/Action.ts"
import type { AnySchema } from "../../src/program/Codec.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { temporaryFolder } from "../action/support.ts"
import { engineLayer } from "../engine/TestEngine.ts"
import { until } from "./support.ts"

const Review = Action.make("review", {
  payload: Schema.Struct({ file: Schema.String, limit: Schema.Int }),
  success: Schema.Struct({ findings: Schema.Int, verdict: Schema.String }),
  markers: ({ findings }) => (findings > 0 ? ["has_findings"] : [])
})
const Fix = Action.make("fix", { payload: Schema.Struct({ verdict: Schema.String }) })

const reviewed: Array<typeof Review.payload.Type> = []
const actions = Layer.merge(
  Review.toLayer((payload) =>
    Effect.sync(() => {
      reviewed.push(payload)
      return { findings: Math.min(payload.file.length, payload.limit), verdict: `seen ${payload.file}` }
    })
  ),
  Fix.toLayer(() => Effect.void)
)

const payload = Schema.Struct({ file: Schema.String, limit: Schema.Int })
const success = Schema.Struct({ findings: Schema.Int })

const check = `workflow check {
  meta { title = "Check a file" }
  inputs { file, limit, token secret = true default = "hush-hush" }
  if review.has_findings { call fix }
  call review
}
`

/** A file of this text, as a workflow. */
const fileOf = (text: string, name = "check") =>
  Effect.map(temporaryFolder, (folder) => {
    const path = join(folder, `${name}.wf`)
    writeFileSync(path, text)
    return path
  })

const sound = check.replace(
  "  if review.has_findings { call fix }\n  call review\n",
  "  call review\n  if review.has_findings { call fix }\n  call review { inputs { limit = 1 } }\n"
)

const engine = <E>(store: PersistenceService, files: Layer.Layer<never, E, Engine | Persistence | OutputStoreOf>) =>
  files.pipe(
    Layer.provideMerge(Engine.layer),
    Layer.provideMerge(Layer.merge(Layer.succeed(Persistence, store), OutputFiles.layerTemporary)),
    Layer.provide(EngineConfig.layerWith({ checkInvariants: true, linger: 10 }))
  )

type OutputStoreOf = Layer.Layer.Success<typeof OutputFiles.layerTemporary>

const memory = Effect.map(MemoryPersistence.make(), ({ service }) => service)

describe("a .wf file as a typed workflow", () => {
  it.scopedLive("runs with a typed payload to a typed success, and is asked for like any other", () =>
    Effect.gen(function* () {
      reviewed.length = 0
      const Check = Workflow.fromFile(yield* fileOf(sound), {
        actions: [Review, Fix],
        payload,
        success,
        idempotencyKey: ({ file }) => file
      })
      const store = yield* memory
      const used = Effect.gen(function* () {
        const id = yield* Check.start({ file: "a.ts", limit: 3 })
        const end = yield* Check.await(id)
        const again = yield* Check.execute({ file: "a.ts", limit: 3 })
        const conflict = yield* Effect.flip(Check.start({ file: "a.ts", limit: 4 }))
        const state = yield* Check.poll({ idempotencyKey: "a.ts" })
        return { id, end, again, conflict, state }
      })
      const { again, conflict, end, id, state } = yield* Effect.provide(
        used,
        engine(store, Layer.provide(Check.layer, actions))
      )
      expect([end, again]).toEqual([{ findings: 1 }, { findings: 1 }])
      expect(conflict).toMatchObject({ _tag: "IdempotencyConflict", run: id })
      expect(Option.getOrThrow(state)).toEqual({ _tag: "Completed", run: id, value: { findings: 1 } })
      expect(reviewed).toEqual([
        { file: "a.ts", limit: 3 },
        { file: "a.ts", limit: 1 }
      ])
      const record = yield* store.get(id)
      expect(record).toMatchObject({
        workflow: "check",
        title: "Check a file",
        inputs: { file: "a.ts", limit: "3", token: "hush-hush" },
        settings: { secrets: { inputs: ["token"] } }
      })
    })
  )

  it.scopedLive("fails where its last output is not its success, or a step fails, with what a person can use", () =>
    Effect.gen(function* () {
      const Other = Workflow.fromFile(yield* fileOf(sound), {
        actions: [Review, Fix],
        payload,
        success: Schema.Struct({ receipt: Schema.String })
      })
      const Broken = Workflow.fromFile(yield* fileOf('workflow broken { script a { run = "exit 3" } }', "broken"), {
        actions: [],
        payload: Schema.Void
      })
      const layers = engine(yield* memory, Layer.merge(Layer.provide(Other.layer, actions), Broken.layer))
      const [other, broken] = yield* Effect.provide(
        Effect.all([Effect.flip(Other.execute({ file: "a", limit: 1 })), Effect.flip(Broken.execute())]),
        layers
      )
      expect(other).toMatchObject({ _tag: "WorkflowFailed", status: "failed" })
      expect(other.message).toContain("the last output of workflow 'check' is not its success")
      expect(other.message).toContain("receipt: is missing")
      expect(broken.message).toContain("a: exit code 3")
    })
  )

  it.scopedLive("asks nothing of the last output where it has no success", () =>
    Effect.gen(function* () {
      const Check = Workflow.fromFile(yield* fileOf(sound), { actions: [Review, Fix], payload })
      const layers = engine(yield* memory, Layer.provide(Check.layer, actions))
      expect(yield* Effect.provide(Check.execute({ file: "a", limit: 1 }), layers)).toBeUndefined()
    })
  )

  it.scopedLive("goes on by the definition that a run began with, in another engine, when its file has changed", () =>
    Effect.gen(function* () {
      const text = sound.replace("  call review\n", "  call review\n  gate human_approval {}\n")
      const path = yield* fileOf(text)
      const of = () => Workflow.fromFile(path, { actions: [Review, Fix], payload, success })
      const store = yield* memory
      const First = of()
      const id = yield* Effect.provide(
        Effect.tap(First.start({ file: "a.ts", limit: 2 }), (run) =>
          until(store, run, ({ owner, status }) => status === "waiting" && owner === null)
        ),
        engine(store, Layer.provide(First.layer, actions))
      )
      writeFileSync(path, "workflow check { inputs { file, limit } }\n")
      const Second = of()
      const approved = Effect.zipRight(Client.answer(id, { approved: true }), Second.await(id))
      expect(yield* Effect.provide(approved, engine(store, Layer.provide(Second.layer, actions)))).toEqual({
        findings: 1
      })
      const steps = yield* store.steps(id)
      expect(steps.filter(({ kind }) => kind === "call").map(({ name }) => name)).toEqual(["review", "fix", "review"])
    })
  )

  it.scopedLive("is left alone by engines that run other files, and left to them by a client", () =>
    Effect.gen(function* () {
      const store = yield* memory
      const Check = Workflow.fromFile(yield* fileOf(sound), { actions: [Review, Fix], payload, success })
      const files = engineLayer({}).pipe(
        Layer.provideMerge(Layer.merge(Layer.succeed(Persistence, store), OutputFiles.layerTemporary))
      )
      const id = yield* Effect.provide(Check.client.start({ file: "a", limit: 1 }), Layer.succeed(Persistence, store))
      const drained = Effect.flatMap(Engine, (running) => running.drained)
      yield* Effect.provide(drained, files)
      expect(yield* store.get(id)).toMatchObject({ status: "pending", owner: null })
      const ended = Effect.provide(Check.client.await(id), Layer.succeed(Persistence, store))
      expect(yield* Effect.provide(ended, engine(store, Layer.provide(Check.layer, actions)))).toEqual({ findings: 1 })
    })
  )
})

describe("the layer of a .wf file", () => {
  const refusal = Effect.fnUntraced(function* (
    text: string,
    options: { readonly actions?: ReadonlyArray<Declared>; readonly payload?: AnySchema; readonly name?: string } = {}
  ) {
    const path = yield* fileOf(text, options.name)
    const made = Workflow.fromFile(path, {
      actions: options.actions ?? [Review, Fix],
      payload: options.payload ?? payload
    })
    // SAFETY: the file is refused before any action is asked for.
    const layer = made.layer as Layer.Layer<
      never,
      Layer.Layer.Error<typeof made.layer>,
      Engine | Persistence | OutputStoreOf
    >
    const error = yield* Effect.flip(Effect.scoped(Layer.build(engine(yield* memory, layer))))
    if (error._tag !== "InvalidWorkflow") return yield* Effect.die(error)
    expect(error.message).toContain("check.wf")
    return error.problems.map(({ code, line = 0, message }) => `${code} ${line} ${message}`)
  })

  it.scopedLive("is refused with all that is wrong with the file, at its place", () =>
    Effect.gen(function* () {
      expect(yield* refusal("workflow check { inputs { file, limit } call }")).toEqual([
        expect.stringMatching(/^unexpected-token 1 /)
      ])
      expect(yield* refusal(check)).toEqual([
        expect.stringMatching(/^unknown-step 4 .*`review`/),
        "payload-missing 4 the action `fix` needs `verdict`, which nothing gives"
      ])
      expect(yield* refusal(sound, { actions: [Fix] })).toEqual([
        "unknown-action 4 no action `review`",
        "unknown-action 6 no action `review`"
      ])
      expect(
        yield* refusal(sound.replace("limit,", "limits,"), { payload: Schema.Struct({ file: Schema.String }) })
      ).toEqual([
        expect.stringMatching(/^input-missing 3 the payload does not have the required input `limits`/),
        expect.stringMatching(/^payload-missing 4 the action `review` needs `limit`/)
      ])
    })
  )

  it.scopedLive("is refused where what is written out for an action's payload is none", () =>
    Effect.gen(function* () {
      const text = `workflow check {
  inputs { file, limit }
  call review { inputs { limit = many } }
  call review
  call fix { inputs { verdict = "{{findings}}" } }
}`
      expect(yield* refusal(text)).toEqual([
        'payload-refused 3 the action `review` does not take `many` as `limit`: Expected number, actual "many"'
      ])
      const Count = Action.make("count", { payload: Schema.Struct({ findings: Schema.Int }) })
      const counting = text.replace(/call fix .*/, "call count").replace("many", "3")
      expect(yield* refusal(counting, { actions: [Review, Count] })).toEqual([
        "payload-missing 5 the action `count` needs `findings`, which nothing gives"
      ])
    })
  )

  it.scopedLive("is refused where the file calls what nobody gave", () =>
    Effect.gen(function* () {
      const text = `workflow check {
  inputs { file, limit }
  call workflow other
  foreach each { over = tickets, max_parallel = 1, workflow = other }
  gate pr_checks {}
  call review { output = plan, with = style }
  gate human_approval {}
  script a { run = "true" }
}`
      expect((yield* refusal(text)).map((problem) => problem.split(" ").slice(0, 2).join(" "))).toEqual([
        "unknown-workflow 3",
        "unknown-provider 4",
        "unknown-workflow 4",
        "unknown-gate 5",
        "schema-missing 6",
        "snippet-missing 6"
      ])
    })
  )

  it.scopedLive("is refused where the payload does not fit the inputs, or the name the file", () =>
    Effect.gen(function* () {
      const inputs = "workflow check {\n  inputs { file, limit }\n}\n"
      const loose = Schema.Struct({ file: Schema.optional(Schema.String), limit: Schema.Int, more: Schema.String })
      expect(yield* refusal(inputs, { payload: loose })).toEqual([
        "input-undeclared 1 the payload has `more`, and the workflow `check` declares no such input",
        "input-missing 2 the payload may lack the required input `file`"
      ])
      expect(yield* refusal(inputs, { payload: Schema.Array(Schema.String) })).toEqual([
        expect.stringMatching(/^payload-shape 1 the workflow `check` takes ReadonlyArray<string>/)
      ])
      expect(yield* refusal(inputs.replace("check", "chekc"))).toEqual([expect.stringMatching(/^file-name 1 /)])
    })
  )

  it.scopedLive("dies where what is supplied is another action of the name", () =>
    Effect.gen(function* () {
      // Its types are the same: what differs is how a payload is read.
      const Other = Action.make("fix", { payload: Schema.Struct({ verdict: Schema.Trim }) })
      const Check = Workflow.fromFile(yield* fileOf(sound), { actions: [Review, Other], payload })
      const exit = yield* Effect.exit(
        Effect.scoped(Layer.build(engine(yield* memory, Layer.provide(Check.layer, actions))))
      )
      expect(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "built").toContain("two actions are called 'fix'")
    })
  )

  it.scopedLive("is refused where there is no file, and so is a start", () =>
    Effect.gen(function* () {
      const store = yield* memory
      const Gone = Workflow.fromFile("gone/check.wf", { actions: [], payload: Schema.Void })
      const built = yield* Effect.flip(Effect.scoped(Layer.build(engine(store, Gone.layer))))
      expect(built).toMatchObject({ _tag: "InvalidWorkflow", problems: [{ code: "file-unreadable" }] })
      const started = Effect.provide(Effect.flip(Gone.client.start()), Layer.succeed(Persistence, store))
      expect(yield* started).toMatchObject({ _tag: "InvalidWorkflow" })
    })
  )
})
