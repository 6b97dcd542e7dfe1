import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { encodeFrame, maxMessageBytes } from "../../src/lsp/Frames.ts"
import { ErrorCode } from "../../src/lsp/JsonRpc.ts"
import type { CompletionItem } from "../../src/lsp/Protocol.ts"
import { temporaryFolder, write, writeScript } from "../action/support.ts"
import { type Client, connect, cursorIn, uriOf } from "./Client.ts"

/** A project with one of everything, and an editor that has said `initialize`. */
const project = Effect.gen(function* () {
  const folder = yield* temporaryFolder
  const home = join(folder, ".millrace")
  write(home, "workflows/deploy.wf", deploy)
  writeScript(home, "actions/build.sh", "#!/bin/sh\n")
  write(home, "actions/mend.ts", "export default () => ({})\n")
  write(home, "agents/review.md", "---\nrole: reviewer\n---\nReview the change.\n")
  write(home, "schemas/findings.yaml", "fields:\n  approved: boolean\nmarkers:\n  has_issues: approved == false\n")
  write(home, "prompts/tone.md", "Be kind.\n")
  writeScript(folder, "ci/test.sh", "#!/bin/sh\n")
  writeScript(home, "providers/tickets", "#!/bin/sh\n")
  writeScript(home, "gates/pr_checks", "#!/bin/sh\n")
  write(
    home,
    "millrace.config.js",
    'console.log("a configuration may print")\nexport default { agent: { command: "cat" } }\n'
  )
  const client = yield* connect(folder)
  yield* client.initialize(folder)
  return { client, folder, home, main: join(home, "workflows/main.wf") }
})

const deploy = `workflow deploy {
  meta { title = "Deploy it" }
  inputs {
    branch description = "What to deploy"
    region default = "eu"
  }
  call build
}
`

const main = `workflow main {
  inputs { dry boolean, branch default = "main" }
  call review { output = findings, with = [tone] }
  while review.has_issues {
    max_iterations = 3
    call mend { on_fail = build }
    call review { output = findings }
  }
  script test { run = "ci/test.sh" }
  unless dry {
    gate pr_checks { timeout = 2h }
    call workflow deploy { inputs { branch = "{{branch}}" } }
  }
  foreach all { over = tickets, workflow = deploy, max_parallel = 2, inputs = { branch = "x" } }
}
`

const labels = (items: ReadonlyArray<CompletionItem>): ReadonlyArray<string> =>
  items.toSorted((a, b) => (a.sortText < b.sortText ? -1 : 1)).map(({ label }) => label)

const complete = (client: Client, file: string, marked: string) =>
  Effect.suspend(() => {
    const { position, text } = cursorIn(marked)
    client.open(file, text)
    return client.completion(file, position)
  })

/** The position of the n-th place of a word in a text. */
const positionOf = (text: string, word: string, nth = 1) => {
  let at = -1
  for (let found = 0; found < nth; found++) at = text.indexOf(word, at + 1)
  const before = text.slice(0, at).split("\n")
  return { line: before.length - 1, character: (before.at(-1)?.length ?? 0) + 1 }
}

