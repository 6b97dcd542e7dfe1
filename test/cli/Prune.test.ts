/**
 * Deleting old runs through the real program, interrupted at any moment too.
 */
import { describe, expect, it, vi } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Persistence } from "../../src/persistence/Persistence.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import { commitTo, engineId, runRecord, stepPath, stepRecord } from "../../src/testing/SampleRecords.ts"
import { type Place, place, type Running, runIn } from "./support.ts"

vi.setConfig({ testTimeout: 120_000 })

const wf = {
  "w.wf": 'workflow w { script s { run = "echo hello" } call workflow kid }',
  "kid.wf": 'workflow kid { script s { run = "echo kid" } }'
}

const logs = (at: Place): ReadonlyArray<string> => readdirSync(at.path("millrace.db-files/logs")).sort()

const query = (at: Place, sql: string): ReadonlyArray<unknown> => {
  const database = new Database(at.path("millrace.db"))
  try {
    return database.prepare(sql).pluck().all()
  } finally {
    database.close()
  }
}

const name = (n: number): string => `R${String(n).padStart(5, "0")}`

/** So many ended runs with a child and a step each, and with a log one in ten: one from the store, the others copies. */
const makeRuns = async (at: Place, count: number): Promise<void> => {
  await Effect.runPromise(
    Effect.provide(makeFirst, SqlitePersistence.layer({ filename: at.path("millrace.db"), synchronous: "OFF" }))
  )
  const database = new Database(at.path("millrace.db"))
  const numbers = "WITH RECURSIVE n (v) AS (VALUES (1) UNION ALL SELECT v + 1 FROM n WHERE v < ?)"
  const copies = { runs: ["id", "root", "parent_run"], steps: ["run"] }
  database.transaction(() => {
    for (const [table, renamed] of Object.entries(copies)) {
      const columns = database.prepare(`SELECT name FROM pragma_table_info('${table}')`).pluck().all().map(String)
      const values = columns.map((column) =>
        renamed.includes(column) ? `'R' || printf('%05d', v) || substr(${column}, 7)` : column
      )
      database.prepare(`${numbers} INSERT INTO ${table} SELECT ${values.join(", ")} FROM ${table}, n`).run(count - 1)
    }
  })()
  database.close()
  for (let n = 0; n < count; n += 10) {
    for (const run of [name(n), `${name(n)}C`]) at.write(`millrace.db-files/logs/${run}/%2Fs/1.1.stdout`, "a log")
  }
}

const makeFirst = Effect.gen(function* () {
  const store = yield* Persistence
  const owner = { owner: engineId("ann"), generation: 1, readyAt: null, status: "running" } as const
  const root = runRecord(name(0), owner)
  const child = runRecord(`${name(0)}C`, { ...owner, root: root.id, parent: { run: root.id, path: stepPath("/kid") } })
  for (const run of [root, child]) {
    yield* store.create(run)
    const step = stepRecord("/s", { error: "x".repeat(2_000) })
    const end = { _tag: "Run", patch: { status: "completed", endedAt: 1 } } as const
    yield* store.commit(commitTo(run, { _tag: "Step", step }, end))
  }
})

const countRuns = (database: Database.Database): number =>
  Number(database.prepare("SELECT count(*) FROM runs").pluck().get())

/** When fewer than these are left. */
const untilSomeAreGone = async (at: Place, all: number): Promise<void> => {
  const database = new Database(at.path("millrace.db"), { readonly: true })
  while (countRuns(database) >= all) await new Promise((resolve) => setImmediate(resolve))
  database.close()
}

/** Signals a prune that has deleted some and is kept from deleting more, then lets it go on. */
const signalMidway = async (at: Place, all: number, pruning: Running, signal: NodeJS.Signals): Promise<void> => {
  await untilSomeAreGone(at, all)
  const holder = new Database(at.path("millrace.db"), { timeout: 20_000 })
  holder.exec("BEGIN IMMEDIATE")
  expect(countRuns(holder)).toBeGreaterThan(0)
  pruning.process.kill(signal)
  holder.exec("ROLLBACK")
  holder.close()
}

