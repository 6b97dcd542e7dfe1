import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as fc from "fast-check"
import {
  JournalStore,
  type JournalStoreService,
  PersistenceError,
  program,
  type ResumableOptions,
  resumableParallel,
  StepExecutor,
  type StepOutcome,
  type StepSpec
} from "../../src/orchestration/index.ts"
import type { Json } from "../../src/workflow/Json.ts"
import { type Act, arbitraryAct, Events, expected, plain, runCase, Stage, step, success } from "./support.ts"

type Trouble = "none" | "fails" | "dies"

/** A store that keeps what it is given, late, and has trouble with the writes it is told to. */
class Shelf {
  readonly journals = new Map<string, string>()
  saves = 0
  onLoad: Trouble = "none"
  onRemove: Trouble = "none"
  onSave: (save: number) => Trouble = () => "none"
  delay = 0

  readonly service: JournalStoreService = {
    load: (id) =>
      Effect.zipRight(
        this.#meet(() => this.onLoad),
        Effect.sync(() => Option.fromNullable(this.journals.get(id)))
      ),
    save: (id, journal) =>
      Effect.zipRight(
        this.#meet(() => this.onSave(this.saves++)),
        Effect.sync(() => void this.journals.set(id, journal))
      ),
    remove: (id) =>
      Effect.zipRight(
        this.#meet(() => this.onRemove),
        Effect.sync(() => void this.journals.delete(id))
      )
  }
  readonly layer = Layer.sync(JournalStore, () => this.service)

  #meet(trouble: () => Trouble) {
    return Effect.zipRight(
      Effect.sleep(this.delay),
      Effect.suspend(() => {
        const met = trouble()
        if (met === "dies") return Effect.die(new Error("a bug in the store"))
        return met === "fails" ? new PersistenceError({ reason: "Full", message: "no space" }) : Effect.void
      })
    )
  }

  taskIds(id: string): ReadonlyArray<string> {
    const text = this.journals.get(id)
    if (text === undefined) return []
    const { steps }: { steps: ReadonlyArray<{ outcome: StepOutcome }> } = JSON.parse(text)
    return steps.map(({ outcome }) => outcome.taskId)
  }
}

const call = (shelf: Shelf, stage: Stage, specs: ReadonlyArray<StepSpec>, options?: ResumableOptions) =>
  Effect.provide(resumableParallel(specs, "w", options), Layer.merge(shelf.layer, stage.layer))

const steps = (ids: string) => Array.from(ids, (id) => step(id))
const act = (ending: Act["ending"]): Act => ({ ending, work: 1, cleanup: 0 })
/** An executor at which the steps named fail. */
const failing = (ids: string, hint = 4) =>
  new Stage(hint, ({ taskId }) => act(ids.includes(taskId) ? "fails" : "succeeds"))

/** A journal that holds the steps named. */
const shelfWith = async (ids: string, change?: (specs: ReadonlyArray<StepSpec>) => ReadonlyArray<StepSpec>) => {
  const shelf = new Shelf()
  const specs = steps(ids)
  await runCase(call(shelf, failing("!"), [...(change?.(specs) ?? specs), step("!")]))
  return shelf
}

interface Call {
  readonly ids: ReadonlyArray<string>
  readonly acts: ReadonlyArray<Act>
  readonly hint: number
  readonly interruptAt: number | null
  readonly troubles: ReadonlyArray<Trouble>
}

const ids = ["a", "b", "c", "d", "e"]

const arbitraryCall: fc.Arbitrary<Call> = fc.record({
  ids: fc.shuffledSubarray(ids),
  acts: fc.array(arbitraryAct(), { minLength: ids.length, maxLength: ids.length }),
  hint: fc.integer({ min: 0, max: 6 }),
  interruptAt: fc.option(fc.integer({ min: 0, max: 12 })),
  troubles: fc.array(fc.constantFrom<Trouble>("none", "none", "fails", "dies"), { maxLength: 4 })
})

const actOf = ({ acts }: Call, id: string): Act => acts[ids.indexOf(id)] ?? act("succeeds")