describe("a session of an editor", () => {
  it.scoped("opens, edits, diagnoses, completes, hovers, goes to and formats", () =>
    Effect.gen(function* () {
      const { client, home, main: file } = yield* project
      client.open(file, main)
      expect(yield* client.diagnostics(file, 1)).toEqual([])

      const calls = positionOf(main, "call mend")
      client.change(file, 2, {
        range: { start: { line: calls.line, character: 4 }, end: { line: calls.line, character: 13 } },
        text: "call mned"
      })
      const [finding, ...others] = yield* client.diagnostics(file, 2)
      expect(others).toEqual([])
      expect(finding).toMatchObject({
        code: "unknown-action",
        severity: 1,
        source: "millrace",
        message: "no action `mned`\ndid you mean `mend`?",
        range: { start: { line: calls.line, character: 9 }, end: { line: calls.line, character: 13 } }
      })

      client.change(file, 3, { text: main.replace("call mend", "call m") })
      yield* client.diagnostics(file, 3)
      const offered = yield* client.completion(file, { line: calls.line, character: 10 })
      expect(labels(offered)).toEqual(["build", "mend", "review", "workflow"])

      client.change(file, 4, { text: main.replace("  script", "     script") })
      expect(yield* client.diagnostics(file, 4)).toEqual([])
      const edits = yield* client.formatting(file)
      expect(edits.map(({ range }) => range.start.line)).toEqual([1])
      client.change(file, 5, ...edits.map(({ newText, range }) => ({ range, text: newText })))
      expect(yield* client.formatting(file)).toEqual([])

      client.change(file, 6, { text: main })
      const hover = yield* client.hover(file, positionOf(main, "deploy"))
      expect(hover?.contents.value).toContain("Deploy it")
      expect(hover?.contents.value).toContain("- `branch` (required): What to deploy")
      const target = yield* client.definition(file, positionOf(main, "deploy"))
      expect(target).toEqual({
        uri: uriOf(join(home, "workflows/deploy.wf")),
        range: { start: { line: 0, character: 9 }, end: { line: 0, character: 15 } }
      })

      client.notify("textDocument/didClose", { textDocument: { uri: uriOf(file) } })
      expect(yield* client.diagnostics(file, undefined)).toEqual([])
      yield* client.request("shutdown")
      client.notify("exit")
      expect(yield* client.end).toEqual({ code: 0, stderr: expect.stringContaining("a configuration may print") })
    })
  )

  it.scoped("goes to workflows, actions, agents, schemas, snippets, scripts, steps and inputs", () =>
    Effect.gen(function* () {
      const { client, folder, home, main: file } = yield* project
      client.open(file, main)
      const goTo = (word: string, nth?: number) => client.definition(file, positionOf(main, word, nth))
      const atStart = (path: string) => ({
        uri: uriOf(path),
        range: { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } }
      })
      expect(yield* goTo("review")).toEqual(atStart(join(home, "agents/review.md")))
      expect(yield* goTo("mend")).toEqual(atStart(join(home, "actions/mend.ts")))
      expect(yield* goTo("build")).toEqual(atStart(join(home, "actions/build.sh")))
      expect(yield* goTo("findings")).toEqual(atStart(join(home, "schemas/findings.yaml")))
      expect(yield* goTo("tone")).toEqual(atStart(join(home, "prompts/tone.md")))
      expect(yield* goTo("ci/test")).toEqual(atStart(join(folder, "ci/test.sh")))
      expect(yield* goTo("pr_checks")).toEqual(atStart(join(home, "gates/pr_checks")))
      expect(yield* goTo("tickets")).toEqual(atStart(join(home, "providers/tickets")))
      expect((yield* goTo("deploy", 2))?.uri).toBe(uriOf(join(home, "workflows/deploy.wf")))
      expect((yield* goTo("review", 2))?.range.start).toEqual({ line: 2, character: 7 })
      expect((yield* goTo("dry", 2))?.range.start).toEqual({ line: 1, character: 11 })
      expect((yield* goTo("{{branch"))?.range.start).toEqual({ line: 1, character: 24 })
      const child = yield* goTo("branch =")
      expect(child).toMatchObject({ uri: uriOf(join(home, "workflows/deploy.wf")), range: { start: { line: 3 } } })
      expect(yield* goTo("branch =", 2)).toEqual(child)
      expect(yield* goTo("max_iterations")).toBeNull()
    })
  )

  it.scoped("says what words mean", () =>
    Effect.gen(function* () {
      const { client, main: file } = yield* project
      client.open(file, main)
      const said = (word: string, nth?: number) =>
        Effect.map(client.hover(file, positionOf(main, word, nth)), (hover) => hover?.contents.value)
      const words = ["workflow", "review", "output", "findings", "while", "has_issues", "max_iterations", "on_fail"]
      const shown = yield* Effect.forEach([...words, "timeout", "2h", "tickets", "dry", "{{branch"], (word) =>
        said(word)
      )
      const text = shown.join("\n\n----\n\n").replaceAll(file.slice(0, file.indexOf("/.millrace")), "…")
      expect(text).toMatchSnapshot()
      expect(yield* said("main {")).toBeUndefined()
    })
  )

  it.scoped("offers what may stand at a place", () =>
    Effect.gen(function* () {
      const { client, main: file } = yield* project
      const at = (marked: string) => Effect.map(complete(client, file, marked), labels)
      expect(yield* at("wor|")).toEqual(["workflow"])
      expect(yield* at("workflow main {\n  |\n}")).toContain("foreach")
      expect(yield* at("workflow main {\n  me|\n}")).toContain("meta")
      expect(yield* at("workflow main { call x { retries = 1, | } }")).toContain("timeout")
      expect(yield* at("workflow main { call x { retries = 1, | } }")).not.toContain("retries")
      expect(yield* at("workflow main { parallel { | } }")).toEqual(
        expect.arrayContaining(["fail_fast", "max_parallel", "call"])
      )
      expect(yield* at("workflow main { parallel { call a { | } } }")).toContain("if")
      expect((yield* at("workflow main { foreach all { | } }")).slice(0, 3)).toEqual([
        "max_parallel",
        "over",
        "workflow"
      ])
      expect(yield* at("workflow main { foreach all { over = | } }")).toContain("tickets")
      expect(yield* at("workflow main { foreach all { workflow = | } }")).toEqual(["deploy"])
      expect(yield* at("workflow main { call | }")).toEqual(["build", "mend", "review", "workflow"])
      expect(yield* at("workflow main { call workflow |\n}")).toEqual(["deploy"])
      expect(yield* at("workflow main { call workflow deploy { inputs { branch = 1, | } } }")).toEqual(["region"])
      expect(yield* at("workflow main { foreach a { workflow = deploy, inputs = { | } } }")).toEqual([
        "branch",
        "region"
      ])
      expect(yield* at("workflow main { gate | }")).toEqual([
        "human_approval",
        "human_review",
        "pr_checks",
        "quality_gate"
      ])
      expect(yield* at("workflow main { call x { output = | } }")).toEqual(["findings"])
      expect(yield* at('workflow main { call x { output = "fi|" } }')).toEqual(["findings"])
      expect(yield* at("workflow main { call x { with = [| ] } }")).toEqual(["tone"])
      expect(yield* at("workflow main { call x { jitter = | } }")).toEqual(["false", "true"])
      expect(yield* at("workflow main { call x { backoff = | } }")).toEqual(["exponential", "fixed"])
      expect(yield* at("workflow main { call x { on_fail = | } }")).toEqual(["build", "continue", "mend", "review"])
      expect(yield* at("workflow main { inputs { dry | } }")).toContain("boolean")
      expect(yield* at("workflow main { // |\n}")).toEqual([])
      expect(yield* at("workflow main { call x { timeout = | } }")).toEqual([])
    })
  )

  it.scoped("offers steps and markers in conditions, and variables in texts", () =>
    Effect.gen(function* () {
      const { client, main: file } = yield* project
      const at = (marked: string) => Effect.map(complete(client, file, marked), labels)
      const head = "workflow main {\n  inputs { dry boolean, name }\n  call review { output = findings }\n"
      expect(yield* at(`${head}  if |\n  call mend\n}`)).toEqual(["review", "dry"])
      expect(yield* at(`${head}  while rev| {\n  }\n}`)).toEqual(["review"])
      expect(yield* at(`${head}  if review.| {\n  }\n}`)).toEqual(["has_issues"])
      expect(yield* at(`${head}  if review.done { }\n  if review.|\n}`)).toEqual(["done", "has_issues"])
      expect(yield* at(`${head}  do { call mend } while |\n}`)).toEqual(["mend", "review"])
      expect(yield* at(`${head}  while review.x { if | { }\n call mend } }`)).toEqual(["mend", "review", "dry"])
      expect(yield* at(`${head}  gate quality_gate { source = | } }`)).toEqual(["review"])
      expect(yield* at(`${head}  call workflow deploy\n  if | { } }`)).toEqual(
        expect.arrayContaining(["build", "deploy", "review"])
      )
      expect(yield* at(`${head}  script a { run = "echo {{|" } }`)).toEqual(expect.arrayContaining(["name", "dry_run"]))
      const [offer] = yield* complete(client, file, `${head}  script a { run = "echo {{na|me}} x" } }`)
      expect(offer).toMatchObject({
        label: "dry",
        textEdit: { newText: "dry", range: { start: { line: 3, character: 27 }, end: { line: 3, character: 31 } } }
      })
    })
  )

  it.scoped("shows the outline of a document", () =>
    Effect.gen(function* () {
      const { client, main: file } = yield* project
      client.open(file, main)
      const [workflow] = yield* client.symbols(file)
      expect([workflow?.name, workflow?.children.map(({ name }) => name)]).toEqual([
        "main",
        ["dry", "branch", "review", "while:review.has_issues", "test", "unless:dry", "foreach:all"]
      ])
      expect(workflow?.children[3]?.children.map(({ name }) => name)).toEqual(["mend", "review"])
      expect(workflow?.children[3]?.selectionRange).toEqual({
        start: { line: 3, character: 8 },
        end: { line: 3, character: 25 }
      })
    })
  )

  it.scoped("takes an open workflow as it is in the editor, and looks again at those that call it", () =>
    Effect.gen(function* () {
      const { client, home, main: file } = yield* project
      client.open(file, main)
      expect(yield* client.diagnostics(file, 1)).toEqual([])
      const other = join(home, "workflows/deploy.wf")
      client.open(other, deploy)
      yield* client.diagnostics(other, 1)
      client.change(other, 2, { text: deploy.replace('default = "eu"', "").replace("call build", "call biuld") })
      yield* client.diagnostics(other, 2)
      const found = yield* client.diagnostics(file, 1)
      expect(found.map(({ code }) => code)).toEqual(["unknown-action", "input-missing", "input-missing"])
      expect(found[0]).toMatchObject({
        message: expect.stringContaining("in sub-workflow 'deploy'"),
        range: { start: { line: 11, character: 18 } },
        relatedInformation: [{ location: { uri: uriOf(other), range: { start: { line: 6, character: 7 } } } }]
      })
    })
  )

  it.scoped("reports a broken schema where it is named, and a configuration that cannot be used", () =>
    Effect.gen(function* () {
      const { client, home, main: file } = yield* project
      write(home, "schemas/findings.yaml", "fields:\n  approved: bolean\n")
      client.open(file, main)
      const [finding] = yield* client.diagnostics(file, 1)
      expect(finding?.range.start).toEqual({ line: 2, character: 25 })
      expect(finding?.relatedInformation?.[0]?.location.uri).toBe(uriOf(join(home, "schemas/findings.yaml")))
      writeFileSync(join(home, "millrace.config.js"), "export default { agnet: {} }\n")
      client.notify("textDocument/didSave", { textDocument: { uri: uriOf(file) } })
      const [problem] = yield* client.diagnostics(file, 1)
      expect(problem).toMatchObject({ code: "project-unusable", range: { start: { line: 0, character: 0 } } })
    })
  )

  it.scoped("counts UTF-16 code units, and takes all line ends", () =>
    Effect.gen(function* () {
      const { client, main: file } = yield* project
      const text = 'workflow main {\r\n  script a { run = "🚀" }\r  call "x🚀" { retires = 1 }\n}\n'
      client.open(file, text)
      const found = yield* client.diagnostics(file, 1)
      expect(found.map(({ code, range }) => [code, range.start.line, range.start.character])).toEqual([
        ["unknown-action", 2, 7],
        ["unknown-option", 2, 15]
      ])
      client.change(file, 2, {
        range: { start: { line: 2, character: 15 }, end: { line: 2, character: 22 } },
        text: "retries"
      })
      expect((yield* client.diagnostics(file, 2)).map(({ code }) => code)).toEqual(["unknown-action"])
    })
  )
})

