/**
 * The example `agents`, through the real program: every agent is a process, marked by a variable that it and whatever
 * it starts inherit.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, onTestFinished } from "vitest"
import { RunId } from "../../src/persistence/Records.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import { readTree, recordDifference, type RunTree } from "../../src/testing/RecordComparison.ts"
import { eventually, processesMarked, processesWith } from "../action/support.ts"
import { bin, type Ended, outline, place, type Running, runIn, show, type Shown } from "../cli/support.ts"
import { copyExample } from "./copy.ts"

interface Project {
  readonly folder: string
  readonly path: (name: string) => string
  readonly read: (name: string) => string
  readonly edit: (file: string, before: string, after: string) => void
  readonly start: (args: ReadonlyArray<string>, agent?: Readonly<Record<string, string>>) => Running
  readonly run: (args: ReadonlyArray<string>, agent?: Readonly<Record<string, string>>) => Promise<Ended>
  readonly show: (run: string) => Promise<Shown>
  /** The id of the one run that a step or an item started. */
  readonly childOf: (run: string, child: string) => Promise<string>
  /** The processes that this project's agents are, with all that they started. */
  readonly agents: () => ReadonlyArray<number>
}

/** A copy of the example, or of what became of one, in a folder of its own. */
const project = (of?: string): Project => {
  const at = place()
  const variable = "EXAMPLE_MARK"
  const mark = randomUUID()
  if (of === undefined) copyExample("agents", at.folder)
  else cpSync(of, at.folder, { recursive: true })
  const agents = () => {
    const engines = processesWith(bin)
    return processesMarked(`${variable}=${mark}`).filter((pid) => !engines.includes(pid))
  }
  onTestFinished(() => {
    for (const pid of agents()) process.kill(pid, "SIGKILL")
  })
  const start: Project["start"] = (args, agent = {}) => at.start(args, { env: { [variable]: mark, ...agent } })
  return {
    folder: at.folder,
    path: at.path,
    read: (name) => readFileSync(at.path(name), "utf8"),
    edit: (file, before, after) => {
      const text = readFileSync(at.path(file), "utf8")
      expect(text).toContain(before)
      writeFileSync(at.path(file), text.replace(before, after))
    },
    start,
    run: (args, agent) => start(args, agent).ended,
    show: (run) => show(at, run),
    childOf: async (run, child) => {
      const { items, steps } = await show(at, run)
      const found = [
        ...items.map(({ id, childRunId }) => [id, childRunId]),
        ...steps.map(({ name, childRunId }) => [name, childRunId])
      ]
      const [, id] = found.find(([name, id]) => name === child && typeof id === "string") ?? []
      if (typeof id !== "string") throw new Error(`${run} has no ${child}: ${JSON.stringify(found)}`)
      return id
    },
    agents
  }
}

/** Waits for what another process does, as long as a loaded machine may need. */
const until = async (what: string, condition: () => boolean): Promise<void> => {
  if (!(await Effect.runPromise(eventually(condition, 60_000)))) throw new Error(`never: ${what}`)
}

/** A run in which an agent waits for a tool of its own that never answers. */
const hanging = async (at: Project, task: string) => {
  const running = at.start(["run", "deliver"], { AGENT_HANGS: task })
  const run = runIn(await running.prints("run "))
  const tools = () => {
    const agents = at.agents()
    return processesWith("sleep 600").filter((pid) => agents.includes(pid))
  }
  await until("the tool of an agent runs", () => tools().length > 0)
  return { run, running }
}

/** Waits at the ticket that needs an approval, and goes on with it. */
const approve = async (at: Project, run: string): Promise<Ended> => {
  const ticket = await at.childOf(run, "upgrade")
  return at.run(["approve", ticket, "--select", "pitfalls", "--feedback", "be careful"])
}

interface Delivered {
  readonly at: Project
  readonly run: string
  /** The folder that it ran in. */
  readonly folder: string
}