/** One call of a history; what it did to the journal is checked against what it was and what the steps did. */
const playCall = (shelf: Shelf, one: Call) =>
  Effect.gen(function* () {
    const before = shelf.taskIds("w")
    const events = new Events()
    const stage = new Stage(one.hint, ({ taskId }) => actOf(one, taskId))
    const first = shelf.saves
    shelf.onSave = (save) => one.troubles[save - first] ?? "none"
    const specs = one.ids.map((id) => step(id))
    const fiber = yield* Effect.fork(program(call(shelf, stage, specs), { name: "history", events }))
    if (one.interruptAt !== null) {
      yield* Effect.sleep(one.interruptAt)
      yield* Fiber.interrupt(fiber)
    }
    const exit = yield* Fiber.await(fiber)
    const left = one.ids.filter((id) => !before.includes(id))
    expect(stage.active).toBe(0)
    expect(new Set(stage.runs).size).toBe(stage.runs.length)
    for (const id of stage.runs) expect(left).toContain(id)
    const succeeded = events.all.flatMap((event) =>
      event._tag === "StepCompleted" && event.succeeded ? [event.step] : []
    )
    const kept = [...before, ...succeeded]
    const done = one.ids.every((id) => kept.includes(id))
    const after = shelf.taskIds("w")
    for (const id of after) expect(kept).toContain(id)
    if (Exit.isSuccess(exit)) {
      expect([...stage.runs].sort()).toEqual([...left].sort())
      expect(exit.value.map(plain)).toEqual(
        one.ids.map((id) => (before.includes(id) ? success(id) : expected(id, actOf(one, id).ending)))
      )
      if (done) expect(after).toEqual([])
    }
    const removed = done && after.length === 0
    if (!removed && one.troubles.every((trouble) => trouble === "none")) {
      expect([...after].sort()).toEqual([...kept].sort())
    }
  })

describe("resumableParallel", () => {
  it("runs no journaled step again, keeps what succeeds, and gives outcomes in the order of the specs, through any history of interruptions, failures and failed writes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(arbitraryCall, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 0, max: 2 }),
        async (history, delay) => {
          const shelf = new Shelf()
          shelf.delay = delay
          const played = await runCase(Effect.forEach(history, (one) => playCall(shelf, one)))
          expect(played.length).toBe(history.length)
        }
      ),
      { numRuns: 500 }
    )
  })

  it("runs only the failed steps again, with another executor, and then removes the journal", async () => {
    const shelf = new Shelf()
    const first = await runCase(call(shelf, failing("bd"), steps("abcd")))
    expect(first.map(({ success }) => success)).toEqual([true, false, true, false])
    expect([...shelf.taskIds("w")].sort()).toEqual(["a", "c"])
    const other = failing("", 1)
    expect(await runCase(call(shelf, other, steps("dcba")))).toEqual(["d", "c", "b", "a"].map(success))
    expect(other.runs).toEqual(["d", "b"])
    expect(shelf.journals.size).toBe(0)
  })

  it("ignores journaled steps that the specs no longer have, and keeps them while it runs", async () => {
    const shelf = await shelfWith("ab")
    const stage = failing("d")
    expect((await runCase(call(shelf, stage, steps("bcd")))).map(({ success }) => success)).toEqual([true, true, false])
    expect(stage.runs).toEqual(["c", "d"])
    expect([...shelf.taskIds("w")].sort()).toEqual(["a", "b", "c"])
    expect(await runCase(call(shelf, stage, steps("c")))).toEqual([success("c")])
    expect(shelf.journals.size).toBe(0)
  })

  it("is empty for no steps", async () => {
    expect(await runCase(call(new Shelf(), new Stage(1), []))).toEqual([])
  })

  it("refuses two steps of one task id before it starts any", async () => {
    const stage = new Stage(1)
    const refused = await runCase(Effect.flip(call(new Shelf(), stage, steps("aba"))))
    expect(refused).toMatchObject({ _tag: "DuplicateTaskId", taskId: "a" })
    expect(stage.runs).toEqual([])
  })

  it("emits nothing for a step that it does not run", async () => {
    const shelf = await shelfWith("a")
    const events = new Events()
    await runCase(program(call(shelf, failing(""), steps("ab")), { name: "p", events }))
    expect(events.pathsOf("StepStarted")).toEqual(["/resumable/b"])
  })

  it("writes once for all steps that ended while the write before was under way", async () => {
    const shelf = new Shelf()
    shelf.delay = 10
    await runCase(call(shelf, failing("f", 6), steps("abcdef")))
    expect(shelf.saves).toBe(2)
    expect(shelf.taskIds("w").length).toBe(5)
  })

  it("finishes a write that an interruption meets, before the step's event", async () => {
    const shelf = new Shelf()
    shelf.delay = 10
    const events = new Events()
    await runCase(
      Effect.gen(function* () {
        const work = program(call(shelf, failing("", 1), steps("ab")), { name: "p", events })
        const fiber = yield* Effect.fork(work)
        yield* Effect.sleep(15)
        expect(events.pathsOf("StepCompleted")).toEqual([])
        yield* Fiber.interrupt(fiber)
      })
    )
    expect(shelf.taskIds("w")).toEqual(["a"])
    const ends = events.all.flatMap((event) => (event._tag === "StepCompleted" ? [[event.path, event.status]] : []))
    expect(ends).toEqual([["/resumable/a", "completed"]])
  })
})

