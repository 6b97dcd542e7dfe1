import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Executors } from "../../src/action/Action.ts"
import { locate, open, type Project } from "../../src/action/Project.ts"
import { readWorkflow } from "../../src/action/ProjectFiles.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import type { ActionRef } from "../../src/workflow/Definition.ts"
import { parse } from "../../src/workflow/Parser.ts"
import { validate } from "../../src/workflow/Validator.ts"
import { makeCall, temporaryFolder, write, writeScript } from "./support.ts"

const workflow = (name: string, body = "") => `workflow ${name} { ${body} }\n`
const named = (name: string): ActionRef => ({ _tag: "Name", name })
const path = (text: string): ActionRef => ({ _tag: "Path", path: text })

const context = (project: Project, folder: string, ref: ActionRef) =>
  Effect.gen(function* () {
    const { execute } = yield* project.executors.find(ref, "flow", [])
    return (yield* Effect.scoped(execute(makeCall(folder).call))).context
  })

const hostOf = (project: Project, workingDirectory: string) =>
  project.host({ providers: new Map(), gates: ["pr_checks"], workingDirectory })

describe("a project beside a folder", () => {
  it.scoped("has the workflows and actions of both, with one configuration, loaded once", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      write(folder, ".millrace/workflows/own.wf", workflow("own"))
      write(folder, "ci/other.wf", workflow("other"))
      write(folder, "ci/actions/act.js", "export default () => ({ context: 'beside' })")
      write(folder, "millrace.config.mjs", "export default { targets: [String(Math.random())] }")
      const project = yield* open({ from: folder })
      const beside = project.beside(join(folder, "ci"))
      expect(yield* project.workflows.names).toEqual(["own"])
      expect(yield* beside.workflows.names).toEqual(["other", "own"])
      expect(beside.roots).toEqual([folder, join(folder, ".millrace"), join(folder, "ci")])
      expect(yield* context(beside, folder, named("act"))).toBe("beside")
      expect(yield* Effect.flip(project.executors.find(named("act"), "flow", []))).toMatchObject({ action: "act" })
      expect(beside.config).toBe(project.config)
      // A folder that is gone has no siblings.
      expect(yield* project.beside(join(folder, "gone")).workflows.names).toEqual(["own"])
    })
  )
})

describe("a project's home", () => {
  it.scoped("is the nearest .millrace upwards, its folder being the root", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const deep = join(folder, "a/b")
      mkdirSync(deep, { recursive: true })
      write(folder, ".millrace/workflows/x.wf", workflow("x"))
      for (const from of [folder, deep, join(folder, ".millrace/workflows")]) {
        const project = yield* open({ from })
        const home = join(folder, ".millrace")
        expect([project.home, project.root, project.roots]).toEqual([home, folder, [folder, home]])
      }
    })
  )

  it.scoped("is where one stands if there is none", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const project = yield* open({ from: folder })
      expect([project.home, project.root]).toEqual([folder, folder])
      expect(project.list()).toEqual([])
    })
  )

  it.scoped("is the folder around `workflows`, for one who stands in it or names a file in it", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const file = write(folder, "x/.conductor/workflows/x.wf", workflow("x", "call act"))
      write(folder, "x/.conductor/actions/act.mjs", "export default () => ({})\n")
      const home = join(folder, "x/.conductor")
      const opened = [yield* open({ from: join(home, "workflows") }), (yield* locate(file, { cwd: folder })).project]
      for (const project of opened) {
        expect([project.home, project.root]).toEqual([home, join(folder, "x")])
        expect(project.host({ workingDirectory: folder }).action(named("act"), "x", [])).toEqual({ _tag: "Found" })
      }
    })
  )

  it.scoped("is checked with what its engine has in code", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const text = workflow("flow", "call charge call chrage call workflow pack call workflow own")
      write(folder, "workflows/flow.wf", text)
      write(folder, "workflows/own.wf", workflow("own"))
      const Charge = Action.make("charge", { payload: Schema.Struct({ cents: Schema.Int }) })
      const Pack = Workflow.make("pack", { payload: Schema.Struct({ order: Schema.String }) })
      const project = yield* open({ from: folder })
      const host = project.host({ workingDirectory: folder, actions: [Charge], workflows: [Pack] })
      const found = validate(parse({ file: "flow.wf", text }), host)
      expect(found.map(({ code, hint, message }) => [code, message, hint])).toEqual([
        ["payload-missing", "the action `charge` needs `cents`, which nothing gives", 'add `inputs { cents = "…" }`'],
        ["unknown-action", "no action `chrage`", "did you mean `charge`?"],
        ["input-missing", "the workflow `pack` requires the input `order`", 'add `inputs { order = "…" }`']
      ])
      expect(host.workflowNames()).toEqual(["pack", "flow", "own"])
    })
  )

  it.scoped("is refused if it was given and is none", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const failure = (home: string) => Effect.map(Effect.flip(open({ from: folder, home })), (error) => error.message)
      const file = write(folder, "file", "")
      expect(yield* failure(join(folder, "gone"))).toBe(`home folder ${folder}/gone: there is no such directory`)
      expect(yield* failure(file)).toBe(`home folder ${file}: it is not a directory`)
    })
  )
})

