/**
 * What befalls a database while a worker has it: real disks, files and processes. Nothing is lost, nobody is stuck, it is
 * said what is wrong, and the runs go on when it is over.
 */
import { describe, expect, it, vi } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { mayMount } from "../persistence/support.ts"
import { checked, failingDisk, fill, mayFailDisks, memoryDisk } from "./diskSupport.ts"
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
