/**
 * Databases as released versions left them (`recorded/`): opened, and their unfinished runs gone on with.
 */
import { describe, expect, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { copyFileSync, readdirSync, readFileSync, truncateSync } from "node:fs"
import { join } from "node:path"
import { answer, unpause } from "../../src/engine/Client.ts"
import { Engine } from "../../src/engine/Engine.ts"
import { resume } from "../../src/engine/Resume.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import { isUserStep, type RunRecord } from "../../src/persistence/Records.ts"
import { version } from "../../src/persistence/sql/Migrations.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import { integrityCheck } from "../../src/testing/WalPrefix.ts"
import { place } from "../cli/support.ts"
import { engineLayer } from "../engine/TestEngine.ts"
import { untilStatus } from "../engine/durability/support.ts"
import { type Begun, type Recorded, worldOf } from "./recorded/World.ts"
import { temporaryDatabase } from "./support.ts"

const folder = join(import.meta.dirname, "recorded")
const files = readdirSync(folder).filter((name) => /^version-\d+\.db$/.test(name))

/** The user steps of a run with their ends, those that were executed now with a `*`. */
const outlineOf = (run: RunRecord, begun: ReadonlyArray<Begun>) =>
  Effect.gen(function* () {
    const store = yield* Persistence
    const steps = yield* store.steps((yield* store.get(run.id)).id)
    const { status } = yield* store.get(run.id)
    const lines = steps
      .filter((step) => isUserStep(step.kind) && !step.superseded)
      .map((step) => {
        const now = begun.some(({ path, run: of }) => of === run.id && path === step.path)
        return `${step.path} ${step.status}${now ? "*" : ""}`
      })
    return [status, ...lines]
  })

/** What each run has to come to, by the name under which it was recorded. */
const ends: Readonly<Record<Recorded, ReadonlyArray<string>>> = {
  done: ["completed", "/gives completed", "/flaky completed", "/if:gives.good/ok completed"],
  asked: ["completed", "/ok completed", "/human_review completed", "/gives completed*", "/@always/ok completed*"],
  cut: ["completed", "/gives completed", "/held completed*", "/ok completed*", "/@always/ok completed*"],
  beside: ["completed", "/parallel/gives completed", "/parallel/held completed*", "/ok completed*"],
  many: ["completed", "/items completed", "/foreach:each completed", "/ok completed*"],
  paused: ["completed", "/ok completed", "/human_review completed", "/gives completed*"],
  failed: ["completed", "/ok completed", "/breaks completed*", "/gives completed*"],
  looped: [
    "completed",
    "/do-while:again.more/@1/again completed",
    "/do-while:again.more/@2/again completed*",
    "/do-while:again.more/@3/again completed*",
    "/ok completed*"
  ]
}

const names = Object.keys(ends)

describe("a recorded database", () => {
  it("is there for this version", () => {
    expect(files, "npm run record makes it").toContain(`version-${version}.db`)
  })

  for (const file of files) {
    it.scopedLive(`${file} is opened, and each of its runs goes on to its end, no completed step executed again`, () =>
      Effect.gen(function* () {
        const filename = yield* temporaryDatabase
        copyFileSync(join(folder, file), filename)
        const begun: Array<Begun> = []
        const layer = engineLayer(worldOf(false, begun)).pipe(Layer.provideMerge(SqlitePersistence.layer({ filename })))
        const services = yield* Layer.build(layer)
        const engine = Context.get(services, Engine)
        const going = Effect.gen(function* () {
          const store = yield* Persistence
          const roots = yield* store.list({ parent: null, limit: 100 })
          const named = new Map(roots.map((run) => [run.idempotencyKey ?? "", run]))
          expect([...named.keys()].sort()).toEqual([...names].sort())
          const run = (name: Recorded) => {
            const found = named.get(name)
            return found === undefined ? Effect.dieMessage(`no run ${name}`) : Effect.succeed(found)
          }
          yield* Effect.flatMap(run("asked"), ({ id }) => answer(id, { approved: true }))
          const paused = yield* run("paused")
          yield* unpause(paused.id)
          yield* answer(paused.id, { approved: true })
          yield* Effect.flatMap(run("failed"), ({ id }) => resume(id))
          const many = yield* run("many")
          for (const child of yield* store.list({ parent: many.id, limit: 10 })) {
            if (child.status === "completed") continue
            yield* untilStatus(child.id, "waiting")
            yield* answer(child.id, { approved: true })
          }
          const found: Record<string, ReadonlyArray<string>> = {}
          for (const [name, record] of named) {
            yield* engine.await(record.id)
            found[name] = yield* outlineOf(record, begun)
          }
          expect(found).toEqual(ends)
        })
        yield* Effect.provide(going, services)
        expect(yield* integrityCheck(filename)).toEqual([])
      })
    )
  }
})

describe("a recorded database that somebody changed", () => {
  const newest = join(folder, `version-${version}.db`)
  const changed = (sql: string) => {
    const at = place({ "d.db": readFileSync(newest) })
    const database = new Database(at.path("d.db"))
    database.pragma("ignore_check_constraints = ON")
    database.exec(sql)
    database.close()
    return at
  }
  /** All that is recorded. */
  const rowsOf = (filename: string): ReadonlyArray<unknown> => {
    const database = new Database(filename, { readonly: true })
    const rows = ["runs", "steps", "items", "inbox", "engines", "definitions"].map((table) =>
      database.prepare(`SELECT * FROM ${table}`).all()
    )
    const versions = ["user_version", "application_id"].map((name) => database.pragma(name, { simple: true }))
    database.close()
    return [...versions, ...rows]
  }
  const idOf = (name: Recorded): string => {
    const database = new Database(newest, { readonly: true })
    const id = database.prepare("SELECT id FROM runs WHERE idempotency_key = ?").pluck().get(name)
    database.close()
    return String(id)
  }

  const cases: ReadonlyArray<readonly [string, string, RegExp]> = [
    ["so that a newer version wrote it", "PRAGMA user_version = 999", /newer millrace: it has version 999/],
    ["so that it is another program's", "PRAGMA application_id = 7", /d\.db/],
    ["in a step's row", "UPDATE steps SET data = '{\"kind\": 7}'", /steps?/],
    ["in a run's row", "UPDATE runs SET status = 'dancing'", /dancing|status/]
  ]
  for (const [what, sql, message] of cases) {
    it(`${what} is refused with a message and exit code 1, and left as it is`, async () => {
      const at = changed(sql)
      const before = rowsOf(at.path("d.db"))
      const { code, stdout, stderr } = await at.run(["show", idOf("cut"), "--db", "d.db"])
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
      expect(stderr).toMatch(/^error: /)
      expect(stderr).toMatch(message)
      expect(stderr).not.toMatch(/ {4}at /)
      expect(rowsOf(at.path("d.db"))).toEqual(before)
    })
  }

  it("by cutting it off is refused with a message and exit code 1", async () => {
    const at = place({ "d.db": readFileSync(newest) })
    truncateSync(at.path("d.db"), 20_000)
    const { code, stderr } = await at.run(["show", idOf("cut"), "--db", "d.db"])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^error: .*d\.db/)
    expect(stderr).not.toMatch(/ {4}at /)
  })
})
