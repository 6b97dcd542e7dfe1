import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as NodeFs from "node:fs"
import * as NodePath from "node:path"
import { OutputStore } from "../../src/persistence/OutputStore.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import { commitTo, iterated, engineId, runRecord, stepRecord } from "../../src/testing/SampleRecords.ts"
import { integrityCheck } from "../../src/testing/WalPrefix.ts"
import { mayMount, smallDisk } from "./support.ts"

const why = mayMount ? "" : " (skipped: needs the right to mount a small disk)"

const open = Effect.gen(function* () {
  const disk = yield* smallDisk(3_000_000)
  const filename = NodePath.join(disk, "runs.db")
  const ballast = NodePath.join(disk, "ballast")
  NodeFs.writeFileSync(ballast, Buffer.alloc(1_000_000))
  const services = yield* Layer.build(SqlitePersistence.layer({ filename }))
  return {
    filename,
    disk,
    makeRoom: Effect.sync(() => NodeFs.rmSync(ballast)),
    store: Context.get(services, Persistence),
    outputs: Context.get(services, OutputStore)
  }
})

describe.skipIf(!mayMount)("a full disk", () => {
  it.scoped(`fails every writer of the transaction with Full, and writes go on once there is room${why}`, () =>
    Effect.gen(function* () {
      const { store, filename, makeRoom } = yield* open
      const owner = { owner: engineId("ann"), generation: 1 }
      const [a, b] = [runRecord("A", owner), runRecord("B", owner)]
      yield* Effect.forEach([a, b], (run) => store.create(run))
      const text = "x".repeat(20_000)
      const write = (run: typeof a, seq: number) =>
        store.commit(
          commitTo({ ...run, seq }, iterated(seq), { _tag: "Step", step: stepRecord(`/s${seq}`, { error: text }) })
        )
      let seq = 0
      const both = Effect.suspend(() =>
        Effect.all(
          [a, b].map((run) => Effect.exit(write(run, seq))),
          { concurrency: "unbounded" }
        )
      )
      let exits = yield* both
      while (exits.every(Exit.isSuccess)) {
        seq += 1
        exits = yield* both
      }
      const full = expect.objectContaining({ _tag: "PersistenceError", reason: "Full", transient: true })
      for (const exit of exits) expect(exit).toMatchObject({ cause: { _tag: "Fail", error: full } })
      for (const run of [a, b]) {
        const { journal } = yield* store.load(run.id)
        expect([journal.run.seq, journal.steps.size]).toEqual([seq, seq])
      }
      yield* makeRoom
      for (const exit of yield* both) expect(exit._tag).toBe("Success")
      expect((yield* store.get(a.id)).seq).toBe(seq + 1)
      expect(yield* integrityCheck(filename)).toEqual([])
    })
  )

  it.scoped(`keeps no part of an output${why}`, () =>
    Effect.gen(function* () {
      const { outputs, disk } = yield* open
      const large = NodePath.join(disk, "large")
      NodeFs.writeFileSync(large, Buffer.alloc(1_000_000))
      const error = yield* Effect.flip(outputs.keep(large))
      expect(error.reason).toBe("Full")
      expect(NodeFs.readdirSync(NodePath.join(disk, "runs.db-files", "outputs"))).toEqual([])
    })
  )

  it.scoped(`refuses to create a database where there is no room for one${why}`, () =>
    Effect.gen(function* () {
      const disk = yield* smallDisk(8_192)
      const layer = SqlitePersistence.layer({ filename: NodePath.join(disk, "runs.db") })
      expect((yield* Effect.flip(Effect.scoped(Layer.build(layer)))).reason).toBe("Full")
    })
  )
})
