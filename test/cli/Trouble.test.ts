import { describe, expect, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import { mkdirSync, readdirSync, realpathSync, rmSync } from "node:fs"
import { Lines } from "../../src/cli/LinesView.ts"
import { paintFor } from "../../src/cli/Output.ts"
import type { EngineEvent } from "../../src/engine/Events.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import type { BlockedOn } from "../../src/persistence/Records.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import { runId, runRecord, stepPath } from "../../src/testing/SampleRecords.ts"
import { bin, type Place, place, runIn } from "./support.ts"

const script = 'workflow w { script s { run = "echo x" } }'

/** A module that the program loads before its own: what it does to Node's modules holds for the program. */
const preload = (at: Place, code: string): Readonly<Record<string, string>> => ({
  NODE_OPTIONS: `--require ${at.write("preload.cjs", `${code}; require("module").syncBuiltinESMExports()`)}`
})

describe("a workflow that is not there", { timeout: 60_000 }, () => {
  it("is answered with those that are", async () => {
    const at = place({ ".millrace/workflows/deploy.wf": script, ".millrace/workflows/build.wf": script })
    for (const command of ["run", "validate", "parse", "graph", "fmt"]) {
      const { code, stderr, stdout } = await at.run([command, "zzz"])
      expect({ command, code, stdout }).toEqual({ command, code: 2, stdout: "" })
      expect(stderr).toBe(
        "error: no workflow 'zzz': there is none; searched .millrace/workflows/zzz.wf\nhelp: the workflows here: build, deploy\n"
      )
    }
  })

  it("by its name is answered with how to name the file that is here", async () => {
    const at = place({ "zzz.wf": script })
    expect((await at.run(["run", "zzz"])).stderr).toBe(
      "error: no workflow 'zzz': there is none; searched workflows/zzz.wf\nhelp: a name stands for a file in the home folder's workflows/; for the file here write 'zzz.wf'\n"
    )
  })

  it("is answered with how to name one, where there is none at all", async () => {
    const at = place({ "empty/readme.txt": "" })
    expect((await at.run(["run", "zzz"])).stderr).toBe(
      "error: no workflow 'zzz': there is none; searched workflows/zzz.wf\nhelp: give a workflow's file, or its name in the home folder's workflows/\n"
    )
    const none = (folder: string) => ({
      code: 2,
      stdout: "",
      stderr: `error: there are no workflows in ${folder}\n`
    })
    for (const command of ["validate", "fmt"]) {
      expect(await at.run([command])).toMatchObject(none(realpathSync(at.folder)))
      expect(await at.run([command, "empty"])).toMatchObject(none("empty"))
    }
    expect(await at.run(["list"])).toMatchObject({ code: 0, stdout: `no workflows in ${realpathSync(at.folder)}\n` })
  })
})

describe("what a command cannot do", { timeout: 60_000 }, () => {
  it("is said by runs, graph, logs and show", async () => {
    const at = place({
      "w.wf": script,
      "quiet.wf": 'workflow quiet { script s { run = "true" } call a }',
      "actions/a.mjs": "export default () => {}"
    })
    const run = runIn((await at.run(["run", "w.wf"])).stdout)
    const dry = runIn((await at.run(["run", "w.wf", "--dry-run"])).stdout)
    const said = async (...args: ReadonlyArray<string>) => {
      const { code, stderr, stdout } = await at.run(args)
      return `${code}: ${stdout}${stderr}`.replaceAll(run, "RUN")
    }
    expect(await said("runs", "--limit", "0")).toBe("2: error: --limit must be at least 1\n")
    // Digits enough, but not a number that this program can count with.
    const huge = "99999999999999999999"
    expect(await said("runs", "--limit", huge)).toContain(`the option --limit needs a whole number, not '${huge}'`)
    expect(await said("runs", "--workflow", "other")).toBe("0: no runs\n")
    expect(await said("graph")).toBe("2: error: either a workflow or a run can be drawn: FILE|NAME, or --run RUN\n")
    expect(await said("logs", run, "x")).toBe("2: error: run RUN has no step 'x'\nhelp: its steps: s\n")
    expect(await said("logs", run, "ss")).toBe("2: error: run RUN has no step 'ss'\nhelp: did you mean 's'?\n")
    expect(await said("logs", dry)).toBe("0: no step printed anything\n")
    expect(await said("logs", dry, "s")).toBe("0: s printed nothing\n")
    expect(await said("show", dry)).toMatch(/^workflow +w, dry run$/m)
  })
})

describe("a run that continued as a new one", () => {
  it("is shown with the one before it and the one behind it", async () => {
    const at = place()
    const continues = { first: runId("A"), previous: runId("A"), payload: "sha256:0" }
    const run = runRecord("B", { status: "completed", startedAt: 1_000, endedAt: 2_000, continues })
    const stored = Effect.flatMap(Persistence, (persistence) =>
      persistence.create({ ...run, continuedAs: runId("C"), readyAt: null })
    )
    await Effect.runPromise(Effect.provide(stored, SqlitePersistence.layer({ filename: at.path("millrace.db") })))
    const { code, stderr, stdout } = await at.run(["show", "B"])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout).toMatch(/^continues +A\nwent on as C$/m)
  })
})

