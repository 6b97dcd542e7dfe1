import { describe, expect, it } from "@effect/vitest"
import { readFileSync, symlinkSync } from "node:fs"
import { place, runIn, show } from "./support.ts"
import { created, linesIn, linesOf, rowOf, stopped, submitted, until, working } from "./workSupport.ts"

const effect = 'workflow w { inputs { n default = "0" } script s { run = "echo {{n}} >> effects" } }'

describe("work", () => {
  it("says what it works on, and a line for each thing that happens to its runs", async () => {
    const at = place({
      "w.wf": 'workflow w { script s { run = "exit 3" on_fail = continue } gate human_review { prompt = "Ok?" } }',
      "millrace.config.mjs": "export default { engine: { linger: 0 } }"
    })
    const worker = await working(at)
    const run = await created(at, "w.wf")
    await worker.prints(`${run}  w  waits for human_review: Ok?`)
    expect((await at.run(["approve", run, "--no-resume"])).code).toBe(0)
    await worker.prints(`${run}  w  completed`)
    const { code, stdout, stderr } = await stopped(worker, "SIGTERM")
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    const lines = stdout
      .replaceAll(/^\S+Z {2}/gm, "")
      .replaceAll(run, "RUN")
      .replaceAll(/in [\d.]+m?s/g, "in TIME")
    expect(lines).toBe(
      [
        "working on millrace.db, at most 100 runs at once",
        "RUN  w  started",
        "RUN  w  waits for human_review: Ok?",
        "RUN  w  resumed",
        "RUN  w  completed in TIME",
        "shutting down; once more stops at once",
        ""
      ].join("\n")
    )
  })

  it("says the same in JSON, each line an object", async () => {
    const at = place({
      "w.wf": 'workflow w { gate human_review { prompt = "Ok?" } }',
      "bad.wf": 'workflow bad { script s { run = "exit 3" } }'
    })
    const worker = await working(at, ["--json", "--max-runs", "3"])
    const run = await created(at, "w.wf")
    await worker.prints('"RunWaiting"')
    const bad = await created(at, "bad.wf")
    await worker.prints('"RunCompleted"')
    const lines = linesOf((await stopped(worker, "SIGINT")).stdout)
    expect(lines).toMatchObject([
      { _tag: "WorkerStarted", database: "millrace.db", maxRuns: 3, engine: expect.any(String) },
      { _tag: "RunStarted", run, workflow: "w" },
      {
        _tag: "RunWaiting",
        run,
        workflow: "w",
        on: ["human_review"],
        blockedOn: [{ path: "/human_review", prompt: "Ok?" }]
      },
      { _tag: "RunStarted", run: bad },
      { _tag: "RunCompleted", run: bad, workflow: "bad", status: "failed", error: "s: exit code 3" },
      { _tag: "WorkerStopping", reason: "stopped", runs: 0 }
    ])
    for (const { timestamp } of lines) expect(timestamp).toEqual(expect.any(Number))
  })

  it("tells no secret of a run, in whatever it says", async () => {
    const at = place({
      "w.wf": `workflow w {
        inputs { token secret = true required }
        gate human_review { prompt = "With {{token}}?" timeout = "1s" on_timeout = continue }
        script s { run = "echo {{token}} >&2; exit 3" }
      }`,
      "millrace.config.mjs": "export default { engine: { linger: 10 }, onWaiting: 'cat >&2; exit 1' }"
    })
    const worker = await working(at, ["--json"])
    await submitted(at, "w.wf", [{ token: "s3cret-token" }])
    const printed = await worker.prints('"RunCompleted"')
    expect(printed).toContain("With ***?")
    const { stdout, stderr } = await stopped(worker, "SIGTERM")
    expect(stderr).toContain("With ***?")
    expect(stdout).toContain("exit code 3: ***")
    expect(stdout + stderr).not.toContain("s3cret")
  })

  it("tells of the runs of others only that they wait, and not of each question to a resolver", async () => {
    const at = place({
      "w.wf": "workflow w { call workflow sub gate ready {} }",
      "sub.wf": "workflow sub { gate human_review {} }",
      "millrace.config.mjs": `import { existsSync } from "node:fs"
        export default {
          gates: { ready: () => (existsSync("ready") ? { verdict: "approved" } : "pending") },
          engine: { resolverInterval: 50, linger: 10 }
        }`
    })
    const worker = await working(at)
    const run = await created(at, "w.wf")
    const printed = await worker.prints(`${run}  w  waits for human_review`)
    const child = /(\w{26}) {2}sub {2}waits for human_review/.exec(printed)?.[1] ?? ""
    expect(child).not.toBe("")
    await at.run(["approve", child, "--no-resume"])
    await worker.prints(`${run}  w  waits for ready`)
    // Each question is a claim of its own.
    await until(() => rowOf(at, run).generation > 5)
    at.write("ready", "")
    await worker.prints(`${run}  w  completed`)
    const { stdout } = await stopped(worker, "SIGTERM")
    expect(stdout.match(/resumed/g)?.length).toBeLessThanOrEqual(2)
    expect(stdout).not.toContain("sub  started")
  })

  it("notices a detached run, and an answer from another process, soon", async () => {
    const at = place({
      "w.wf": 'workflow w { gate human_review {} script s { run = "true" } }',
      "millrace.config.mjs": "export default { engine: { linger: 0 } }"
    })
    const worker = await working(at)
    const [run = ""] = await submitted(at, "w.wf", [{}])
    await until(() => rowOf(at, run).status === "waiting" && rowOf(at, run).owner === null)
    const { created_at, started_at } = rowOf(at, run)
    // 100 ms between two looks; the rest is for a machine that does much else.
    expect((started_at ?? Number.NaN) - created_at).toBeLessThan(2_000)
    expect((await at.run(["approve", run, "--no-resume"])).code).toBe(0)
    const answered = Date.now()
    await worker.prints("completed")
    expect((rowOf(at, run).ended_at ?? Number.NaN) - answered).toBeLessThan(2_000)
    await stopped(worker, "SIGTERM")
  })

  it("goes on with gates that were answered, times that have come, and runs that other processes left", async () => {
    const at = place({
      "gate.wf": 'workflow gate { gate human_review {} script s { run = "echo gate >> effects" } }',
      "timer.wf":
        'workflow timer { gate human_review { timeout = "1s" on_timeout = continue } script s { run = "echo timer >> effects" } }',
      "left.wf": 'workflow left { script s { run = "echo $$ > pid; test -e go || sleep 600; echo left >> effects" } }'
    })
    const gate = runIn((await at.run(["run", "gate.wf"])).stdout)
    const timer = runIn((await at.run(["run", "timer.wf"])).stdout)
    const running = at.start(["run", "left.wf"])
    const left = runIn(await running.prints("/s: started"))
    await until(() => linesIn(at, "pid").length > 0)
    running.process.kill("SIGKILL")
    await running.ended
    await at.run(["approve", gate, "--no-resume"])
    at.write("go", "")
    const { code, stdout } = await at.run(["work", "--once"])
    expect(code).toBe(0)
    for (const run of [gate, left]) expect(stdout).toContain(`${run}  `)
    for (const run of [gate, timer, left]) expect(rowOf(at, run).status).toBe("completed")
    expect([...linesIn(at, "effects")].sort()).toEqual(["gate", "left", "timer"])
  })

  it("approves the gates of runs that go on unattended, also where they wait already", async () => {
    const at = place({ "w.wf": "workflow w { gate human_review {} gate human_approval {} }" })
    const run = await created(at, "w.wf", "--yes")
    expect((await at.run(["work", "--once"])).code).toBe(0)
    const { run: record, steps } = await show(at, run)
    expect(record.status).toBe("completed")
    expect(steps.map((step) => step.gate?.answer)).toMatchObject([{ by: "--yes" }, { by: "--yes" }])
  })

  it("finds what stands beside the workflow file that a run was started from", async () => {
    const at = place({
      ".millrace/workflows/home.wf": "workflow home {}",
      "ci/w.wf": "workflow w { call act call workflow sub }",
      "ci/sub.wf": 'workflow sub { script s { run = "echo sub >> effects" } }',
      "ci/actions/act.mjs":
        'import { appendFileSync } from "node:fs"; export default () => appendFileSync("effects", "act\\n")'
    })
    const run = await created(at, "ci/w.wf")
    expect((await at.run(["work", "--once"])).code).toBe(0)
    expect(rowOf(at, run, ".millrace/millrace.db").status).toBe("completed")
    expect(linesIn(at, "effects")).toEqual(["act", "sub"])
  })
})

