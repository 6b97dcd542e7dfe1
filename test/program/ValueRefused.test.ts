/** Values that a schema refuses although their types fit: each message says whose, where, what was expected, what to do. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import * as Action from "../../src/program/Action.ts"
import type { AnySchema } from "../../src/program/Codec.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { engineLayer, memoryLayer, runToEnd } from "../engine/TestEngine.ts"
import { engine, letGo } from "./support.ts"

const Count = Schema.Int.pipe(Schema.positive())
const Lines = Schema.Struct({ lines: Schema.Array(Schema.Struct({ count: Count })) })
/** Its type fits. */
const wrongLines = { lines: [{ count: -1 }, { count: 1.5 }] }
const where = "lines[0].count: Expected a positive number, actual -1; lines[1].count: Expected an integer, actual 1.5"
const Code = Schema.Struct({ _tag: Schema.Literal("Code"), code: Count })
const wrongCode = { _tag: "Code", code: -2 } as const

const Job = Workflow.make("job", { payload: Schema.Void, success: Lines, error: Code })

const store = Effect.map(MemoryPersistence.make(), ({ service }) => service)

/** What is logged, with its level and its step. */
const logInto = (logs: Array<string>) =>
  Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ annotations, logLevel, message }) => {
      const step = Option.getOrElse(HashMap.get(annotations, "step"), () => "-")
      logs.push(`${logLevel.label} ${String(step)} ${String(message)}`)
    })
  )

/** Runs a body to an end that its types do not name. */
const ended = <H>(
  body: Effect.Effect<typeof Lines.Type, typeof Code.Type, Workflow.WorkflowRun | H>,
  handlers: Layer.Layer<H>
) =>
  Effect.gen(function* () {
    const memory = yield* store
    const logs: Array<string> = []
    const job = Layer.provide(
      Job.toLayer(() => body),
      handlers
    )
    const used = Effect.gen(function* () {
      const run = yield* Job.start()
      return { run, error: yield* Effect.flip(Job.await(run)) }
    })
    const { error, run } = yield* Effect.provide(Effect.provide(used, engine(memory, job)), logInto(logs))
    const steps = yield* memory.steps(run)
    const message = error instanceof Error ? error.message : JSON.stringify(error)
    return { message, logs, steps, record: yield* memory.get(run) }
  })

const done = { lines: [] }