describe("a run that waits for what nobody answers", () => {
  it("is shown with what it waits for", async () => {
    const at = place()
    const blocker: BlockedOn = {
      _tag: "signal",
      run: runId("R"),
      path: stepPath("/paid"),
      name: "paid",
      kind: null,
      prompt: null,
      options: [],
      minApprovals: 0,
      until: null
    }
    const stored = Effect.flatMap(Persistence, (persistence) =>
      persistence.create(runRecord("R", { status: "waiting", startedAt: 1_000, blockedOn: [blocker] }))
    )
    const store = SqlitePersistence.layer({ filename: at.path("millrace.db") })
    await Effect.runPromise(Effect.provide(stored, store))
    const { code, stderr, stdout } = await at.run(["show", "R"])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout).toMatch(/\n\nit waits for paid\n$/)
  })
})

describe("what agents say that they have used", () => {
  it("is shown with the run", async () => {
    const used = '{ num_turns: "1", input_tokens: "10", output_tokens: "5", cost_usd: "0.5" }'
    const at = place({
      "w.wf": "workflow w { call a }",
      "actions/a.mjs": `export default () => ({ metadata: ${used} })`
    })
    const run = runIn((await at.run(["run", "w.wf"])).stdout)
    expect((await at.run(["show", run])).stdout).toMatch(/^usage +\$0\.50, 1 turn, 10 input tokens, 5 output tokens$/m)
  })
})

describe("an age or a time that is none", () => {
  it("is answered with what one looks like", async () => {
    const at = place({ "w.wf": script })
    await at.run(["run", "w.wf"])
    expect(await at.run(["prune", "--older-than", "soon"])).toMatchObject({
      code: 2,
      stdout: "",
      stderr: "error: --older-than needs an age, not 'soon'\nhelp: a number and a unit: 90s, 30m, 12h, 30d, 4w\n"
    })
    expect(await at.run(["runs", "--since", "soon"])).toMatchObject({
      code: 2,
      stdout: "",
      stderr:
        "error: --since needs an age or a date, not 'soon'\nhelp: an age (2h, 7d), a date (2026-11-01), or a date and a time (2026-11-01T08:30, UTC; or with a zone, …+02:00)\n"
    })
    expect(await at.run(["prune"])).toMatchObject({
      code: 2,
      stdout: "",
      stderr:
        "error: prune needs --older-than AGE or --keep N\nhelp: `millrace prune --older-than 30d --dry-run` says what would go, and deletes nothing\n"
    })
    expect(await at.run(["prune", "--keep", "few"])).toMatchObject({
      code: 2,
      stdout: "",
      stderr: "error: --keep needs a number of runs, not 'few'\n"
    })
  })
})