describe("a worker that has nothing to do", () => {
  it("costs next to nothing", async () => {
    const at = place({})
    const worker = await working(at)
    const used = () => {
      const fields = readFileSync(`/proc/${worker.process.pid}/stat`, "latin1").split(" ")
      return Number(fields[13]) + Number(fields[14])
    }
    // What the start itself costs is over.
    await new Promise((done) => setTimeout(done, 2_000))
    const before = used()
    await new Promise((done) => setTimeout(done, 5_000))
    // In hundredths of a second: about 3 are used.
    expect(used() - before).toBeLessThan(25)
    await stopped(worker, "SIGTERM")
  })

  it("ends at once with --once, also without a database, which it makes", async () => {
    const at = place({})
    const { code, stdout } = await at.run(["work", "--once", "--json"])
    expect(code).toBe(0)
    expect(linesOf(stdout)).toMatchObject([{ _tag: "WorkerStarted" }, { _tag: "WorkerStopping", reason: "drained" }])
  })

  it("does not start where the configuration's layer cannot be built", async () => {
    const at = place({
      "millrace.config.ts": `import * as Effect from "effect/Effect"
        import * as Layer from "effect/Layer"
        export default { layer: Layer.effectDiscard(Effect.fail("no connection")) }`
    })
    const { code, stderr } = await at.run(["work"])
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: "error: millrace.config.ts: its `layer` cannot be built: no connection\n"
    })
  })
})

