/**
 * Workers that die, stand still, or lose their database: real processes, real signals.
 */
import { describe, expect, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { renameSync } from "node:fs"
import { isRunning, outline, place, type Place, show } from "./support.ts"
import { linesIn, linesOf, rowOf, rows, stopped, submitted, until, working } from "./workSupport.ts"

const long = 120_000

const numbers = (count: number) => Array.from({ length: count }, (_, n) => ({ n: String(n) }))

const sum = (lines: ReadonlyArray<string>): ReadonlyArray<string> => [...lines].sort()

/** Two steps with an effect each; the second waits for a file, so that a test can act in between. */
const held = `workflow w {
  inputs { n required }
  script first { run = "echo first {{n}} >> effects" }
  script second { run = "echo $$ >> pids; while [ ! -e go ]; do sleep 0.05; done; echo second {{n}} >> effects" }
}`

const effectsOf = (count: number) => sum(numbers(count).flatMap(({ n }) => [`first ${n}`, `second ${n}`]))

const engines = (at: Place): ReadonlyArray<{ readonly pid: number; readonly id: string }> => {
  const database = new Database(at.path("millrace.db"), { readonly: true })
  try {
    // SAFETY: the columns that are selected.
    return database.prepare("SELECT pid, id FROM engines").all() as ReadonlyArray<{ pid: number; id: string }>
  } finally {
    database.close()
  }
}

const engineOf = (at: Place, pid: number | undefined): string => engines(at).find((it) => it.pid === pid)?.id ?? ""

const untilCompleted = (at: Place) => until(() => rows(at).every(({ status }) => status === "completed"))

describe("two workers on one database", () => {
  it(
    "do twenty runs between them, each effect once, and neither more than it may",
    async () => {
      const at = place({
        "w.wf": `workflow w {
          inputs { n required }
          parallel { call mark call count }
          call workflow sub
          script last { run = "echo last {{n}} >> effects" }
        }`,
        "sub.wf": 'workflow sub { inputs { n default = "?" } script s { run = "echo sub >> effects" } }',
        "actions/mark.mjs": `import { appendFileSync } from "node:fs"
          export default ({ n }) => appendFileSync("effects", "mark " + n + "\\n")`,
        "actions/count.mjs": `import { appendFileSync } from "node:fs"
          let active = 0
          export default async () => {
            active += 1
            appendFileSync("active", process.pid + " " + active + "\\n")
            await new Promise((done) => setTimeout(done, 50))
            active -= 1
          }`
      })
      await submitted(at, "w.wf", numbers(20))
      const workers = await Promise.all([working(at, ["--max-runs", "3"]), working(at, ["--max-runs", "3"])])
      await untilCompleted(at)
      const ended = await Promise.all(workers.map((worker) => stopped(worker, "SIGTERM")))
      expect(ended.map(({ code, stderr }) => ({ code, stderr }))).toEqual([
        { code: 0, stderr: "" },
        { code: 0, stderr: "" }
      ])
      const wanted = numbers(20).flatMap(({ n }) => [`mark ${n}`, `last ${n}`, "sub"])
      expect(sum(linesIn(at, "effects"))).toEqual(sum(wanted))
      expect(rows(at).map(({ generation, recoveries }) => [generation, recoveries])).toEqual(rows(at).map(() => [1, 0]))
      const active = linesIn(at, "active").map((line) => line.split(" "))
      expect(Math.max(...active.map(([, count]) => Number(count)))).toBeLessThanOrEqual(3)
      // Both had their share.
      expect(new Set(active.map(([pid]) => pid)).size).toBe(2)
      expect(ended.map(({ stdout }) => (stdout.match(/ started$/gm) ?? []).length).reduce((a, b) => a + b)).toBe(20)
    },
    long
  )

  it(
    "take over from each other at once when one is killed, and run no completed step again",
    async () => {
      const at = place({ "w.wf": held })
      await submitted(at, "w.wf", numbers(4))
      const first = await working(at)
      await until(() => linesIn(at, "pids").length === 4)
      const second = await working(at)
      const killed = performance.now()
      await stopped(first, "SIGKILL")
      await until(() => rows(at).every(({ generation }) => generation === 2))
      // Not the 30 s that a lease lasts.
      expect(performance.now() - killed).toBeLessThan(15_000)
      await until(() => linesIn(at, "pids").length === 8)
      expect(linesIn(at, "pids").slice(0, 4).map(isRunning)).toEqual([false, false, false, false])
      at.write("go", "")
      await untilCompleted(at)
      expect((await stopped(second, "SIGTERM")).code).toBe(0)
      expect(sum(linesIn(at, "effects"))).toEqual(effectsOf(4))
    },
    long
  )

  it(
    "do not write to each other's runs: one that stood still beyond its lease loses its run and leaves it",
    async () => {
      const at = place({
        "w.wf": held,
        "millrace.config.mjs": "export default { engine: { leaseTtl: 2000 } }"
      })
      const [run = ""] = await submitted(at, "w.wf", numbers(1))
      const first = await working(at, ["--json"])
      await until(() => linesIn(at, "pids").length === 1)
      const loser = engineOf(at, first.process.pid)
      first.process.kill("SIGSTOP")
      const second = await working(at, ["--json"])
      await until(() => rowOf(at, run).generation === 2)
      const winner = engineOf(at, second.process.pid)
      expect(rowOf(at, run).owner).toBe(winner)
      first.process.kill("SIGCONT")
      await first.prints('"LeaseLost"')
      const { generation, owner, seq } = rowOf(at, run)
      expect({ generation, owner }).toEqual({ generation: 2, owner: winner })
      at.write("go", "")
      await second.prints('"RunCompleted"')
      const ended = await stopped(first, "SIGTERM")
      await stopped(second, "SIGTERM")
      expect(ended.code).toBe(0)
      const told = linesOf(ended.stdout).filter((line) => line["run"] === run)
      expect(told.map(({ _tag }) => _tag)).toEqual(["RunStarted", "LeaseLost"])
      expect(rowOf(at, run)).toMatchObject({ status: "completed", generation: 2 })
      expect(rowOf(at, run).seq).toBeGreaterThan(seq)
      const { steps } = await show(at, run)
      expect(steps.map(({ status, attempts }) => [status, attempts.map(({ outcome }) => outcome)])).toEqual([
        ["completed", ["completed"]],
        ["completed", ["lost", "completed"]]
      ])
      expect(loser).not.toBe(winner)
      expect(linesIn(at, "effects")).toEqual(["first 0", "second 0"])
    },
    long
  )
})

describe("a worker that is told to end", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it(
      `by ${signal} leaves its runs to be resumed, and no process of theirs`,
      async () => {
        const at = place({ "w.wf": `${held.slice(0, -1)} always { script end { run = "echo end >> effects" } } }` })
        const [run = ""] = await submitted(at, "w.wf", numbers(1))
        const worker = await working(at)
        await until(() => linesIn(at, "pids").length === 1)
        const { code, stdout, stderr } = await stopped(worker, signal)
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
        expect(stdout).toContain("shutting down, 1 run can be resumed; once more stops at once")
        expect(linesIn(at, "pids").map(isRunning)).toEqual([false])
        expect(rowOf(at, run)).toMatchObject({ status: "running", owner: null, recoveries: 0 })
        expect(linesIn(at, "effects")).toEqual(["first 0"])
        at.write("go", "")
        expect((await at.run(["resume", run])).code).toBe(0)
        expect(outline(await show(at, run))).toEqual([
          "/first completed",
          "/second completed",
          "/@always/end completed"
        ])
        expect(linesIn(at, "effects")).toEqual(["first 0", "second 0", "end"])
      },
      long
    )
  }

  it(
    "twice ends at once, though a script ignores its signals, and takes the script with it",
    async () => {
      const at = place({
        "w.wf": `workflow w { script s { run = "trap '' TERM; echo $$ > pids; while :; do sleep 0.1; done" } }`
      })
      const [run = ""] = await submitted(at, "w.wf", [{}])
      const worker = await working(at)
      await until(() => linesIn(at, "pids").length === 1)
      worker.process.kill("SIGTERM")
      await worker.prints("shutting down")
      const { code } = await stopped(worker, "SIGINT")
      expect(code).toBe(130)
      await until(() => !linesIn(at, "pids").some(isRunning))
      expect(rowOf(at, run).status).toBe("running")
    },
    long
  )
})

