/**
 * Secrets reach what a run does, and nothing that anybody is shown of it (docs/guarantees.md, "Secrets").
 */
import { describe, expect, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { type Ended, type Place, place, plain, runIn } from "./support.ts"

/** Values with what shells, JSON and URLs write in other ways; one of several lines. */
const token = `c4naryT0ken "q' $HOME/ü`
const key = "-----BEGIN KEY-----\nc4naryLine0ne+/=\nc4naryLineTw0+/=\n-----END KEY-----"

/** Parts of them, and their base64 wherever it begins. */
const pieces = ["c4nary", "T0ken", "Line0ne", "LineTw0"]
const canaries = [
  ...pieces,
  ...pieces.flatMap((piece) =>
    [0, 1, 2].map((before) => {
      const encoded = Buffer.concat([Buffer.alloc(before), Buffer.from(piece)]).toString("base64")
      return encoded.slice(before + 1, Math.floor(((before + piece.length) * 8) / 6))
    })
  )
]

const node = "#!/usr/bin/env node\n"

/** Prints a flow output whose values are made of the secret. */
const flow = `${node}const token = process.env.FLOW_TOKEN
console.log("<<<FLOW_OUTPUT>>>")
console.log(JSON.stringify({
  markers: ["m-" + token], context: "used " + token, derived: "from " + token, list: [token, "plain"],
  pick: { ["a-" + token]: "first " + token, ["b-" + token]: "second", c: "third" },
  deep: { [token]: [1, { again: token }] }
}))
console.log("<<<END_FLOW_OUTPUT>>>")
`

const files = {
  "sweep.wf": `workflow sweep {
    inputs { token secret = true required  key secret = true required  who default = "you" }
    script prints { run = "printf '%s' {{token}} > token.txt; printf '%s' \\"{{key}}\\" > key.txt; echo got {{token}}; echo \\"{{key}}\\" >&2; env; printf %s {{token}} | base64; echo {{who}}" }
    script fails { run = "echo no luck with {{token}} >&2; printf '%1990s' x >&2; exit 3" retries = 1 on_fail = continue }
    script flows { run = "scripts/flow" }
    script edge { run = "printf '%1995s' x; echo {{token}}; printf '%3000s' y" }
    script reads { run = "cat {{prior_output_file}} > large.txt; cat large.txt; echo {{prior_contexts}} {{prior_output}}" }
    call thinker
    call judge { output = verdict on_fail = continue }
    call module { on_fail = continue  inputs { given = "with {{token}}" } }
    call typed { on_fail = continue }
    call program { on_fail = continue }
    call workflow child { inputs { plain = "Bearer {{token}}"  own = "c4nary-of-the-child" } }
    foreach each { over = json scope = { from = "flows.list" } max_parallel = 1 workflow = item inputs = { more = "{{token}}" } }
    pipeline flow { over = lines scope = { text = "{{token}}" } max_parallel = 1 call program-ok }
    gate checks { prompt = "May {{token}} pass?" }
    gate human_approval { prompt = "Deploy with {{token}}?" options = flows.pick }
    script after { run = "printf '%s' {{gate_feedback}} > feedback.txt" }
    always { script end { run = "echo the end of {{token}}; exit 1" } }
  }`,
  "child.wf": `workflow child {
    inputs { plain required  own secret = true required }
    script inner { run = "printf '%s' {{plain}} > child.txt; echo child has {{plain}} and {{own}}" }
    gate human_review { prompt = "Child with {{plain}}, {{own}}?" }
  }`,
  "item.wf": `workflow item {
    inputs { more default = "" }
    script one { run = "echo item {{item.id}} {{more}}" }
  }`,
  "scripts/flow!": flow,
  "agents/thinker.md": "Use {{token}} well.",
  "agents/judge.md": "Judge {{token}}.",
  "bin/agent!": `${node}const prompt = require("node:fs").readFileSync(0, "utf8")
require("node:fs").appendFileSync("prompts.txt", prompt)
console.error("thinking about " + prompt)
console.log("answer to " + prompt + "\\n<<<FLOW_OUTPUT>>>")
console.log(JSON.stringify({ level: prompt, cost_usd: prompt, context: "so: " + prompt }) + "\\n<<<END_FLOW_OUTPUT>>>")
`,
  "schemas/verdict.yaml": 'fields:\n  level: "enum(low, high)"\n',
  "actions/module.mjs": `export default async (parameters, context) => {
    console.log("console", parameters.token)
    context.heartbeat({ about: parameters.token })
    throw new Error("thrown with " + parameters.given + " " + JSON.stringify(parameters.token))
  }`,
  "actions/typed.ts": `import * as Effect from "effect/Effect"
  export default ({ token }) => Effect.zipRight(Effect.logWarning("logged " + token), Effect.fail(new Error("typed " + token)))`,
  "actions/program!": "#!/bin/sh\ntee stdin.txt\ncat stdin.txt >&2\nexit 4\n",
  "actions/program-ok!": "#!/bin/sh\ncat\n",
  "gates/checks!": `#!/bin/sh
cat > question.txt
if test -e asked; then printf '{"verdict": "approved"}'; else touch asked; cat question.txt >&2; exit 1; fi
`,
  "millrace.config.ts": 'export default { agent: { command: "./bin/agent" } }'
}

const inputs = ["--input", `token=${token}`, "--input", `key=${key}`]

/** All that the commands tell of the runs there are. */
const told = async (at: Place): Promise<string> => {
  const all = await at.run(["runs", "--children", "--json"])
  const [root, ...children] = JSON.parse(all.stdout).toReversed()
  const commands = [
    ["runs"],
    ["graph", "--run", root.id],
    ["graph", "--run", root.id, "--svg"],
    ...[root, ...children].flatMap(({ id }) => [
      ["show", id, "--json"],
      ["logs", id]
    ]),
    ["show", root.id]
  ]
  const texts: Array<string> = [said(all)]
  for (const command of commands) texts.push(said(await at.run(command)))
  return texts.join("\n")
}

/** The names and contents of the log files. */
const logsOnDisk = (at: Place): string => {
  const folder = at.path("millrace.db-files/logs")
  const entries = existsSync(folder) ? readdirSync(folder, { recursive: true, withFileTypes: true }) : []
  return entries
    .map((entry) => `${entry.name}\n${entry.isFile() ? readFileSync(join(entry.parentPath, entry.name), "utf8") : ""}`)
    .join("\n")
}

const said = ({ stderr, stdout }: Ended): string => `${stdout}\n${stderr}`

const isHidden = (text: string): void => {
  expect(text).toContain("***")
  const lines = text.split("\n").filter((line) => canaries.some((canary) => line.includes(canary)))
  expect(lines.map((line) => line.slice(0, 500))).toEqual([])
}

const read = (at: Place, name: string): string => readFileSync(at.path(name), "utf8")

describe("the secrets of a run", () => {
  it("reach its steps, and are shown nowhere", { timeout: 180_000 }, async () => {
    const at = place(files)
    const ran = await at.run(["run", "sweep.wf", ...inputs])
    expect(ran.code).toBe(3)
    isHidden(said(ran))
    const run = runIn(ran.stdout)
    expect(ran.stdout).toContain("Child with Bearer ***, ***?")
    expect(ran.stderr).toContain("console ***")
    expect(ran.stderr).toContain("warning: logged ***")

    const resumed = await at.run(["approve", run, "--json"])
    expect(resumed.code).toBe(3)
    expect(resumed.stdout).toContain("Deploy with ***?")
    isHidden(said(resumed))
    const waiting = await at.run(["show", run, "--json"])
    expect(waiting.stdout).toContain("a-***")
    isHidden(said(waiting))

    const wrong = await at.run(["approve", run, "--select", `z-${token}`])
    expect(wrong.code).toBe(2)
    isHidden(said(wrong))
    const done = await at.run(["approve", run, "--select", "a-***,c", "--feedback", `yes, ${token}`])
    expect(done.code).toBe(0)
    isHidden(await told(at))
    isHidden(logsOnDisk(at))

    expect(read(at, "token.txt")).toBe(token)
    expect(read(at, "key.txt")).toBe(key)
    expect(read(at, "large.txt")).toContain(`x${token}`)
    expect(read(at, "prompts.txt")).toContain(`Use ${token} well.`)
    expect(JSON.parse(read(at, "stdin.txt")).parameters.token).toBe(token)
    expect(read(at, "child.txt")).toBe(`Bearer ${token}`)
    expect(JSON.parse(read(at, "question.txt")).prompt).toBe(`May ${token} pass?`)
    expect(read(at, "feedback.txt")).toBe(`yes, ${token}\na-${token}, c`)
  })

  const fix = "#!/bin/sh\ncat > fix.txt\ncat fix.txt\n"
  const module = (body: string) => `import * as Effect from "effect/Effect"
  export default ({ token }) => { ${body} }`

  it.each<readonly [what: string, body: string, files: Readonly<Record<string, string>>]>([
    [
      "a script",
      'script s { run = "printf %s {{token}} | tee there.txt >&2; exit 3" on_fail = fix retries = 1 }',
      { "actions/fix!": fix }
    ],
    [
      "a promise that nobody waits for",
      "call a",
      { "actions/a.mjs": module("Promise.reject(new Error(token)); throw new Error(token)") }
    ],
    ["an Effect", "call a", { "actions/a.ts": module("return Effect.fail(new Error(token))") }],
    [
      "a provider",
      "foreach f { over = p max_parallel = 1 workflow = item }",
      { "providers/p!": "#!/bin/sh\ncat >&2\nexit 1\n", "item.wf": 'workflow item { script s { run = "true" } }' }
    ],
    [
      "an item",
      'foreach f { over = lines scope = { text = "{{token}}" } max_parallel = 1 workflow = item }',
      { "item.wf": 'workflow item { script s { run = "echo {{item.id}} >&2; exit 1" } }' }
    ],
    [
      "a gate",
      'gate g { prompt = "{{token}}" }',
      {
        "gates/g!": `${node}const { prompt } = JSON.parse(require("node:fs").readFileSync(0, "utf8"))
console.log(JSON.stringify({ verdict: "rejected", reason: "not " + prompt }))`
      }
    ],
    [
      "a child",
      'call workflow item { inputs { other = "x{{token}}" } }',
      { "item.wf": 'workflow item { inputs { other required } script s { run = "echo {{other}} >&2; exit 1" } }' }
    ]
  ])("are shown by no failure of %s", async (_what, body, more) => {
    const at = place({ "w.wf": `workflow w { inputs { token secret = true required } ${body} }`, ...more })
    const ran = await at.run(["run", "w.wf", "--input", `token=${token}`, "--json"])
    expect(ran.code).toBe(1)
    isHidden(said(ran))
    const result = JSON.parse(ran.stdout.trim().split("\n").at(-1) ?? "")
    expect(result.status).toBe("failed")
    isHidden(`${said(await at.run(["show", result.runId, "--json"]))}${logsOnDisk(at)}`)
    if ("actions/fix!" in more) {
      expect(read(at, "there.txt")).toBe(token)
      expect(JSON.parse(read(at, "fix.txt")).parameters).toMatchObject({ failure_reason: "exit code 3: ***", token })
    }
  })

  it("are shown by no exception that ends the process", async () => {
    const at = place({
      "w.wf": "workflow w { inputs { token secret = true required } call a }",
      "actions/a.mjs": module("setTimeout(() => { throw new Error(token) }); return new Promise(() => undefined)")
    })
    const ran = await at.run(["run", "w.wf", "--input", `token=${token}`])
    expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining("nobody caught: ***") })
    isHidden(said(ran))
  })

  it("are shown neither by the tree nor by a gate on a terminal", async () => {
    const at = place({
      "w.wf": `workflow w {
        inputs { token secret = true required }
        script flow { run = "scripts/flow" }
        script fails { run = "echo {{token}} >&2; exit 1" on_fail = continue }
        gate human_approval { prompt = "Deploy {{token}}?" options = flow.pick }
        script after { run = "printf %s {{gate_feedback}} > feedback.txt" }
      }`,
      "scripts/flow!": flow
    })
    const running = at.onTerminal(["run", "w.wf", "--input", `token=${token}`])
    const asked = await running.prints("waiting? ")
    expect(plain(asked)).toContain("Gate human_approval: Deploy ***?")
    expect(plain(asked)).toContain("2) b-***: second")
    running.type("approve\r")
    await running.prints("Which of them")
    running.type("2\r")
    await running.prints("Feedback")
    running.type("\r")
    const { stdout } = await running.ended
    expect(stdout).toContain("exit 0")
    isHidden(plain(stdout))
    expect(read(at, "feedback.txt")).toBe(`b-${token}`)
  })

  it("are not shown as the reason of a cancellation", async () => {
    const at = place({
      "w.wf": 'workflow w { inputs { token secret = true required } gate human_approval { prompt = "{{token}}" } }'
    })
    const run = runIn((await at.run(["run", "w.wf", "--input", `token=${token}`])).stdout)
    const cancelled = await at.run(["cancel", run, "--reason", `because of ${token}`])
    expect(cancelled.code).toBe(0)
    isHidden(`${said(cancelled)}${said(await at.run(["show", run, "--json"]))}`)
  })
})
