import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { Engine } from "../../src/engine/Engine.ts"
import { EngineConfig } from "../../src/engine/EngineConfig.ts"
import * as Runs from "../../src/engine/Runs.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import * as Action from "../../src/program/Action.ts"
import { secretsIn } from "../../src/program/PayloadSecrets.ts"
import * as Workflow from "../../src/program/Workflow.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { reason: Schema.String }) {
  override get message() {
    return `refused: ${this.reason}`
  }
}

const Send = Action.make("send", { payload: Schema.Redacted(Schema.String), error: Refused })

const Notify = Workflow.make("notify", {
  payload: Schema.Struct({ token: Schema.Redacted(Schema.String), to: Schema.String }),
  error: Refused,
  idempotencyKey: ({ to, token }) => `${to} ${Redacted.value(token)}`
})

const Campaign = Workflow.make("campaign", {
  payload: Schema.Struct({ keys: Schema.Array(Schema.Redacted(Schema.String)) }),
  error: Schema.String
})

/** Makes a secret of what its payload tells all. */
const Open = Workflow.make("open", { payload: Schema.String, error: Schema.String })

const Undone = Workflow.make("undone", {
  payload: Schema.Struct({ token: Schema.Redacted(Schema.String) }),
  error: Schema.String
})

const sent: Array<string> = []

const layer = Layer.mergeAll(
  Notify.toLayer(({ token }) => Action.call(Send, token)),
  Campaign.toLayer(({ keys: [key = Redacted.make("")] }) =>
    Effect.mapError(Workflow.child(Notify, { token: key, to: "x" }), (error) => `child: ${error.message}`)
  ),
  Undone.toLayer(({ token }) =>
    Effect.zipRight(
      Workflow.withCompensation(Effect.void, () => Effect.die(new Error(`cannot undo ${Redacted.value(token)}`))),
      Effect.fail(`no ${Redacted.value(token)}`)
    )
  ),
  Open.toLayer((text) =>
    Effect.mapError(Workflow.child(Notify, { token: Redacted.make(text), to: "x" }), (error) => error.message)
  )
).pipe(
  Layer.provide(
    Send.toLayer((token) => {
      sent.push(Redacted.value(token))
      return Effect.fail(new Refused({ reason: `bad ${Redacted.value(token)}` }))
    })
  )
)

const world = Layer.unwrapEffect(
  Effect.map(MemoryPersistence.make(), ({ service }) =>
    layer.pipe(
      Layer.provideMerge(Engine.layer),
      Layer.provide(EngineConfig.layerWith({ checkInvariants: true })),
      Layer.provideMerge(Layer.succeed(Persistence, service))
    )
  )
)

describe("the secrets of a typed workflow", () => {
  it("are what its payload holds in a Redacted, however deep", () => {
    const loop: { self?: unknown; pin: unknown } = { pin: Redacted.make(123_456) }
    loop.self = loop
    const payload = {
      plain: "not this",
      list: [Redacted.make("secret-one"), new Map([["k", Redacted.make({ user: "secret-two", n: 1 })]])],
      loop
    }
    expect(secretsIn(payload)?.values).toEqual(["secret-one", "secret-two", "123456"])
    expect(secretsIn({ plain: "x", nothing: null, at: new Date() })).toBeUndefined()
  })

  it.live("reach its actions, and are hidden in what is shown of it and its children", () =>
    Effect.gen(function* () {
      const [shown, failure, records] = yield* Effect.gen(function* () {
        const engine = yield* Engine
        const id = yield* Campaign.start({ keys: [Redacted.make("c4nary-key")] })
        const end = yield* engine.await(id)
        const failure = yield* Effect.flip(Campaign.await(id))
        const runs = yield* Runs.list({ limit: 10 })
        const steps = yield* Effect.forEach(runs, (run) => Runs.steps(run.id))
        const persistence = yield* Persistence
        return [JSON.stringify([runs, steps]), failure, [end, ...(yield* persistence.list({ limit: 10 }))]] as const
      }).pipe(Effect.scoped, Effect.provide(world))
      expect(sent).toContain("c4nary-key")
      expect(shown).toContain("***")
      expect(shown).not.toContain("c4nary")
      // Who asked for it gets the typed error as it is.
      expect(failure).toBe("child: refused: bad c4nary-key")
      expect(records.map(({ settings }) => settings.secrets?.values)).toEqual([
        ["c4nary-key"],
        ["c4nary-key"],
        ["c4nary-key"]
      ])
      expect(records.map(({ error }) => error).join()).not.toContain("c4nary")
    })
  )

  it.live("are those of its children too", () =>
    Effect.gen(function* () {
      const settings = yield* Effect.gen(function* () {
        const engine = yield* Engine
        const end = yield* engine.await(yield* Open.start("c4nary-own"))
        const [child] = yield* Effect.flatMap(Persistence, (store) => store.list({ parent: end.id, limit: 1 }))
        expect((yield* Runs.find(end.id)).payload).toBe("***")
        return [end.settings, child?.settings]
      }).pipe(Effect.scoped, Effect.provide(world))
      expect(settings.map((of) => of?.secrets?.values)).toEqual([["c4nary-own"], ["c4nary-own"]])
    })
  )

  it.live("are hidden in the conflict of idempotency keys", () =>
    Effect.gen(function* () {
      const errors = yield* Effect.gen(function* () {
        const persistence = yield* Persistence
        const id = yield* Notify.start({ to: "a", token: Redacted.make("c4nary-key") })
        const { idempotencyKey } = yield* persistence.get(id)
        expect(idempotencyKey).toBe("a c4nary-key")
        const other = Workflow.make("notify", {
          payload: Schema.Struct({ token: Schema.Redacted(Schema.String), other: Schema.String }),
          idempotencyKey: () => "a c4nary-key"
        })
        const payload = { token: Redacted.make("c4nary-key"), other: "" }
        return yield* Effect.all([Effect.flip(other.start(payload)), Effect.flip(other.client.start(payload))])
      }).pipe(Effect.scoped, Effect.provide(world))
      for (const error of errors) {
        expect(error).toMatchObject({ _tag: "IdempotencyConflict", idempotencyKey: "a ***" })
        expect(error.message).not.toContain("c4nary")
      }
    })
  )

  it.live("are hidden where what was done cannot be taken back", () =>
    Effect.gen(function* () {
      const [record, shown] = yield* Effect.gen(function* () {
        const engine = yield* Engine
        const persistence = yield* Persistence
        const id = yield* Undone.start({ token: Redacted.make("c4nary-key") })
        yield* engine.await(id)
        return [yield* persistence.get(id), JSON.stringify([yield* Runs.find(id), yield* Runs.steps(id)])] as const
      }).pipe(Effect.scoped, Effect.provide(world))
      expect(record.error).toMatch(/^CompensationFailed: .*cannot undo \*\*\*/)
      expect(record.error).not.toContain("c4nary")
      expect(shown).not.toContain("c4nary")
    })
  )
})
