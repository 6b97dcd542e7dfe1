import { describe, expect, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { isRunning, outline, type Place, place, type Running, runIn, show } from "./support.ts"

const wf = `workflow w {
  gate human_review { prompt = "Right?" }
  script long { run = "echo $$ > pid; until test -e go; do sleep 0.05; done" }
  always { script end { run = "echo $$ > pid; until test -e end; do sleep 0.05; done" } }
}`

const waiting = async () => {
  const at = place({ "w.wf": wf })
  return { at, run: runIn((await at.run(["run", "w.wf"])).stdout) }
}

/** A run whose long script has begun, and whose process was told to go. */
const leftInTheMiddle = async () => {
  const { at, run } = await waiting()
  const running = at.start(["approve", run])
  await running.prints("/long: started")
  running.process.kill("SIGTERM")
  expect((await running.ended).code).toBe(143)
  return { at, run }
}

const interrupt = async (at: Place, running: Running): Promise<void> => {
  running.process.kill("SIGINT")
  await running.prints("cancelling; once more stops at once")
  at.write("end", "")
}

describe("Ctrl-C", { timeout: 60_000 }, () => {
  it.each([
    ["resume", leftInTheMiddle],
    ["approve", waiting]
  ] as const)("cancels a run that %s goes on with, and its always block runs", async (command, begin) => {
    const { at, run } = await begin()
    const running = at.start([command, run])
    await running.prints("/long: started")
    await interrupt(at, running)
    expect(await running.ended).toMatchObject({ code: 130, stderr: "" })
    expect(outline(await show(at, run))).toEqual([
      "/human_review completed",
      "/long cancelled",
      "/@always/end completed"
    ])
  })

  it("while the always block of a rejected run goes on changes nothing of how it ends", async () => {
    const { at, run } = await waiting()
    const running = at.start(["reject", run, "--feedback", "no"])
    await running.prints("/@always/end: started")
    await interrupt(at, running)
    expect(await running.ended).toMatchObject({ code: 1, stderr: "" })
    expect((await show(at, run)).run.status).toBe("failed")
  })

  it.each(["reject", "cancel"])("twice ends %s at once, with the script of the always block", async (command) => {
    const { at, run } = await waiting()
    const running = at.start([command, run])
    await running.prints("/@always/end: started")
    while (!existsSync(at.path("pid"))) await new Promise((done) => setTimeout(done, 10))
    running.process.kill("SIGINT")
    await running.prints("cancelling; once more stops at once")
    running.process.kill("SIGINT")
    expect((await running.ended).code).toBe(130)
    const pid = readFileSync(at.path("pid"), "utf8")
    while (isRunning(pid)) await new Promise((done) => setTimeout(done, 10))
    at.write("end", "")
    const { code } = await at.run(["resume", run])
    expect(code).toBe(command === "cancel" ? 130 : 1)
  })

  it("ends an editor's server, and a command that waits for its input", async () => {
    const text = JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: { processId: null, rootUri: null, capabilities: {} }
    })
    const server = place().start(["lsp"], { keepInput: true })
    server.type(`Content-Length: ${text.length}\r\n\r\n${text}`)
    await server.prints("documentFormattingProvider")
    server.process.kill("SIGINT")
    expect(await server.ended).toMatchObject({ signal: "SIGINT", stderr: "" })
    const reader = place().start(["parse", "-"], { keepInput: true })
    reader.process.kill("SIGINT")
    expect(await reader.ended).toMatchObject({ signal: "SIGINT", stdout: "", stderr: "" })
  })
})
