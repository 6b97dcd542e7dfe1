/**
 * The size of the database: bounded by what is kept, and by a limit that stops no run for good.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NodeFs from "node:fs"
import * as NodePath from "node:path"
import { Engine } from "../../../src/engine/Engine.ts"
import { WorkflowFiles } from "../../../src/engine/interpreter/WorkflowFiles.ts"
import { prune, sweep } from "../../../src/engine/Prune.ts"
import { Persistence } from "../../../src/persistence/Persistence.ts"
import type { SqliteOptions } from "../../../src/persistence/SqlitePersistence.ts"
import * as SqlitePersistence from "../../../src/persistence/SqlitePersistence.ts"
import { integrityCheck } from "../../../src/testing/WalPrefix.ts"
import { temporaryDatabase } from "../../persistence/support.ts"
import { action, definitionOf, engineLayer, isEvent, watch, type World } from "../TestEngine.ts"

const storeOn = (filename: string, options: Partial<SqliteOptions> = {}) =>
  SqlitePersistence.layer({ filename, synchronous: "OFF", ...options })

const engineOn = (filename: string, world: World, options: Partial<SqliteOptions> = {}) =>
  Layer.provideMerge(engineLayer(world), storeOn(filename, options))

const sizeOf = (file: string): number => NodeFs.statSync(file, { throwIfNoEntry: false })?.size ?? 0

const kid = `workflow kid { call write }`
const parent = `workflow w { inputs { n required } call write call workflow kid }`
/** With logs. */
const scripted = `workflow s { inputs { n required } script s { run = "echo a few words" } }`

const world: World = {
  workflows: [kid],
  actions: { write: action((call) => ({ resultText: "x".repeat(4_000), context: call.run })) },
  settings: { checkInvariants: false }
}

describe("the database", () => {
  it.scopedLive(
    "does not grow under runs that are made and pruned, nor do the files beside it",
    () =>
      Effect.gen(function* () {
        const filename = yield* temporaryDatabase
        const services = yield* Layer.build(engineOn(filename, world))
        const engine = Context.get(services, Engine)
        const files = Context.get(services, WorkflowFiles)
        const [usual, withLogs] = [definitionOf(parent), definitionOf(scripted)]
        const [rounds, runs, kept] = [10, 40, 5]
        const sizes: Array<number> = []
        for (let round = 0; round < rounds; round++) {
          const ends = yield* Effect.forEach(
            Array.from({ length: runs }, (_, n) => n),
            (n) =>
              Effect.flatMap(files.start(n < 3 ? withLogs : usual, { inputs: { n: `${round}.${n}` } }), engine.await),
            { concurrency: 10 }
          )
          expect(ends.map(({ error }) => error).filter((error) => error !== null)).toEqual([])
          yield* Effect.provide(Effect.zipRight(prune({ keep: kept }), sweep({ dryRun: false })), services)
          sizes.push((yield* Context.get(services, SqlitePersistence.SqliteSpace).size).bytes)
        }
        expect(sizes.length).toBe(10)
        // What the first rounds needed is enough for all that follow, but for pages that are not quite full.
        expect(Math.max(...sizes)).toBeLessThan((sizes[1] ?? 0) * 1.1)
        const left = yield* Context.get(services, Persistence).list({ limit: 1_000 })
        expect(left.filter(({ parent: above }) => above === null).length).toBe(kept)
        const logged = NodeFs.readdirSync(NodePath.join(`${filename}-files`, "logs"))
        expect(logged.filter((run) => !left.some(({ id }) => id === run))).toEqual([])
        const { giveBack } = Context.get(services, SqlitePersistence.SqliteSpace)
        expect(yield* giveBack).toBeGreaterThan((sizes[0] ?? 0) / 2)
        expect(sizeOf(filename)).toBeLessThan((sizes[0] ?? 0) / 2)
        expect(sizeOf(`${filename}-wal`)).toBeLessThan(64 * 1024 ** 2)
        expect(yield* integrityCheck(filename)).toEqual([])
      }),
    120_000
  )

  it.scopedLive("that is full keeps runs trying, says why, and lets them go on once others were pruned", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const write = action(() => ({ resultText: "x".repeat(40_000) }))
      const services = yield* Layer.build(
        engineOn(filename, { actions: { write } }, { maxDatabaseBytes: 2 * 1024 ** 2 })
      )
      const engine = Context.get(services, Engine)
      const files = Context.get(services, WorkflowFiles)
      const watched = yield* Effect.provide(watch, services)
      const calls = (count: number) => "call write ".repeat(count)
      const old = yield* Effect.flatMap(files.start(definitionOf(`workflow old { ${calls(25)} }`)), engine.await)
      expect(old.status).toBe("completed")

      const long = yield* files.start(definitionOf(`workflow long { ${calls(35)} }`))
      const trouble = yield* watched.until(isEvent("StorageTrouble"))
      const reason = `${filename}: it has reached its limit of 2.0 MB (maxDatabaseBytes); \`millrace prune\` makes room`
      expect(trouble).toMatchObject({ run: long, message: `${reason}; trying again` })
      // Nor can another one begin: that is said, and nothing is left of it.
      const another = Effect.flip(files.start(definitionOf(`workflow w { call write }`), { inputs: {} }))
      const refused = yield* Effect.either(another)
      if (refused._tag === "Right") expect(refused.right).toMatchObject({ reason: "Full", message: reason })
      yield* watched.until(isEvent("StorageTrouble"), 2)
      const store = Context.get(services, Persistence)
      expect(yield* store.get(long)).toMatchObject({ status: "running", owner: engine.id, generation: 1 })

      // As another process would: without this one's limit.
      yield* Effect.provide(prune({ keep: 0 }), storeOn(filename))
      const end = yield* engine.await(long)
      expect(end).toMatchObject({ status: "completed", generation: 1, recoveries: 0 })
      const steps = (yield* store.steps(long)).filter(({ kind }) => kind === "call")
      expect(steps.map(({ attempts }) => attempts.length)).toEqual(steps.map(() => 1))
      expect(steps.length).toBe(35)
      expect(sizeOf(filename)).toBeLessThanOrEqual(2 * 1024 ** 2)
      expect(yield* integrityCheck(filename)).toEqual([])
    })
  )
})
