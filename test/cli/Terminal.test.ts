import { describe, expect, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { width } from "../../src/cli/Output.ts"
import { rowsOf } from "../../src/cli/TreeView.ts"
import { screenOf } from "./Screen.ts"
import { place, plain, type Running, runIn, show } from "./support.ts"

describe("on a terminal", () => {
  it("a run is a live tree: a line for each step, a bar for a fan-out", async () => {
    const at = place({
      "w.wf": `workflow w {
        script first { run = "sleep 0.3" }
        foreach each { over = json scope = { file = "items.json" } max_parallel = 1 workflow = c }
        call workflow c
        script last { run = "test -e ok" retries = 1 }
      }`,
      "c.wf": 'workflow c { script inner { run = "true" } }',
      "items.json": '["x", "y"]'
    })
    const { code, stdout } = await at.onTerminal(["run", "w.wf"]).ended
    expect(code).toBe(0)
    expect(stdout).toContain("▸ first  running")
    const last = stdout.slice(stdout.lastIndexOf("✓ first"))
    expect(
      plain(last)
        .replace(/\d+(\.\d+)?m?s/g, "TIME")
        .replace(runIn(stdout), "RUN")
    ).toMatchInlineSnapshot(`
      "✓ first  completed  TIME
        ✓ foreach:each  [████████████████████] 2/2  completed  TIME
        ✓ workflow:c  completed  TIME
          ✓ inner  completed  TIME
        ✗ last  failed  attempt 2  TIME  exit code 1
      w failed in TIME: last: exit code 1
      go on with: millrace resume RUN
      exit 1
      "
    `)
    expect(stdout.lastIndexOf("\u001b[?25h")).toBeGreaterThan(stdout.lastIndexOf("\u001b[?25l"))
  })

  it("a gate is asked right there, with its options and feedback", async () => {
    const at = place({
      "w.wf": `workflow w {
        gate human_approval { prompt = "Deploy?" options = { a = "Apples" b = "Bananas" } }
        script after { run = "echo \\"$F\\"" env = { F = "{{gate_feedback}}" } }
      }`
    })
    const running = at.onTerminal(["run", "w.wf"])
    await running.prints("[a]pprove, [r]eject, or [l]eave it waiting? ")
    running.type("maybe\r")
    running.type("approve\r")
    await running.prints("Which of them (numbers or names, with commas; empty for none)? ")
    running.type("7\r")
    await running.prints("there is no 7")
    running.type("2\r")
    await running.prints("Feedback (empty for none): ")
    running.type("well done\r")
    const { stdout } = await running.ended
    expect(stdout).toContain("Gate human_approval: Deploy?")
    expect(stdout).toContain("2) b: Bananas")
    expect(stdout).toContain("exit 0")
    const { steps } = await show(at, runIn(stdout))
    expect(steps[1]?.context).toContain("well done")
    expect(steps[1]?.context).toContain("b")
  })

  it("a gate can be rejected, or left waiting", async () => {
    const at = place({ "w.wf": 'workflow w { gate human_review { prompt = "Right?" } }' })
    const rejecting = at.onTerminal(["run", "w.wf"])
    await rejecting.prints("waiting? ")
    rejecting.type("r\r")
    await rejecting.prints("Feedback")
    rejecting.type("\r")
    expect((await rejecting.ended).stdout).toContain("exit 1")
    const leaving = at.onTerminal(["run", "w.wf"])
    await leaving.prints("waiting? ")
    leaving.type("l\r")
    const { stdout } = await leaving.ended
    expect(stdout).toContain(`millrace approve ${runIn(stdout)}`)
    expect(stdout).toContain("exit 3")
  })

  it("an answer from elsewhere takes the question back", async () => {
    const at = place({ "w.wf": 'workflow w { gate human_review { prompt = "Right?" } }' })
    const running = at.onTerminal(["run", "w.wf"])
    const run = runIn(await running.prints("waiting? "))
    const approved = await at.run(["approve", run])
    expect(approved).toMatchObject({ code: 0, stderr: "" })
    expect((await running.ended).stdout).toContain("exit 0")
  })

  it("Ctrl-C at a question cancels the run", async () => {
    const at = place({
      "w.wf": 'workflow w { gate human_review { prompt = "Right?" } always { script end { run = "true" } } }'
    })
    const running = at.onTerminal(["run", "w.wf"])
    await running.prints("waiting? ")
    running.type("\u0003")
    const { stdout } = await running.ended
    expect(stdout).toContain("exit 130")
    expect((await show(at, runIn(stdout))).run.status).toBe("cancelled")
  })

  it("Ctrl-C cancels a run, and the cursor is there again", async () => {
    const at = place({ "w.wf": 'workflow w { script s { run = "sleep 600" } always { script end { run = "true" } } }' })
    const running = at.onTerminal(["run", "w.wf"])
    await running.prints("s  running")
    running.type("\u0003")
    const { stdout } = await running.ended
    const { isCursorShown, rows } = screenOf(stdout, 100)
    expect(isCursorShown).toBe(true)
    expect(shown(rows, stdout)).toEqual([
      "run RUN of w, recorded in millrace.db",
      "cancelling; once more stops at once",
      "  ⊘ s  cancelled  TIME  user requested: interrupted on the terminal",
      "  ✓ end (always)  completed  TIME",
      "w cancelled in TIME: user requested: interrupted on the terminal",
      "exit 130"
    ])
  })

  it("a second Ctrl-C ends at once, and the cursor is there again", async () => {
    const at = place({ "w.wf": 'workflow w { script s { run = "true" } always { script end { run = "sleep 600" } } }' })
    const running = at.onTerminal(["run", "w.wf"])
    await running.prints("end (always)  running")
    running.type("\u0003")
    await running.prints("once more stops at once")
    running.type("\u0003")
    const { stdout } = await running.ended
    expect(stdout).toContain("exit 130")
    expect(screenOf(stdout, 100).isCursorShown).toBe(true)
  })

  it("a run that is resumed, approved, rejected or cancelled is the same tree, with what it has done before", async () => {
    const at = place({
      "w.wf": `workflow w {
        script one { run = "true" }
        gate human_review { prompt = "Right?" }
        script two { run = "test -e ok" }
        always { script end { run = "true" } }
      }`
    })
    const start = async () => runIn((await at.run(["run", "w.wf"])).stdout)
    const ended = async (...args: ReadonlyArray<string>) => {
      const { stdout } = await at.onTerminal(args).ended
      const { isCursorShown, rows } = screenOf(stdout, 100)
      expect(isCursorShown).toBe(true)
      return shown(rows, stdout)
    }
    const run = await start()
    const before = ["run RUN of w, recorded in millrace.db", "  ✓ one  completed  TIME"]
    expect(await ended("approve", run, "--feedback", "fine")).toEqual([
      `gate human_review of run RUN is approved`,
      ...before,
      "  ✓ human_review  completed  TIME",
      "  ✗ two  failed  TIME  exit code 1",
      "  ✓ end (always)  completed  TIME",
      "w failed in TIME: two: exit code 1",
      "go on with: millrace resume RUN",
      "exit 1"
    ])
    at.write("ok", "")
    expect((await ended("resume", run)).slice(0, -1)).toEqual([
      ...before,
      "  ✓ human_review  completed  TIME",
      "  ✓ two  completed  TIME",
      "  ✓ end (always)  completed  TIME",
      "w completed in TIME"
    ])
    expect((await ended("reject", await start(), "--feedback", "no")).slice(1, -2)).toEqual([
      ...before,
      "  ✗ human_review  failed  TIME  no",
      "  ✓ end (always)  completed  TIME",
      "w failed in TIME: human_review: no"
    ])
    expect((await ended("cancel", await start(), "--reason", "enough")).slice(0, -1)).toEqual([
      ...before,
      "  ⊘ human_review  cancelled  TIME  user requested: enough",
      "  ✓ end (always)  completed  TIME",
      "w cancelled in TIME: user requested: enough"
    ])
  }, 60_000)
})

describe("a terminal", () => {
  const wide = `workflow w {
    script first { run = "echo 失敗しました >&2; exit 1" on_fail = continue }
    script second-with-a-name-that-is-quite-long { run = "sleep 0.5" }
    call workflow c
  }`
  const files = { "w.wf": wide, "c.wf": 'workflow c { script inner { run = "sleep 0.3" } }' }

  it.each([100, 40, 24, 12])("of %i columns shows each step once, in lines that fit", async (columns) => {
    const at = place(files)
    const { stdout } = await at.onTerminal(["run", "w.wf"], { columns }).ended
    const { rows } = screenOf(stdout, columns)
    const steps = rows.filter((row) => /^ *[✓✗↷▸] /.test(row))
    expect(steps.map((row) => row.trim()[0])).toEqual(["↷", "✓", "✓", "✓"])
    for (const row of steps) expect(width(row)).toBeLessThan(columns)
  })

  it("that becomes narrower breaks lines that stand there, and these are counted", () => {
    expect(rowsOf(["", "12345", "123456", "\u001b[31m12345\u001b[0m", "失敗で", "1234567890-"], 5)).toBe(
      1 + 1 + 2 + 1 + 2 + 3
    )
  })

  it("that becomes narrower while a run goes on still shows each step once", async () => {
    const at = place({
      "w.wf": 'workflow w { script long-enough-to-be-broken { run = "until test -e go; do sleep 0.05; done" } }'
    })
    const running = at.onTerminal(["run", "w.wf"], { columns: 60 })
    await running.prints("running")
    const tty = await terminalOf(running)
    spawnSync("stty", ["-F", tty, "cols", "30"])
    // Its first line in so few columns is drawn over the two that the old one takes.
    await running.prints("\u001b[2A")
    at.write("go", "")
    expect((await running.ended).stdout).toContain("exit 0")
  })

  it("of so few rows that not all steps fit shows the last, and in the end all of them", async () => {
    const steps = ["a", "b", "c", "d", "e", "f"].map((name) => `script ${name} { run = "sleep 0.2" }`)
    const at = place({ "w.wf": `workflow w { ${steps.join(" ")} }` })
    const { stdout } = await at.onTerminal(["run", "w.wf"], { rows: 4 }).ended
    expect(stdout).toContain("… 3 more")
    expect(
      screenOf(stdout, 100)
        .rows.filter((row) => row.includes("✓"))
        .map((row) => row.trim()[2])
    ).toEqual([..."abcdef"])
  })

  it("that is slow still shows in the end what each step came to", async () => {
    const steps = Array.from({ length: 30 }, (_, at) => `call a${at}`)
    const actions = steps.map((_, at) => [`actions/a${at}.mjs`, "export default () => ({})"] as const)
    const at = place({
      "w.wf": `workflow w { parallel { ${steps.join(" ")} } script last { run = "sleep 0.5" } }`,
      "millrace.config.mjs": "export default { engine: { eventCapacity: 1 } }",
      ...Object.fromEntries(actions)
    })
    const { stdout } = await at.onTerminal(["run", "w.wf"], { rows: 50 }).ended
    const { rows } = screenOf(stdout, 100)
    expect(stdout).toContain("exit 0")
    expect(rows.filter((row) => /^ {2}✓ a\d+ {2}completed/.test(row))).toHaveLength(30)
    expect(rows.filter((row) => /^ {2}[▸·] /.test(row))).toEqual([])
  })

  it("that takes no commands (TERM=dumb) gets lines and is asked, and nothing that it would not understand", async () => {
    const at = place({ "w.wf": 'workflow w { script s { run = "true" } gate human_review { prompt = "Right?" } }' })
    const running = at.onTerminal(["run", "w.wf"], { env: { TERM: "dumb", NO_COLOR: "" } })
    await running.prints("[l]eave it waiting? ")
    running.type("a\r")
    await running.prints("Feedback (empty for none): ")
    running.type("\r")
    const { stdout } = await running.ended
    expect(stdout).toContain("/s: completed")
    expect(stdout).toContain("exit 0")
    expect(stdout).not.toContain("\u001b")
  })

  it.each(["< /dev/null", "| cat"])(
    "is neither drawn on nor asked at where half of it is redirected: %s",
    async (redirected) => {
      const at = place({ "w.wf": 'workflow w { gate human_review { prompt = "Right?" } }' })
      const { stdout } = await at.onTerminal(["run", "w.wf"], { redirected }).ended
      expect(stdout).toContain("/human_review: waits for an answer")
      expect(stdout).toContain("millrace approve")
      expect(stdout).not.toContain("\u001b")
      expect(stdout).not.toContain("[l]eave it waiting?")
    }
  )

  it("without UTF-8 gets signs that it can show", async () => {
    const at = place({ "w.wf": 'workflow w { script s { run = "true" } }' })
    const { stdout } = await at.onTerminal(["run", "w.wf"], { env: { LC_ALL: "C" } }).ended
    expect(screenOf(stdout, 100).rows).toContainEqual(expect.stringMatching(/^ {2}\+ s {2}completed/))
  })

  it("gets tables cut at its edge, a pipe gets all of them", async () => {
    const at = place({ "w.wf": 'workflow w { script s { run = "echo what went wrong here is long >&2; exit 1" } }' })
    await at.run(["run", "w.wf"])
    const all = (await at.run(["runs"])).stdout
    expect(all).toContain("what went wrong here is long")
    const lines = (await at.onTerminal(["runs"], { columns: 70 }).ended).stdout.split("\r\n").slice(0, 2)
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(70)
    expect(lines[1]).toMatch(/^\w{26} {2}w .*…$/)
  })
})

describe("colours", () => {
  const files = { "w.wf": 'workflow w { script s { run = "true" } }' }
  const green = "\u001b[32m"

  it.each([
    ["a terminal", {}, true],
    ["a terminal, NO_COLOR set", { NO_COLOR: "1" }, false],
    ["a terminal, FORCE_COLOR=0", { FORCE_COLOR: "0" }, false],
    ["a terminal that is dumb", { TERM: "dumb" }, false],
    ["a dumb terminal, FORCE_COLOR set", { TERM: "dumb", FORCE_COLOR: "1" }, true]
  ] as const)("%s: %j, %s", async (_, env, expected) => {
    const { stdout } = await place(files).onTerminal(["run", "w.wf"], { env: { NO_COLOR: "", ...env } }).ended
    expect(stdout.includes(green)).toBe(expected)
  })

  it.each([
    ["a pipe", {}, false],
    ["a pipe, FORCE_COLOR set", { FORCE_COLOR: "1" }, true],
    ["a pipe, both set", { FORCE_COLOR: "1", NO_COLOR: "1" }, false]
  ] as const)("%s: %j, %s", async (_, env, expected) => {
    const at = place(files)
    const { stdout } = await at.run(["run", "w.wf"], { env: { NO_COLOR: "", ...env } })
    expect(stdout.includes(green)).toBe(expected)
    const wrong = await at.run(["nosuch"], { env: { NO_COLOR: "", ...env } })
    expect(wrong.stderr.includes("\u001b[31merror")).toBe(expected)
  })
})

/** What stands there, with what differs from time to time replaced. */
const shown = (rows: ReadonlyArray<string>, stdout: string): ReadonlyArray<string> =>
  rows.filter((row) => row !== "").map((row) => row.replace(/\d+(\.\d+)?m?s/g, "TIME").replaceAll(runIn(stdout), "RUN"))

/** The pseudo-terminal of a program that runs below `script`. */
const terminalOf = async ({ process: { pid } }: Running): Promise<string> => {
  for (;;) {
    const { stdout } = spawnSync("ps", ["-o", "tty=", "--ppid", String(pid)], { encoding: "utf8" })
    const [tty = "?"] = stdout.trim().split("\n")
    if (tty.startsWith("pts/")) return `/dev/${tty}`
    await new Promise((done) => setTimeout(done, 10))
  }
}
