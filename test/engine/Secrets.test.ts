/**
 * Secrets of a run: true in the store and for its steps, hidden in all that the engine hands out.
 */
import { describe, expect, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { ActionFailed } from "../../src/action/Action.ts"
import { GateResolverFailed } from "../../src/action/GateResolver.ts"
import { ItemProviderFailed } from "../../src/action/ItemProvider.ts"
import { ChildRunner, otherEngine } from "../../src/engine/ChildRunner.ts"
import * as Client from "../../src/engine/Client.ts"
import { Engine } from "../../src/engine/Engine.ts"
import { shownEvents } from "../../src/engine/EventRedaction.ts"
import { Definitions } from "../../src/engine/interpreter/Definitions.ts"
import { defaultSettings, newRun } from "../../src/engine/NewRun.ts"
import * as Runs from "../../src/engine/Runs.ts"
import { SecretListener } from "../../src/engine/SecretListener.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { OutputStore } from "../../src/persistence/OutputStore.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import type { RunId } from "../../src/persistence/Records.ts"
import { shownRun } from "../../src/persistence/Redaction.ts"
import {
  action,
  awaitEnd,
  definitionOf,
  isEvent,
  layerOf,
  park,
  runIn,
  start,
  watch,
  type World
} from "./TestEngine.ts"

const secret = `c4nary "T0ken"`
const inputs = { token: secret }

const declaring = (body: string): string => `workflow w { inputs { token secret = true required } ${body} }`

/** All that the engine hands out of a run and those below it, as JSON. */
const handedOut = (run: RunId): Effect.Effect<string, unknown, Persistence> =>
  Effect.gen(function* () {
    const children = yield* Runs.list({ parent: run, limit: 100 })
    const below = yield* Effect.forEach(children, (child) => handedOut(child.id))
    const persistence = yield* Persistence
    const record = yield* persistence.get(run)
    const gates = [yield* Client.openGates(record), Client.waitingGates(record)]
    return JSON.stringify([yield* Runs.find(run), yield* Runs.steps(run), yield* Runs.items(run), gates, below])
  })

/** The messages that are logged meanwhile. */
const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) => {
  const messages: Array<string> = []
  const logger = Logger.make(({ message }) => messages.push(String(message)))
  return Effect.map(Effect.provide(effect, Logger.replace(Logger.defaultLogger, logger)), (value) => ({
    value,
    messages
  }))
}

const isHidden = (text: string): void => {
  expect(text).toContain("***")
  for (const canary of ["c4nary", "T0ken", Buffer.from("c4nary").toString("base64")]) expect(text).not.toContain(canary)
}

/** Runs to the end; what was handed out and said meanwhile. */
const observe = (world: World, text: string, given: Readonly<Record<string, string>> = inputs) =>
  logged(
    Effect.gen(function* () {
      const watched = yield* watch
      const id = yield* start(text, { inputs: given })
      const end = yield* awaitEnd(id, watched)
      return { end, shown: yield* handedOut(id), events: JSON.stringify(watched.seen) }
    }).pipe(Effect.scoped, Effect.provide(layerOf(world)))
  )

const leaky = action(({ variables: { token = "" } }) => ({
  markers: [`m-${token}`],
  context: `used ${token}`,
  resultText: token,
  structuredOutput: { derived: token, deep: [{ [token]: token }] },
  metadata: { note: token }
}))

