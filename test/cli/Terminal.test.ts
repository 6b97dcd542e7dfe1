import { describe, expect, it } from "@effect/vitest"
import { onTerminal, place, plain, runIn, show } from "./support.ts"

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
    const { code, stdout } = await onTerminal(at, ["run", "w.wf"]).ended
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
    const running = onTerminal(at, ["run", "w.wf"])
    await running.prints("[a]pprove, [r]eject, or [l]eave it waiting? ")
    running.type("maybe\r")
    running.type("approve\r")
    await running.prints("Which of them")
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
    const rejecting = onTerminal(at, ["run", "w.wf"])
    await rejecting.prints("waiting? ")
    rejecting.type("r\r")
    await rejecting.prints("Feedback")
    rejecting.type("\r")
    expect((await rejecting.ended).stdout).toContain("exit 1")
    const leaving = onTerminal(at, ["run", "w.wf"])
    await leaving.prints("waiting? ")
    leaving.type("l\r")
    const { stdout } = await leaving.ended
    expect(stdout).toContain(`millrace approve ${runIn(stdout)}`)
    expect(stdout).toContain("exit 3")
  })

  it("an answer from elsewhere takes the question back", async () => {
    const at = place({ "w.wf": 'workflow w { gate human_review { prompt = "Right?" } }' })
    const running = onTerminal(at, ["run", "w.wf"])
    const run = runIn(await running.prints("waiting? "))
    const approved = await at.run(["approve", run])
    expect(approved).toMatchObject({ code: 0, stderr: "" })
    expect((await running.ended).stdout).toContain("exit 0")
  })

  it("Ctrl-C at a question cancels the run", async () => {
    const at = place({
      "w.wf": 'workflow w { gate human_review { prompt = "Right?" } always { script end { run = "true" } } }'
    })
    const running = onTerminal(at, ["run", "w.wf"])
    await running.prints("waiting? ")
    running.type("\u0003")
    const { stdout } = await running.ended
    expect(stdout).toContain("exit 130")
    expect((await show(at, runIn(stdout))).run.status).toBe("cancelled")
  })

  it("there are colours, unless NO_COLOR is set", async () => {
    const at = place({ "w.wf": 'workflow w { script s { run = "true" } }' })
    expect((await onTerminal(at, ["run", "w.wf"], { NO_COLOR: "" }).ended).stdout).toContain("\u001b[32m")
    expect((await onTerminal(at, ["run", "w.wf"], { NO_COLOR: "1" }).ended).stdout).not.toContain("\u001b[32m")
  })
})
