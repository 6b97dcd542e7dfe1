/** `pause`: asks a run to begin nothing further. */
import * as Effect from "effect/Effect"
import * as Client from "../../engine/Client.ts"
import { Engine } from "../../engine/Engine.ts"
import { isPaused } from "../../engine/Pause.ts"
import { isEnded, type RunId, type RunRecord } from "../../persistence/Records.ts"
import { Persistence, type PersistenceError, type RunNotFound } from "../../persistence/Persistence.ts"
import { argument, defineCommand, flag } from "../CommandLine.ts"
import { ExitCode } from "../ExitCode.ts"
import { howToUnpause } from "../Hints.ts"
import { dbArgument, dbOption, existingDatabase, homeOption } from "../Home.ts"
import { runResult } from "../JsonView.ts"
import { writeLine } from "../Output.ts"
import { bareEngineLayer, findRun, storeLayer } from "../Session.ts"
import { statusOf } from "../Summary.ts"

export const command = defineCommand({
  name: "pause",
  summary: "Pause a run, and those below it: nothing further begins until it is unpaused.",
  notes: ["What is going on ends as usual. Deadlines count on; answers are kept, and take effect when it goes on."],
  examples: [
    ["hold a run, wherever it is running", "millrace pause 01JD8N4K"],
    ["and read what it has come to with a program", "millrace pause 01JD8N4K --json"]
  ],
  arguments: { run: argument("RUN", "the run") },
  options: { db: dbOption, home: homeOption, json: flag("json", "print the run's state as JSON") },
  run: ({ run: wanted, db, home, json }) =>
    Effect.gen(function* () {
      const database = yield* existingDatabase({ home, db })
      return yield* Effect.gen(function* () {
        const { id } = yield* findRun(wanted)
        yield* Client.pause(id)
        yield* recorded(id).pipe(Effect.provide(bareEngineLayer))
        const run = yield* untilNoticed(id, noticeTries)
        if (json) writeLine(JSON.stringify(runResult(run, Date.now())))
        else for (const line of linesOf(run, yield* dbArgument(database))) writeLine(line)
        return ExitCode.done
      }).pipe(Effect.provide(storeLayer(database)))
    })
})

/** A run that nobody runs is recorded as paused here, and so are those below it, which have been told. */
const recorded = (run: RunId): Effect.Effect<void, RunNotFound | PersistenceError, Engine | Persistence> =>
  Effect.gen(function* () {
    const taken = Effect.flatMap(Engine, (engine) => engine.take(run))
    // The process that runs it, or has ended it, finds the request.
    yield* Effect.catchTags(taken, { RunAlreadyOwned: () => Effect.void, RunAlreadyEnded: () => Effect.void })
    const persistence = yield* Persistence
    const children = yield* persistence.list({ parent: run, status: openStatuses, limit: maxChildren })
    yield* Effect.forEach(children, ({ id }) => recorded(id), { discard: true })
  })

const openStatuses = ["pending", "running", "waiting"] as const

/** Children of a run that are recorded at once; the others are when somebody takes them. */
const maxChildren = 1_000

/** Looks at a run that another process has, 20 ms apart. */
const noticeTries = 50

const untilNoticed = (run: RunId, tries: number): ReturnType<typeof get> =>
  Effect.flatMap(get(run), (record) =>
    tries <= 0 || isPaused(record) || isEnded(record.status) || record.status === "cancelling"
      ? Effect.succeed(record)
      : Effect.zipRight(Effect.sleep("20 millis"), untilNoticed(run, tries - 1))
  )

const get = (run: RunId) => Effect.flatMap(Persistence, (persistence) => persistence.get(run))

const linesOf = (run: RunRecord, db: string): ReadonlyArray<string> => {
  const status = statusOf(run)
  if (status === "pausing") return [`run ${run.id} is pausing: what is going on ends first`, howToUnpause(run.id, db)]
  return isPaused(run) ? [`run ${run.id} is ${status}`, howToUnpause(run.id, db)] : [`run ${run.id} is ${status}`]
}
