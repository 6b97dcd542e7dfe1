import { describe, expect, it } from "@effect/vitest"
import { join } from "node:path"
import { performance } from "node:perf_hooks"
import { place, start } from "./support.ts"

const said = ({ stdout, stderr }: { readonly stdout: string; readonly stderr: string }) => `${stdout}${stderr}`

describe("the command line", () => {
  it("lists its commands when it is asked for help, and when it is given nothing", async () => {
    const at = place()
    const help = await at.run(["--help"])
    expect(help.code).toBe(0)
    expect(help.stdout).toMatchInlineSnapshot(`
      "millrace: durable workflows, on SQLite, without a server

      Usage: millrace COMMAND [ARGUMENTS] [OPTIONS]

      Run:
        run          Run a workflow.
        resume       Go on with a run.
        work         Run runs as they come.
        cancel       Cancel a run.
        pause        Pause a run.
        unpause      Let a paused run go on.
        fork         Start a new run from a step of another.

      Answer:
        approve      Approve the gate that a run waits at.
        reject       Reject the gate that a run waits at.

      Look:
        runs         List runs, the newest first.
        show         Show a run and its steps.
        logs         Show what the steps of a run printed.
        graph        Draw a workflow, or a run of one.

      Check:
        validate     Check workflows.
        parse        Show how a workflow is understood.
        fmt          Lay out workflow files.

      Project:
        init         Make a project with a small example.
        list         List the workflows of the project.
        prune        Delete runs that ended long ago.
        lsp          Serve an editor.
        completions  Complete words in a shell.

      Examples:
        # a project with a small example, and a run of it
        millrace init demo && cd demo && millrace run hello

        # what a command takes, with examples
        millrace run --help
      "
    `)
    const nothing = await at.run([])
    expect(nothing).toMatchObject({ code: 2, stdout: "", stderr: help.stdout })
  })

  it("says its version", async () => {
    const { code, stdout } = await place().run(["--version"])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  it("shows the help of a command wherever the option stands", async () => {
    const at = place()
    const first = await at.run(["runs", "--help"])
    expect(first.code).toBe(0)
    expect(first.stdout).toMatchInlineSnapshot(`
      "List runs, the newest first.

      Usage: millrace runs [OPTIONS]

        --status STATUS …  only runs in this status
        --workflow NAME    only runs of this workflow
        --since AGE|DATE   only runs that were started since: 2h, 7d, 2026-11-01, 2026-11-01T08:30 (UTC)
        --text TEXT        only runs with this text in an input, in upper or lower case; secret inputs do not count
        --children         runs that other runs started, too
        --limit N          at most so many (default: 50)
        --before RUN       only runs older than this one
        --db FILE          the database (default: millrace.db in the home folder)
        --home DIR         the project's home folder (default: the nearest .millrace, or here)
        --json             print a JSON array

      The last line says how to see the next page, if there is one; with --json it goes to the error stream.

      Examples:
        # the runs that wait for an answer, or that failed
        millrace runs --status waiting --status failed

        # those of a week, of one workflow, with a text in their inputs
        millrace runs --workflow deploy --since 7d --text release/2.1

        # for a program, the runs that others started too
        millrace runs --json --children --limit 500
      "
    `)
    expect(await at.run(["runs", "--json", "-h"])).toEqual(first)
    expect(await at.run(["help", "runs"])).toEqual(first)
  })

  it.each([
    [["vaildate"]],
    [["deploy"]],
    [["run", "x.wf", "--inputs", "a=b"]],
    [["run", "x.wf", "--frobnicate"]],
    [["run", "x.wf", "--db"]],
    [["run", "x.wf", "--db", "--json"]],
    [["run", "x.wf", "--json=yes"]],
    [["run", "x.wf", "--db", "a", "--db", "b"]],
    [["run"]],
    [["run", "a.wf", "b.wf"]],
    [["run", "a.wf", "token=hunter2"]],
    [["run", "x.wf", "--input", "novalue"]],
    [["run", "x.wf", "--input", "a=1", "--input", "a=2"]],
    [["runs", "--limit", "many"]],
    [["runs", "--status", "complete"]],
    [["runs", "--status", "paused"]],
    [["runs", "--since", "yesterday"]],
    [["runs", "--since", "2026-02-30"]],
    [["runs", "--text", ""]],
    [["prune"]],
    [["prune", "--dry-run"]],
    [["prune", "--older-than", "30"]],
    [["prune", "--older-than", "30x"]],
    [["prune", "--keep", "many"]],
    [["prune", "--keep=-1"]],
    [["resume", "x", "--restart", "--from-step", "y"]]
  ])("answers wrong usage with exit code 2 and what would be right: %j", async (args) => {
    const ended = await place({ "x.wf": 'workflow x { script s { run = "true" } }' }).run(args)
    expect(ended.code).toBe(2)
    expect(ended.stdout).toBe("")
    expect(said(ended)).toMatchSnapshot()
  })

  it("takes options in any order, and values that look like options behind an equals sign", async () => {
    const at = place({ "x.wf": 'workflow x { inputs { a required } script s { run = "echo {{a}}" } }' })
    const { code, stdout } = await at.run(["run", "--input=a=--db", "--json", "x.wf", "--db", "d.db"])
    expect(code).toBe(0)
    expect(stdout).toContain('"_tag":"RunResult"')
  })

  it("runs from a checkout by its npm script, on paths that are relative to the user", async () => {
    const at = place({ "w.wf": 'workflow w { gate human_approval { prompt = "?" } }' })
    const script = join(import.meta.dirname, "../../scripts/millrace.mjs")
    const { code, stdout } = await start([], {
      cwd: "/",
      env: { INIT_CWD: at.folder, npm_lifecycle_event: "millrace" },
      command: [process.execPath, script, "run", "w.wf"]
    }).ended
    expect(code).toBe(3)
    expect(stdout).toContain("recorded in millrace.db\n")
    expect(stdout).toMatch(/^ {2}npm run -s millrace -- approve \w{26}$/m)
  })

  it("starts within five times the start of node itself", async () => {
    const fastest = async (command: readonly [string, ...ReadonlyArray<string>] | undefined) => {
      const times: Array<number> = []
      for (let round = 0; round < 5; round++) {
        const from = performance.now()
        await start(["--help"], { cwd: "/", ...(command === undefined ? {} : { command }) }).ended
        times.push(performance.now() - from)
      }
      return Math.min(...times)
    }
    const node = await fastest([process.execPath, "-e", "0"])
    expect(await fastest(undefined)).toBeLessThanOrEqual(5 * node)
  })
})