describe("a server that is spoken to badly", () => {
  it.scoped("answers what it does not know, and goes on", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const client = yield* connect(folder)
      const codeOf = (method: string, params?: unknown) =>
        Effect.map(client.request(method, params), ({ error }) => error?.code)
      expect(yield* codeOf("textDocument/hover")).toBe(ErrorCode.serverNotInitialized)
      client.open(join(folder, "early.wf"), "workflow early {")
      expect(yield* codeOf("initialize", { rootUri: 7 })).toBe(ErrorCode.invalidParams)
      yield* client.initialize(folder)
      expect(yield* codeOf("initialize", {})).toBe(ErrorCode.invalidRequest)
      expect(yield* codeOf("textDocument/rename", {})).toBe(ErrorCode.methodNotFound)
      expect(yield* codeOf("textDocument/hover", { textDocument: {} })).toBe(ErrorCode.invalidParams)
      const notOpen = { textDocument: { uri: "file:///nowhere.wf" }, position: { line: 0, character: 0 } }
      expect(yield* codeOf("textDocument/hover", notOpen)).toBe(ErrorCode.invalidParams)
      client.notify("textDocument/didChange", {
        textDocument: { uri: "file:///nowhere.wf", version: 1 },
        contentChanges: []
      })
      expect((yield* client.take(({ method }) => method === "window/logMessage")).params).toEqual({
        type: 1,
        message: "textDocument/didChange: the document file:///nowhere.wf is not open"
      })
      client.notify("$/setTrace", { value: "off" })
      client.notify("workspace/unheardOf")
      client.send({ id: 99, result: null })
      yield* client.request("shutdown")
      expect(yield* codeOf("textDocument/hover", notOpen)).toBe(ErrorCode.invalidRequest)
      client.notify("exit")
      expect((yield* client.end).code).toBe(0)
    })
  )

  it.scoped("says what is wrong with frames and messages, and finds the next one", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const client = yield* connect(folder)
      yield* client.initialize(folder)
      const complaint = Effect.map(
        client.take(({ id }) => id === null),
        ({ error }) => error?.code
      )
      const isAlive = Effect.map(client.request("textDocument/rename"), ({ error }) => error?.code)
      const frame = (text: string) => `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
      const bad: ReadonlyArray<readonly [string, number]> = [
        [frame("{"), ErrorCode.parseError],
        [frame("[]"), ErrorCode.invalidRequest],
        [frame("null"), ErrorCode.invalidRequest],
        [frame('{"jsonrpc":"1.0","method":"x"}'), ErrorCode.invalidRequest],
        [frame('{"jsonrpc":"2.0","id":null,"method":"x"}'), ErrorCode.invalidRequest],
        [frame('{"jsonrpc":"2.0","params":{}}'), ErrorCode.invalidRequest],
        ["Content-Type: text\r\n\r\n", ErrorCode.parseError],
        ["Content-Length: many\r\n\r\n", ErrorCode.parseError],
        ["nothing of use", -1],
        ["x".repeat(20_000), ErrorCode.parseError],
        [`Content-Length: ${maxMessageBytes + 1}\r\n\r\n${" ".repeat(maxMessageBytes + 1)}`, ErrorCode.parseError]
      ]
      for (const [bytes, code] of bad) {
        client.write(bytes)
        if (code !== -1) expect(yield* complaint).toBe(code)
        expect(yield* isAlive).toBe(ErrorCode.methodNotFound)
      }
      client.send({ id: "a", method: 7 })
      expect((yield* client.take(({ id }) => id === "a")).error?.code).toBe(ErrorCode.invalidRequest)
    })
  )

  it.scoped("takes messages in whatever pieces they come", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const client = yield* connect(folder)
      const file = join(folder, "main.wf")
      yield* client.initialize(folder)
      const open = encodeFrame({
        jsonrpc: "2.0",
        method: "textDocument/didOpen",
        params: { textDocument: { uri: uriOf(file), version: 1, text: 'workflow main { script ä { run = "€🚀" } }' } }
      })
      for (const byte of open) {
        client.write(Uint8Array.of(byte))
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      expect((yield* client.diagnostics(file, 1)).length).toBeGreaterThan(0)
    })
  )

  it.scoped("does not answer a request that was cancelled while it waited", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const client = yield* connect(folder)
      yield* client.initialize(folder)
      const message = (body: object) => encodeFrame({ jsonrpc: "2.0", ...body })
      client.write(
        Buffer.concat([
          message({ id: 1001, method: "textDocument/rename" }),
          message({ id: "1001", method: "textDocument/rename" }),
          message({ method: "$/cancelRequest", params: { id: 1001 } })
        ])
      )
      expect((yield* client.take(({ id }) => id === 1001)).error?.code).toBe(ErrorCode.requestCancelled)
      expect((yield* client.take(({ id }) => id === "1001")).error?.code).toBe(ErrorCode.methodNotFound)
      client.notify("$/cancelRequest", { id: 4 })
      client.notify("$/cancelRequest", 4)
      expect((yield* client.request("textDocument/rename")).error?.code).toBe(ErrorCode.methodNotFound)
    })
  )

  it.scoped("takes huge, binary and broken documents, and changes that lie outside of them", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const client = yield* connect(folder)
      const file = join(folder, "main.wf")
      yield* client.initialize(folder)
      client.open(file, `workflow main {\n${"  call x\n".repeat(1_000_000)}}`)
      expect((yield* client.diagnostics(file, 1)).map(({ code }) => code)).toEqual(["file-too-large"])
      expect(yield* client.symbols(file)).toEqual([])
      expect(yield* client.formatting(file)).toEqual([])
      client.change(file, 2, { text: "workflow main { \0 }" })
      expect((yield* client.diagnostics(file, 2)).map(({ code }) => code)).toEqual(["binary-file"])
      client.change(file, 3, { text: "" })
      expect((yield* client.diagnostics(file, 3)).map(({ code }) => code)).toEqual(["empty-file"])
      const far = { line: 900, character: 900 }
      client.change(
        file,
        4,
        { range: { start: far, end: far }, text: "workflow main { }" },
        { range: { start: far, end: { line: 0, character: 0 } }, text: "\n" }
      )
      expect(yield* client.diagnostics(file, 4)).toEqual([])
      client.change(file, 5, { text: `workflow main ${"{ if a.b ".repeat(5_000)}` })
      expect((yield* client.diagnostics(file, 5)).length).toBeGreaterThan(0)
      expect(yield* client.hover(file, { line: 0, character: 44_000 })).toBeDefined()
      expect(yield* client.completion(file, { line: 0, character: 44_000 })).toBeDefined()
    })
  )

  it.scoped("checks the text of a document that is no file", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const client = yield* connect(folder)
      yield* client.initialize(folder)
      for (const uri of ["untitled:Untitled-1", "file://elsewhere/x.wf", "nonsense"]) {
        client.notify("textDocument/didOpen", { textDocument: { uri, version: 1, text: "workflow main { cal x }" } })
        const { params } = yield* client.take(({ method }) => method === "textDocument/publishDiagnostics")
        expect(params).toMatchObject({ uri })
        expect(JSON.stringify(params)).toContain("`cal` does not begin a step")
      }
    })
  )

  it.scoped("ends with 1 if the editor leaves without a word, with 0 if it said shutdown", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const gone = yield* connect(folder)
      gone.hangUp()
      expect((yield* gone.end).code).toBe(1)
      const exited = yield* connect(folder)
      yield* exited.initialize(folder)
      exited.notify("exit")
      expect((yield* exited.end).code).toBe(1)
      const polite = yield* connect(folder)
      yield* polite.initialize(folder)
      yield* polite.request("shutdown")
      polite.hangUp()
      expect(yield* polite.end).toEqual({ code: 0, stderr: "" })
      const deaf = yield* connect(folder)
      yield* deaf.initialize(folder)
      deaf.stopReading()
      deaf.open(join(folder, "main.wf"), "workflow main { cal x }")
      expect(yield* deaf.end).toEqual({ code: 1, stderr: "" })
    })
  )
})