describe("an action", () => {
  const counted: Array<string> = []
  const Charge = Action.make("charge", { payload: Lines, success: Lines, error: Code, retry: { times: 3 } })
  const Refund = Action.make("refund", { payload: Schema.String })
  const charging = (end: Effect.Effect<typeof Lines.Type, typeof Code.Type>) =>
    Layer.merge(
      Charge.toLayer(() =>
        Effect.zipRight(
          Effect.sync(() => counted.push("charge")),
          end
        )
      ),
      Refund.toLayer((what) => Effect.sync(() => counted.push(`refund ${what}`)))
    )
  const charged = Effect.as(Action.call(Charge, done), done)

  it.live("whose success is refused has done its work: it is not tried again, and the message names the field", () =>
    Effect.gen(function* () {
      counted.length = 0
      const { message, steps } = yield* ended(charged, charging(Effect.succeed(wrongLines)))
      expect(counted).toEqual(["charge"])
      expect(message).toContain(
        `defect: /charge: the success that action 'charge' gave is refused by its schema: ${where}. ` +
          "Its handler has done its work, so it is not tried again: mend what it gives, or what `success` declares"
      )
      expect(steps[0]).toMatchObject({ path: "/charge", status: "failed", attempts: [{ outcome: "failed" }] })
    })
  )

  it.live("whose success is refused leaves its undo nothing to go by; one that is registered before it runs", () =>
    Effect.gen(function* () {
      counted.length = 0
      const body = Effect.gen(function* () {
        yield* Workflow.withCompensation(Effect.void, () => Action.call(Refund, "whatever was charged"))
        yield* Workflow.withCompensation(Action.call(Charge, done), () => Action.call(Refund, "never"))
        return done
      })
      yield* ended(body, charging(Effect.succeed(wrongLines)))
      expect(counted).toEqual(["charge", "refund whatever was charged"])
    })
  )

  it.live("whose error is refused has failed like any other: it is tried again, and the message has the error", () =>
    Effect.gen(function* () {
      counted.length = 0
      const { message } = yield* ended(charged, charging(Effect.fail(wrongCode)))
      expect(counted).toHaveLength(4)
      expect(message).toContain(
        "the error that action 'charge' failed with (Code) is refused by its schema: " +
          "code: Expected a positive number, actual -2. Declare it in the action's `error`, or handle it in the handler"
      )
    })
  )

  it.live("is not called with a payload that is refused; the message names the workflow, too", () =>
    Effect.gen(function* () {
      counted.length = 0
      const call = Effect.as(Action.call(Charge, wrongLines), done)
      const { message, steps } = yield* ended(call, charging(Effect.succeed(done)))
      expect(counted).toEqual([])
      expect(steps.map(({ path }) => path)).toEqual(["/@body"])
      expect(message).toContain(
        `the payload that workflow 'job' gives to action 'charge' is refused by its schema: ${where}. ` +
          "Give it what its `payload` declares"
      )
    })
  )

  it.live("whose key cannot be made fails at once, with the name of what threw", () =>
    Effect.gen(function* () {
      const Keyed = Action.make("keyed", {
        payload: Schema.Void,
        retry: { times: 3 },
        idempotencyKey: () => {
          throw new Error("no key")
        }
      })
      const { message, steps } = yield* ended(
        Effect.as(Action.call(Keyed, undefined), done),
        Keyed.toLayer(() => Effect.void)
      )
      expect(message).toContain("/keyed: the `idempotencyKey` of action 'keyed' threw: no key")
      expect(steps[0]?.attempts).toHaveLength(1)
    })
  )

  it.live("that a .wf file calls fails at once, too, also where what it makes of the success throws", () =>
    Effect.gen(function* () {
      counted.length = 0
      const throws = (): never => {
        throw new Error("no such finding")
      }
      const Mark = Action.make("mark", { payload: Schema.Void, success: Lines, retry: { times: 3 }, markers: throws })
      const Sum = Action.make("sum", { payload: Schema.Void, success: Lines, retry: { times: 3 }, summary: throws })
      const Give = Action.make("give", { payload: Schema.Void, success: Lines, retry: { times: 3 } })
      const succeed = (name: string, end: typeof Lines.Type) => () => {
        counted.push(name)
        return Effect.succeed(end)
      }
      const supplied = Layer.mergeAll(
        Mark.toLayer(succeed("mark", done)),
        Sum.toLayer(succeed("sum", done)),
        Give.toLayer(succeed("give", wrongLines))
      )
      const text = "workflow w { call mark { on_fail = continue } call sum { on_fail = continue } call give }"
      const engineWith = engineLayer({}).pipe(Layer.provide(supplied), Layer.provideMerge(memoryLayer()))
      const { step } = yield* Effect.provide(runToEnd(text), engineWith)
      expect(counted).toEqual(["mark", "sum", "give"])
      const stays = "Its handler has done its work, so it is not tried again"
      expect(step("/mark").error).toContain(`the \`markers\` of action 'mark' threw: no such finding. ${stays}`)
      expect(step("/sum").error).toContain(`the \`summary\` of action 'sum' threw: no such finding. ${stays}`)
      expect(step("/give").error).toContain(`the success that action 'give' gave is refused by its schema: ${where}`)
    })
  )
})