describe("a run whose step kills its process", () => {
  it(
    "is parked after it was taken up too often, and travels no further; other runs go on",
    async () => {
      const at = place({
        "poison.wf": 'workflow poison { script first { run = "echo first >> effects" } call kill }',
        "w.wf": 'workflow w { script s { run = "echo fine >> effects" } }',
        "millrace.config.mjs": `import { appendFileSync } from "node:fs"
          const kill = () => {
            appendFileSync("kills", process.pid + "\\n")
            process.kill(process.pid, "SIGKILL")
          }
          export default { actions: { kill }, engine: { maxRecoveries: 3 } }`
      })
      const [poison = ""] = await submitted(at, "poison.wf", [{}])
      for (let kills = 1; kills <= 4; kills++) {
        const { signal } = await at.start(["work"]).ended
        expect([kills, signal, linesIn(at, "kills").length]).toEqual([kills, "SIGKILL", kills])
      }
      const [fine = ""] = await submitted(at, "w.wf", [{}])
      const last = await at.run(["work", "--once"])
      expect(last.code).toBe(0)
      expect(last.stdout).toContain(
        `${poison}  poison  needs resume: taken up 4 times without progress: its steps may kill their process`
      )
      expect(rowOf(at, fine).status).toBe("completed")
      expect(rowOf(at, poison)).toMatchObject({ status: "needs_resume", owner: null })
      const { generation } = rowOf(at, poison)
      expect((await at.run(["work", "--once"])).code).toBe(0)
      expect(rowOf(at, poison).generation).toBe(generation)
      expect(linesIn(at, "kills").length).toBe(4)
      expect(linesIn(at, "effects")).toEqual(["first", "fine"])
    },
    long
  )
})

