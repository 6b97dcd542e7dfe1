import { describe, expect, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { readFileSync } from "node:fs"
import { isRunning, place, type Place, runIn } from "./support.ts"
import { created, linesIn, rowOf, stopped, submitted, until, working } from "./workSupport.ts"

const wf = `workflow w {
  inputs { token secret = true required who default = "Ann" }
  gate human_approval { prompt = "Ship it with {{token}}, {{who}}?" options = { a = "Apples" b = "Bananas" } }
}`

/** Keeps what it is told, and in how many calls. */
const keep = 'cat > told.json; env | grep ^MILLRACE_ | sort > variables; echo "$MILLRACE_RUN $MILLRACE_GATE" >> calls'

const run = ["run", "w.wf", "--input", "token=s3cret"]

/** Gates on whose rows it is that a person was told. */
const notified = (at: Place): number => {
  const database = new Database(at.path("millrace.db"), { readonly: true })
  try {
    const count = database.prepare("SELECT count(*) FROM steps WHERE data ->> '$.gate.notifiedAt' > 0").pluck().get()
    return Number(count)
  } finally {
    database.close()
  }
}

describe("the command for gates", () => {
  it("is told by run what waits, since when, and what may be answered; nothing of the inputs", async () => {
    const at = place({ "w.wf": wf })
    const { code, stdout, stderr } = await at.run([...run, "--on-waiting", keep])
    expect({ code, stderr }).toEqual({ code: 3, stderr: "" })
    const id = runIn(stdout)
    const told = JSON.parse(readFileSync(at.path("told.json"), "utf8"))
    expect(told).toEqual({
      run: id,
      root: id,
      workflow: "w",
      title: "w",
      gate: "human_approval",
      path: "/human_approval",
      kind: "human_approval",
      prompt: "Ship it with ***, Ann?",
      options: [
        { key: "a", text: "Apples" },
        { key: "b", text: "Bananas" }
      ],
      minApprovals: 1,
      since: expect.any(Number),
      until: told.since + 86_400_000,
      database: `${at.real}/millrace.db`,
      home: at.real
    })
    expect(linesIn(at, "variables")).toEqual([
      `MILLRACE_DB=${at.real}/millrace.db`,
      "MILLRACE_GATE=human_approval",
      `MILLRACE_HOME=${at.real}`,
      "MILLRACE_PATH=/human_approval",
      "MILLRACE_PROMPT=Ship it with ***, Ann?",
      `MILLRACE_RUN=${id}`,
      "MILLRACE_WORKFLOW=w"
    ])
    for (const file of ["told.json", "variables"]) expect(readFileSync(at.path(file), "utf8")).not.toContain("s3cret")
  })

  it("is called for the next gate by whatever command goes on with the run", async () => {
    const at = place({
      "w.wf": "workflow w { gate human_approval {} gate human_review {} }",
      "millrace.config.mjs": "export default { onWaiting: 'echo $MILLRACE_GATE >> calls' }"
    })
    const id = runIn((await at.run(["run", "w.wf"])).stdout)
    expect((await at.run(["approve", id])).code).toBe(3)
    expect(linesIn(at, "calls")).toEqual(["human_approval", "human_review"])
  })

  it("comes from the configuration; an option wins over it, and an empty one tells nobody", async () => {
    const config = (command: string) => `export default { onWaiting: ${JSON.stringify(command)} }`
    const at = place({ "w.wf": wf, "millrace.config.mjs": config("echo config >> calls") })
    const { stdout } = await at.run(run)
    expect(linesIn(at, "calls")).toEqual(["config"])
    await at.run([...run, "--on-waiting", "echo option >> calls"])
    await at.run([...run, "--on-waiting", ""])
    expect(linesIn(at, "calls")).toEqual(["config", "option"])
    // A gate is told of once, whoever goes on with its run.
    expect((await at.run(["resume", runIn(stdout)])).code).toBe(3)
    expect(linesIn(at, "calls")).toEqual(["config", "option"])
  })

  it("is not called for gates that are approved without asking", async () => {
    const at = place({ "w.wf": wf })
    expect((await at.run([...run, "--yes", "--on-waiting", keep])).code).toBe(0)
    expect((await at.run([...run, "--dry-run", "--on-waiting", keep])).code).toBe(0)
    await created(at, "w.wf", "--input", "token=x", "--yes")
    expect((await at.run(["work", "--once", "--on-waiting", keep])).code).toBe(0)
    expect(linesIn(at, "calls")).toEqual([])
  })

  it("is called by a worker once for each gate, children's own, also across restarts and kills", async () => {
    const at = place({
      "w.wf":
        'workflow w { foreach each { over = json scope = { file = "items.json" } max_parallel = 3 workflow = sub } }',
      "sub.wf": 'workflow sub { gate human_review { prompt = "Is {{item.id}} right?" } }',
      "items.json": '["x", "y", "z"]',
      "millrace.config.mjs": `export default { onWaiting: 'echo "$MILLRACE_PROMPT" >> calls' }`
    })
    const [top = ""] = await submitted(at, "w.wf", [{}])
    const first = await working(at)
    await until(() => notified(at) === 3 && rowOf(at, top).status === "waiting")
    await stopped(first, "SIGKILL")
    const second = await working(at)
    await second.prints("waits for")
    await stopped(second, "SIGTERM")
    expect((await at.run(["work", "--once"])).code).toBe(0)
    expect([...linesIn(at, "calls")].sort()).toEqual(["Is x right?", "Is y right?", "Is z right?"])
  })

  it("that fails is a warning, and the run waits all the same", async () => {
    const at = place({ "w.wf": wf })
    const { code, stdout, stderr } = await at.run([...run, "--on-waiting", "echo no such channel >&2; exit 4"])
    expect(code).toBe(3)
    expect(stderr).toBe(
      `warning: the on-waiting command for gate human_approval of run ${runIn(stdout)}: exit code 4: no such channel\n`
    )
  })

  it("holds up no answer, and is ended with its children when the worker shuts down", async () => {
    const at = place({ "w.wf": wf })
    const worker = await working(at, ["--on-waiting", "sleep 600 & echo $! > child; echo $$ > pid; wait"])
    const [id = ""] = await submitted(at, "w.wf", [{ token: "x" }])
    await until(() => linesIn(at, "pid").length > 0)
    expect((await at.run(["approve", id, "--no-resume"])).code).toBe(0)
    await worker.prints(`${id}  w  completed`)
    const pids = [...linesIn(at, "pid"), ...linesIn(at, "child")]
    expect(pids.map(isRunning)).toEqual([true, true])
    expect((await stopped(worker, "SIGTERM")).code).toBe(0)
    expect(pids.map(isRunning)).toEqual([false, false])
  })

  it("does not outlive a run that is shut down while it runs", async () => {
    const at = place({ "w.wf": wf })
    const running = at.start([...run, "--on-waiting", "echo $$ > pid; sleep 600"])
    await until(() => linesIn(at, "pid").length > 0)
    running.process.kill("SIGTERM")
    const { code } = await running.ended
    // It had been left waiting already, or was shut down before.
    expect([3, 143]).toContain(code)
    expect(linesIn(at, "pid").map(isRunning)).toEqual([false])
  })
})
