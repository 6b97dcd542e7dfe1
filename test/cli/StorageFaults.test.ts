/**
 * What befalls a database while a worker has it: real disks, files and processes. Nothing is lost, nobody is stuck, it is
 * said what is wrong, and the runs go on when it is over.
 */
import { describe, expect, it, vi } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { onTestFinished } from "vitest"
import { mayMount } from "../persistence/support.ts"
import { checked, failingDisk, fill, mayFailDisks, memoryDisk, takeLogRoom } from "./diskSupport.ts"
import { type Place, place } from "./support.ts"
import { linesIn, rows, stopped, submitted, until, working } from "./workSupport.ts"

vi.setConfig({ testTimeout: 120_000 })

const db = "disk/d.db"

/** Each run is in its first step until there is a file `go`. */
const wf = {
  "w.wf": `workflow w {
    inputs { n required }
    script s { run = "touch began.{{n}}; until test -e go; do sleep 0.05; done; echo s{{n}} >> effects" }
    script t { run = "echo t{{n}} >> effects" }
  }`
}

const leaseOf = (ms: number) => ({ "millrace.config.mjs": `export default { engine: { leaseTtl: ${ms} } }` })

const inputs = ["1", "2", "3"].map((n) => ({ n }))

const allBegan = (at: Place) => () => inputs.every(({ n }) => existsSync(at.path(`began.${n}`)))

const allCompleted = (at: Place) => () => rows(at, db).every(({ status }) => status === "completed")

/** The effects of all runs, each once. */
const eachOnce = inputs.flatMap(({ n }) => [`s${n}`, `t${n}`]).sort()

const effects = (at: Place) => [...linesIn(at, "effects")].sort()

describe.skipIf(!mayMount)("a disk that fills up under a worker", () => {
  it("is reported, and the runs go on when there is room, each step once", async () => {
    const at = place(wf)
    const disk = memoryDisk(at, "disk", 4_000_000)
    const worker = await working(at, ["--db", db])
    await submitted(at, "w.wf", inputs, db)
    await until(allBegan(at))
    // Whoever wants to make it read-only instead is told that it is in use.
    expect(spawnSync("mount", ["-o", "remount,ro", disk]).status).not.toBe(0)
    takeLogRoom(at, db)
    const makeRoom = fill(disk)
    at.write("go", "")
    const said = await worker.prints("its disk is full")
    expect(said).toMatch(/d\.db: its disk is full \(\d+ bytes left\); `millrace prune` makes room; trying again/)
    const refused = await at.run(["run", "w.wf", "--input", "n=4", "--detach", "--db", db])
    expect(refused).toMatchObject({ code: 1, stdout: "" })
    expect(refused.stderr).toContain("its disk is full")
    makeRoom()
    await until(allCompleted(at))
    const { code } = await stopped(worker, "SIGTERM")
    expect({ code, effects: effects(at) }).toEqual({ code: 0, effects: eachOnce })
    expect(rows(at, db).map(({ generation, recoveries }) => [generation, recoveries])).toEqual(inputs.map(() => [1, 0]))
    expect(checked(at, db)).toBe("ok")
  })

  it("for longer than the lease gives the runs up, and takes them up again when there is room", async () => {
    const at = place({ ...wf, ...leaseOf(1_000) })
    const disk = memoryDisk(at, "disk", 4_000_000)
    const worker = await working(at, ["--db", db])
    await submitted(at, "w.wf", inputs, db)
    await until(allBegan(at))
    takeLogRoom(at, db)
    const makeRoom = fill(disk)
    await worker.prints("is no longer owned by this process")
    at.write("go", "")
    makeRoom()
    await until(allCompleted(at))
    expect((await stopped(worker, "SIGTERM")).code).toBe(0)
    expect([...new Set(effects(at))]).toEqual(eachOnce)
    expect(effects(at).filter((line) => line.startsWith("t"))).toHaveLength(inputs.length)
    expect(checked(at, db)).toBe("ok")
  })
})

describe.skipIf(!mayFailDisks)("a disk that fails under a worker", () => {
  it("to sync what was written is reported, and the runs go on when it does so again", async () => {
    const at = place(wf)
    const disk = failingDisk(at, "disk")
    const worker = await working(at, ["--db", db])
    await submitted(at, "w.wf", inputs, db)
    await until(allBegan(at))
    takeLogRoom(at, db)
    const recover = disk.refuseWrites()
    at.write("go", "")
    await worker.prints("disk I/O error; trying again")
    recover()
    await until(allCompleted(at))
    expect((await stopped(worker, "SIGTERM")).code).toBe(0)
    expect(effects(at)).toEqual(eachOnce)
    expect(checked(at, db)).toBe("ok")
  })

  it("and is read-only from then on is reported; the worker ends when asked, and the next one goes on", async () => {
    const at = place({ ...wf, ...leaseOf(4_000) })
    const disk = failingDisk(at, "disk")
    const worker = await working(at, ["--db", db])
    await submitted(at, "w.wf", inputs, db)
    await until(allBegan(at))
    disk.breakDown()
    at.write("go", "")
    await worker.prints("disk I/O error; trying again")
    const { code, stderr } = await stopped(worker, "SIGTERM")
    expect(code).toBe(0)
    expect(stderr).toContain("the engine's lease could not be ended")
    disk.mountAgain()
    expect((await at.run(["work", "--once", "--db", db])).code).toBe(0)
    expect(allCompleted(at)()).toBe(true)
    expect(checked(at, db)).toBe("ok")
  })
})

