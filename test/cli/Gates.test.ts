import { describe, expect, it } from "@effect/vitest"
import { outline, place, runIn, show } from "./support.ts"

const gated = `workflow gated {
  script before { run = "echo before" }
  gate human_approval { prompt = "Deploy?" options = { a = "Apples" b = "Bananas" } }
  script after { run = "echo \\"$F\\"" env = { F = "{{gate_feedback}}" } }
  always { script end { run = "echo {{workflow_status}}" } }
}`

const waiting = async (wf = gated) => {
  const at = place({ "w.wf": wf.replace("workflow gated", "workflow w") })
  const ended = await at.run(["run", "w.wf"])
  expect(ended.code).toBe(3)
  return { at, run: runIn(ended.stdout), ended }
}

describe("a gate without a terminal", () => {
  it("leaves the run waiting with exit code 3, and prints the commands that answer it", async () => {
    const { run, ended } = await waiting()
    expect(ended.stdout.replaceAll(run, "RUN").split("\n").slice(-7)).toEqual([
      "w waiting",
      "it waits at gate human_approval: Deploy?",
      "    a: Apples",
      "    b: Bananas",
      "  millrace approve RUN [--select KEY,…]",
      '  millrace reject RUN --feedback "…"',
      ""
    ])
  })

  it("is approved with feedback and selections, and the run goes on in the same command", async () => {
    const { at, run } = await waiting()
    const wrong = await at.run(["approve", run, "--select", "a,c"])
    expect(wrong).toMatchObject({ code: 2, stdout: "" })
    expect(wrong.stderr).toContain("does not offer 'c'; its options: a, b")
    const ended = await at.run(["approve", run.slice(0, 24).toLowerCase(), "--select", "b, a", "--feedback", "go"])
    expect({ code: ended.code, stderr: ended.stderr }).toEqual({ code: 0, stderr: "" })
    const shown = await show(at, run)
    expect(outline(shown)).toEqual([
      "/before completed",
      "/human_approval completed",
      "/after completed",
      "/@always/end completed"
    ])
    expect(shown.steps[1]?.context).toContain("- b\n- a")
    expect(shown.steps[2]?.context).toContain("go")
    const again = await at.run(["approve", run])
    expect(again).toMatchObject({ code: 1, stderr: `error: run ${run} is completed and does not wait at any gate\n` })
  })

  it("is rejected, which fails the run with the feedback after its always block", async () => {
    const { at, run } = await waiting()
    const ended = await at.run(["reject", run, "--feedback", "not today", "--json"])
    expect(ended.code).toBe(1)
    expect(JSON.parse(ended.stdout.trimEnd().split("\n").at(-1) ?? "")).toMatchObject({
      _tag: "RunResult",
      runId: run,
      status: "failed",
      error: expect.stringContaining("not today")
    })
    expect(outline(await show(at, run))).toEqual([
      "/before completed",
      "/human_approval failed",
      "/@always/end completed"
    ])
  })

  it("refuses a value, which it does not ask for, and waits on; and one that is no JSON", async () => {
    const { at, run } = await waiting()
    const wrong = await at.run(["approve", run, "--value", "{discount: 5}"])
    expect(wrong.code).toBe(2)
    expect(wrong.stderr).toContain("--value is no JSON")
    for (const words of [
      ["approve", run],
      ["approve", run, "--gate", "human_approval", "--no-resume"]
    ]) {
      expect(await at.run([...words, "--value", '{"discount": 5}', "--select", "a"])).toEqual({
        code: 2,
        signal: null,
        stdout: "",
        stderr:
          `error: gate 'human_approval' of run ${run} asks for no value: it has no type\n` +
          "help: nothing was recorded; approve it without --value: its steps see --feedback and --select\n"
      })
    }
    expect(outline(await show(at, run))).toContain("/human_approval waiting")
    expect((await at.run(["approve", run, "--select", "a"])).code).toBe(0)
  })

  it("takes an answer without going on, and resume then does", async () => {
    const { at, run } = await waiting()
    const stored = await at.run(["approve", run, "--no-resume"])
    expect(stored).toMatchObject({ code: 0, stderr: "" })
    expect(stored.stdout).toContain(`go on with: millrace resume ${run}\n`)
    const second = await at.run(["reject", run])
    expect(second.code).toBe(1)
    expect(second.stderr).toContain("answered already")
    expect((await at.run(["resume", run])).code).toBe(0)
  })

  it("waits on when it is resumed without an answer", async () => {
    const { at, run } = await waiting()
    expect((await at.run(["resume", run])).code).toBe(3)
  })

  it("is approved by --yes, also when the run is resumed later", async () => {
    const at = place({ "w.wf": gated.replace("workflow gated", "workflow w") })
    const { code, stdout } = await at.run(["run", "w.wf", "--yes"])
    expect(code).toBe(0)
    expect(stdout).toContain("/human_approval: approved")
    const { run, at: other } = await waiting()
    expect((await other.run(["resume", run, "--yes"])).code).toBe(0)
  })

  it("has to be named where several wait", async () => {
    const at = place({
      "w.wf":
        'workflow w { foreach each { over = json scope = { file = "items.json" } max_parallel = 2 workflow = c } }',
      "c.wf": 'workflow c { gate human_review { prompt = "Is {{item.id}} right?" } }',
      "items.json": '["x", "y"]'
    })
    const ended = await at.run(["run", "w.wf"])
    expect(ended.code).toBe(3)
    const run = runIn(ended.stdout)
    expect(ended.stdout).toContain("Is x right?")
    expect(ended.stdout).toContain("Is y right?")
    const ambiguous = await at.run(["approve", run])
    expect(ambiguous.code).toBe(2)
    const children = [...ended.stdout.matchAll(/millrace approve (\w{26})/g)].map(([, child]) => child ?? "")
    expect(children).toHaveLength(2)
    expect(ambiguous.stderr).toContain(
      `waits at several gates: ${children.map((child) => `human_review (/human_review of run ${child})`).join(", ")}\nhelp: \`--gate NAME\` says which; for the gate of a child run give that run instead of this one\n`
    )
    const shown = await at.run(["show", run])
    expect(children.filter((child) => !shown.stdout.includes(`  millrace approve ${child} `))).toEqual([])
    expect((await at.run(["approve", children[0] ?? ""])).code).toBe(3)
    expect((await at.run(["approve", children[1] ?? ""])).code).toBe(0)
    expect((await show(at, run)).run.status).toBe("completed")
  })
})

