/**
 * The generated typed workflow of a seed (`GeneratedWorkflow`) as the subject of a crash test.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { PersistenceService } from "../../persistence/Persistence.ts"
import type { InboxMessage, StepRecord } from "../../persistence/Records.ts"
import type { CrashSubject } from "../CrashTest.ts"
import { typedSubject } from "../TypedProgram.ts"
import { delayOfSignal, Generated, registerGenerated, scriptOfPrompt } from "./GeneratedWorkflow.ts"

/** ms between two looks of those who answer and signal. */
const interval = 40

export const generatedSubject = (seed: number): CrashSubject =>
  typedSubject({
    name: `typed seed ${seed}`,
    start: Generated.start({ key: "run", seed, depth: 0 }),
    layer: (began) =>
      Layer.scopedDiscard(
        Effect.flatMap(Effect.scope, (scope) =>
          registerGenerated({ began: (execution) => Effect.runSync(began(execution)) }, scope)
        )
      ),
    meanwhile: (_run, store) => people(store)
  })

/** Answers and signals as the gates' prompts and the signals' names say; what the store refuses is tried again. */
const people = (store: PersistenceService): Effect.Effect<void> =>
  Effect.forever(Effect.zipRight(Effect.ignore(look(store)), Effect.sleep(interval)))

const look = (store: PersistenceService) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    for (const run of yield* store.list({ status: ["running", "waiting"], limit: 1_000 })) {
      for (const step of yield* store.steps(run.id)) {
        const message = step.status === "waiting" && !step.superseded ? messageTo(step, now) : undefined
        if (message !== undefined) yield* Effect.ignore(store.send(run.id, message, now))
      }
    }
  })

const messageTo = (step: StepRecord, now: number): InboxMessage | undefined => {
  const since = now - (step.startedAt ?? now)
  if (step.kind === "signal") {
    const delay = delayOfSignal(step.name)
    return delay === undefined || since < delay ? undefined : { _tag: "Signal", name: step.name, value: "go" }
  }
  const script = scriptOfPrompt(step.gate?.prompt ?? "")
  if (step.kind !== "gate" || script === undefined || since < script.after) return undefined
  const { approved, feedback = null, selections = [] } = script
  return { _tag: "Answer", path: step.path, answer: { approved, feedback, selections, by: "people", at: now } }
}