describe("a body", () => {
  it.live("whose success is refused fails its run, which takes back what was done", () =>
    Effect.gen(function* () {
      const undone: Array<string> = []
      const body = Effect.as(
        Workflow.withCompensation(Effect.void, () => Effect.sync(() => undone.push("undone"))),
        wrongLines
      )
      const { message, record } = yield* ended(body, Layer.empty)
      expect(message).toContain(
        `defect: the success that the body of workflow 'job' gave is refused by its schema: ${where}. ` +
          "Mend what it gives, or what `success` declares"
      )
      expect(record).toMatchObject({ status: "failed", result: { _tag: "Defect" } })
      expect(undone).toEqual(["undone"])
    })
  )

  it.live("whose error is refused fails its run, with that error", () =>
    Effect.gen(function* () {
      const { message } = yield* ended(Effect.fail(wrongCode), Layer.empty)
      expect(message).toContain(
        "defect: the error that the body of workflow 'job' failed with (Code) is refused by its schema: " +
          "code: Expected a positive number, actual -2. Declare it in the workflow's `error`, or handle it in the body"
      )
    })
  )

  it.live("does not start a child, or continue as new, with a payload that is refused", () =>
    Effect.gen(function* () {
      const Part = Workflow.make("part", { payload: Lines })
      const { message } = yield* ended(Effect.as(Effect.orDie(Workflow.child(Part, wrongLines)), done), Layer.empty)
      expect(message).toContain(
        `the payload that workflow 'job' gives to its child, workflow 'part', is refused by its schema: ${where}`
      )
      const Again = Workflow.make("again", { payload: Lines })
      const again = Again.toLayer(() => Workflow.continueAsNew(Again, wrongLines))
      const error = yield* Effect.provide(Effect.flip(Again.execute(done)), engine(yield* store, again))
      expect(error.message).toContain(
        `the payload with which workflow 'again' continues as new is refused by its schema: ${where}`
      )
    })
  )
})

describe("a defect", () => {
  const boom = () => {
    throw new Error("boom", { cause: new Error("a deeper one") })
  }

  it.live("of a body is logged once with its stack, also where the body is replayed for what it did", () =>
    Effect.gen(function* () {
      const undoing = Workflow.withCompensation(Effect.void, () => Effect.void)
      const { logs, message } = yield* ended(Effect.zipRight(undoing, Effect.sync(boom)), Layer.empty)
      expect(message).toMatch(/is failed: defect: boom$/)
      expect(logs).toHaveLength(1)
      expect(logs[0]).toContain("ERROR - the body of workflow 'job' died: Error: boom\n    at ")
      expect(logs[0]).toContain("ValueRefused.test.ts")
      expect(logs[0]).toContain("a deeper one")
    })
  )

  it.live("of a handler, and of an undo, is logged with its stack, and its step", () =>
    Effect.gen(function* () {
      const Die = Action.make("die", { payload: Schema.Void, retry: { times: 1 } })
      const body = Effect.gen(function* () {
        yield* Workflow.withCompensation(Effect.void, () => Effect.sync(boom))
        yield* Action.call(Die, undefined)
        return done
      })
      const { logs } = yield* ended(
        body,
        Die.toLayer(() => Effect.sync(boom))
      )
      const of = (what: string) => logs.find((log) => log.startsWith(`${what} died: Error: boom\n    at `))
      expect(of("WARN /die the handler of action 'die'")).toContain("ValueRefused.test.ts")
      expect(of("ERROR /die the handler of action 'die'")).toContain("ValueRefused.test.ts")
      expect(of("ERROR - the undo /undo")).toContain("ValueRefused.test.ts")
    })
  )

  it.live("is logged without what the run hides", () =>
    Effect.gen(function* () {
      const Secret = Workflow.make("secret", { payload: Schema.Struct({ token: Schema.Redacted(Schema.String) }) })
      const secret = Secret.toLayer(() => Effect.dieMessage("cannot sign in with hunter2-hunter2"))
      const logs: Array<string> = []
      const used = Effect.exit(Secret.execute({ token: Redacted.make("hunter2-hunter2") }))
      yield* Effect.provide(Effect.provide(used, engine(yield* store, secret)), logInto(logs))
      expect(logs[0]).toContain("ERROR - the body of workflow 'secret' died: RuntimeException: cannot sign in with ")
      expect(logs.join("\n")).not.toContain("hunter2")
    })
  )
})

