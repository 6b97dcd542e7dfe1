/** `unpause`: lets a paused run go on, here unless another process runs it. */
import * as Effect from "effect/Effect"
import * as Client from "../../engine/Client.ts"
import { Engine } from "../../engine/Engine.ts"
import { Persistence, type PersistenceError, type RunNotFound } from "../../persistence/Persistence.ts"
import type { RunId, RunRecord } from "../../persistence/Records.ts"
import { argument, defineCommand, flag } from "../CommandLine.ts"
import { ExitCode } from "../ExitCode.ts"
import { goOn, orElsewhere, rootOf } from "../GoOn.ts"
import { howToResume, howToUnpause } from "../Hints.ts"
import { dbArgument, dbOption, existingDatabase, homeOption, onWaitingOption } from "../Home.ts"
import { writeError, writeLine } from "../Output.ts"
import { findRun, storeLayer } from "../Session.ts"
import { statusOf } from "../Summary.ts"

export const command = defineCommand({
  name: "unpause",
  summary: "Let a paused run, and those below it, go on: here, unless another process runs it.",
  examples: [
    ["let a run go on, here if no other process has it", "millrace unpause 01JD8N4K"],
    ["and leave it to a worker", "millrace unpause 01JD8N4K --no-resume"]
  ],
  arguments: { run: argument("RUN", "the run") },
  options: {
    noResume: flag("no-resume", "only take the pause back, and print the command that goes on"),
    yes: flag("yes", "approve gates without asking"),
    onWaiting: onWaitingOption,
    db: dbOption,
    home: homeOption,
    json: flag("json", "print events as NDJSON, the result last")
  },
  run: ({ run: wanted, noResume, yes, onWaiting, db, home, json }) =>
    Effect.gen(function* () {
      const database = yield* existingDatabase({ home, db })
      const say = json ? writeError : writeLine
      const done = (text: string) =>
        Effect.as(
          Effect.sync(() => say(text)),
          ExitCode.done
        )
      return yield* Effect.gen(function* () {
        const run = yield* findRun(wanted)
        const wasPaused = (yield* Client.isPaused(run.id)) || isBelowPaused(run)
        yield* Client.unpause(run.id)
        const argument = yield* dbArgument(database)
        const above = yield* pausedAbove(run)
        const but = above === undefined ? "" : `, but run ${above} above it is\n${howToUnpause(above, argument)}`
        if (!wasPaused)
          return yield* done(`run ${run.id} is not paused${but === "" ? `: it is ${statusOf(run)}` : but}`)
        const root = yield* rootOf(run)
        const isParked = (yield* (yield* Persistence).get(root.id)).status === "needs_resume"
        if (noResume || isParked) {
          return yield* done(
            `run ${run.id} is no longer paused${but === "" ? `\n${howToResume(root.id, argument)}` : but}`
          )
        }
        const take = Effect.flatMap(Engine, (engine) => engine.take(root.id))
        return yield* goOn(root, take, { json, yes, home, database, onWaiting }).pipe(
          orElsewhere(say, `run ${root.id} goes on in the process that runs it`)
        )
      }).pipe(Effect.provide(storeLayer(database)))
    })
})

/** The highest run above it that is paused: letting that one go on does so with all below it. */
const pausedAbove = ({
  parent
}: RunRecord): Effect.Effect<RunId | undefined, RunNotFound | PersistenceError, Persistence> =>
  Effect.gen(function* () {
    if (parent === null) return undefined
    const above = yield* (yield* Persistence).get(parent.run)
    const higher = yield* pausedAbove(above)
    return higher ?? ((yield* Client.isPaused(above.id)) ? above.id : undefined)
  })

/** A run below it is paused, and lets it wait. */
const isBelowPaused = ({ blockedOn }: RunRecord): boolean => blockedOn.some(({ _tag }) => _tag === "paused")
