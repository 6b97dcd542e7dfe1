/**
 * Real processes on one SQLite file: killed, paused, shut down, and answering each other.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NodeFs from "node:fs"
import * as NodePath from "node:path"
import { answer, cancel, pause, unpause } from "../../../src/engine/Client.ts"
import { isPaused } from "../../../src/engine/Pause.ts"
import { Persistence } from "../../../src/persistence/Persistence.ts"
import { isEnded, RunId } from "../../../src/persistence/Records.ts"
import * as SqlitePersistence from "../../../src/persistence/SqlitePersistence.ts"
import { integrityCheck } from "../../../src/testing/WalPrefix.ts"
import { childrenOf } from "../../action/support.ts"
import { temporaryFolder } from "../../persistence/support.ts"
import { type EngineProcess, startProcess } from "./EngineProcess.ts"
import { isAlive, untilFile, untilStatus } from "./support.ts"

const start = (...args: ReadonlyArray<string>) =>
  startProcess(NodePath.join(import.meta.dirname, "processes", "engine.ts"), ...args)

/** A folder, a database in it, and a workflow. */
const stage = (text: string) =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder((folder) => folder)
    const filename = `${folder}/runs.db`
    const file = `${folder}/w.wf`
    NodeFs.writeFileSync(file, text)
    const store = Context.get(yield* Layer.build(SqlitePersistence.layer({ filename })), Persistence)
    const effects = (): ReadonlyArray<string> =>
      NodeFs.existsSync(`${folder}/effects`) ? NodeFs.readFileSync(`${folder}/effects`, "utf8").trim().split("\n") : []
    const untilEffect = (line: string): Effect.Effect<void> =>
      Effect.suspend(() =>
        effects().includes(line) ? Effect.void : Effect.zipRight(Effect.sleep(5), untilEffect(line))
      )
    const go = Effect.sync(() => NodeFs.writeFileSync(`${folder}/go`, ""))
    const run = (first: EngineProcess) => Effect.map(first.said("run "), (id) => RunId.make(id))
    const ended = (id: RunId): ReturnType<typeof store.get> =>
      Effect.flatMap(store.get(id), (record) =>
        isEnded(record.status) ? Effect.succeed(record) : Effect.zipRight(Effect.sleep(10), ended(id))
      )
    return { folder, filename, file, store, effects, untilEffect, go, run, ended }
  })

const longTtl = "30000"

