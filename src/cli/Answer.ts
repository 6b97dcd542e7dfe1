/** What `approve` and `reject` share: storing the answer, then going on with the run. */
import * as Effect from "effect/Effect"
import * as Client from "../engine/Client.ts"
import { Engine } from "../engine/Engine.ts"
import type { NotWaiting } from "../persistence/Persistence.ts"
import type { RunRecord } from "../persistence/Records.ts"
import { shownRun } from "../persistence/Redaction.ts"
import { type AnyError, CommandFailed, UsageError } from "./CliError.ts"
import { argument, flag, text } from "./CommandLine.ts"
import { ExitCode } from "./ExitCode.ts"
import { goOn, orElsewhere, rootOf } from "./GoOn.ts"
import { howToResume } from "./Hints.ts"
import { dbArgument, dbOption, existingDatabase, homeOption } from "./Home.ts"
import { inline, writeError, writeLine } from "./Output.ts"
import { findRun, storeLayer } from "./Session.ts"
import { blockersOf, statusOf } from "./Summary.ts"
import { userName } from "./User.ts"

export const answerArguments = { run: argument("RUN", "the run, or one above it") }

export const answerOptions = {
  gate: text("gate", "NAME", "the gate, by name or path; needed where several wait"),
  feedback: text("feedback", "TEXT", "what the run is told"),
  noResume: flag("no-resume", "only store the answer, and print the command that goes on"),
  db: dbOption,
  home: homeOption,
  json: flag("json", "print events as NDJSON, the result last")
}

export interface AnswerValues {
  readonly run: string
  readonly approved: boolean
  readonly gate: string | undefined
  readonly feedback: string | undefined
  readonly selections: ReadonlyArray<string>
  /** Any JSON. */
  readonly value?: unknown
  readonly noResume: boolean
  readonly db: string | undefined
  readonly home: string | undefined
  readonly json: boolean
}

export const answer = (values: AnswerValues): Effect.Effect<ExitCode, AnyError> =>
  Effect.gen(function* () {
    const { approved, db, feedback, gate, home, json, noResume, selections, value } = values
    const database = yield* existingDatabase({ home, db })
    return yield* Effect.gen(function* () {
      const found = yield* findRun(values.run)
      const answered = yield* Client.answer(found.id, {
        approved,
        selections,
        value,
        by: userName(),
        ...(gate === undefined ? {} : { gate }),
        ...(feedback === undefined ? {} : { feedback })
      }).pipe(
        Effect.catchTags({
          NotWaiting: (error) => Effect.fail(notWaiting(shownRun(found), error)),
          AmbiguousGate: ({ message }) => Effect.fail(new UsageError({ message, hint: whichGate })),
          ValueNotAsked: ({ message }) => Effect.fail(new UsageError({ message, hint: untyped }))
        })
      )
      const say = json ? writeError : writeLine
      say(`gate ${inline(answered.gate)} of run ${answered.run} is ${approved ? "approved" : "rejected"}`)
      const root = yield* rootOf(found)
      if (noResume) {
        say(howToResume(root.id, yield* dbArgument(database)))
        return ExitCode.done
      }
      const take = Effect.flatMap(Engine, (engine) => engine.take(root.id))
      return yield* goOn(root, take, { json, home, database }).pipe(
        orElsewhere(say, `run ${root.id} goes on in the process that runs it`)
      )
    }).pipe(Effect.provide(storeLayer(database)))
  })

const untyped = "nothing was recorded; approve it without --value: its steps see --feedback and --select"

const whichGate = "`--gate NAME` says which; for the gate of a child run give that run instead of this one"

const notWaiting = (run: RunRecord, { answered, path }: NotWaiting): CommandFailed => {
  const waiting = blockersOf(run).map(({ name }) => name)
  const hint = waiting.length === 0 ? {} : { hint: `it waits at ${waiting.join(", ")}` }
  if (answered) {
    const message = `gate '${path}' of run ${run.id} has been answered already`
    return new CommandFailed({ message, hint: "the run goes on when it is resumed, unless it has gone on" })
  }
  const where = path === "" ? "any gate" : `a gate '${path}'`
  return new CommandFailed({ message: `run ${run.id} is ${statusOf(run)} and does not wait at ${where}`, ...hint })
}
