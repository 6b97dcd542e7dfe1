import { describe, expect, it } from "@effect/vitest"
import { existsSync, mkdirSync, readFileSync } from "node:fs"
import { place, show } from "./support.ts"

const wf = `workflow w {
  inputs { who required times default = "1" }
  script s { run = "pwd > where; echo {{who}} {{times}} >> effects" }
}`

const detach = ["run", "w.wf", "--detach", "--input", "who=ann"]

describe("run --detach", () => {
  it("prints the id of a run that is pending, and runs nothing of it", async () => {
    const at = place({ "w.wf": wf })
    const { code, stdout, stderr } = await at.run(detach)
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout).toMatch(/^[0-9A-Z]{26}\n$/)
    const { run, steps } = await show(at, stdout.trim())
    expect(run).toMatchObject({ status: "pending", inputs: { who: "ann", times: "1" } })
    expect(steps).toEqual([])
    expect(existsSync(at.path("effects"))).toBe(false)
  })

  it("prints an object with --json", async () => {
    const at = place({ "w.wf": wf })
    const { stdout } = await at.run([...detach, "--json"])
    expect(JSON.parse(stdout)).toEqual({
      _tag: "RunCreated",
      runId: expect.stringMatching(/^[0-9A-Z]{26}$/),
      workflow: "w",
      status: "pending",
      created: true
    })
  })

  it("creates nothing where the workflow or its inputs are wrong", async () => {
    const at = place({ "w.wf": wf, "broken.wf": "workflow broken { call nobody }" })
    const missing = await at.run(["run", "w.wf", "--detach"])
    expect(missing).toMatchObject({ code: 2, stdout: "" })
    expect(missing.stderr).toContain("the required input 'who' is missing")
    const broken = await at.run(["run", "broken.wf", "--detach"])
    expect(broken).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("error[unknown-action]") })
    expect(existsSync(at.path("millrace.db"))).toBe(false)
  })

  it("builds no layer of the configuration, which may open connections", async () => {
    const config = `import * as Effect from "effect/Effect"
      import * as Layer from "effect/Layer"
      export default { layer: Layer.effectDiscard(Effect.die("no connection")) }`
    const at = place({ "w.wf": wf, "millrace.config.ts": config })
    expect((await at.run(detach)).code).toBe(0)
    expect((await at.run(["run", "w.wf", "--input", "who=ann"])).code).toBe(1)
  })

  it("is taken up by resume, with the definition, inputs and working directory that it was created with", async () => {
    const at = place({ "w.wf": wf })
    mkdirSync(at.path("elsewhere"))
    const created = await at.run(["run", "../w.wf", "--detach", "--input", "who=ann"], {
      command: [
        "sh",
        "-c",
        `cd elsewhere && node "${process.cwd()}/dist/cli/bin.js" run ../w.wf --detach --input who=ann`
      ]
    })
    at.write("w.wf", wf.replace("{{who}}", "changed"))
    const { code, stdout } = await at.run(["resume", created.stdout.trim()])
    expect(code).toBe(0)
    expect(stdout).toContain("/s: completed")
    expect(readFileSync(at.path("elsewhere/effects"), "utf8")).toBe("ann 1\n")
  })

  it("can be cancelled before anything of it has run", async () => {
    const at = place({ "w.wf": wf })
    const run = (await at.run(detach)).stdout.trim()
    expect((await at.run(["cancel", run])).code).toBe(0)
    expect((await show(at, run)).run.status).toBe("cancelled")
    expect(existsSync(at.path("effects"))).toBe(false)
  })

  it("refuses a command for gates: that is for the process that runs the run", async () => {
    const at = place({ "w.wf": wf })
    const { code, stderr } = await at.run([...detach, "--on-waiting", "true"])
    expect(code).toBe(2)
    expect(stderr).toBe(
      "error: --on-waiting is for the process that runs the run\n" +
        "help: give it to `millrace work`, or write `onWaiting` into the configuration\n"
    )
  })
})

describe("an idempotency key", () => {
  it("gives the run that was created for it, however often it is asked for", async () => {
    const at = place({ "w.wf": wf })
    const first = await at.run([...detach, "--idempotency-key", "order-1"])
    const again = await at.run([...detach, "--idempotency-key", "order-1"])
    expect(again).toMatchObject({ code: 0, stdout: first.stdout })
    expect(again.stderr).toBe(`run ${first.stdout.trim()} was created for this key before; it is pending\n`)
    const json = await at.run([...detach, "--idempotency-key", "order-1", "--json"])
    expect(JSON.parse(json.stdout)).toMatchObject({ runId: first.stdout.trim(), created: false, status: "pending" })
    const other = await at.run([...detach, "--idempotency-key", "order-2"])
    expect(other.stdout).not.toBe(first.stdout)
    expect((await at.run(["runs"])).stdout.match(/pending/g)).toHaveLength(2)
  })

  it("refuses a second run that is to be followed, and names the first", async () => {
    const at = place({ "w.wf": wf })
    const args = ["run", "w.wf", "--input", "who=ann", "--idempotency-key", "k"]
    expect((await at.run(args)).code).toBe(0)
    const { code, stdout, stderr } = await at.run(args)
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
    expect(stderr).toMatch(
      /^error: workflow w already has run (\w{26}) for key k\nhelp: see it with: millrace show \1\n$/
    )
    expect(readFileSync(at.path("effects"), "utf8")).toBe("ann 1\n")
  })

  it("is not empty", async () => {
    const at = place({ "w.wf": wf })
    expect(await at.run([...detach, "--idempotency-key", ""])).toMatchObject({
      code: 2,
      stderr: "error: the idempotency key is empty\n"
    })
  })
})
