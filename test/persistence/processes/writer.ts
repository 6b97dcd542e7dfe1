/** Commits to a run of its own and sends to one that all share: `<database> <name> <count>`. */
import * as Effect from "effect/Effect"
import { Persistence } from "../../../src/persistence/Persistence.ts"
import * as SqlitePersistence from "../../../src/persistence/SqlitePersistence.ts"
import {
  commitTo,
  iterated,
  engineId,
  engineRecord,
  runId,
  runRecord,
  stepRecord
} from "../../../src/testing/SampleRecords.ts"

const [filename = "", name = "", count = "0"] = process.argv.slice(2)

const program = Effect.gen(function* () {
  const store = yield* Persistence
  yield* store.renewEngine(engineRecord(name, 1e12))
  const run = runRecord(name, { status: "running", owner: engineId(name), generation: 1 })
  yield* store.create(run)
  for (let seq = 0; seq < Number(count); seq++) {
    const step = stepRecord(`/s${seq}`, { position: seq })
    yield* store.commit(commitTo({ ...run, seq }, { _tag: "Step", step }, iterated(seq)))
    yield* store.send(runId("shared"), { _tag: "Signal", name, value: seq }, seq)
  }
})

process.stdout.write("started\n")
await Effect.runPromise(Effect.provide(program, SqlitePersistence.layer({ filename })))