describe("processes on one database", () => {
  it.scopedLive(
    "a run whose process is killed goes on at once in another one, and completed steps are not repeated",
    () =>
      Effect.gen(function* () {
        const it = yield* stage("workflow w { call one call held call three }")
        const first = yield* start(it.filename, it.folder, longTtl, it.file)
        const id = yield* it.run(first)
        yield* it.untilEffect(`begin held ${first.pid}`)
        first.kill("SIGKILL")
        yield* first.exit
        yield* it.go
        const began = performance.now()
        const second = yield* start(it.filename, it.folder, longTtl)
        const end = yield* it.ended(id)
        expect(performance.now() - began).toBeLessThan(15_000)
        expect(end).toMatchObject({ status: "completed", generation: 2, recoveries: 0 })
        expect(it.effects()).toEqual([
          `begin one ${first.pid}`,
          `end one ${first.pid}`,
          `begin held ${first.pid}`,
          `begin held ${second.pid}`,
          `end held ${second.pid}`,
          `begin three ${second.pid}`,
          `end three ${second.pid}`
        ])
        const held = (yield* it.store.steps(id)).find((step) => step.path === "/held")
        expect(held?.attempts.map((attempt) => `${attempt.number} ${attempt.outcome}`)).toEqual([
          "1 lost",
          "1 completed"
        ])
        expect(yield* integrityCheck(it.filename)).toEqual([])
      })
  )

  it.scopedLive("a process that was paused for longer than its lease finds its run lost, and touches it no more", () =>
    Effect.gen(function* () {
      const it = yield* stage("workflow w { call held call two always { call clean } }")
      const first = yield* start(it.filename, it.folder, "1500", it.file)
      const id = yield* it.run(first)
      yield* it.untilEffect(`begin held ${first.pid}`)
      first.kill("SIGSTOP")
      const second = yield* start(it.filename, it.folder, "1500")
      yield* it.untilEffect(`begin held ${second.pid}`)
      first.kill("SIGCONT")
      yield* first.said("lost")
      yield* it.go
      expect((yield* it.ended(id)).status).toBe("completed")
      expect(it.effects()).toEqual([
        `begin held ${first.pid}`,
        `begin held ${second.pid}`,
        `end held ${second.pid}`,
        `begin two ${second.pid}`,
        `end two ${second.pid}`,
        `begin clean ${second.pid}`,
        `end clean ${second.pid}`
      ])
      // Where the run went on does not matter to those who wait for it.
      expect(yield* first.said("ended ")).toBe("completed")
    })
  )

  it.scopedLive("a run that was let go is answered from another process, and goes on within a moment", () =>
    Effect.gen(function* () {
      const it = yield* stage("workflow w { gate human_review {} call one }")
      const first = yield* start(it.filename, it.folder, longTtl, it.file)
      const id = yield* it.run(first)
      yield* Effect.provideService(untilStatus(id, "waiting"), Persistence, it.store)
      for (let owner = (yield* it.store.get(id)).owner; owner !== null; owner = (yield* it.store.get(id)).owner) {
        yield* Effect.sleep(10)
      }
      const asked = performance.now()
      yield* Effect.provideService(answer(id, { approved: true }), Persistence, it.store)
      yield* it.untilEffect(`end one ${first.pid}`)
      expect(performance.now() - asked).toBeLessThan(2_000)
      expect((yield* it.ended(id)).status).toBe("completed")
    })
  )

  it.scopedLive("a run is cancelled from another process", () =>
    Effect.gen(function* () {
      const it = yield* stage("workflow w { call held always { call clean } }")
      const first = yield* start(it.filename, it.folder, longTtl, it.file)
      const id = yield* it.run(first)
      yield* it.untilEffect(`begin held ${first.pid}`)
      const asked = performance.now()
      yield* Effect.provideService(cancel(id), Persistence, it.store)
      yield* it.untilEffect(`begin clean ${first.pid}`)
      expect(performance.now() - asked).toBeLessThan(2_000)
      expect((yield* it.ended(id)).status).toBe("cancelled")
    })
  )

  it.scopedLive(
    "a run is paused from another process, stays so when its own is killed, and is let go on from there",
    () =>
      Effect.gen(function* () {
        const it = yield* stage("workflow w { call held call two }")
        const first = yield* start(it.filename, it.folder, longTtl, it.file)
        const id = yield* it.run(first)
        yield* it.untilEffect(`begin held ${first.pid}`)
        const asked = performance.now()
        const asking = Effect.provideService(Persistence, it.store)
        yield* asking(pause(id))
        while (!isPaused(yield* it.store.get(id))) yield* Effect.sleep(5)
        expect(performance.now() - asked).toBeLessThan(2_000)
        yield* it.go
        yield* it.untilEffect(`end held ${first.pid}`)
        yield* asking(untilStatus(id, "waiting"))
        while ((yield* it.store.get(id)).owner !== null) yield* Effect.sleep(5)
        first.kill("SIGKILL")
        yield* first.exit
        const second = yield* start(it.filename, it.folder, longTtl)
        yield* second.said("ready")
        yield* Effect.sleep(500)
        expect(yield* it.store.get(id)).toMatchObject({ status: "waiting", owner: null, generation: 1 })
        const unpaused = performance.now()
        yield* asking(unpause(id))
        yield* it.untilEffect(`end two ${second.pid}`)
        expect(performance.now() - unpaused).toBeLessThan(2_000)
        expect((yield* it.ended(id)).status).toBe("completed")
        expect(it.effects().filter((line) => line.startsWith("begin"))).toEqual([
          `begin held ${first.pid}`,
          `begin two ${second.pid}`
        ])
      })
  )

  it.scopedLive("a process that is told to end leaves its run to be resumed, and its lease to nobody", () =>
    Effect.gen(function* () {
      const it = yield* stage("workflow w { call held always { call clean } }")
      const first = yield* start(it.filename, it.folder, longTtl, it.file)
      const id = yield* it.run(first)
      yield* it.untilEffect(`begin held ${first.pid}`)
      first.kill("SIGTERM")
      expect(yield* first.exit).toBe(143)
      expect(yield* it.store.get(id)).toMatchObject({ status: "running", owner: null })
      expect((yield* it.store.engines).map((engine) => engine.leaseUntil)).toEqual([0])
      yield* it.go
      yield* start(it.filename, it.folder, longTtl)
      expect((yield* it.ended(id)).status).toBe("completed")
    })
  )

  it.scopedLive("a script that outlived its engine, and the lifeline, is killed before it runs again", () =>
    Effect.gen(function* () {
      const it = yield* stage(
        `workflow w { script s { run = "echo $$ >> pids; while [ ! -e go ]; do sleep 0.05; done" } }`
      )
      const first = yield* start(it.filename, it.folder, longTtl, it.file)
      const id = yield* it.run(first)
      const orphan = Number((yield* untilFile(`${it.folder}/pids`)).trim())
      first.kill("SIGSTOP")
      for (const child of childrenOf(first.pid)) {
        if (NodeFs.readFileSync(`/proc/${child}/cmdline`, "utf8").includes("lifeline")) process.kill(child, "SIGKILL")
      }
      first.kill("SIGKILL")
      yield* first.exit
      expect(isAlive(orphan)).toBe(true)
      yield* start(it.filename, it.folder, longTtl)
      const pids = () => NodeFs.readFileSync(`${it.folder}/pids`, "utf8").trim().split("\n")
      while (pids().length < 2) yield* Effect.sleep(10)
      expect(isAlive(orphan)).toBe(false)
      yield* it.go
      const end = yield* it.ended(id)
      expect(end.status).toBe("completed")
      expect(pids().length).toBe(2)
    })
  )
})
