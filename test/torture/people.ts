/**
 * A process that answers gates and cancels runs of a database, until it is killed: `people.ts DATABASE`.
 *
 * Runs end, and other people answer, while it looks: what it is refused for that is looked at again.
 */
import * as Effect from "effect/Effect"
import { answer, cancel } from "../../src/engine/Client.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import type { RunRecord, StepRecord } from "../../src/persistence/Records.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import { cancelledAt, prompts } from "./Project.ts"

const [filename = ""] = process.argv.slice(2)

/** ms between two looks. */
const interval = 60

const nothing = () => Effect.void

const meet = (run: RunRecord, step: StepRecord) => {
  if (step.superseded) return Effect.void
  if (step.kind === "script" && step.name === cancelledAt && step.status === "running") {
    return Effect.catchTags(cancel(run.root), { RunAlreadyEnded: nothing, RunNotFound: nothing })
  }
  const prompt = step.gate?.prompt
  if (step.kind !== "gate" || step.status !== "waiting" || prompt === undefined || prompt === null) return Effect.void
  const approved = prompt === prompts.yes
  return Effect.catchTags(
    answer(run.id, { gate: step.path, approved, feedback: approved ? "fine" : "bad", by: "people" }),
    {
      RunAlreadyEnded: nothing,
      RunNotFound: nothing,
      NotWaiting: nothing
    }
  )
}

const look = Effect.gen(function* () {
  const store = yield* Persistence
  for (const run of yield* store.list({ status: ["running", "waiting"], limit: 1_000 })) {
    for (const step of yield* store.steps(run.id)) yield* meet(run, step)
  }
})

const program = Effect.forever(Effect.zipRight(look, Effect.sleep(interval)))

process.once("SIGTERM", () => process.exit(0))
process.stdout.write("ready\n")
Effect.runPromise(Effect.provide(program, SqlitePersistence.layer({ filename }))).catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`)
  process.exit(1)
})