describe("what asks for a run", () => {
  const refusal = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.map(Effect.exit(effect), (exit) => {
      const defect = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined
      expect(defect).toBeInstanceOf(Workflow.ValueRefused)
      return defect instanceof Error ? defect.message : ""
    })

  it.live("dies with whose payload is refused, before anything is written", () =>
    Effect.gen(function* () {
      const memory = yield* store
      const Ask = Workflow.makeGate("ask", { answer: Lines })
      const Hint = Workflow.signal("hint", Lines)
      const Order = Workflow.make("order", { payload: Lines })
      const order = Order.toLayer(() => Effect.orDie(Effect.asVoid(Workflow.gate(Ask))))
      const used = Effect.gen(function* () {
        const started = yield* refusal(Order.start(wrongLines))
        const run = yield* Order.start(done)
        yield* letGo(memory, run)
        const hinted = yield* refusal(Order.signal(run, Hint, wrongLines))
        const answered = yield* Effect.flip(Order.answer(run, Ask, { approved: true, value: wrongLines }))
        return { answered, hinted, started, state: yield* memory.get(run) }
      })
      const { answered, hinted, started, state } = yield* Effect.provide(used, engine(memory, order))
      expect(started).toBe(
        `the payload for a run of workflow 'order' is refused by its schema: ${where}. Give it what its \`payload\` declares`
      )
      expect(hinted).toContain(`the payload of signal 'hint' is refused by its schema: ${where}`)
      expect(answered).toMatchObject({ _tag: "InvalidAnswer", gate: "ask", problem: where })
      expect(state.status).toBe("waiting")
    })
  )

  it.live("dies with whose key is no text, or threw", () =>
    Effect.gen(function* () {
      const Keyed = Workflow.make("keyed", {
        payload: Schema.Void,
        idempotencyKey: () => {
          throw new Error("no key")
        }
      })
      const exit = yield* Effect.exit(Effect.provide(Keyed.start(), engine(yield* store, Layer.empty)))
      expect(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "").toContain(
        "the `idempotencyKey` of workflow 'keyed' threw: no key"
      )
    })
  )
})

describe("what JSON cannot keep", () => {
  const holdsItself: { self?: unknown } = {}
  holdsItself.self = holdsItself

  const cases: ReadonlyArray<readonly [what: string, schema: AnySchema, value: unknown, problem: string]> = [
    ["a bigint", Schema.BigIntFromSelf, 5n, "JSON cannot keep it: Do not know how to serialize a BigInt"],
    ["a function", Schema.Unknown, () => 1, "JSON cannot keep it: it is a function"],
    ["what holds itself", Schema.Unknown, holdsItself, "JSON cannot keep it: Converting circular structure to JSON"],
    ["no number", Schema.Number, Number.NaN, "as JSON keeps it, Expected number, actual null"],
    ["a Date as it is", Schema.DateFromSelf, new Date(0), 'as JSON keeps it, Expected DateFromSelf, actual "1970-']
  ]

  it.live.each(cases)(
    "is refused before it is recorded, and the step is not tried again: %s",
    ([, success, value, problem]) =>
      Effect.gen(function* () {
        let calls = 0
        const Give = Action.make("give", { payload: Schema.Void, success, retry: { times: 3 } })
        const giving = Give.toLayer(() => {
          calls += 1
          return Effect.succeed(value)
        })
        const { message } = yield* ended(Effect.as(Action.call(Give, undefined), done), giving)
        expect(message).toContain(`/give: the success that action 'give' gave is refused by its schema: ${problem}`)
        expect(calls).toBe(1)
      })
  )

  it.live.each([
    ["a Date is a text", new Date(0), "1970-01-01T00:00:00.000Z"],
    ["a NaN in it is null", { n: Number.NaN }, { n: null }],
    ["null as a whole is undefined", null, "undefined"],
    ["a NaN as a whole is undefined", Number.NaN, "undefined"]
  ] as const)(
    "is seen by the first execution as a replay sees it, where the schema reads both: %s",
    ([, value, seen]) =>
      Effect.gen(function* () {
        const Give = Action.make("give", { payload: Schema.Void, success: Schema.Unknown })
        const Look = Workflow.make("look", { payload: Schema.Void, success: Schema.Unknown })
        const look = Look.toLayer(() =>
          Effect.map(Action.call(Give, undefined), (given) => (given === undefined ? "undefined" : given))
        )
        const giving = Give.toLayer(() => Effect.succeed(value))
        const end = Effect.provide(Look.execute(), engine(yield* store, Layer.provide(look, giving)))
        expect(yield* end).toEqual(seen)
      })
  )
})