describe("what a worker leaves alone", () => {
  const needsAction = "workflow w { call late }"
  const late = 'import { appendFileSync } from "node:fs"; export default () => appendFileSync("effects", "late\\n")'

  it("is a run whose action it does not have: it is neither failed nor parked, and taken up when the action comes", async () => {
    const at = place({ "w.wf": needsAction, "actions/late.mjs": late })
    const run = await created(at, "w.wf")
    at.remove("actions/late.mjs")
    const worker = await working(at)
    const printed = await worker.prints("is left alone")
    expect(printed).toContain(`${run}  w  is left alone: no action \`late\``)
    expect(rowOf(at, run)).toMatchObject({ status: "pending", owner: null, generation: 0 })
    at.write("actions/late.mjs", late)
    await worker.prints(`${run}  w  completed`)
    const { stdout } = await stopped(worker, "SIGTERM")
    expect(stdout.match(/left alone/g)).toHaveLength(1)
  })

  it("is run by another worker, which has the action: a config that was changed meanwhile", async () => {
    const config = (names: string) => `import { appendFileSync } from "node:fs"
      const act = (name) => () => appendFileSync("effects", process.pid + " " + name + "\\n")
      export default { actions: { ${names} } }`
    const at = place({
      "one.wf": "workflow one { call old }",
      "two.wf": "workflow two { parallel { call fresh call old } }",
      "millrace.config.mjs": config('old: act("old")')
    })
    const old = await working(at)
    at.write("millrace.config.mjs", config('old: act("old"), fresh: act("fresh")'))
    const [run = ""] = await submitted(at, "two.wf", [{}])
    await old.prints("is left alone")
    const fresh = await working(at)
    await fresh.prints(`${run}  two  completed`)
    // What both know, either runs.
    const [other = ""] = await submitted(at, "one.wf", [{}])
    await until(() => rowOf(at, other).status === "completed")
    for (const worker of [old, fresh]) await stopped(worker, "SIGTERM")
    const ofRun = linesIn(at, "effects").slice(0, 2)
    expect(ofRun.map((line) => line.split(" ")[0])).toEqual([fresh, fresh].map(({ process }) => String(process.pid)))
    expect(rowOf(at, run)).toMatchObject({ status: "completed", generation: 1, recoveries: 0 })
  })

  it("is a run of another project in the same database, which its own worker takes", async () => {
    const at = place({
      "a/w.wf": 'workflow w { script s { run = "echo a >> effects" } }',
      "b/w.wf": 'workflow w { script s { run = "echo b >> effects" } }'
    })
    const inB = await created(at, "b/w.wf", "--db", "x.db")
    const ofA = await at.run(["work", "--once", "--home", "a", "--db", "x.db"])
    expect(ofA).toMatchObject({ code: 0, stderr: "" })
    expect(ofA.stdout).not.toContain(inB)
    expect(rowOf(at, inB, "x.db").status).toBe("pending")
    expect((await at.run(["work", "--once", "--home", "b", "--db", "x.db"])).stdout).toContain(`${inB}  w  completed`)
  })

  it("is not a run whose project has moved: it is known by what it names", async () => {
    const at = place({ "a/w.wf": effect })
    const run = await created(at, "a/w.wf", "--db", "x.db")
    at.rename("a", "moved")
    symlinkSync(at.folder, at.path("link"))
    expect((await at.run(["work", "--once", "--home", "link/moved", "--db", "x.db"])).code).toBe(0)
    expect(rowOf(at, run, "x.db").status).toBe("completed")
  })
})

