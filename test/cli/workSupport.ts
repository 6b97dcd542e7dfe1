/** What the tests of workers share. The database is looked at directly: starting a program for each look takes long. */
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { contextNames } from "../../src/cli/Home.ts"
import { submit } from "../../src/engine/interpreter/NewWorkflowRun.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import type { Texts } from "../../src/workflow/Definition.ts"
import { parse } from "../../src/workflow/Parser.ts"
import { type Ended, type Place, type Running } from "./support.ts"

/** A worker that has begun to work. */
export const working = async (at: Place, args: ReadonlyArray<string> = []): Promise<Running> => {
  const worker = at.start(["work", ...args])
  await worker.prints(args.includes("--json") ? "WorkerStarted" : "working on")
  return worker
}

/** A worker's end after a signal. */
export const stopped = (worker: Running, signal: NodeJS.Signals): Promise<Ended> => {
  worker.process.kill(signal)
  return worker.ended
}

/** The id of a run that was created by `run --detach`. */
export const created = async (at: Place, file: string, ...args: ReadonlyArray<string>): Promise<string> => {
  const { code, stdout, stderr } = await at.run(["run", file, "--detach", ...args])
  if (code !== 0) throw new Error(`not created: ${stdout}${stderr}`)
  return stdout.trim()
}

/** Creates a run for each of the inputs as `run --detach` does, in this process. */
export const submitted = (
  at: Place,
  file: string,
  inputs: ReadonlyArray<Texts>,
  db = "millrace.db"
): Promise<ReadonlyArray<string>> => {
  const { definition } = parse({ file, text: readFileSync(at.path(file), "utf8") })
  if (definition === undefined) throw new Error(`${file} cannot be read`)
  const values = {
    [contextNames.home]: at.real,
    [contextNames.workflow]: at.path(file),
    [contextNames.unattended]: "false"
  }
  const settings = { workingDirectory: at.folder, values }
  return Effect.runPromise(
    Effect.forEach(inputs, (given) => submit(definition, { inputs: given, settings })).pipe(
      Effect.provide(SqlitePersistence.layer({ filename: at.path(db) }))
    )
  )
}

/** A run's row, as far as tests look at it. */
export interface RunRow {
  readonly id: string
  readonly status: string
  readonly owner: string | null
  readonly generation: number
  readonly seq: number
  readonly recoveries: number
  readonly created_at: number
  readonly started_at: number | null
  readonly ended_at: number | null
}

/** The runs of a database, the oldest first. */
export const rows = (at: Place, db = "millrace.db"): ReadonlyArray<RunRow> => {
  const database = new Database(at.path(db), { readonly: true })
  try {
    // SAFETY: the columns that the interface names.
    return database.prepare("SELECT * FROM runs ORDER BY id").all() as ReadonlyArray<RunRow>
  } finally {
    database.close()
  }
}

export const rowOf = (at: Place, run: string, db?: string): RunRow => {
  const row = rows(at, db).find(({ id }) => id === run)
  if (row === undefined) throw new Error(`there is no run ${run}`)
  return row
}

/** Waits until something is so. */
export const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((done) => setTimeout(done, 20))
}

/** The objects of NDJSON. */
export const linesOf = (stdout: string): ReadonlyArray<Readonly<Record<string, unknown>>> =>
  stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))

/** The lines of a file; none where there is no file. */
export const linesIn = (at: Place, file: string): ReadonlyArray<string> => {
  try {
    return readFileSync(at.path(file), "utf8").split("\n").slice(0, -1)
  } catch {
    // Nothing was written yet.
    return []
  }
}