describe("a project's workflows", () => {
  it.scoped("are found by name, with the reason if they cannot be used", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const home = join(folder, ".millrace")
      write(home, "workflows/good.wf", workflow("good"))
      write(home, "workflows/bad.wf", "workflow bad {\n  cal x\n}\n")
      mkdirSync(join(home, "workflows/folder.wf"))
      const project = yield* open({ from: folder })
      expect((yield* project.workflows.find("good")).name).toBe("good")
      const reason = (name: string) =>
        Effect.map(Effect.flip(project.workflows.find(name)), (error) => error.reason.replaceAll(folder, ""))
      expect(yield* reason("bad")).toMatch(/^its file has errors: \/\.millrace\/workflows\/bad\.wf:2:3: /)
      expect(yield* reason("folder")).toBe("/.millrace/workflows/folder.wf: it is a directory, not a file")
      expect(yield* reason("gone")).toBe("there is none; searched /.millrace/workflows/gone.wf")
      expect(yield* reason("../good")).toBe("no workflow can have this name")
      expect(yield* project.workflows.names).toEqual(["bad", "folder", "good"])
      const host = hostOf(project, folder)
      expect(["good", "bad", "folder", "gone"].map((name) => host.workflow(name)._tag)).toEqual([
        "Found",
        "Found",
        "Broken",
        "Missing"
      ])
    })
  )

  it.scoped("are listed although some are broken", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      write(folder, "workflows/good.wf", workflow("good"))
      write(folder, "workflows/empty.wf", "")
      write(folder, "workflows/binary.wf", "\0")
      write(folder, "workflows/notes.txt", "")
      symlinkSync(join(folder, "gone"), join(folder, "workflows/lost.wf"))
      const project = yield* open({ from: folder, home: folder })
      const listed = project.list().map(({ name, parsed }) => [
        name,
        Either.match(parsed, {
          onLeft: ({ reason }) => reason,
          onRight: (file) => file.diagnostics.map(({ code }) => code)
        })
      ])
      expect(listed).toEqual([
        ["binary", ["binary-file"]],
        ["empty", ["empty-file"]],
        ["good", []],
        ["lost", "NotFound"]
      ])
    })
  )

  it.scoped("are read again when their file changes", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const file = write(folder, "x.wf", workflow("x"))
      const project = yield* open({ from: folder, siblings: true })
      expect((yield* project.workflows.find("x")).body).toEqual([])
      writeFileSync(file, workflow("x", "call y"))
      expect((yield* project.workflows.find("x")).body).toHaveLength(1)
    })
  )

  it.scoped("beside a file given by its path win over the home's", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const home = join(folder, ".millrace")
      write(home, "workflows/both.wf", workflow("both", "call home"))
      write(home, "workflows/only.wf", workflow("only"))
      write(folder, "x/both.wf", workflow("both", "call sibling"))
      write(folder, "x/main.wf", workflow("main"))
      const { file, project } = yield* locate("x/main.wf", { cwd: folder })
      expect(file).toBe(join(folder, "x/main.wf"))
      expect(yield* project.workflows.names).toEqual(["both", "main", "only"])
      expect((yield* project.workflows.find("both")).body).toMatchObject([{ action: { name: "sibling" } }])
      expect(project.roots).toEqual([folder, home, join(folder, "x")])
    })
  )
})