const deliver = async (): Promise<Delivered> => {
  const at = project()
  const waiting = await at.run(["run", "deliver"])
  expect({ code: waiting.code, stderr: waiting.stderr }).toEqual({ code: 3, stderr: "" })
  const run = runIn(waiting.stdout)
  const { code, stderr } = await approve(at, run)
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  return { at, run, folder: at.folder }
}

let kept: (Omit<Delivered, "at"> & { readonly copy: string }) | undefined
afterAll(() => {
  if (kept !== undefined) rmSync(kept.copy, { recursive: true })
})

/** A whole run, to be looked at: it is run once. */
const delivered = async (): Promise<Delivered> => {
  if (kept !== undefined) return { ...kept, at: project(kept.copy) }
  const first = await deliver()
  kept = { run: first.run, folder: first.folder, copy: mkdtempSync(join(tmpdir(), "millrace-example-")) }
  cpSync(first.folder, kept.copy, { recursive: true })
  return first
}

const deliverOutline = [
  "/prepare completed",
  "/foreach:tickets completed",
  "/foreach:pages completed",
  "/index completed",
  "/@always/report completed"
]

const ticketOutline = [
  "/plan completed",
  "/write completed",
  "/parallel/review-style completed",
  "/parallel/review-facts completed",
  "/while:review-facts.has_findings/@1/fix completed",
  "/while:review-facts.has_findings/@1/review-facts completed",
  "/while:review-facts.has_findings/@2/fix completed",
  "/while:review-facts.has_findings/@2/review-facts completed",
  "/workflow:publish completed"
]