describe("a worker whose database", () => {
  it(
    "is deleted says so, stops what it did there, and goes on with the one that comes",
    async () => {
      const at = place({ "w.wf": held })
      await submitted(at, "w.wf", numbers(1))
      const worker = await working(at)
      await until(() => linesIn(at, "pids").length === 1)
      for (const name of ["millrace.db", "millrace.db-wal", "millrace.db-shm"]) at.remove(name)
      await worker.prints("the database is gone")
      await until(() => !linesIn(at, "pids").some(isRunning))
      at.write("go", "")
      // Made elsewhere, as a copy that is restored.
      const [run = ""] = await submitted(at, "w.wf", [{ n: "7" }], "other.db")
      renameSync(at.path("other.db"), at.path("millrace.db"))
      await worker.prints(`${run}  w  completed`)
      const { code, stderr } = await stopped(worker, "SIGTERM")
      expect(code).toBe(0)
      expect(stderr).toBe(
        "warning: the database millrace.db was deleted or replaced: its runs went with it; " +
          "the worker goes on when there is one\n"
      )
      expect(linesIn(at, "effects")).toEqual(["first 0", "first 7", "second 7"])
    },
    long
  )

  it(
    "is held by another process for seconds waits for it, and says nothing that looks like an end",
    async () => {
      const at = place({ "w.wf": held, go: "" })
      await submitted(at, "w.wf", [])
      const worker = await working(at)
      const holder = new Database(at.path("millrace.db"))
      holder.exec("BEGIN IMMEDIATE")
      const creating = at.run(["run", "w.wf", "--detach", "--input", "n=1"])
      await new Promise((done) => setTimeout(done, 3_000))
      holder.exec("ROLLBACK")
      holder.close()
      const run = (await creating).stdout.trim()
      await worker.prints(`${run}  w  completed`)
      expect(await stopped(worker, "SIGTERM")).toMatchObject({ code: 0, stderr: "" })
    },
    long
  )

  it("is of a newer version, or none, is refused: a person has to see to that", async () => {
    const at = place({ "w.wf": held, "text.db": "this is no database, though it is long enough".repeat(30) })
    await submitted(at, "w.wf", [])
    const database = new Database(at.path("millrace.db"))
    database.pragma("user_version = 999")
    database.close()
    const newer = await at.run(["work"])
    expect(newer).toMatchObject({ code: 1, stdout: "" })
    expect(newer.stderr).toMatch(/^error: .*999/)
    const none = await at.run(["work", "--db", "text.db"])
    expect(none).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(/^error: .*not a database\n$/) })
  })

  it(
    "loses its tables while it works ends with that error",
    async () => {
      const at = place({ "w.wf": held, go: "" })
      await submitted(at, "w.wf", [])
      const worker = await working(at)
      const database = new Database(at.path("millrace.db"))
      database.exec("ALTER TABLE runs RENAME TO old_runs")
      database.close()
      const { code, stderr } = await worker.ended
      expect(code).toBe(1)
      expect(stderr).toMatch(/error: .*no such table: .*runs/)
    },
    long
  )
})