/** Roots and children in pairs, each with its step, and with the logs that it had; no rows of runs that are gone. */
const expectWholeRuns = (at: Place): number => {
  const ids = query(at, "SELECT id FROM runs ORDER BY id")
  expect(query(at, "SELECT run FROM steps ORDER BY run")).toEqual(ids)
  expect(query(at, "SELECT count(*) FROM runs WHERE parent_run IS NULL")).toEqual([ids.length / 2])
  expect(query(at, "SELECT count(*) FROM runs AS r WHERE NOT EXISTS (SELECT 1 FROM runs WHERE id = r.root)")).toEqual([
    0
  ])
  expect(query(at, "PRAGMA integrity_check")).toEqual(["ok"])
  const logged = new Set(logs(at))
  expect(ids.filter((id) => /^R\d{4}0/.test(String(id)) && !logged.has(String(id)))).toEqual([])
  return ids.length / 2
}

describe("prune", () => {
  it("deletes the oldest runs with those below them and their logs, after saying what would go", async () => {
    const at = place(wf)
    const ids: Array<string> = []
    for (let n = 0; n < 3; n++) ids.push(runIn((await at.run(["run", "w.wf"])).stdout))
    const [one = "", two = "", three = ""] = ids
    expect(logs(at).length).toBe(6)

    const dry = await at.run(["prune", "--keep", "1", "--dry-run"])
    expect(dry).toMatchObject({ code: 0, stderr: "" })
    expect(
      dry.stdout
        .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, "TIME")
        .replace(one, "ONE")
        .replace(two, "TWO")
    ).toMatchInlineSnapshot(`
      "RUN                         WORKFLOW  STATUS     ENDED                BELOW
      ONE  w         completed  TIME  1
      TWO  w         completed  TIME  1
      2 runs and 2 below them would be deleted
      "
    `)
    expect(logs(at).length).toBe(6)

    const { code, stderr, stdout } = await at.run(["prune", "--keep", "1"])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout.replaceAll(/\d+\.\d KB/g, "SIZE")).toMatchInlineSnapshot(`
      "deleted 2 runs and 2 below them
      the database has SIZE, SIZE less than before
      "
    `)
    const left = await at.run(["runs", "--children", "--json"])
    const [child = "", root = ""] = JSON.parse(left.stdout).map(({ id }: { readonly id: string }) => id)
    expect(root).toBe(three)
    expect(logs(at)).toEqual([root, child].sort())
    expect((await at.run(["show", three])).code).toBe(0)
    expect((await at.run(["show", one])).stderr).toContain("there is no run")

    const nothing = await at.run(["prune", "--keep", "1", "--dry-run"])
    expect(nothing.stdout).toBe("no run would be deleted\n")
    expect((await at.run(["prune", "--older-than", "1h"])).stdout).toMatch(
      /^no run was deleted\nthe database has \S+ KB\n$/
    )
    const all = await at.run(["prune", "--older-than", "0s", "--json"])
    expect(JSON.parse(all.stdout)).toEqual({
      dryRun: false,
      complete: true,
      runs: [{ id: three, children: [child] }],
      definitions: [],
      outputs: [],
      logs: [],
      bytesBefore: expect.any(Number),
      bytes: expect.any(Number),
      bytesFree: 0
    })
    expect(logs(at)).toEqual([])
  })

  it("says in JSON what would go", async () => {
    const at = place()
    await makeRuns(at, 30)
    const { stdout } = await at.run(["prune", "--keep", "28", "--dry-run", "--json"])
    expect(JSON.parse(stdout)).toEqual({
      dryRun: true,
      complete: true,
      runs: ["R00000", "R00001"].map((id) => ({ id, children: [`${id}C`] })),
      definitions: [],
      outputs: [],
      logs: []
    })
    const text = await at.run(["prune", "--keep", "2", "--dry-run"])
    expect(text.stdout.split("\n").slice(-4)).toEqual([
      expect.stringMatching(/^R00019 /),
      "… and 8 more runs",
      "28 runs and 28 below them would be deleted",
      ""
    ])
    expect(expectWholeRuns(at)).toBe(30)
  })

  it("leaves runs that have not ended, and those above them", async () => {
    const at = place({
      "w.wf": "workflow w { call workflow kid }",
      "kid.wf": 'workflow kid { gate human_approval { prompt = "?" } }'
    })
    const run = runIn((await at.run(["run", "w.wf"])).stdout)
    expect((await at.run(["prune", "--keep", "0"])).stdout).toMatch(/^no run was deleted\n/)
    expect((await at.run(["approve", run])).code).toBe(0)
    expect((await at.run(["prune", "--keep", "0"])).stdout).toMatch(/^deleted 1 run and 1 below it\n/)
  })

  it("does not disturb a run that goes on in another process", async () => {
    const scripts = Array.from({ length: 20 }, (_, n) => `script s${n} { run = "echo ${n}" }`).join(" ")
    const at = place({
      "w.wf": `workflow w { ${scripts} script last { run = "while [ ! -e go ]; do sleep 0.05; done" } }`
    })
    await makeRuns(at, 600)
    const going = at.start(["run", "w.wf"])
    const run = runIn(await going.prints("/s0: started"))
    const pruned = await at.run(["prune", "--keep", "0"])
    expect(pruned).toMatchObject({
      code: 0,
      stderr: "",
      stdout: expect.stringMatching(/^deleted 600 runs and 600 below them\n/)
    })
    at.write("go", "")
    const { code, stderr, stdout } = await going.ended
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout).not.toContain("trying again")
    expect(query(at, "SELECT id FROM runs")).toEqual([run])
    expect(query(at, "SELECT count(*) FROM steps WHERE kind = 'script' AND status = 'completed'")).toEqual([21])
    expect(logs(at)).toEqual([run])
  })

  it("collects what nothing refers to any more: definitions, outputs, logs", async () => {
    const at = place({ "w.wf": 'workflow w { script s { run = "true" } }' })
    const run = runIn((await at.run(["run", "w.wf"])).stdout)
    const outputs = at.path("millrace.db-files/outputs")
    mkdirSync(outputs)
    const old = new Date(Date.now() - 2 * 86_400_000)
    const put = (name: string, when?: Date) => {
      writeFileSync(join(outputs, name), "x".repeat(5_000))
      if (when !== undefined) utimesSync(join(outputs, name), when, when)
    }
    put("a".repeat(64), old)
    put("b".repeat(64))
    const gone = `${run.slice(0, -1)}${run.endsWith("Z") ? "Y" : "Z"}`
    at.write(`millrace.db-files/logs/${gone}/%2Fs/1.1.stdout`, "of a run that is gone")
    query(at, "UPDATE definitions SET stored_at = 0 RETURNING key")
    const dry = await at.run(["prune", "--keep", "0", "--dry-run"])
    expect(dry.stdout).toMatch(/\nwhat nothing refers to any more: 1 output \(4\.9 KB\), the logs of 1 run\n$/)
    const { stdout } = await at.run(["prune", "--keep", "0"])
    const [first, second] = stdout.split("\n")
    expect(first).toBe("deleted 1 run")
    expect(second).toBe("deleted what nothing referred to any more: 1 definition, 1 output (4.9 KB), the logs of 1 run")
    expect(readdirSync(outputs)).toEqual(["b".repeat(64)])
    expect(logs(at)).toEqual([])
    expect(query(at, "SELECT key FROM definitions")).toEqual([])
    // The workflow is stored anew.
    expect((await at.run(["run", "w.wf"])).code).toBe(0)
  })

  it("gives the room back, of an older file only by writing it anew", async () => {
    const at = place()
    const file = at.path("millrace.db")
    await makeRuns(at, 300)
    const older = new Database(file)
    older.exec("PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM; PRAGMA journal_mode = WAL")
    older.close()
    const { size } = statSync(file)
    const some = await at.run(["prune", "--keep", "10"])
    expect(some.stdout.split("\n")[1]).toMatch(
      /^the database has \d\.\d MB, \d\.\d MB of them free for new runs; `--vacuum` gives them back to the disk$/
    )
    expect(statSync(file).size).toBe(size)
    const whole = await at.run(["prune", "--keep", "10", "--vacuum"])
    expect(whole.stdout.split("\n")[1]).toMatch(/^the database has \d+\.\d KB, \d\.\d MB less than before$/)
    expect(statSync(file).size).toBeLessThan(size / 5)
    expect(expectWholeRuns(at)).toBe(10)
  })
})