describe("a run that is no longer this process's", () => {
  it("is left alone, and the exit code is 1", async () => {
    const at = place({
      "w.wf": 'workflow w { script s { run = "until test -e go; do sleep 0.05; done" } script t { run = "touch ran" } }'
    })
    const running = at.start(["run", "w.wf"])
    const run = runIn(await running.prints("/s: started"))
    const database = new Database(at.path("millrace.db"))
    database.prepare("UPDATE runs SET owner = 'somebody else', generation = generation + 1").run()
    database.close()
    at.write("go", "")
    const { code, stderr, stdout } = await running.ended
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `error: run ${run} has been taken over by another process\n`
    })
    expect(stdout).toContain("  the run is no longer owned by this process\n")
    expect(readdirSync(at.folder)).not.toContain("ran")
  })
})

describe("a run whose store cannot be written", () => {
  it("is given up when its lease has run out, and can be resumed", { timeout: 90_000 }, async () => {
    const at = place({
      "w.wf": 'workflow w { script s { run = "until test -e go; do sleep 0.05; done" } }',
      "millrace.config.mjs": "export default { engine: { leaseTtl: 1_000 } }"
    })
    const running = at.start(["run", "w.wf"])
    const run = runIn(await running.prints("/s: started"))
    const database = new Database(at.path("millrace.db"))
    database.exec("BEGIN IMMEDIATE")
    at.write("go", "")
    await running.prints("the run is no longer owned by this process")
    database.exec("ROLLBACK")
    database.close()
    const { code, stderr } = await running.ended
    expect(code).toBe(1)
    // Nobody else has it, whatever the store said last.
    expect(stderr).not.toContain("taken over")
    expect(stderr).toMatch(
      new RegExp(
        `^error: run ${run} is given up here: (its lease could not be renewed in time|.*database is locked.*)\\nhelp: go on with: millrace resume ${run}\\n$`,
        "m"
      )
    )
    expect(await at.run(["resume", run])).toMatchObject({ code: 0, stderr: "" })
  })
})

describe("a run that is only created", () => {
  it("says how it is taken up", async () => {
    const at = place({ "w.wf": script })
    const { code, stderr, stdout } = await at.onTerminal(["run", "w.wf", "--detach"]).ended
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    const id = /\b[0-9A-Z]{26}\b/.exec(stdout)?.[0] ?? ""
    expect(stdout).toContain(`\`millrace work\` takes it up, or \`millrace resume ${id}\``)
  })
})

describe("a worker", () => {
  it("says that a run is a dry one, and when nothing is left", async () => {
    const at = place({ "w.wf": script })
    const id = (await at.run(["run", "w.wf", "--detach", "--dry-run"])).stdout.trim()
    const { code, stderr, stdout } = await at.run(["work", "--once"])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout).toContain(id)
    expect(stdout).toContain("started (dry run)")
    expect(stdout).toContain("nothing is left to do")
  })

  it("that is ended by an action says who takes up its runs", async () => {
    const thrown = `export default () => new Promise(() => setTimeout(() => { throw new Error("far away") }, 5))`
    const at = place({ "w.wf": "workflow w { call bad }", "actions/bad.mjs": thrown })
    await at.run(["run", "w.wf", "--detach"])
    expect(await at.run(["work"])).toMatchObject({
      code: 1,
      stderr: "error: nobody caught: far away\nhelp: the next worker takes its runs up again\n"
    })
  })

  it("whose database is deleted waits for another", async () => {
    const at = place({ "w.wf": script })
    const worker = at.start(["work"])
    await worker.prints("working on")
    for (const suffix of ["", "-wal", "-shm"]) rmSync(at.path(`millrace.db${suffix}`), { force: true })
    await worker.prints("the database is gone")
    worker.process.kill("SIGTERM")
    expect(await worker.ended).toMatchObject({
      code: 0,
      stderr:
        "warning: the database millrace.db was deleted or replaced: its runs went with it; the worker goes on when there is one\n"
    })
  })
})

describe("a command for gates", () => {
  it("that takes too long is ended, and says so", { timeout: 120_000 }, async () => {
    const at = place({ "w.wf": 'workflow w { gate human_review { prompt = "Right?" } }' })
    const { code, stderr } = await at.run(["run", "w.wf", "--on-waiting", "sleep 600"])
    expect(code).toBe(3)
    expect(stderr).toContain("it took longer than 30 s and was ended")
  })
})