describe("what a user names", () => {
  it.scoped("is a path, or the name of a workflow of the project around", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      write(folder, ".millrace/workflows/deploy.wf", workflow("deploy"))
      write(folder, "plain", workflow("plain"))
      mkdirSync(join(folder, "deep"))
      const file = (target: string, cwd = folder) =>
        Effect.map(locate(target, { cwd }), (located) => located.file.replace(folder, ""))
      expect(yield* file("deploy", join(folder, "deep"))).toBe("/.millrace/workflows/deploy.wf")
      expect(yield* file("plain")).toBe("/plain")
      expect(yield* file("gone.wf")).toBe("/gone.wf")
      expect(yield* file("no/such/folder.wf")).toBe("/no/such/folder.wf")
      const unknown = yield* Effect.flip(locate("deplay", { cwd: folder }))
      expect(unknown).toMatchObject({ _tag: "WorkflowUnavailable", candidates: ["deploy"] })
    })
  )

  it.scoped("may be a file that cannot be read", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const reason = (name: string) =>
        Either.match(readWorkflow(join(folder, name)), { onLeft: (e) => e.reason, onRight: () => "" })
      write(folder, "large.wf", `// ${"x".repeat(1_100_000)}`)
      expect([reason("gone"), reason("."), reason("large.wf")]).toEqual(["NotFound", "Directory", "TooLarge"])
    })
  )
})

describe("a project's actions", () => {
  it.scopedLive("are modules and executable files by name, modules first", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const flow = (text: string) => `#!/bin/sh\necho '<<<FLOW_OUTPUT>>>{"context": "${text}"}<<<END_FLOW_OUTPUT>>>'\n`
      write(folder, "actions/module.ts", "export default () => ({ context: 'module' as string })")
      writeScript(folder, "actions/module.sh", flow("script"))
      writeScript(folder, "actions/plain", flow("plain"))
      writeScript(folder, "actions/shell.sh", flow("shell"))
      write(folder, "actions/asleep.sh", flow("asleep"))
      write(folder, "actions/types.d.ts", "")
      writeScript(folder, "tools/deep.sh", flow("deep"))
      const project = yield* open({ from: folder, home: folder })
      expect(yield* context(project, folder, named("module"))).toBe("module")
      expect(yield* context(project, folder, named("plain"))).toBe("plain")
      expect(yield* context(project, folder, named("shell"))).toBe("shell")
      expect(yield* context(project, folder, path("tools/deep.sh"))).toBe("deep")
      expect(yield* context(project, folder, path("actions/module.ts"))).toBe("module")
      expect(yield* project.executors.names).toEqual(["module", "plain", "shell"])
      const failure = (ref: ActionRef) =>
        Effect.map(Effect.flip(project.executors.find(ref, "flow", [])), (error) =>
          error.message.replaceAll(folder, "")
        )
      expect(yield* failure(named("asleep"))).toBe(
        "no action 'asleep'; searched /actions/asleep.*, /actions/asleep.sh (not executable; run: chmod +x /actions/asleep.sh)" +
          ", /workflows/flow/agents/asleep.md, /agents/asleep.md, /.claude/agents/asleep.md"
      )
      expect(yield* failure(path("../x.ts"))).toContain("'..'")
      expect(yield* failure(path("tools"))).toContain("not a file")
      chmodSync(join(folder, "actions/asleep.sh"), 0o755)
      expect(yield* context(project, folder, named("asleep"))).toBe("asleep")
    })
  )

  it.scopedLive("beside the workflow's file win over the home's", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      write(folder, ".millrace/actions/both.ts", "export default () => ({ context: 'home' })")
      write(folder, ".millrace/actions/only.ts", "export default () => ({ context: 'home' })")
      write(folder, "x/actions/both.ts", "export default () => ({ context: 'beside' })")
      write(folder, "x/main.wf", workflow("main"))
      const { project } = yield* locate("./x/main.wf", { cwd: folder })
      const contextOf = (name: string) =>
        Effect.gen(function* () {
          const { execute } = yield* (yield* Executors).find(named(name), "main", [])
          return (yield* Effect.scoped(execute(makeCall(folder).call))).context
        }).pipe(Effect.provide(Layer.provide(project.layer, MemoryPersistence.layer)))
      expect(yield* contextOf("both")).toBe("beside")
      expect(yield* contextOf("only")).toBe("home")
    })
  )
})