describe("a journal in doubt", () => {
  const spec: StepSpec = { ...step("a"), model: "m", schema: { one: 1, two: [2] }, timeout: 1_000 }
  const changes: ReadonlyArray<Partial<StepSpec>> = [
    { agent: "another" },
    { description: "another" },
    { prompt: "another" },
    { model: "another" },
    { schema: { one: 1, two: [3] } },
    { schema: [["one", 1]] },
    { timeout: 2_000 }
  ]

  const inDoubt = async (): Promise<ReadonlyArray<readonly [string, Shelf, StepSpec, object]>> => {
    const journal = (text: string | ((journal: string) => string)) => async () => {
      const shelf = await shelfWith("a", () => [spec])
      shelf.journals.set("w", typeof text === "string" ? text : text(shelf.journals.get("w") ?? ""))
      return shelf
    }
    const unreadable = { _tag: "UnreadableJournal", workflowId: "w" }
    const cases: ReadonlyArray<readonly [string, () => Promise<Shelf>, object]> = [
      ["empty", journal(""), unreadable],
      ["torn", journal((text) => text.slice(0, -20)), unreadable],
      ["without a version", journal("{}"), unreadable],
      ["with a failed step", journal((text) => text.replace(`"success":true`, `"success":false`)), unreadable],
      ["of another workflow", journal((text) => text.replace(`"w"`, `"v"`)), unreadable],
      ["newer", journal(`{"schemaVersion":2,"steps":{}}`), { _tag: "NewerJournal", version: 2, supported: 1 }],
      [
        "with a load that fails",
        async () => Object.assign(await journal((text) => text)(), { onLoad: "fails" }),
        unreadable
      ],
      [
        "with a load that dies",
        async () => Object.assign(await journal((text) => text)(), { onLoad: "dies" }),
        unreadable
      ]
    ]
    const read = await Promise.all(cases.map(async ([what, make, error]) => [what, await make(), spec, error] as const))
    const changed = changes.map(async (change) => {
      const error = { _tag: "MismatchedJournal", workflowId: "w", taskIds: ["a"] }
      return [JSON.stringify(change), await shelfWith("a", () => [spec]), { ...spec, ...change }, error] as const
    })
    return [...read, ...(await Promise.all(changed))]
  }

  it("is refused with a typed error before anything is started, and stays", async () => {
    for (const [what, shelf, changed, error] of await inDoubt()) {
      const before = shelf.journals.get("w")
      const stage = failing("")
      const refused = await runCase(Effect.flip(call(shelf, stage, [step("z"), changed])))
      expect({ what, ...refused }).toMatchObject({ what, ...error })
      expect(refused.message).toContain("'w'")
      expect(stage.runs).toEqual([])
      expect(shelf.journals.get("w")).toBe(before)
    }
  })

  it("is left behind when the caller asks for a rerun: everything runs again", async () => {
    for (const [what, shelf, changed] of await inDoubt()) {
      const stage = failing("!")
      const events = new Events()
      const work = call(shelf, stage, [changed, step("z"), step("!")], { onUnreadable: "rerun" })
      await runCase(program(work, { name: "p", events }))
      expect([what, ...[...stage.runs].sort()]).toEqual([what, "!", "a", "z"])
      expect([...shelf.taskIds("w")].sort()).toEqual(["a", "z"])
      expect(events.all.filter(({ _tag }) => _tag === "StorageTrouble").length).toBe(1)
    }
  })

  it("is not one whose spec has its keys in another order, or says that a key has no value", async () => {
    const shelf = await shelfWith("a", () => [{ ...step("a"), schema: { one: 1, two: { three: [], 4: null } } }])
    const stage = failing("!")
    const same = { schema: { two: { 4: null, three: [] }, one: 1 }, model: undefined, ...step("a") }
    await runCase(call(shelf, stage, [same, step("!")]))
    expect(stage.runs).toEqual(["!"])
  })
})

