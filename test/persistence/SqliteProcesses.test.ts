import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Persistence } from "../../src/persistence/Persistence.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import {
  commitTo,
  iterated,
  engineId,
  engineRecord,
  runId,
  runRecord,
  stepRecord
} from "../../src/testing/SampleRecords.ts"
import { integrityCheck } from "../../src/testing/WalPrefix.ts"
import { programProcess, scriptProcess, temporaryDatabase } from "./support.ts"

const open = (filename: string) =>
  Effect.map(Layer.build(SqlitePersistence.layer({ filename })), (services) => Context.get(services, Persistence))

describe("processes on one database", () => {
  it.scoped("all write, none is told that it is locked", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const count = 150
      const store = yield* open(filename)
      yield* store.create(runRecord("shared"))
      const others = yield* Effect.forEach(["one", "two"], (name) =>
        programProcess("writer", filename, name, `${count}`)
      )
      yield* Effect.forEach(others, (it) => it.ready)
      const run = runRecord("three", { status: "running", owner: engineId("three"), generation: 1 })
      yield* store.create(run)
      for (let seq = 0; seq < count; seq++) {
        yield* store.commit(commitTo({ ...run, seq }, iterated(seq), { _tag: "Step", step: stepRecord(`/s${seq}`) }))
        yield* store.send(runId("shared"), { _tag: "Signal", name: "three", value: seq }, seq)
      }
      for (const other of others) expect(yield* other.exit).toEqual({ code: 0, signal: null, stderr: "" })

      for (const name of ["one", "two", "three"]) {
        const { journal } = yield* store.load(runId(name))
        expect([journal.run.seq, journal.steps.size]).toEqual([count, count])
      }
      const { inbox } = yield* store.load(runId("shared"))
      expect(inbox.length).toBe(3 * count)
      for (const name of ["one", "two", "three"]) {
        const own = inbox.flatMap(({ message }) =>
          message._tag === "Signal" && message.name === name ? [message.value] : []
        )
        expect(own).toEqual(Array.from({ length: count }, (_, seq) => seq))
      }
      expect(yield* integrityCheck(filename)).toEqual([])
    })
  )

  it.scoped("may all create it at once", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const names = ["one", "two", "three"]
      const others = yield* Effect.forEach(names, (name) => programProcess("writer", filename, name, "0"))
      for (const other of others) expect(yield* other.exit).toEqual({ code: 0, signal: null, stderr: "" })
      const store = yield* open(filename)
      expect((yield* store.list({ limit: 9 })).map((run) => run.id)).toEqual(["two", "three", "one"])
    })
  )

  it.scoped("notice that another one wrote, and not their own writes", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const store = yield* open(filename)
      yield* store.create(runRecord("A"))
      const hint = yield* Effect.fork(Stream.runHead(store.changes))
      yield* Effect.yieldNow()
      yield* store.setDismissed(runId("A"), true)
      yield* store.renewEngine(engineRecord("ann", 1))
      expect((yield* Fiber.poll(hint))._tag).toBe("None")
      const other = yield* scriptProcess(
        `const database = new Database(process.argv.at(-1)); database.exec("UPDATE runs SET dismissed = 0")`,
        filename
      )
      expect((yield* other.exit).stderr).toBe("")
      yield* Fiber.join(hint)
      expect((yield* store.get(runId("A"))).dismissed).toBe(false)
    })
  )
})