describe("a project's schemas", () => {
  it.scoped("are the workflow's own, then the project's, or paths below it", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const home = join(folder, ".millrace")
      const schema = (field: string) => `fields:\n  ${field}: string\n`
      write(home, "workflows/flow/schemas/review.yaml", schema("own"))
      write(home, "schemas/review.yaml", schema("shared"))
      write(home, "schemas/broken.yaml", "fields:\n  a: strin\n")
      write(folder, "docs/review.yaml", schema("path"))
      const project = yield* open({ from: folder })
      const fields = (ref: string, name = "flow") =>
        Effect.map(project.schemas.find(ref, name), (found) => found.fields.map((field) => field.name))
      expect(yield* fields("review")).toEqual(["own"])
      expect(yield* fields("review", "other")).toEqual(["shared"])
      expect(yield* fields("docs/review.yaml")).toEqual(["path"])
      const failure = (ref: string) =>
        Effect.map(Effect.flip(project.schemas.find(ref, "flow")), (error) => error.message.replaceAll(folder, ""))
      expect(yield* failure("gone")).toBe(
        "no output schema 'gone'; searched /.millrace/workflows/flow/schemas/gone.yaml, /.millrace/schemas/gone.yaml"
      )
      expect(yield* failure("broken")).toMatch(/^output schema 'broken': \/\.millrace\/schemas\/broken\.yaml:2:\d+: /)
      expect(yield* failure("../x.yaml")).toContain("'..'")
      const host = hostOf(project, folder)
      expect(["review", "gone", "broken"].map((ref) => host.schema(ref, "flow")._tag)).toEqual([
        "Found",
        "Missing",
        "Invalid"
      ])
    })
  )
})

describe("a project as the validator sees it", () => {
  it.scoped("knows actions, gates, snippets and scripts", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      write(folder, "actions/lint.ts", "")
      write(folder, "prompts/tone.md", "")
      writeScript(folder, "bin/run.sh", "true\n")
      write(folder, "bin/asleep.sh", "true\n")
      writeScript(folder, "elsewhere/own.sh", "true\n")
      const host = hostOf(yield* open({ from: folder, home: folder }), join(folder, "elsewhere"))
      expect(host.action(named("lint"), "flow", [])).toEqual({ _tag: "Found" })
      expect(host.action(named("lnit"), "flow", [])).toMatchObject({ _tag: "Missing", candidates: ["lint"] })
      expect([host.gate("pr_checks"), host.gate("other")]).toEqual([true, false])
      expect([host.snippet("tone", "flow")._tag, host.snippet("none", "flow")._tag]).toEqual(["Found", "Missing"])
      expect([host.script("bin/run.sh")._tag, host.script("./own.sh")._tag]).toEqual(["Found", "Found"])
      expect(host.script("bin/asleep.sh")).toEqual({ _tag: "NotExecutable", path: join(folder, "bin/asleep.sh") })
      expect(host.script("bin/gone.sh")._tag).toBe("Missing")
      expect(host.script("./bin")).toMatchObject({ _tag: "Missing" })
      expect(host.script("/bin/true")).toMatchObject({ _tag: "Missing" })
    })
  )
})
