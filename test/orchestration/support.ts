/** An executor whose steps do what a script says, and what it saw of them. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type * as Option from "effect/Option"
import * as fc from "fast-check"
import { type EngineEvent, StepExecutor, type StepOutcome, type StepSpec } from "../../src/orchestration/index.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"

export type Ending = "succeeds" | "fails" | "dies" | "gives nothing" | "interrupts itself" | "answers for another"

export interface Act {
  readonly ending: Ending
  /** ms of work, and of cleaning up. */
  readonly work: number
  readonly cleanup: number
}

export const endings: ReadonlyArray<Ending> = [
  "succeeds",
  "fails",
  "dies",
  "gives nothing",
  "interrupts itself",
  "answers for another"
]

export const arbitraryAct = (among: ReadonlyArray<Ending> = endings): fc.Arbitrary<Act> =>
  fc.record({
    ending: fc.oneof({ weight: 3, arbitrary: fc.constant<Ending>("succeeds") }, fc.constantFrom(...among)),
    work: fc.integer({ min: 0, max: 5 }),
    cleanup: fc.integer({ min: 0, max: 2 })
  })

export const step = (taskId: string, prompt = `do ${taskId}`): StepSpec => ({
  taskId,
  agent: "worker",
  description: taskId,
  prompt
})

export const success = (taskId: string): StepOutcome => ({
  taskId,
  sessionId: `session-${taskId}`,
  agent: "worker",
  output: `did ${taskId}`,
  success: true
})

/** What a step's outcome is to be, whenever it ends. */
export const expected = (taskId: string, ending: Ending) => {
  if (ending === "succeeds") return success(taskId)
  if (ending === "fails") return { ...success(taskId), success: false, output: "could not" }
  const output = ending === "dies" ? "agent 'worker' died: no more" : "step produced no outcome"
  return { taskId, sessionId: "", agent: "worker", output, success: false }
}

/** Without the typed failure, whose message the output is. */
export const plain = (outcome: StepOutcome) => {
  const { failure, ...rest } = outcome
  return failure === undefined || failure.message === rest.output ? rest : outcome
}

export class Stage {
  readonly runs: Array<string> = []
  active = 0
  peak = 0
  released = 0

  constructor(
    readonly concurrency: number,
    private readonly act: (spec: StepSpec) => Act = () => ({ ending: "succeeds", work: 1, cleanup: 0 })
  ) {}

  readonly layer: Layer.Layer<StepExecutor> = Layer.suspend(() =>
    Layer.succeed(StepExecutor, { concurrency: this.concurrency, run: (spec) => this.#run(spec) })
  )

  #run(spec: StepSpec) {
    const { ending, work, cleanup } = this.act(spec)
    const enter = Effect.sync(() => {
      this.runs.push(spec.taskId)
      this.active += 1
      this.peak = Math.max(this.peak, this.active)
    })
    const leave = Effect.zipRight(
      Effect.sleep(cleanup),
      Effect.sync(() => {
        this.active -= 1
        this.released += 1
      })
    )
    return Effect.acquireRelease(enter, () => leave).pipe(
      Effect.zipRight(Effect.sleep(work)),
      Effect.zipRight(Effect.suspend(() => end(spec.taskId, ending)))
    )
  }
}

const end = (taskId: string, ending: Ending): Effect.Effect<Option.Option<StepOutcome>> => {
  switch (ending) {
    case "succeeds":
      return Effect.succeedSome(success(taskId))
    case "fails":
      return Effect.succeedSome({ ...success(taskId), success: false, output: "could not" })
    case "dies":
      return Effect.die(new Error("no more"))
    case "gives nothing":
      return Effect.succeedNone
    case "interrupts itself":
      return Effect.interrupt
    case "answers for another":
      return Effect.succeedSome(success("another"))
  }
}

/** A case of a property: on a virtual clock of its own, with no log. */
export const runCase = <A, E>(effect: Effect.Effect<A, E>): Promise<A> =>
  Effect.runPromise(withVirtualClock(Effect.provide(effect, Logger.minimumLogLevel(LogLevel.None))))

export class Events {
  readonly all: Array<EngineEvent> = []
  readonly publish = (events: ReadonlyArray<EngineEvent>): void => void this.all.push(...events)

  pathsOf(tag: "StepStarted" | "StepCompleted"): ReadonlyArray<string> {
    return this.all.flatMap((event) => (event._tag === tag ? [event.path] : []))
  }
}

/** An effect's result, and the texts that were logged meanwhile. */
export const withLogged = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const logged: Array<string> = []
    const logger = Logger.make(({ cause, message }) => {
      const texts = [message].flat().map(String)
      logged.push(...texts, ...(Cause.isEmpty(cause) ? [] : [Cause.pretty(cause).split("\n", 1).join("")]))
    })
    const silent = Effect.provide(effect, Logger.replace(Logger.defaultLogger, logger))
    return Effect.map(silent, (value) => ({ logged, value }))
  })
