/** `cancel`: asks a run to end; takes one that nobody runs through its cancellation. */
import * as Effect from "effect/Effect"
import * as Client from "../../engine/Client.ts"
import { Engine } from "../../engine/Engine.ts"
import { isEnded } from "../../persistence/Records.ts"
import { Persistence } from "../../persistence/Persistence.ts"
import { argument, defineCommand, text } from "../CommandLine.ts"
import { ExitCode } from "../ExitCode.ts"
import { goOn, orElsewhere } from "../GoOn.ts"
import { dbOption, existingDatabase, homeOption } from "../Home.ts"
import { writeLine } from "../Output.ts"
import { findRun, storeLayer } from "../Session.ts"

export const command = defineCommand({
  name: "cancel",
  summary: "Cancel a run: what is going on is interrupted, and its always block runs.",
  examples: [
    ["cancel a run, wherever it is running", "millrace cancel 01JD8N4K"],
    ["and say why", 'millrace cancel 01JD8N4K --reason "wrong branch"']
  ],
  arguments: { run: argument("RUN", "the run") },
  options: { reason: text("reason", "TEXT", "why, for the record"), db: dbOption, home: homeOption },
  run: ({ run: wanted, reason, db, home }) =>
    Effect.gen(function* () {
      const database = yield* existingDatabase({ home, db })
      return yield* Effect.gen(function* () {
        const run = yield* findRun(wanted)
        yield* Client.cancel(run.id, reason)
        const persistence = yield* Persistence
        const now = yield* persistence.get(run.id)
        if (isEnded(now.status)) return said(`run ${run.id} is ${now.status}`)
        const take = Effect.flatMap(Engine, (engine) => engine.take(run.id))
        return yield* goOn(now, take, { json: false, home, database, needsWorkflow: now.startedAt !== null }).pipe(
          Effect.map((code) => (code === ExitCode.cancelled ? ExitCode.done : code)),
          orElsewhere(writeLine, `run ${run.id} is being cancelled by the process that runs it`)
        )
      }).pipe(Effect.provide(storeLayer(database)))
    })
})

const said = (text: string): ExitCode => {
  writeLine(text)
  return ExitCode.done
}