/** Another process that keeps everybody from writing. */
const holder = async (at: Place): Promise<() => Promise<void>> => {
  const script = `import Database from "better-sqlite3"
    const database = new Database(process.argv.at(-1))
    database.exec("BEGIN IMMEDIATE")
    console.log("holding")
    process.stdin.on("end", () => database.exec("ROLLBACK")).resume()`
  const child = spawn(process.execPath, ["--input-type=module", "-e", script, "--", at.path(db)])
  onTestFinished(() => void child.kill("SIGKILL"))
  const ended = new Promise<void>((done) => child.once("close", () => done()))
  await Promise.race([new Promise((done) => child.stdout.once("data", done)), ended])
  return () => {
    child.stdin.end()
    return ended
  }
}

describe("a database that another process keeps locked for seconds", () => {
  it("holds up only what has to be written: the worker's event loop goes on, and then its runs, each step once", async () => {
    const at = place({
      "w.wf": "workflow w { inputs { n required } call busy call after }",
      "actions/after.mjs": `import { appendFileSync } from "node:fs"
        export default ({ n }) => appendFileSync("effects", "t" + n + "\\n")`,
      // Counts the turns of the worker's event loop from its first run on, and the longest time between two.
      "actions/busy.mjs": `import { appendFileSync, existsSync, writeFileSync } from "node:fs"
        let last = Date.now(), turns = 0, longest = 0, timer
        const look = () => {
          longest = Math.max(longest, Date.now() - last)
          last = Date.now()
          appendFileSync("turns", [++turns, longest].join(" ") + "\\n")
        }
        export default async ({ n }) => {
          timer ??= (last = Date.now(), setInterval(look, 20).unref())
          writeFileSync("began." + n, "")
          while (!existsSync("go")) await new Promise((done) => setTimeout(done, 20))
          appendFileSync("effects", "s" + n + "\\n")
        }`,
      "disk/.keep": ""
    })
    const worker = await working(at, ["--db", db])
    await submitted(at, "w.wf", inputs, db)
    await until(allBegan(at))
    const turns = () => linesIn(at, "turns").at(-1)?.split(" ").map(Number) ?? []
    const release = await holder(at)
    const [before = 0] = turns()
    at.write("go", "")
    await until(() => effects(at).filter((line) => line.startsWith("s")).length === inputs.length)
    // What is to be seen is that nothing happens, and how long that takes.
    await new Promise((done) => setTimeout(done, 4_000))
    expect(effects(at).filter((line) => line.startsWith("t"))).toEqual([])
    const [after = 0, longest] = turns()
    expect(after - before).toBeGreaterThan(20)
    expect(longest).toBeLessThan(3_000)
    await release()
    await until(allCompleted(at))
    expect(await stopped(worker, "SIGTERM")).toMatchObject({ code: 0, stderr: "" })
    expect(effects(at)).toEqual(eachOnce)
    expect(rows(at, db).map(({ generation }) => generation)).toEqual([1, 1, 1])
  })
})

/** The wall clock of a program is ahead by what the file `ahead` says, ms. */
const movedClock = (at: Place): Readonly<Record<string, string>> => {
  const code = `const { readFileSync } = require("node:fs")
    const now = Date.now
    let ahead = 0
    const look = () => {
      try { ahead = Number(readFileSync(${JSON.stringify(at.path("ahead"))}, "utf8")) } catch {}
    }
    setInterval(look, 20).unref()
    Date.now = () => now() + ahead`
  return { NODE_OPTIONS: `--require ${at.write("clock.cjs", code)}` }
}

const hour = 3_600_000

describe("a wall clock that is set under a worker", () => {
  it("an hour forward ends what waits for a time, and neither steps nor leases; back again nothing is lost", async () => {
    const at = place({
      ...wf,
      "wait.wf": `workflow wait {
        gate human_review { timeout = "30m" on_timeout = continue }
        script s { run = "echo waited >> effects" }
      }`,
      "disk/.keep": ""
    })
    const worker = at.start(["work", "--db", db], { env: movedClock(at) })
    await worker.prints("working on")
    await submitted(at, "w.wf", inputs, db)
    await submitted(at, "wait.wf", [{}], db)
    await until(allBegan(at))
    await worker.prints("waits for human_review")
    at.write("ahead", `${hour}`)
    await until(() => linesIn(at, "effects").includes("waited"))
    at.write("ahead", `${-hour}`)
    at.write("go", "")
    await until(allCompleted(at))
    const { code, stdout } = await stopped(worker, "SIGTERM")
    expect({ code, effects: effects(at) }).toEqual({ code: 0, effects: [...eachOnce, "waited"] })
    expect(stdout).not.toContain("no longer owned")
  })

  it("an hour back lets another worker take its runs, which it then leaves alone: each has one end", async () => {
    const at = place({ ...wf, ...leaseOf(3_000), "disk/.keep": "" })
    const late = at.start(["work", "--db", db], { env: movedClock(at) })
    await late.prints("working on")
    await submitted(at, "w.wf", inputs, db)
    await until(allBegan(at))
    const other = await working(at, ["--db", db])
    at.write("ahead", `${-hour}`)
    await until(() => rows(at, db).every(({ generation }) => generation > 1))
    await late.prints("is no longer owned by this process")
    at.write("go", "")
    await until(allCompleted(at))
    for (const worker of [late, other]) expect((await stopped(worker, "SIGTERM")).code).toBe(0)
    expect([...new Set(effects(at))]).toEqual(eachOnce)
    expect(effects(at).filter((line) => line.startsWith("t"))).toHaveLength(inputs.length)
    expect(checked(at, db)).toBe("ok")
  })
})
