import { describe, expect, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { existsSync, readFileSync } from "node:fs"
import { isRunning, outline, place, runIn, show } from "./support.ts"

const slow = `workflow w {
  script quick { run = "echo x >> quick" }
  script long { run = "echo $$ > pid; echo started >> long; test -e go-on || sleep 600" }
  script last { run = "true" }
  always { script end { run = "echo {{workflow_status}} >> end" } }
}`

/** A run in the middle of its long script. */
const inTheMiddle = async (wf = slow) => {
  const at = place({ "w.wf": wf })
  const running = at.start(["run", "w.wf"])
  const run = runIn(await running.prints("/long: started"))
  await written(at.path("pid"))
  return { at, running, run, pid: () => readFileSync(at.path("pid"), "utf8") }
}

/** Waits for what a script writes. */
const written = async (file: string): Promise<void> => {
  while (!existsSync(file) || readFileSync(file, "utf8") === "") await new Promise((done) => setTimeout(done, 10))
}

describe("Ctrl-C", () => {
  it("cancels the run: its script is ended, its always block runs", async () => {
    const { at, running, run, pid } = await inTheMiddle()
    running.process.kill("SIGINT")
    const { code, stdout } = await running.ended
    expect(code).toBe(130)
    expect(stdout).toContain("cancelling; once more stops at once")
    expect(outline(await show(at, run))).toEqual(["/quick completed", "/long cancelled", "/@always/end completed"])
    expect(readFileSync(at.path("end"), "utf8")).toBe("cancelled\n")
    expect(isRunning(pid())).toBe(false)
  })

  it("given twice stops at once, and takes every script with it", async () => {
    const { at, running, run, pid } = await inTheMiddle(
      slow.replace("echo {{workflow_status}} >> end", "echo $$ > always; sleep 600")
    )
    running.process.kill("SIGINT")
    await running.prints("/@always/end: started")
    await written(at.path("always"))
    running.process.kill("SIGINT")
    expect((await running.ended).code).toBe(130)
    while (isRunning(pid()) || isRunning(readFileSync(at.path("always"), "utf8"))) {
      await new Promise((done) => setTimeout(done, 10))
    }
    expect((await show(at, run)).run.status).toBe("cancelling")
  })
})

describe("SIGTERM", () => {
  it("shuts down so that the run can be resumed, and runs nothing of its always block", async () => {
    const { at, running, run, pid } = await inTheMiddle()
    running.process.kill("SIGTERM")
    const { code, stdout } = await running.ended
    expect(code).toBe(143)
    expect(stdout).toContain(`go on with: millrace resume ${run}\n`)
    expect(isRunning(pid())).toBe(false)
    expect(existsSync(at.path("end"))).toBe(false)
    at.write("go-on", "")
    expect((await at.run(["resume", run])).code).toBe(0)
    expect(readFileSync(at.path("quick"), "utf8")).toBe("x\n")
    expect(readFileSync(at.path("end"), "utf8")).toBe("completed\n")
  })

  it("ends the JSON lines with the result as it is", async () => {
    const at = place({ "w.wf": slow })
    const running = at.start(["run", "w.wf", "--json"])
    await running.prints('"path":"/long"')
    running.process.kill("SIGTERM")
    const { code, stdout } = await running.ended
    expect(code).toBe(143)
    expect(JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "")).toMatchObject({
      _tag: "RunResult",
      status: "running"
    })
  })
})

describe("kill -9", () => {
  it("is survived: resume takes the run over at once and runs no completed step again", async () => {
    const { at, running, run, pid } = await inTheMiddle()
    running.process.kill("SIGKILL")
    await running.ended
    at.write("go-on", "")
    const began = performance.now()
    const { code, stdout } = await at.run(["resume", run])
    expect(code).toBe(0)
    expect(performance.now() - began).toBeLessThan(15_000)
    expect(stdout).not.toContain("/quick")
    expect(readFileSync(at.path("quick"), "utf8")).toBe("x\n")
    expect(isRunning(pid())).toBe(false)
    const { steps } = await show(at, run)
    expect(steps[1]?.attempts.map(({ outcome }) => outcome)).toEqual(["lost", "completed"])
  })
})

describe("a run that kills its process again and again", () => {
  it("is parked when it is taken up once more, with exit code 4, and says why", async () => {
    const { at, running, run } = await inTheMiddle()
    running.process.kill("SIGKILL")
    await running.ended
    const database = new Database(at.path("millrace.db"))
    database.prepare("UPDATE runs SET recoveries = 10").run()
    database.close()
    const parked = await at.run(["resume", run])
    expect(parked.code).toBe(4)
    expect(parked.stdout).toContain("w needs resume: taken up 11 times without progress")
    expect(parked.stdout).toContain(`go on with: millrace resume ${run}\n`)
  })
})

describe("two processes on one database", () => {
  it("do not take each other's runs", async () => {
    const { at, running, run } = await inTheMiddle()
    const { code, stdout, stderr } = await at.run(["resume", run])
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
    expect(stderr).toBe(
      `error: run ${run} goes on in another process already\n` +
        `help: see it with: millrace show ${run}\nend it with: millrace cancel ${run}\n`
    )
    running.process.kill("SIGKILL")
    await running.ended
  })

  it("run side by side", async () => {
    const at = place({ "w.wf": 'workflow w { script a { run = "sleep 0.1" } script b { run = "sleep 0.1" } }' })
    const ended = await Promise.all([1, 2, 3].map(() => at.run(["run", "w.wf"])))
    expect(ended.map(({ code, stderr }) => ({ code, stderr }))).toEqual([1, 2, 3].map(() => ({ code: 0, stderr: "" })))
    expect((await at.run(["runs"])).stdout.match(/completed/g)).toHaveLength(3)
  })

  it("cancel a run of the other: it ends cancelled there", async () => {
    const { at, running, run } = await inTheMiddle()
    const cancel = await at.run(["cancel", run, "--reason", "enough"])
    expect(cancel).toMatchObject({ code: 0, stdout: `run ${run} is being cancelled by the process that runs it\n` })
    expect((await running.ended).code).toBe(130)
    expect((await show(at, run)).run).toMatchObject({
      status: "cancelled",
      cancelReason: expect.stringContaining("enough")
    })
    expect(await at.run(["cancel", run])).toMatchObject({ code: 1, stdout: "" })
  })
})

describe("cancel", () => {
  it("takes a run that nobody runs through its always block", async () => {
    const { at, running, run } = await inTheMiddle()
    running.process.kill("SIGTERM")
    await running.ended
    const { code, stdout } = await at.run(["cancel", run])
    expect(code).toBe(0)
    expect(stdout).toContain("/@always/end: completed")
    expect((await show(at, run)).run.status).toBe("cancelled")
    expect(readFileSync(at.path("end"), "utf8")).toBe("cancelled\n")
  })
})