describe("a process that ends in the midst", () => {
  const wf = { "w.wf": "workflow w { call bad }" }

  it("says how the run goes on, if something has ended it", async () => {
    const at = place({ ...wf, "actions/bad.mjs": "export default () => process.exit(0)" })
    const { code, stderr, stdout } = await at.run(["run", "w.wf"])
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `error: something ended the process while a run went on\nhelp: go on with: millrace resume ${runIn(stdout)}\n`
    })
  })

  it("before anything was recorded says so", async () => {
    // Thrown in the turn in which the program begins to follow the run, which is before the first commit.
    const throwing = `const look = () => {
      if (process.listenerCount("SIGINT") > 0) throw new Error("too early")
      setImmediate(look)
    }
    setImmediate(look)
    export default {}`
    const at = place({ ...wf, "actions/bad.mjs": "export default () => {}", "millrace.config.mjs": throwing })
    expect(await at.run(["run", "w.wf"])).toMatchObject({
      code: 1,
      stdout: "",
      stderr: "error: nobody caught: too early\nhelp: nothing was recorded\n"
    })
  })

  // Only runs were guarded: a configuration could make a command that did nothing look done, or end it without a word.
  it.each([
    ["ended it", "process.exit(0)"],
    ["ended it as if the run waited", "process.exit(3)"],
    ["waits for what never comes", "await new Promise(() => {})"]
  ])("says so, where the configuration %s", async (_what, code) => {
    const at = place({ "w.wf": script, "millrace.config.mjs": `${code}\nexport default {}` })
    for (const command of ["run", "validate"]) {
      expect(await at.run([command, "w.wf"])).toEqual({
        code: 1,
        signal: null,
        stdout: "",
        stderr:
          "error: something ended the process before the command was done\n" +
          "help: look at the project's configuration, and at what it imports\n"
      })
    }
  })

  it("by an exception that the configuration left behind has no stack trace", async () => {
    const late = `setTimeout(() => { throw new Error("late") }, 5)\nawait new Promise((r) => setTimeout(r, 2000))`
    const at = place({ "w.wf": script, "millrace.config.mjs": `${late}\nexport default {}` })
    expect(await at.run(["list"])).toMatchObject({
      code: 1,
      stderr: "error: nobody caught: late\nhelp: look at the project's configuration, and at what it imports\n"
    })
  })

  // It was taken for a defect of this program, and made a completed run look failed.
  it("completed says so, also where the configuration's layer cannot be closed", async () => {
    const layer = `import * as Effect from "effect/Effect"
      import * as Layer from "effect/Layer"
      export default { layer: Layer.scopedDiscard(Effect.addFinalizer(() => Effect.die("still open"))) }`
    const at = place({ "w.wf": script, "millrace.config.mjs": layer })
    expect(await at.run(["run", "w.wf"])).toMatchObject({
      code: 0,
      stderr: "warning: millrace.config.mjs: its `layer` cannot be closed: still open\n"
    })
  })

  it("because its database is gone says so", async () => {
    const at = place({ "w.wf": 'workflow w { script s { run = "rm -f x.db x.db-wal x.db-shm" } }' })
    expect(await at.run(["run", "w.wf", "--db", "x.db"])).toMatchObject({
      code: 1,
      stderr: "error: the database x.db was deleted while the run went on: it is recorded nowhere\n"
    })
  })
})