describe("the secrets of a run", () => {
  it.live("are hidden in records and events of all kinds, and true in the store and for later steps", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const world: World = {
        actions: {
          leaky,
          beats: (call) => Effect.as(call.heartbeat({ about: call.variables["token"] }), {}),
          warns: (call) => Effect.as(call.warn(`about ${call.variables["token"]}`), {}),
          fails: (call) => Effect.fail(new ActionFailed({ message: `no ${call.variables["token"]}` })),
          reads: action(({ variables }) => {
            seen.push(variables["derived"] ?? "", variables["prior_context"] ?? "")
            return {}
          })
        },
        providers: {
          items: {
            ordered: false,
            items: ({ variables: { token = "" } }) =>
              Effect.succeed({ items: [{ type: "t", id: token, ref: `ref ${token}`, context: { title: token } }] })
          }
        },
        workflows: ['workflow item { call leaky { inputs { token = "{{item.title}}" } } }'],
        gates: { checks: ({ prompt }) => Effect.succeed({ _tag: "Approved", feedback: `fine: ${prompt}` }) }
      }
      const { messages, value } = yield* observe(
        world,
        declaring(`
          call leaky call reads call beats call warns
          call fails { retries = 1 on_fail = continue }
          gate checks { prompt = "May {{token}}?" }
          foreach each { over = items max_parallel = 1 workflow = item }
          pipeline flow { over = items max_parallel = 1 call leaky }
          call fails
        `)
      )
      isHidden(value.shown)
      isHidden(value.events)
      isHidden(messages.join("\n"))
      expect(seen).toEqual([secret, `used ${secret}`])
      const { step } = value.end
      expect(step("/leaky").result.structured).toMatchObject({ derived: secret })
      expect(step("/checks").gate?.answer?.feedback).toBe(`fine: May ${secret}?`)
      // What nobody needs is not even recorded.
      expect(step("/fails").error).toBe("no ***")
      expect(value.end.run).toMatchObject({ error: "fails: no ***", inputs, status: "failed" })
    })
  )

  it.live("are hidden in every way to fail", () =>
    Effect.gen(function* () {
      const throwing = (message: (token: string) => unknown): World => ({
        actions: {
          a: (call) =>
            Effect.sync(() => {
              throw message(call.variables["token"] ?? "")
            })
        }
      })
      const cases: ReadonlyArray<readonly [World, string]> = [
        [throwing((token) => new Error(`thrown ${token}`)), "call a"],
        [throwing((token) => token), "call a { retries = 1 }"],
        [
          {
            providers: {
              p: {
                ordered: false,
                items: ({ variables }) =>
                  Effect.fail(new ItemProviderFailed({ provider: "p", message: `not for ${variables["token"]}` }))
              }
            },
            workflows: ["workflow item { call a }"]
          },
          "foreach each { over = p max_parallel = 1 workflow = item }"
        ],
        [
          { gates: { g: ({ prompt }) => Effect.succeed({ _tag: "Rejected", reason: `no: ${prompt}` }) } },
          'gate g { prompt = "{{token}}" }'
        ],
        [{}, 'script s { run = "scripts/{{token}}" }'],
        [{}, 'script s { run = "echo {{token}} >&2; exit 3" }']
      ]
      for (const [world, body] of cases) {
        const { messages, value } = yield* observe(world, declaring(body))
        expect(value.end.run.status).toBe("failed")
        isHidden(value.end.run.error ?? "")
        isHidden(value.end.run.summary ?? "")
        isHidden(value.shown)
        isHidden(value.events)
        expect(messages.join()).not.toContain("c4nary")
      }
    })
  )

  it.live("are in no log of a script, and in the output that later steps read", () =>
    Effect.gen(function* () {
      const script = "echo {{token}}; echo {{token}} >&2; printf '%3000s' x"
      const [run, logs] = yield* Effect.gen(function* () {
        const watched = yield* watch
        const id = yield* start(
          declaring(`script s { run = "${script}" } script t { run = "head -1 {{prior_output_file}}" }`),
          {
            inputs
          }
        )
        const end = yield* awaitEnd(id, watched)
        const logs = yield* Effect.flatMap(OutputStore, (outputs) => outputs.logs(id))
        return [end, logs.map(({ file }) => readFileSync(file, "utf8"))] as const
      }).pipe(Effect.scoped, Effect.provide(layerOf({})))
      expect(logs.map((log) => log.trim().slice(0, 3))).toEqual(["***", "***", "***", ""])
      isHidden(logs.join("\n"))
      expect(run.step("/t").result.context).toBe(`${secret}\n`)
    })
  )

  it.live("are told to the host before anything runs, those of children too", () =>
    Effect.gen(function* () {
      const known = new Set<string>()
      const seen: Array<boolean> = []
      const world: World = {
        actions: {
          a: action(({ variables: { own, token } }) => {
            seen.push(known.has(own ?? token ?? ""))
            return {}
          })
        },
        workflows: ["workflow child { inputs { own secret = true required } call a }"]
      }
      const text = declaring('call a call workflow child { inputs { own = "own-secret" } } call a')
      const listener = SecretListener.layerWith((values) => values.forEach((value) => known.add(value)))
      yield* Effect.gen(function* () {
        const id = yield* start(text, { inputs })
        yield* Effect.flatMap(Engine, (engine) => engine.await(id))
      }).pipe(Effect.provide(Layer.provide(layerOf(world), listener)))
      expect([...known]).toEqual([secret, "own-secret"])
      expect(seen).toEqual([true, true, true])
    })
  )

  it.live("are those that the definition declares, whoever made the record", () =>
    Effect.gen(function* () {
      const definition = definitionOf(declaring("call leaky"))
      const shown = yield* Effect.gen(function* () {
        const engine = yield* Engine
        const persistence = yield* Persistence
        const key = yield* new Definitions(persistence).store(definition)
        const id = yield* engine.newRunId
        const settings = defaultSettings(1_000)
        const made = { id, workflow: "w", title: "w", definition: key, inputs, settings, createdAt: 1 }
        yield* engine.start(newRun(made))
        yield* engine.await(id)
        return yield* handedOut(id)
      }).pipe(Effect.provide(layerOf({ actions: { leaky } })))
      isHidden(shown)
    })
  )

  it.live("are hidden before an error is cut for the summary", () =>
    Effect.gen(function* () {
      const fails = (call: { readonly variables: Readonly<Record<string, string>> }) =>
        Effect.fail(new ActionFailed({ message: `${"x".repeat(195)}${call.variables["token"]}` }))
      const { value } = yield* observe({ actions: { fails } }, declaring("call fails"))
      isHidden(value.end.run.summary ?? "")
    })
  )

  it.live("are what on_fail actions and retries learn nothing of", () =>
    Effect.gen(function* () {
      const told: Array<string | undefined> = []
      const world: World = {
        actions: {
          fails: (call) => {
            told.push(call.retryError)
            return Effect.fail(new ActionFailed({ message: `no ${call.variables["token"]}` }))
          },
          fix: action(({ variables }) => {
            told.push(variables["failure_reason"], variables["token"])
            return {}
          })
        }
      }
      yield* observe(world, declaring("call fails { retries = 1 on_fail = fix }"))
      expect(told).toEqual([undefined, "no ***", "no ***", secret])
    })
  )

  it.live("are hidden in a defect of the engine, and in a run that is parked", () =>
    Effect.gen(function* () {
      const world: World = {
        executors: {
          find: () => Effect.die(new Error(`no place for ${secret}`)),
          names: Effect.succeed([])
        }
      }
      const { value } = yield* observe(world, declaring("call a"))
      isHidden(value.events)
      isHidden(value.end.run.error ?? "")
      expect(value.events).toContain("Panicked")
      const parked = yield* park({}, declaring('gate nobody { prompt = "x" }'), { inputs: { token: "nobody" } })
      expect(parked.parked).toMatchObject({ status: "needs_resume", error: "no resolver for gate '***'" })
    })
  )

  it.live("are hidden where a gate's resolver fails, and in what the gate offers", () =>
    Effect.gen(function* () {
      let asked = 0
      const world: World = {
        actions: {
          leaky: action(({ variables: { token = "" } }) => ({ structuredOutput: { pick: [token, `${token}!`, "c"] } }))
        },
        gates: {
          g: ({ prompt }) =>
            asked++ === 0
              ? Effect.fail(new GateResolverFailed({ gate: "g", message: `cannot ask about ${prompt}` }))
              : Effect.succeed({ _tag: "Approved" })
        },
        settings: { resolverInterval: 20, linger: 20 }
      }
      const { messages, value } = yield* logged(
        Effect.gen(function* () {
          const watched = yield* watch
          const persistence = yield* Persistence
          const id = yield* start(
            declaring(
              'call leaky gate g { prompt = "{{token}}?" } gate human_approval { options = leaky.pick prompt = "Use {{token}}" }'
            ),
            { inputs }
          )
          yield* watched.until(isEvent("GateWaiting", "human_approval"))
          const [gate] = yield* Client.openGates(yield* persistence.get(id))
          expect(gate).toMatchObject({ prompt: "Use ***", options: [{ key: "***" }, { key: "***!" }, { key: "c" }] })
          const wrong = yield* Effect.flip(Client.answer(id, { approved: true, selections: [`${secret}?`] }))
          expect(wrong.message).toBe("gate 'human_approval' does not offer '***?'; its options: ***, ***!, c")
          yield* Client.answer(id, { approved: true, selections: ["***!", "c"] })
          const end = yield* awaitEnd(id, watched)
          return { end, shown: yield* handedOut(id), events: JSON.stringify(watched.seen) }
        }).pipe(Effect.scoped, Effect.provide(layerOf(world)))
      )
      expect(value.end.step("/human_approval").gate?.answer?.selections).toEqual([`${secret}!`, "c"])
      isHidden(value.shown)
      isHidden(value.events)
      isHidden(messages.join())
    })
  )

  it.live("can be told apart at a gate, though they look alike", () =>
    Effect.gen(function* () {
      const two =
        "workflow w { inputs { one secret = true required  two secret = true required } call a gate human_approval { options = a.pick } }"
      const world: World = {
        actions: { a: action(({ variables: { one = "", two = "" } }) => ({ structuredOutput: { pick: [one, two] } })) }
      }
      const end = yield* Effect.gen(function* () {
        const watched = yield* watch
        const persistence = yield* Persistence
        const id = yield* start(two, { inputs: { one: "secret-one", two: "secret-two" } })
        yield* watched.until(isEvent("GateWaiting"))
        const [gate] = yield* Client.openGates(yield* persistence.get(id))
        expect(gate?.options.map(({ key }) => key)).toEqual(["***", "*** (2)"])
        yield* Client.answer(id, { approved: true, selections: ["*** (2)"] })
        return yield* awaitEnd(id, watched)
      }).pipe(Effect.scoped, Effect.provide(layerOf(world)))
      expect(end.step("/human_approval").gate?.answer?.selections).toEqual(["secret-two"])
    })
  )

  it.live("stay true over a restart, and are still hidden by the engine that goes on", () =>
    Effect.gen(function* () {
      const { service } = yield* MemoryPersistence.make()
      const seen: Array<string | undefined> = []
      const world: World = {
        actions: {
          a: action(({ variables: { token = "" } }) => ({ structuredOutput: { derived: `d-${token}` } })),
          b: action(({ variables }) => {
            seen.push(variables["token"], variables["derived"])
            return {}
          })
        }
      }
      const id = yield* Effect.gen(function* () {
        const id = yield* start(declaring('call a gate human_approval { prompt = "{{token}}" } call b'), { inputs })
        const engine = yield* Engine
        yield* engine.awaitRelease(id)
        return id
      }).pipe(Effect.provide(layerOf(world, service)))
      const [end, events] = yield* Effect.gen(function* () {
        const watched = yield* watch
        const engine = yield* Engine
        isHidden(yield* handedOut(id))
        yield* Client.answer(id, { approved: true, feedback: `ok ${secret}` })
        yield* engine.take(id)
        return [yield* awaitEnd(id, watched), JSON.stringify(watched.seen)] as const
      }).pipe(Effect.scoped, Effect.provide(layerOf(world, service)))
      expect(end.run.status).toBe("completed")
      expect(seen).toEqual([secret, `d-${secret}`])
      expect(events).not.toContain("c4nary")
    })
  )

  it.live("too short to be found are hidden as inputs, and a warning says so", () =>
    Effect.gen(function* () {
      const text = "workflow w { inputs { pin secret = true required  flag secret = true boolean } call a }"
      const world: World = { actions: { a: action(({ variables }) => ({ context: `pin ${variables["pin"]}` })) } }
      const { messages, value } = yield* observe(world, text, { pin: "123", flag: "true" })
      expect(messages).toContain(
        "the secret input 'pin' of workflow 'w' has fewer than 4 characters: what steps print of it is shown"
      )
      expect(messages).toHaveLength(1)
      const [run] = JSON.parse(value.shown)
      expect(run.inputs).toEqual({ pin: "***", flag: "***" })
      expect(value.end.step("/a").result.context).toBe("pin 123")
    })
  )

  it.live("are hidden in the conflict of idempotency keys", () =>
    Effect.gen(function* () {
      const text = declaring("call a")
      const twice = Effect.zipRight(
        start(text, { inputs, idempotencyKey: `for ${secret}` }),
        Effect.flip(start(text, { inputs, idempotencyKey: `for ${secret}` }))
      )
      const error = yield* Effect.provide(twice, layerOf({ actions: { a: action(() => ({})) } }))
      expect(error._tag).toBe("RunAlreadyExists")
      isHidden(error.message)
    })
  )

  it.live("of a run without any cost nothing: its records name none, and its events are passed on as they are", () =>
    Effect.gen(function* () {
      const end = yield* runIn({ actions: { a: action(() => ({})) } }, "workflow w { inputs { x } call a }", {
        inputs: { x: secret }
      })
      expect(Object.keys(end.run.settings)).not.toContain("secrets")
      expect(end.events.length).toBeGreaterThan(0)
      expect(shownEvents(end.run, end.events)).toBe(end.events)
      expect(shownRun(end.run)).toBe(end.run)
    })
  )
})