describe("trouble with the journal", () => {
  it("never fails the run, and is told", async () => {
    for (const trouble of ["fails", "dies"] as const) {
      const shelf = new Shelf()
      shelf.onSave = () => trouble
      shelf.onRemove = trouble
      const events = new Events()
      const outcomes = await runCase(program(call(shelf, failing(""), steps("ab")), { name: "p", events }))
      expect(outcomes).toEqual([success("a"), success("b")])
      const told = events.all.flatMap((event) => (event._tag === "StorageTrouble" ? [event.message] : []))
      expect(told.map((message) => message.split(":")[0])).toEqual([
        "step 'a' was not journaled under 'w'",
        "step 'b' was not journaled under 'w'",
        "the journal of 'w' was not removed"
      ])
    }
  })

  it("carries a step whose write failed with the next write", async () => {
    const shelf = new Shelf()
    shelf.onSave = (save) => (save === 0 ? "fails" : "none")
    await runCase(call(shelf, failing("c", 1), steps("abc")))
    expect(shelf.taskIds("w")).toEqual(["a", "b"])
  })
})

describe("the outcome of a journaled step", () => {
  const once = (shelf: Shelf, structured: unknown, failing: boolean) => {
    const outcome = (spec: StepSpec): StepOutcome => {
      // SAFETY: what an executor in JavaScript may give.
      const given = (spec.taskId === "a" ? structured : null) as Json
      return { ...success(spec.taskId), structured: given, success: !(failing && spec.taskId === "b") }
    }
    const executor = Layer.succeed(StepExecutor, {
      concurrency: 2,
      run: (spec) => Effect.succeedSome(outcome(spec))
    })
    return runCase(Effect.provide(resumableParallel(steps("ab"), "w"), Layer.merge(shelf.layer, executor)))
  }

  it("comes back as it was, whatever the JSON", async () => {
    const json = fc.jsonValue().filter((value) => !JSON.stringify([value]).includes("-0"))
    await fc.assert(
      fc.asyncProperty(json, async (structured) => {
        const shelf = new Shelf()
        const [live] = await once(shelf, structured, true)
        const [journaled] = await once(shelf, "not run again", false)
        expect(JSON.stringify(journaled?.structured)).toBe(JSON.stringify(live?.structured))
      }),
      { numRuns: 200 }
    )
    const shelf = new Shelf()
    const odd: unknown = JSON.parse(`{"__proto__":{"a":1},"output":"\\ud800"}`)
    await once(shelf, odd, true)
    expect(JSON.stringify((await once(shelf, 0, false))[0]?.structured)).toBe(JSON.stringify(odd))
  })

  it("is not journaled when it is no JSON, and the others are", async () => {
    const cycle: Record<string, unknown> = {}
    cycle["self"] = cycle
    for (const structured of [new Date(), Number.NaN, () => 0, cycle]) {
      const shelf = new Shelf()
      shelf.onRemove = "fails"
      const outcomes = await once(shelf, structured, false)
      expect(outcomes.every(({ success }) => success)).toBe(true)
      expect(shelf.taskIds("w")).toEqual(["b"])
    }
  })
})