describe("a gate that a program decides", () => {
  it("is asked again until it decides, and the run's being taken up for that is not told each time", async () => {
    const at = place({
      "w.wf": 'workflow w { gate checks { timeout = 1h } script s { run = "echo {{gate_feedback}}" } }',
      "gates/checks!": `#!/bin/sh
echo x >> asked
[ $(wc -l < asked) -gt 1 ] && echo '{"verdict": "approved", "feedback": "green"}' || echo '"pending"'
`
    })
    const { code, stdout } = await at.run(["run", "w.wf"])
    expect(code).toBe(0)
    const told = stdout.split("\n").flatMap((line) => /^ *\S+ {2}(.*?)(?: \(\S+\))?$/.exec(line)?.[1] ?? [])
    expect(told).toEqual([
      "/checks: started",
      "/checks: waits for an answer",
      "/checks: approved",
      "/checks: completed",
      "/s: started",
      "/s: completed"
    ])
  })
})

describe("a gate whose program fails", () => {
  // The engine's log line did not say that it is of a step, so that it was shown besides the step's own warning.
  it("is told of once", async () => {
    const at = place({ "w.wf": "workflow w { gate checks { timeout = 1s } }", "gates/checks!": "#!/bin/sh\nexit 7\n" })
    const { code, stderr, stdout } = await at.run(["run", "w.wf"])
    expect({ code, stderr }).toEqual({ code: 1, stderr: "" })
    expect(stdout.match(/gate 'checks': the resolver failed: exit code 7/g)).toHaveLength(1)
  })
})