describe("the secrets of child runs", () => {
  const child = (world: World, text: string) => observe(world, declaring(text))

  it.live("are those of their parents, whatever the child's inputs are called", () =>
    Effect.gen(function* () {
      const world: World = {
        actions: { leaky },
        workflows: [
          'workflow child { inputs { token required } call leaky call workflow grandchild { inputs { token = "{{token}}" } } }',
          "workflow grandchild { inputs { token required } call leaky }"
        ]
      }
      const { value } = yield* child(world, 'call workflow child { inputs { token = "Bearer {{token}}" } } call leaky')
      expect(value.end.run.status).toBe("completed")
      isHidden(value.shown)
      expect(value.events).not.toContain("c4nary")
      const [record] = value.end.children
      expect(record?.inputs).toEqual({ token: `Bearer ${secret}` })
      expect(record?.settings.secrets).toEqual({ inputs: [], values: [secret] })
    })
  )

  it.live("of their own are hidden in their parents too, while they wait and when they have ended", () =>
    Effect.gen(function* () {
      const world: World = {
        actions: { leaky },
        workflows: [
          'workflow child { inputs { token secret = true required } gate human_review { prompt = "With {{token}}?" } call leaky }'
        ]
      }
      const [end, shown, events, waiting] = yield* Effect.gen(function* () {
        const watched = yield* watch
        const id = yield* start(`workflow w { call workflow child { inputs { token = "c4nary-own" } } call b }`)
        yield* watched.until(isEvent("RunWaiting"), 2)
        const persistence = yield* Persistence
        const record = yield* persistence.get(id)
        const waiting = yield* handedOut(id)
        expect(Client.waitingGates(record)[0]?.prompt).toBe("With ***?")
        yield* Client.answer(id, { approved: true })
        const end = yield* awaitEnd(id, watched)
        return [end, yield* handedOut(id), JSON.stringify(watched.seen), waiting] as const
      }).pipe(
        Effect.scoped,
        Effect.provide(
          layerOf({ ...world, fallback: action(({ variables }) => ({ context: `${variables["prior_context"]}` })) })
        )
      )
      for (const text of [shown, events, waiting]) isHidden(text)
      expect(end.step("/b").result.context).toBe("used c4nary-own")
      expect(end.run.settings.secrets?.values).toEqual(["c4nary-own"])
    })
  )

  it.live("are no more than a run may hide, and a warning says so", () =>
    Effect.gen(function* () {
      const world: World = {
        actions: { leaky },
        providers: {
          p: {
            ordered: false,
            items: () =>
              Effect.succeed({
                items: ["1", "2", "3"].map((id) => ({ type: "t", id, ref: id, context: { key: `key-${id}-x` } }))
              })
          }
        },
        workflows: ["workflow item { inputs { token secret = true required } call leaky }"],
        settings: { maxSecrets: 2 }
      }
      const each =
        'workflow w { foreach each { over = p max_parallel = 1 workflow = item inputs = { token = "{{item.key}}" } } }'
      const { messages, value } = yield* observe(world, each, {})
      expect(value.end.run.settings.secrets?.values).toEqual(["key-1-x", "key-2-x"])
      expect(messages.some((message) => message.includes("hides no more than 2 values"))).toBe(true)
    })
  )

  it.scopedLive("go with those that live in another engine and store", () =>
    Effect.gen(function* () {
      const world: World = {
        actions: { leaky },
        workflows: [
          'workflow child { inputs { token required } gate human_review { prompt = "With {{token}}?" } call leaky }'
        ],
        settings: { resolverInterval: 50 }
      }
      const context = yield* Layer.build(Layer.fresh(layerOf(world)))
      const there = yield* Effect.provide(Effect.all({ engine: Engine, persistence: Persistence }), context)
      const runner = otherEngine(there)
      const id = yield* Effect.gen(function* () {
        const watched = yield* watch
        const id = yield* start(declaring('call workflow child { inputs { token = "{{token}}" } }'), { inputs })
        yield* watched.until(isEvent("RunWaiting"))
        isHidden(yield* handedOut(id))
        const answered = yield* Client.answer(id, { approved: true, gate: "human_review" })
        yield* awaitEnd(id, watched)
        isHidden(yield* handedOut(id))
        return answered.run
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.provide(layerOf(world), ChildRunner.layerWith(runner))),
        Effect.provideService(ChildRunner, runner)
      )
      const elsewhere = yield* Effect.provide(handedOut(id), context)
      isHidden(elsewhere)
      expect((yield* there.persistence.get(id)).inputs).toEqual({ token: secret })
    })
  )
})