describe("work --max-runs", () => {
  it("bounds the runs that go on at once, as the configuration does without it", async () => {
    const wf = `workflow w { script s { run = "mkdir -p on; touch on/$$; ls on | wc -l >> counts; sleep 0.3; rm on/$$" } }`
    const at = place({ "w.wf": wf, "millrace.config.mjs": "export default { engine: { maxConcurrentRuns: 3 } }" })
    const count = async (args: ReadonlyArray<string>) => {
      at.write("counts", "")
      await submitted(at, "w.wf", [{}, {}, {}, {}, {}, {}])
      const { code, stdout } = await at.run(["work", "--once", ...args])
      expect(code).toBe(0)
      expect(stdout.match(/completed/g)).toHaveLength(6)
      return Math.max(...linesIn(at, "counts").map(Number))
    }
    expect(await count(["--max-runs", "2"])).toBe(2)
    expect(await count([])).toBe(3)
  })

  it("is at least one", async () => {
    const { code, stderr } = await place().run(["work", "--max-runs", "0"])
    expect({ code, stderr }).toEqual({ code: 2, stderr: "error: --max-runs must be at least 1\n" })
  })
})

describe("triggers", () => {
  it("start runs of the project's workflows, each event one run, whatever worker hears of it", async () => {
    const at = place({
      "workflows/tick.wf":
        'workflow tick { meta { trigger = scheduled } inputs { who required } script s { run = "echo {{who}} >> effects" } }',
      "workflows/plain.wf": "workflow plain {}",
      "millrace.config.mjs": `export default { schedules: { tick: { cron: "* * * * * *", inputs: { who: "cron" } } } }`
    })
    const workers = [await working(at), await working(at)]
    await until(() => linesIn(at, "effects").length >= 3)
    for (const worker of workers) expect((await stopped(worker, "SIGTERM")).code).toBe(0)
    const runs = JSON.parse((await at.run(["runs", "--json"])).stdout)
    const keys = runs.map((run: { readonly idempotencyKey: string }) => run.idempotencyKey)
    expect(new Set(keys).size).toBe(keys.length)
    expect(keys[0]).toMatch(/^scheduled:\d{4}-/)
    expect(runs[0]).toMatchObject({ trigger: "scheduled", inputs: { who: "cron" }, workingDirectory: at.real })
    // The other worker does again what the first one was at when it was stopped.
    expect(linesIn(at, "effects").length).toBeLessThanOrEqual(keys.length + 1)
  })

  it("are not followed with --once, and what is wrong with them is said at the start", async () => {
    const at = place({
      "workflows/tick.wf": "workflow tick { meta { trigger = scheduled } inputs { who required } }",
      "millrace.config.mjs": `export default { schedules: { tick: "* * * * * *", tock: "0 0 * * *" } }`
    })
    const { code, stdout, stderr } = await at.run(["work", "--once"])
    expect({ code, lines: stdout.trim().split("\n").length }).toEqual({ code: 0, lines: 2 })
    expect(stderr.split("\n")).toEqual([
      "warning: millrace.config.mjs: `schedules.tick`: the required input 'who' is missing",
      "warning: millrace.config.mjs: `schedules.tock`: there is no such workflow; did you mean 'tick'?",
      ""
    ])
  })
})

describe("a run that is followed while a worker works on the same database", () => {
  it("is followed to its end where the worker takes it up after a wait", async () => {
    const at = place({
      "w.wf":
        'workflow w { gate human_review { timeout = "3s" on_timeout = continue } script s { run = "echo done >> effects" } }',
      "millrace.config.mjs": "export default { engine: { linger: 10 } }"
    })
    const worker = await working(at)
    const running = at.start(["run", "w.wf", "--yes"])
    const { code, stdout } = await running.ended
    expect(code).toBe(0)
    expect(stdout).toContain("w completed")
    expect(linesIn(at, "effects")).toEqual(["done"])
    await stopped(worker, "SIGTERM")
  })

  it("says that it goes on elsewhere, and ends with the run's own exit code", async () => {
    const at = place({
      "w.wf": 'workflow w { gate ready {} script s { run = "while [ ! -e go ]; do sleep 0.05; done; exit 7" } }',
      "millrace.config.mjs": `import { existsSync } from "node:fs"
        export default {
          gates: { ready: () => (existsSync("ready." + process.pid) ? { verdict: "approved" } : "pending") },
          engine: { linger: 10, resolverInterval: 100 }
        }`
    })
    const running = at.start(["run", "w.wf"])
    await running.prints("/ready: waits")
    const worker = await working(at)
    at.write(`ready.${worker.process.pid}`, "")
    await running.prints("the run goes on in another process")
    at.write("go", "")
    const { code, stdout } = await running.ended
    expect(code).toBe(1)
    expect(stdout).toContain("w failed")
    expect(stdout).toContain("s: exit code 7")
    await stopped(worker, "SIGTERM")
  })
})