describe("this program itself", () => {
  it("says what is wrong where it stands in a folder that is gone", async () => {
    const at = place({ "w.wf": script })
    mkdirSync(at.path("gone"))
    const inGone = (args: string) =>
      at.run([], {
        command: ["sh", "-c", `cd gone && rmdir ../gone 2>/dev/null; exec "${process.execPath}" "$0" ${args}`, bin]
      })
    expect(await inGone("runs")).toMatchObject({
      code: 2,
      stdout: "",
      stderr: "error: the folder that you stand in is gone\nhelp: `cd` to one that is there\n"
    })
  })

  it("tells a defect in one line, without a stack trace, with exit code 1", async () => {
    const at = place()
    const env = preload(at, `require("fs").existsSync = () => { throw new Error("broken\\u001b[31m") }`)
    expect(await at.run(["runs"], { env })).toMatchObject({
      code: 1,
      stdout: "",
      stderr: "error: this should not have happened: broken\\x1b[31m\nhelp: please report it\n"
    })
  })

  it("says what it could not take back, where init fails twice", async () => {
    const at = place({ actions: "a file" })
    const env = preload(at, `require("fs").unlinkSync = () => { throw new Error("EIO: i/o error, unlink") }`)
    const { code, stderr } = await at.run(["init"], { env })
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /^error: the project cannot be written: ENOTDIR.*; what was written before is left: EIO: i\/o error, unlink\n$/
    )
  })
})

describe("a line for each event", () => {
  const run = runId("R")
  const at = { timestamp: 1_000, run }
  const counters = { total: 2, completed: 0, failed: 0, skipped: 0, running: 0 }
  const step = { ...at, path: stepPath("/s"), step: "s", stepId: "R/s" }

  it("has the time since the first, the path, and what happened", () => {
    const lines = new Lines(paintFor(false))
    const events: ReadonlyArray<EngineEvent> = [
      { ...at, _tag: "RunResumed", epoch: 1 },
      { ...step, _tag: "StepStarted", kind: "call", attempt: 1 },
      { ...step, _tag: "StepRetrying", attempt: 1, error: "no\nluck" },
      { ...step, _tag: "StepStarted", timestamp: 2_500, kind: "call", attempt: 2 },
      { ...step, _tag: "StepWarning", message: "odd" },
      { ...step, _tag: "StepHeartbeat", attempt: 2, details: "half" },
      {
        ...step,
        _tag: "StepCompleted",
        timestamp: 3_500,
        kind: "call",
        succeeded: false,
        status: "timed_out",
        error: "late"
      },
      { ...step, _tag: "GateWaiting", kind: "human_review", prompt: "Right?" },
      { ...step, _tag: "GateWaiting", kind: "human_review", prompt: null },
      { ...step, _tag: "GateResolved", approved: false },
      { ...step, _tag: "FanOutItemsCollected", total: 1, counters },
      { ...step, _tag: "FanOutItemsCollected", total: 2, counters },
      { ...step, _tag: "FanOutItemStarted", item: "x" },
      { ...step, _tag: "FanOutItemCompleted", item: "x", succeeded: true, error: null },
      { ...at, _tag: "LeaseLost", expired: false },
      { ...at, _tag: "StorageTrouble", message: "the disk is full; trying again" },
      { ...at, _tag: "Panicked", message: "a defect", stack: null }
    ]
    const missed = ([1, 3] as const).map((count) => ({ _tag: "EventsMissed", count }) as const)
    const shown = [...events, ...missed].flatMap((event) => lines.of(event))
    expect(shown.join("\n")).toMatchInlineSnapshot(`
      "    0ms  resumed
          0ms  /s: started
          0ms  /s: failed, will be tried again: no luck
         1.5s  /s: attempt 2
          0ms  /s: warning: odd
         2.5s  /s: timed out (2.5s): late
          0ms  /s: waits for an answer: Right?
          0ms  /s: waits for an answer
          0ms  /s: rejected
          0ms  /s: 1 item
          0ms  /s: 2 items
          0ms  /s: x started
          0ms  /s: x completed
          0ms  the run is no longer owned by this process
          0ms  the disk is full; trying again
          0ms  a defect
      (1 event was not shown)
      (3 events were not shown)"
    `)
  })

  it("has the path through the parents' steps for a child, and the item that it works on", () => {
    const lines = new Lines(paintFor(false))
    lines.attach(runId("C"), run, stepPath("/foreach:f"), "item 1")
    lines.attach(runId("D"), runId("C"), stepPath("/workflow:d"), undefined)
    const event = { ...step, run: runId("D"), _tag: "StepStarted", kind: "call", attempt: 1 } as const
    expect(lines.of(event)).toEqual(["    0ms  /foreach:f[item 1]/workflow:d/s: started"])
  })
})
