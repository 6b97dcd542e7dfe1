import Database from "better-sqlite3"
import { existsSync, writeFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { outline, place, type Place, runIn, show } from "./support.ts"

/** Its first script goes on when the file `go` is there. */
const slow = `workflow w {
  script before { run = "touch begun; while [ ! -e go ]; do sleep 0.05; done" }
  script after { run = "echo after" }
  always { script end { run = "echo end" } }
}`

const gated = `workflow w {
  script before { run = "echo before" }
  gate human_approval { prompt = "Deploy?" }
  script after { run = "echo {{gate_feedback}}" }
}`

const untilFile = async (file: string): Promise<void> => {
  while (!existsSync(file)) await new Promise((done) => setTimeout(done, 10))
}

/** A run whose first script is at work in a process of its own. */
const atWork = async () => {
  const at = place({ "w.wf": slow })
  const running = at.start(["run", "w.wf"])
  const run = runIn(await running.prints("/before: started"))
  await untilFile(at.path("begun"))
  return { at, running, run, go: () => writeFileSync(at.path("go"), "") }
}

const lastOf = (text: string): unknown => JSON.parse(text.trimEnd().split("\n").at(-1) ?? "")

const statusIn = async (at: Place): Promise<string | undefined> => {
  const { stdout } = await at.run(["runs"])
  return stdout.split("\n")[1]?.split(/ {2,}/)[2]
}

describe("pause", () => {
  it("of a run in another process lets what is at work end; that process then leaves it with exit code 3", async () => {
    const { at, running, run, go } = await atWork()
    const paused = await at.run(["pause", run])
    expect(paused).toMatchObject({ code: 0, stderr: "" })
    expect(paused.stdout).toBe(
      `run ${run} is pausing: what is going on ends first\nlet it go on with: millrace unpause ${run}\n`
    )
    expect(await statusIn(at)).toBe("pausing")
    go()
    const left = await running.ended
    expect(left.code).toBe(3)
    expect(left.stdout.split("\n").slice(-5)).toEqual([
      expect.stringMatching(/ paused$/),
      "w paused",
      "it is paused",
      `let it go on with: millrace unpause ${run}`,
      ""
    ])
    expect(await statusIn(at)).toBe("paused")
    expect((await at.run(["show", run])).stdout).toMatch(/^status +paused$/m)
    const shown = await show(at, run)
    expect(outline(shown)).toEqual(["/before completed"])
    expect(shown.run).toMatchObject({ status: "waiting", blockedOn: [{ _tag: "paused", name: "paused" }], owner: null })
  })

  it("is taken back by unpause, which goes on with the run", async () => {
    const { at, running, run, go } = await atWork()
    await at.run(["pause", run])
    go()
    await running.ended
    const refused = await at.run(["resume", run])
    expect(refused).toMatchObject({
      code: 1,
      stdout: "",
      stderr: `error: run ${run} is paused: it goes on when it is unpaused\nhelp: let it go on with: millrace unpause ${run}\n`
    })
    const ended = await at.run(["unpause", run, "--json"])
    expect({ code: ended.code, stderr: ended.stderr }).toEqual({ code: 0, stderr: "" })
    expect(lastOf(ended.stdout)).toMatchObject({ _tag: "RunResult", runId: run, status: "completed" })
    expect(outline(await show(at, run))).toEqual(["/before completed", "/after completed", "/@always/end completed"])
    expect(await at.run(["pause", run])).toMatchObject({
      code: 1,
      stderr: `error: run ${run} has already ended: completed\n`
    })
    expect((await at.run(["unpause", run])).code).toBe(1)
  })

  it("is taken back while the run is still at work, in the process that runs it", async () => {
    const { at, running, run, go } = await atWork()
    await at.run(["pause", run])
    const unpaused = await at.run(["unpause", run])
    expect(unpaused).toMatchObject({ code: 0, stdout: `run ${run} goes on in the process that runs it\n` })
    go()
    expect((await running.ended).code).toBe(0)
  })

  it("of a run that nobody runs is recorded at once, with those below it", async () => {
    const at = place({
      "w.wf": "workflow w { call workflow sub }",
      "sub.wf": gated.replace("workflow w", "workflow sub")
    })
    const run = runIn((await at.run(["run", "w.wf"])).stdout)
    const paused = await at.run(["pause", run, "--json"])
    expect(paused.code).toBe(0)
    expect(lastOf(paused.stdout)).toMatchObject({ _tag: "RunResult", runId: run, status: "waiting", paused: true })
    const { stdout } = await at.run(["runs", "--children"])
    expect(
      stdout
        .split("\n")
        .slice(1, 3)
        .map((line) => line.split(/ {2,}/)[2])
    ).toEqual(["paused", "paused"])
    const shown = (await at.run(["show", run])).stdout
    expect(shown).toContain("it waits at gate human_approval: Deploy?\n")
    expect(shown.trimEnd().split("\n").at(-1)).toBe(`let it go on with: millrace unpause ${run}`)
  })

  it("keeps an answer until the run goes on, and says how", async () => {
    const at = place({ "w.wf": gated })
    const run = runIn((await at.run(["run", "w.wf"])).stdout)
    await at.run(["pause", run])
    const approved = await at.run(["approve", run, "--feedback", "fine"])
    expect(approved.code).toBe(3)
    expect(approved.stdout.split("\n").slice(-5)).toEqual([
      expect.stringMatching(/^run /),
      "w paused",
      "it is paused",
      `let it go on with: millrace unpause ${run}`,
      ""
    ])
    expect((await at.run(["reject", run])).stderr).toContain("answered already")
    expect(outline(await show(at, run))).toEqual(["/before completed", "/human_approval waiting"])
    expect((await at.run(["unpause", run])).code).toBe(0)
    const shown = await show(at, run)
    expect(shown.steps.at(-1)?.context?.trim()).toBe("fine")
  })

  it("then cancel: the run is cancelled", async () => {
    const { at, running, run, go } = await atWork()
    await at.run(["pause", run])
    go()
    await running.ended
    expect((await at.run(["cancel", run])).code).toBe(0)
    expect(outline(await show(at, run))).toEqual(["/before completed", "/@always/end completed"])
    expect((await show(at, run)).run).toMatchObject({ status: "cancelled", blockedOn: [] })
  })

  it("outlives the process, killed while something was at work", async () => {
    const { at, running, run, go } = await atWork()
    await at.run(["pause", run])
    running.process.kill("SIGKILL")
    await running.ended
    expect((await at.run(["resume", run])).code).toBe(1)
    // Nobody owns it any more: now it is recorded as waiting.
    expect((await at.run(["pause", run])).stdout).toContain(`run ${run} is paused\n`)
    expect(await statusIn(at)).toBe("paused")
    go()
    expect((await at.run(["unpause", run])).code).toBe(0)
    expect((await show(at, run)).steps[0]?.attempts.map(({ outcome }) => outcome)).toEqual(["lost", "completed"])
  })

  it("of a run below another is what that one waits for", async () => {
    const at = place({
      "w.wf": "workflow w { call workflow sub }",
      "sub.wf": gated.replace("workflow w", "workflow sub")
    })
    const run = runIn((await at.run(["run", "w.wf"])).stdout)
    const { stdout } = await at.run(["runs", "--children"])
    const child = stdout.split("\n")[1]?.split(" ")[0] ?? ""
    await at.run(["pause", child])
    const resumed = await at.run(["resume", run])
    expect(resumed.code).toBe(3)
    expect(resumed.stdout).toContain(`run ${child} below it is paused\nlet it go on with: millrace unpause ${child}\n`)
    expect((await at.run(["runs"])).stdout).toContain(`run ${child}, which is paused`)
    expect((await at.run(["show", run])).stdout).toContain(
      `run ${child} below it is paused\nlet it go on with: millrace unpause ${child}\n`
    )
    await at.run(["approve", run])
    expect((await at.run(["unpause", child])).code).toBe(0)
    expect((await show(at, run)).run.status).toBe("completed")
  })

  it("of a run above is named where one below it is to go on", async () => {
    const at = place({
      "w.wf": "workflow w { call workflow middle }",
      "middle.wf": "workflow middle { call workflow sub }",
      "sub.wf": gated.replace("workflow w", "workflow sub")
    })
    const run = runIn((await at.run(["run", "w.wf"])).stdout)
    const { stdout } = await at.run(["runs", "--children", "--workflow", "sub"])
    const child = stdout.split("\n")[1]?.split(" ")[0] ?? ""
    await at.run(["pause", run])
    const but = `, but run ${run} above it is\nlet it go on with: millrace unpause ${run}\n`
    const stored = await at.run(["unpause", child, "--no-resume"])
    expect(stored).toMatchObject({ code: 0, stderr: "", stdout: `run ${child} is no longer paused${but}` })
    const going = await at.run(["unpause", child])
    expect(going.code).toBe(3)
    expect(going.stdout).toContain(`let it go on with: millrace unpause ${run}\n`)
    const again = await at.run(["unpause", child])
    expect(again).toMatchObject({ code: 0, stderr: "", stdout: `run ${child} is not paused${but}` })
    expect((await at.run(["unpause", run, "--yes"])).code).toBe(0)
    expect((await show(at, run)).run.status).toBe("completed")
  })

  it("of a run that needs a resume says both, and neither goes on without the other", async () => {
    const at = place({ "w.wf": gated })
    const run = runIn((await at.run(["run", "w.wf"])).stdout)
    const database = new Database(at.path("millrace.db"))
    database.prepare("UPDATE runs SET status = 'needs_resume'").run()
    database.close()
    expect((await at.run(["pause", run])).stdout).toBe(
      `run ${run} is needs resume, paused\nlet it go on with: millrace unpause ${run}\n`
    )
    expect((await at.run(["unpause", run])).stdout).toBe(
      `run ${run} is no longer paused\ngo on with: millrace resume ${run}\n`
    )
    expect((await at.run(["resume", run])).code).toBe(3)
  })

  it("leaves a run alone that is being cancelled, or that nobody here knows", async () => {
    const at = place({ "w.wf": gated })
    const run = runIn((await at.run(["run", "w.wf"])).stdout)
    const not = await at.run(["unpause", run])
    expect(not).toMatchObject({ code: 0, stdout: `run ${run} is not paused: it is waiting\n` })
    const missing = await at.run(["pause", "01ABC"])
    expect(missing).toMatchObject({ code: 2, stdout: "" })
    expect(missing.stderr).toContain("there is no run '01ABC'")
    expect((await at.run(["pause", run, "--db", "other.db"])).stderr).toContain("there is no database other.db")
  })

  it("is taken back without going on, and resume then does", async () => {
    const at = place({ "w.wf": gated })
    const run = runIn((await at.run(["run", "w.wf"])).stdout)
    await at.run(["pause", run])
    const stored = await at.run(["unpause", run, "--no-resume"])
    expect(stored).toMatchObject({
      code: 0,
      stdout: `run ${run} is no longer paused\ngo on with: millrace resume ${run}\n`
    })
    expect((await at.run(["resume", run, "--yes"])).code).toBe(0)
  })
})

describe("run --timeout", () => {
  it("ends a run that takes longer, after its always block", async () => {
    const at = place({ "w.wf": slow })
    const ended = await at.run(["run", "w.wf", "--timeout", "3s"])
    expect(ended.code).toBe(1)
    expect(ended.stdout).toMatch(/^w failed in .*: the run timed out after 3000 ms$/m)
    expect(outline(await show(at, runIn(ended.stdout)))).toEqual(["/before cancelled", "/@always/end completed"])
  })

  it("counts on while the run is paused", async () => {
    const at = place({ "w.wf": gated })
    const run = runIn((await at.run(["run", "w.wf", "--timeout", "8s"])).stdout)
    await at.run(["pause", run])
    await new Promise((done) => setTimeout(done, 8_100))
    const ended = await at.run(["unpause", run])
    expect(ended.code).toBe(1)
    expect(ended.stdout).toContain("the run timed out after 8000 ms")
    expect(outline(await show(at, run))).toEqual(["/before completed", "/human_approval cancelled"])
  })

  it.each(["1x", "0", "-1s", "", "1.5h"])("refuses %j", async (timeout) => {
    const at = place({ "w.wf": gated })
    const ended = await at.run(["run", "w.wf", `--timeout=${timeout}`])
    expect(ended).toMatchObject({ code: 2, stdout: "" })
    expect(ended.stderr).toContain(`--timeout needs a duration, not '${timeout}'`)
    expect(existsSync(at.path("millrace.db"))).toBe(false)
  })
})
