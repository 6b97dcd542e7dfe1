import { describe, expect, it } from "@effect/vitest"
import { place } from "./support.ts"

const deploy = `workflow deploy {
  meta { title = "Ship it" }
  inputs { branch required dry boolean }
  script build { run = "true" }
  if build.changed { script publish { run = "true" } }
}
`

describe("list", () => {
  const at = () =>
    place({ ".millrace/workflows/deploy.wf": deploy, ".millrace/workflows/broken.wf": "workflow broken {" })

  it("shows the workflows with their inputs, and a broken one with its problem", async () => {
    const { code, stdout } = await at().run(["list"])
    expect(code).toBe(0)
    expect(stdout).toMatch(/deploy +Ship it +branch \[dry\] +\.millrace\/workflows\/deploy\.wf/)
    expect(stdout).toMatch(/broken .*error: /)
  })

  it("gives the same as JSON", async () => {
    const { stdout } = await at().run(["list", "--json"])
    expect(JSON.parse(stdout)).toMatchObject([
      { name: "broken", problem: "this `{` is never closed" },
      {
        name: "deploy",
        title: "Ship it",
        inputs: [
          { name: "branch", required: true },
          { name: "dry", required: false }
        ]
      }
    ])
  })

  it("says where it found none", async () => {
    expect(await place({}).run(["list"])).toMatchObject({ code: 0, stdout: expect.stringContaining("no workflows in") })
  })
})

describe("graph", () => {
  it("draws a workflow as Mermaid, and as SVG", async () => {
    const at = place({ "deploy.wf": deploy })
    const mermaid = await at.run(["graph", "deploy.wf"])
    expect(mermaid).toMatchObject({ code: 0, stderr: "" })
    expect(mermaid.stdout).toMatch(/^flowchart/)
    expect(mermaid.stdout).toContain("publish")
    const svg = await at.run(["graph", "deploy.wf", "--svg"])
    expect(svg.stdout).toMatch(/^<svg[\s\S]*publish[\s\S]*<\/svg>\n$/)
  })

  it("draws a run with the states of its steps", async () => {
    const at = place({ "deploy.wf": deploy })
    const { stdout } = await at.run(["run", "deploy.wf", "--input", "branch=main", "--json", "--db", "x.db"])
    const { runId } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "{}")
    const drawn = await at.run(["graph", "--run", runId, "--db", "x.db"])
    expect(drawn).toMatchObject({ code: 0, stderr: "" })
    expect(drawn.stdout).toContain("completed")
  })

  it("refuses a broken workflow, and a question that names neither or both", async () => {
    const at = place({ "broken.wf": "workflow broken {" })
    expect((await at.run(["graph", "broken.wf"])).code).toBe(2)
    expect((await at.run(["graph"])).code).toBe(2)
    expect((await at.run(["graph", "broken.wf", "--run", "X"])).code).toBe(2)
  })
})

describe("lsp", () => {
  it("answers an editor, and ends when it is told to", async () => {
    const frame = (message: object) => {
      const text = JSON.stringify({ jsonrpc: "2.0", ...message })
      return `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
    }
    const input = [
      frame({ id: 1, method: "initialize", params: { processId: null, rootUri: null, capabilities: {} } }),
      frame({ id: 2, method: "shutdown" }),
      frame({ method: "exit" })
    ].join("")
    const { code, stdout } = await place({}).run(["lsp"], { input })
    expect(code).toBe(0)
    expect(stdout).toContain('"documentFormattingProvider"')
  })
})
