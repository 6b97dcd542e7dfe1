/** The example of document processing: its limits hold, and a killed batch goes on. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Engine, MemoryPersistence } from "millrace"
import { withVirtualClock } from "millrace/testing"
import { join } from "node:path"
import { Batch, batch, File, Read, Summarize, Unreadable } from "../../examples/documents/Documents.ts"
import { place } from "../cli/support.ts"
import { eventually } from "../action/support.ts"
import { startProcess } from "../engine/durability/EngineProcess.ts"

const main = join(import.meta.dirname, "../../examples/documents/main.ts")

describe("the example of document processing", { timeout: 120_000 }, () => {
  it.live("reads two documents at a time, and asks for five summaries in half a second", () =>
    Effect.gen(function* () {
      let reading = 0
      let most = 0
      let readInAll = 0
      let readAtFirstSummary = 0
      const asked: Array<number> = []
      const read = Read.toLayer((document) =>
        Effect.gen(function* () {
          most = Math.max(most, ++reading)
          yield* Effect.sleep("20 millis")
          reading -= 1
          readInAll += 1
          return yield* document === "bad" ? Effect.fail(new Unreadable({ document })) : Effect.succeed(document)
        })
      )
      const summarize = Summarize.toLayer((text) =>
        Effect.map(Effect.clock, (clock) => {
          if (asked.length === 0) readAtFirstSummary = readInAll
          asked.push(clock.unsafeCurrentTimeMillis())
          return text
        })
      )
      const services = Layer.mergeAll(
        read,
        summarize,
        File.toLayer(({ document }) => Effect.succeed(document))
      )
      const layer = batch.pipe(
        Layer.provide(services),
        Layer.provideMerge(Engine.layer),
        Layer.provideMerge(MemoryPersistence.layer)
      )
      const documents = ["a", "b", "bad", ..."cdefghijklmnop"]
      const end = Effect.provide(Batch.execute({ id: "b", documents }), layer)
      const { failed, filed } = yield* withVirtualClock(end)
      expect(failed).toEqual(["bad"])
      expect(filed).toEqual(documents.filter((document) => document !== "bad"))
      expect(most).toBe(2)
      expect(readAtFirstSummary).toBeLessThan(5)
      const spans = asked.slice(5).map((time, index) => time - (asked[index] ?? 0))
      expect(spans).toHaveLength(11)
      for (const span of spans) expect(span).toBeGreaterThanOrEqual(500)
    })
  )

  it.live("goes on with a batch that was killed, and files each document once", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const file = place().path("documents.db")
        const killed = yield* startProcess(main, file)
        expect(yield* eventually(() => killed.printed().includes("summary of"), 60_000)).toBe(true)
        killed.kill("SIGKILL")
        yield* killed.exit
        const program = yield* startProcess(main, file)
        expect(yield* program.said("filed")).toBe("11, failed: scan-6.bin")
        expect(yield* program.exit).toBe(0)
        const again = yield* startProcess(main, file)
        expect(yield* again.exit).toBe(0)
        expect(again.printed()).toBe("filed 11, failed: scan-6.bin\n")
      })
    )
  )
})