describe("a prune that is interrupted", () => {
  const count = 1_500

  it("by Ctrl-C ends with what it has begun, and says so; the next one finishes", async () => {
    const at = place()
    await makeRuns(at, count)
    const pruning = at.start(["prune", "--keep", "0"])
    await signalMidway(at, 2 * count, pruning, "SIGINT")
    const { code, stderr, stdout } = await pruning.ended
    expect({ code, stderr }).toEqual({ code: 130, stderr: "" })
    const [, deleted, below] = /^deleted (\d+) runs and (\d+) below them\n/.exec(stdout) ?? []
    expect(stdout).toMatch(/\ninterrupted: another prune goes on from here\n$/)
    expect(below).toBe(deleted)
    const left = expectWholeRuns(at)
    expect(left).toBe(count - Number(deleted))
    expect(left).toBeGreaterThan(0)
    expect(logs(at).filter((run) => query(at, `SELECT id FROM runs WHERE id = '${run}'`).length === 0)).toEqual([])
    const next = await at.run(["prune", "--keep", "0"])
    expect(next.stdout).toMatch(new RegExp(`^deleted ${left} runs? and ${left} below`))
    expect([expectWholeRuns(at), logs(at)]).toEqual([0, []])
  })

  it("by SIGTERM ends in the same way", async () => {
    const at = place()
    await makeRuns(at, count)
    const pruning = at.start(["prune", "--keep", "0", "--json"])
    await signalMidway(at, 2 * count, pruning, "SIGTERM")
    const { code, stdout } = await pruning.ended
    expect(code).toBe(143)
    const { complete, runs } = JSON.parse(stdout)
    expect(complete).toBe(false)
    expect(expectWholeRuns(at)).toBe(count - runs.length)
  })

  it("by kill -9 leaves no half run, and the next one finishes rows and files", async () => {
    for (let round = 0; round < 3; round++) {
      const at = place()
      const some = 1_000
      await makeRuns(at, some)
      const { ended, process } = at.start(["prune", "--keep", "0"])
      await untilSomeAreGone(at, 2 * some)
      for (let turn = 0; turn < round * 200; turn++) await new Promise((resolve) => setImmediate(resolve))
      process.kill("SIGKILL")
      await ended
      expectWholeRuns(at)
      const next = await at.run(["prune", "--keep", "0"])
      expect(next).toMatchObject({ code: 0, stderr: "" })
      expect([expectWholeRuns(at), logs(at)]).toEqual([0, []])
    }
  })
})

describe("a database that has reached its limit", () => {
  it("refuses a run with what to do, and takes it once others were pruned", async () => {
    const at = place({
      "w.wf": 'workflow w { inputs { text default = "" } script s { run = "true" } }',
      "millrace.config.mjs": "export default { maxDatabaseBytes: 1048576 }"
    })
    await makeRuns(at, 300)
    expect(statSync(at.path("millrace.db")).size).toBeGreaterThan(1_048_576)
    const input = ["--input", `text=${"x".repeat(60_000)}`]
    const { code, stderr } = await at.run(["run", "w.wf", ...input])
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /^error: \S+\/millrace\.db: it has reached its limit of \d\.\d MB \(maxDatabaseBytes\); `millrace prune` makes room\n$/
    )
    expect(expectWholeRuns(at)).toBe(300)
    await at.run(["prune", "--keep", "0"])
    expect((await at.run(["run", "w.wf", ...input])).code).toBe(0)
    expect(query(at, "SELECT id FROM runs").length).toBe(1)
  })
})
