/**
 * Makes the recorded database of this version: `npm run record`. Once a version is released its file never changes.
 *
 * The file is copied while the engine is at work, which is what a crash leaves.
 */
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { answer, pause } from "../../../src/engine/Client.ts"
import { Engine } from "../../../src/engine/Engine.ts"
import { Persistence } from "../../../src/persistence/Persistence.ts"
import type { RunId } from "../../../src/persistence/Records.ts"
import { version } from "../../../src/persistence/sql/Migrations.ts"
import * as SqlitePersistence from "../../../src/persistence/SqlitePersistence.ts"
import { engineLayer, start } from "../../engine/TestEngine.ts"
import { untilStatus, untilStep } from "../../engine/durability/support.ts"
import { type Recorded, texts, worldOf } from "./World.ts"

const folder = mkdtempSync(join(tmpdir(), "millrace-record-"))
const filename = join(folder, "runs.db")
const target = join(process.cwd(), "test/persistence/recorded", `version-${version}.db`)

const begin = (name: Recorded) =>
  Effect.orDie(start(texts[name], { idempotencyKey: name, settings: { workingDirectory: "." } }))

/** Answers the gate of a child at this item. */
const answerItem = (parent: RunId, item: string) =>
  Effect.gen(function* () {
    const store = yield* Persistence
    const items = yield* store.items(parent)
    const child = items.find(({ id }) => id === item)?.childRun
    if (child === undefined || child === null) return yield* Effect.dieMessage(`item ${item} has no run`)
    yield* untilStatus(child, "waiting")
    yield* answer(child, { approved: true, feedback: "yes", by: "ana" })
  })

const made = Effect.gen(function* () {
  const engine = yield* Engine
  yield* Effect.flatMap(begin("done"), engine.await)
  yield* Effect.flatMap(begin("failed"), engine.await)
  yield* Effect.flatMap(begin("asked"), (run) => untilStatus(run, "waiting"))
  yield* Effect.flatMap(begin("cut"), (run) => untilStep(run, "/held", "running"))
  yield* Effect.flatMap(begin("beside"), (run) =>
    Effect.zipRight(untilStep(run, "/parallel/gives", "completed"), untilStep(run, "/parallel/held", "running"))
  )
  yield* Effect.flatMap(begin("looped"), (run) => untilStep(run, "/do-while:again.more/@2/again", "running"))
  const paused = yield* begin("paused")
  yield* untilStatus(paused, "waiting")
  yield* pause(paused)
  const many = yield* begin("many")
  yield* untilStep(many, "/human_approval", "waiting", 2)
  yield* answerItem(many, "a")
  // Of the third item, which waited for the first.
  yield* untilStep(many, "/human_approval", "completed")
  yield* untilStep(many, "/human_approval", "waiting", 2)
  yield* Effect.sleep(200)
  yield* Effect.sync(() => {
    rmSync(target, { force: true })
    const database = new Database(filename, { readonly: true })
    database.prepare("VACUUM INTO ?").run(target)
    database.close()
    forgetMachine()
  })
})

/** The file is to tell nothing of where it was made. Its engines are long gone wherever it is opened. */
const forgetMachine = (): void => {
  const copy = new Database(target)
  copy.exec("UPDATE engines SET host = 'elsewhere', boot = 'boot', pid = 1, process_start = '1', lease_until = 0")
  copy.exec("VACUUM")
  copy.close()
}

const layer = engineLayer(worldOf(true)).pipe(Layer.provideMerge(SqlitePersistence.layer({ filename })))
await Effect.runPromise(Effect.orDie(Effect.provide(made, layer)))
rmSync(folder, { recursive: true, force: true })
console.log(`made ${target}`)