describe("the example agents", { timeout: 120_000 }, () => {
  it("is valid, warnings included, and laid out", async () => {
    const at = project()
    expect(await at.run(["validate", "--strict"])).toMatchObject({ code: 0, stderr: "" })
    expect(await at.run(["fmt", "--check", "."])).toMatchObject({ code: 0, stdout: "", stderr: "" })
  })

  it("delivers its tickets: what waits for a person is approved by another process, and goes on there", async () => {
    const { at, run } = await delivered()
    const shown = await at.show(run)
    expect(outline(shown)).toEqual(deliverOutline)
    expect(shown.items.map(({ id, status }) => `${id} ${status}`).sort()).toEqual(
      ["install", "limits", "site/install.md", "site/limits.md", "site/upgrade.md", "upgrade"].map(
        (id) => `${id} completed`
      )
    )
    expect(at.read("site/index.md")).toBe(
      [
        "# The site\n",
        "- [Describe how to install it](install.md): Here are the steps.",
        "- [List what it cannot do](limits.md): Here are the steps.",
        "- [Explain how to upgrade](upgrade.md): Here are the pitfalls.\n"
      ].join("\n")
    )
    expect(at.read("site/upgrade.md")).toContain("By Writing Bot.")
    expect(at.read("site/report.txt")).toBe("completed\n")
    expect((await at.run(["show", run])).stdout).toMatch(/^usage +22 turns, 1100 output tokens$/m)
    expect(at.agents()).toEqual([])
  })

  it("tells the next attempt what its schema complained of, asks where a marker of it says so, and reviews until nothing is found", async () => {
    const { at, run } = await delivered()
    const install = await at.show(await at.childOf(run, "install"))
    expect(outline(install)).toEqual(ticketOutline)
    expect(install.steps[0]?.attempts.map(({ outcome }) => outcome)).toEqual(["failed", "completed"])
    const { stdout: logs } = await at.run(["logs", install.run.id, "plan"])
    expect(logs).toMatch(/attempt 2[^=]+\nthe last attempt was not good enough[^=]+"steps":\["read what there is"/)
    const upgrade = await at.show(await at.childOf(run, "upgrade"))
    expect(outline(upgrade)).toEqual([
      "/plan completed",
      "/if:plan.risky/human_approval completed",
      "/write completed",
      "/parallel/review-style completed",
      "/parallel/review-facts completed",
      "/while:review-facts.has_findings/@1/fix completed",
      "/while:review-facts.has_findings/@1/review-facts completed",
      "/workflow:publish completed"
    ])
    expect(upgrade.steps[0]?.markers).toEqual(["risky"])
    expect(upgrade.steps[2]?.context).toBe("wrote site/upgrade.md with pitfalls")
  })

  it("starts a ticket when those that it waits for are delivered", async () => {
    const { at, run } = await delivered()
    const time = async (id: string) => (await at.show(await at.childOf(run, id))).run
    const [install, upgrade] = [await time("install"), await time("upgrade")]
    expect(upgrade.startedAt).toBeGreaterThanOrEqual(install.endedAt ?? Number.POSITIVE_INFINITY)
  })

  it("gives each agent the model, identity, plugins and snippets that its files say, the workflow's own first", async () => {
    const { at, run, folder } = await delivered()
    const ticket = await at.childOf(run, "limits")
    const page = await at.childOf(run, "site/limits.md")
    const begin = async (of: string, step: string) =>
      (await at.run(["logs", of, step])).stdout.split("\n").slice(1, 4).join("\n")
    expect(await begin(ticket, "plan")).toBe("arguments: -p --model large\nrule: Write for readers in a hurry.\nplan")
    expect(await begin(ticket, "write")).toContain("-p --model large --max-turns 20 --permission-mode acceptEdits\n")
    expect(await begin(ticket, "review-style")).toContain("-p --model small\n")
    expect(await begin(ticket, "fix")).toContain(`-p --plugin-dir ${folder}/plugins/house --permission-mode`)
    expect(await begin(page, "summarize")).toBe("arguments: -p\nrule: Write plain English.\nrule: Use one sentence.")
  })

  it("asks its program at a gate until that decides, unless somebody is faster", async () => {
    const at = project()
    const running = at.start(["run", "deliver"])
    const run = runIn(await running.prints("/prepare: completed"))
    writeFileSync(at.path("site/hold"), "")
    await running.prints("[limits]/workflow:publish/checks: waits for an answer: site/limits.md")
    await running.prints("[install]/workflow:publish/checks: waits for an answer: site/install.md")
    const publish = await at.childOf(await at.childOf(run, "limits"), "workflow:publish")
    const answered = await at.run(["approve", publish, "--feedback", "I looked myself"])
    expect(answered.stdout).toContain(`gate checks of run ${publish} is approved\n`)
    await running.prints("[limits]/workflow:publish: completed")
    rmSync(at.path("site/hold"))
    const { code } = await running.ended
    expect(code).toBe(3)
    const context = async (child: string) =>
      (await at.show(child)).steps.find(({ name }) => name === "publish")?.context
    expect(await context(publish)).toBe("published site/limits.md: I looked myself\n")
    const other = await at.childOf(await at.childOf(run, "install"), "workflow:publish")
    expect(await context(other)).toBe("published site/install.md: all checks passed\n")
  })

  it("fails a ticket that is rejected, and runs its always block", async () => {
    const at = project()
    const run = runIn((await at.run(["run", "deliver"])).stdout)
    const ticket = await at.childOf(run, "upgrade")
    const { code, stdout } = await at.run(["reject", ticket, "--feedback", "not this year"])
    expect(code).toBe(1)
    expect(stdout).toContain("/foreach:tickets: upgrade failed: human_approval: not this year\n")
    expect(at.read("site/report.txt")).toBe("failed\n")
  })

  it("fails a ticket whose findings are not fixed, and skips those that wait for it", async () => {
    const at = project()
    const { code, stdout } = await at.run(["run", "deliver"], { AGENT_LAZY: "fix" })
    expect(code).toBe(1)
    expect(stdout).toContain("limits failed: while review-facts.has_findings: the loop is stuck")
    const { items } = await at.show(runIn(stdout))
    expect(items.map(({ id, status }) => `${id} ${status}`).sort()).toEqual([
      "install failed",
      "limits failed",
      "upgrade skipped"
    ])
  })

  it("changes nothing in a dry run", async () => {
    const at = project()
    const { code, stderr } = await at.run(["run", "deliver", "--dry-run"])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(existsSync(at.path("site"))).toBe(false)
  })

  it("works as a hidden folder of a project, given by its name or by a file in it", async () => {
    const at = project()
    const home = ["agents", "gates", "prompts", "providers", "schemas", "scripts", "workflows"]
    mkdirSync(at.path(".conductor"))
    for (const name of home) renameSync(at.path(name), at.path(`.conductor/${name}`))
    const named = await at.run(["run", "deliver", "--home", ".conductor"])
    expect({ code: named.code, stderr: named.stderr }).toEqual({ code: 3, stderr: "" })
    expect(statSync(at.path(".conductor/millrace.db")).isFile()).toBe(true)
    const file = await at.run(["run", ".conductor/workflows/deliver.wf"])
    expect({ code: file.code, stderr: file.stderr }).toEqual({ code: 3, stderr: "" })
    const runs = await at.run(["runs", "--home", ".conductor", "--json"])
    expect(JSON.parse(runs.stdout)).toHaveLength(2)
  })
})

/** The records of a run and all below it, wherever its project stands. */
const records = async ({ at, folder, run }: Delivered): Promise<RunTree> => {
  const store = SqlitePersistence.layer({ filename: at.path("millrace.db") })
  const tree = await Effect.runPromise(Effect.provide(readTree(RunId.make(run)), store))
  return JSON.parse(JSON.stringify(tree).replaceAll(folder, "PROJECT"))
}

describe("the example agents, interrupted in an agent's step", { timeout: 120_000 }, () => {
  it.each([
    ["SIGKILL", "kill -9", null],
    ["SIGTERM", "a shutdown", 143]
  ] as const)("after %s (%s) leaves no agent behind, and resume runs that step again", async (signal, _name, code) => {
    const at = project()
    const { run, running } = await hanging(at, "write")
    running.process.kill(signal)
    expect((await running.ended).code).toBe(code)
    await until("the agents are gone", () => at.agents().length === 0)

    const resumed = await at.run(["resume", run])
    expect({ code: resumed.code, stderr: resumed.stderr }).toEqual({ code: 3, stderr: "" })
    expect((await approve(at, run)).code).toBe(0)
    expect(outline(await at.show(run))).toEqual(deliverOutline)
    const { steps } = await at.show(await at.childOf(run, "limits"))
    const attempts = steps.find(({ name }) => name === "write")?.attempts
    expect(attempts?.map(({ number, outcome }) => `${number} ${outcome}`)).toEqual(["1 lost", "1 completed"])
    expect(at.read("site/report.txt")).toBe("completed\n")
    expect(at.agents()).toEqual([])

    const difference = recordDifference(await records(await delivered()), await records({ at, folder: at.folder, run }))
    expect(difference).toBeUndefined()
  })

  it("by Ctrl-C ends the agents with all that they started, and the run is cancelled", async () => {
    const at = project()
    const { run, running } = await hanging(at, "write")
    running.process.kill("SIGINT")
    expect((await running.ended).code).toBe(130)
    expect(at.agents()).toEqual([])
    expect((await at.show(run)).run.status).toBe("cancelled")
    const { steps } = await at.show(await at.childOf(run, "limits"))
    expect(steps.find(({ name }) => name === "write")?.status).toBe("cancelled")
    expect(at.read("site/report.txt")).toBe("cancelled\n")
  })

  it("by its timeout ends the agent with all that it started, before the run goes on", async () => {
    const at = project()
    at.edit("workflows/ticket.wf", "timeout = 10m", "timeout = 10s")
    const { run, running } = await hanging(at, "write")
    await running.prints("[limits]/write: timed out")
    await running.prints("[install]/write: timed out")
    expect(at.agents()).toEqual([])
    expect((await running.ended).code).toBe(1)
    const { items } = await at.show(run)
    expect(items.map(({ id, status }) => `${id} ${status}`).sort()).toEqual([
      "install failed",
      "limits failed",
      "upgrade skipped"
    ])
  })
})