describe("runs, show and logs", () => {
  it("show a run to people and to programs, its secrets to neither", async () => {
    const at = place({
      "w.wf": `workflow w {
        inputs { token secret = true required  who default = "you" }
        script s { run = "echo out; echo err >&2; test -e ok || { touch ok; exit 3; }" retries = 1 }
        call workflow c
      }`,
      "c.wf": 'workflow c { script inner { run = "echo inner" } }'
    })
    const ended = await at.run(["run", "w.wf", "--input", "token=hunter2", "--db", "d.db"])
    expect(ended.code).toBe(0)
    const run = runIn(ended.stdout)
    const texts = await Promise.all(
      [["runs"], ["runs", "--json"], ["show", run], ["show", run, "--json"]].map((args) =>
        at.run([...args, "--db", "d.db"])
      )
    )
    for (const { code, stdout } of texts) {
      expect(code).toBe(0)
      expect(stdout).not.toContain("hunter2")
    }
    const [list, json, text, all] = texts
    expect(list?.stdout).toMatch(/^RUN +WORKFLOW +STATUS +STARTED +TOOK *\n\w{26} +w +completed /)
    expect(JSON.parse(json?.stdout ?? "")).toMatchObject([{ id: run, workflow: "w", inputs: { token: "***" } }])
    expect(text?.stdout).toMatch(/ {2}\/s +completed .* 2 attempts/)
    expect(text?.stdout).toContain("    /inner  completed")
    const { steps } = JSON.parse(all?.stdout ?? "")
    expect(steps.map(({ name }: { readonly name: string }) => name)).toEqual(["s", "workflow:c"])
    expect(Object.keys(steps[0])).toEqual(
      expect.arrayContaining([
        "id",
        "path",
        "name",
        "role",
        "iteration",
        "position",
        "status",
        "attempts",
        "markers",
        "context",
        "structuredOutput",
        "error",
        "childRunId"
      ])
    )
    const children = await at.run(["runs", "--children", "--json", "--db", "d.db"])
    expect(JSON.parse(children.stdout)).toHaveLength(2)
  })

  it("logs tell the attempts and the streams apart, in the order of the steps, and take a step", async () => {
    const at = place({
      "w.wf": `workflow w {
        script s { run = "echo out; printf err >&2; test -e ok || { touch ok; exit 3; }" retries = 1 }
        script silent { run = "true" }
        script a { run = "echo last" }
        always { script t { run = "echo other" } }
      }`
    })
    const run = runIn((await at.run(["run", "w.wf"])).stdout)
    const all = await at.run(["logs", run])
    expect(all.code).toBe(0)
    expect(all.stdout).toMatchInlineSnapshot(`
      "== /s  attempt 1  stdout  4 bytes
      out
      == /s  attempt 1  stderr  3 bytes
      err
      == /s  attempt 2  stdout  4 bytes
      out
      == /s  attempt 2  stderr  3 bytes
      err
      == /a  attempt 1  stdout  5 bytes
      last
      == /@always/t  attempt 1  stdout  6 bytes
      other
      "
    `)
    expect((await at.run(["logs", run, "t"])).stdout).toMatch(/^== \/@always\/t {2}attempt 1 {2}stdout/)
    expect((await at.run(["logs", run, "silent"])).stdout).toBe("silent printed nothing\n")
    expect(await at.run(["logs", run, "/s"])).toMatchObject({ code: 0, stdout: expect.not.stringContaining("other") })
    const unknown = await at.run(["logs", run, "u"])
    expect(unknown).toMatchObject({ code: 2, stdout: "" })
  })

  it("tell an unknown run, and one that begins like several", async () => {
    const at = place({ "w.wf": 'workflow w { script s { run = "true" } }' })
    await at.run(["run", "w.wf"])
    await at.run(["run", "w.wf"])
    for (const [wanted, message] of [
      ["01ZZZZ", "there is no run '01ZZZZ'"],
      ["0", "2 runs begin with '0'"]
    ] as const) {
      for (const command of ["show", "logs", "resume", "cancel", "approve"]) {
        const { code, stdout, stderr } = await at.run([command, wanted])
        expect({ command, code, stdout }).toEqual({ command, code: 2, stdout: "" })
        expect(stderr).toContain(message)
      }
    }
  }, 60_000)
})

describe("resume", () => {
  it("runs again what failed, and nothing else", async () => {
    const at = place({
      "w.wf":
        'workflow w { script one { run = "echo x" } script two { run = "test -e ok" } script three { run = "true" } }'
    })
    const first = await at.run(["run", "w.wf"])
    expect(first.code).toBe(1)
    const run = runIn(first.stdout)
    expect(first.stdout).toContain(`go on with: millrace resume ${run}\n`)
    at.write("ok", "")
    expect((await at.run(["resume", run])).code).toBe(0)
    expect(outline(await show(at, run))).toEqual(["/one completed", "/two completed", "/three completed"])
    const { stdout } = await at.run(["logs", run, "one"])
    expect(stdout.match(/^== /gm)).toHaveLength(1)
  })

  it("says of each run below that it goes on", async () => {
    const at = place({
      "w.wf": 'workflow w { foreach f { over = json scope = { file = "i.json" } max_parallel = 1 workflow = c } }',
      "c.wf": 'workflow c { script s { run = "test -e ok" } }',
      "i.json": '["x"]'
    })
    const run = runIn((await at.run(["run", "w.wf"])).stdout)
    at.write("ok", "")
    const { code, stdout } = await at.run(["resume", run])
    expect(code).toBe(0)
    expect(stdout.match(/^ *\d+ms {2}.*resumed$/gm)?.map((line) => line.trim().replace(/^\S+ +/, ""))).toEqual([
      "resumed",
      "/foreach:f[x]: resumed"
    ])
  })

  it("refuses a completed run unless it is told what to run again", async () => {
    const at = place({
      "w.wf": 'workflow w { script one { run = "echo 1 >> one" } script two { run = "echo 2 >> two" } }'
    })
    const run = runIn((await at.run(["run", "w.wf"])).stdout)
    const refused = await at.run(["resume", run])
    expect(refused).toMatchObject({ code: 1, stdout: "" })
    expect(refused.stderr).toContain(`run ${run} is completed`)
    expect((await at.run(["resume", run, "--from-step", "nosuch"])).code).toBe(2)
    expect((await at.run(["resume", run, "--from-step", "two"])).code).toBe(0)
    expect((await at.run(["resume", run, "--restart"])).code).toBe(0)
    const { steps } = await show(at, run)
    expect(steps.filter(({ name }) => name === "one")).toHaveLength(2)
    expect(steps.filter(({ name }) => name === "two")).toHaveLength(3)
  })
})
