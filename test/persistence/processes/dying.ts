/** Creates run `A` and commits to it, but kills itself at a point of the commit: `<database> <statement | committed>`. */
import * as Effect from "effect/Effect"
import { Persistence } from "../../../src/persistence/Persistence.ts"
import * as SqlitePersistence from "../../../src/persistence/SqlitePersistence.ts"
import { commitTo, engineId, itemRecord, runRecord, stepRecord } from "../../../src/testing/SampleRecords.ts"

const [filename = "", point = ""] = process.argv.slice(2)
let armed = false
const dieAt = (reached: string): void => {
  if (armed && reached === point) process.kill(process.pid, "SIGKILL")
}

const layer = SqlitePersistence.layer({
  filename,
  hooks: { statement: (_sql, index) => dieAt(String(index)), committed: () => dieAt("committed") }
})

const program = Effect.gen(function* () {
  const store = yield* Persistence
  const run = runRecord("A", { status: "running", owner: engineId("ann"), generation: 1, readyAt: null })
  yield* store.create(run)
  armed = true
  yield* store.commit(
    commitTo(
      run,
      { _tag: "Step", step: stepRecord("/one") },
      { _tag: "Item", item: itemRecord("/each", "a") },
      { _tag: "Create", run: runRecord("B") }
    )
  )
})

await Effect.runPromise(Effect.provide(program, layer))
