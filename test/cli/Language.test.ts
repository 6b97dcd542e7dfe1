import { describe, expect, it } from "@effect/vitest"
import { execSync } from "node:child_process"
import { lstatSync, readFileSync, statSync, symlinkSync } from "node:fs"
import { place } from "./support.ts"

const broken = `workflow broken {
  script one { runn = "true" }
  gaet x { }
  while one.more { call two }
}
`

describe("validate", () => {
  it("says that a workflow is valid", async () => {
    const at = place({ "good.wf": 'workflow good { script s { run = "true" } }' })
    expect(await at.run(["validate", "good.wf"])).toMatchObject({ code: 0, stdout: "good.wf: valid\n", stderr: "" })
  })

  it("shows every error of a file at once, with its line, and what is right", async () => {
    const at = place({ "broken.wf": broken })
    const { code, stdout, stderr } = await at.run(["validate", "broken.wf"])
    expect(code).toBe(2)
    expect(`${stdout}${stderr}`).toMatchSnapshot()
  })

  it("takes warnings for errors when it is strict", async () => {
    const at = place({ "w.wf": 'workflow w { script s { run = "true" retires = 2 } }' })
    expect((await at.run(["validate", "w.wf"])).code).toBe(0)
    const { code, stderr } = await at.run(["validate", "w.wf", "--strict"])
    expect(code).toBe(2)
    expect(stderr).toContain("error[unknown-option]")
  })

  it("checks the whole project, directories and several names, and goes on behind a broken one", async () => {
    const at = place({
      ".millrace/workflows/a.wf": 'workflow a { script s { run = "true" } }',
      ".millrace/workflows/b.wf": "workflow b {",
      "more/c.wf": "workflow c { call workflow a call nothing }"
    })
    const all = await at.run(["validate"])
    expect(all).toMatchObject({
      code: 2,
      stdout: ".millrace/workflows/a.wf: valid\n.millrace/workflows/b.wf: 1 error\n"
    })
    expect((await at.run(["validate", "a"])).code).toBe(0)
    const folder = await at.run(["validate", "more", "nosuch", "a"])
    expect(folder.code).toBe(2)
    expect(folder.stdout).toBe("more/c.wf: 1 error\n.millrace/workflows/a.wf: valid\n")
    expect(folder.stderr).toContain("error[unknown-action]: no action `nothing`")
    expect(folder.stderr).toContain("no workflow 'nosuch'")
  })
})

describe("a program of the project", () => {
  it("that is not executable is told with the command that helps", async () => {
    const program = "#!/bin/sh\necho '[]'\n"
    const at = place({
      "workflows/w.wf": "workflow w { gate checks {} foreach f { over = things workflow = c max_parallel = 1 } }",
      "workflows/c.wf": 'workflow c { script s { run = "true" } }',
      "gates/checks.sh": program,
      "providers/things": program
    })
    const { code, stderr } = await at.run(["validate", "w"])
    expect(code).toBe(2)
    const commands = [...stderr.matchAll(/^help: (\S+) is not executable: run `(.*)`$/gm)]
    expect(commands.map(([, file]) => file)).toEqual(["gates/checks.sh", "providers/things"])
    for (const [, , command = ""] of commands) execSync(command, { cwd: at.folder })
    expect(await at.run(["validate", "w"])).toMatchObject({ code: 0, stderr: "" })
  })
})

describe("validate and the configuration", () => {
  const project = () =>
    place({
      ".millrace/workflows/nightly.wf": "workflow nightly { meta { trigger = scheduled } inputs { day required } }",
      ".millrace/workflows/other.wf": "workflow other {}",
      "millrace.config.mjs": `export default { schedules: { nightly: "0 3 * * *", nihgtly: "0 3 * * *" } }`
    })
  const problems = [
    "millrace.config.mjs: `schedules.nightly`: the required input 'day' is missing",
    "millrace.config.mjs: `schedules.nihgtly`: there is no such workflow; did you mean 'nightly'?"
  ]

  it("warns of what it says of workflows that is not so, once, whatever is checked", async () => {
    for (const args of [["validate"], ["validate", "other"]]) {
      const { code, stderr } = await project().run(args)
      expect({ code, stderr }).toEqual({ code: 0, stderr: problems.map((line) => `warning: ${line}\n`).join("") })
    }
  })

  it("takes that for errors when it is strict", async () => {
    const { code, stdout, stderr } = await project().run(["validate", "other", "--strict"])
    expect({ code, stdout }).toEqual({ code: 2, stdout: ".millrace/workflows/other.wf: valid\n" })
    expect(stderr).toBe(problems.map((line) => `error: ${line}\n`).join(""))
  })
})

describe("a file that is no workflow", () => {
  const files: Readonly<Record<string, string | Uint8Array>> = {
    "empty.wf": "",
    "binary.wf": new Uint8Array([0x77, 0x6f, 0, 1, 2, 255]),
    "latin1.wf": new Uint8Array([0x77, 0xe4, 0x20]),
    "huge.wf": new Uint8Array(50 * 1024 * 1024).fill(32),
    "folder.wf/inner.txt": "x"
  }

  const names = ["nosuch.wf", "empty.wf", "binary.wf", "latin1.wf", "huge.wf", "no/such/folder.wf", "folder.wf"]

  it("is refused by every command, with the reason, and nothing is written", async () => {
    const at = place(files)
    for (const name of names) {
      const { code, stderr } = await at.run(["run", name])
      expect([name, code]).toEqual([name, 2])
      expect(stderr).toContain(name)
      expect(stderr).toMatchSnapshot(name)
    }
    for (const name of ["empty.wf", "huge.wf"]) expect((await at.run(["parse", name])).code).toBe(2)
    for (const command of ["validate", "fmt"]) {
      const { code, stderr } = await at.run([command, ...names.filter((name) => name !== "folder.wf")])
      expect([command, code]).toEqual([command, 2])
      expect(stderr.match(/error/g)).toHaveLength(6)
    }
    expect(readFileSync(at.path("latin1.wf"))).toHaveLength(3)
    expect(statSync(at.path("millrace.db"), { throwIfNoEntry: false })).toBeUndefined()
  })

  it("is named by the nearest right name", async () => {
    const at = place({ ".millrace/workflows/release-notes.wf": 'workflow release-notes { script s { run = "true" } }' })
    const { code, stderr } = await at.run(["run", "relaese-notes"])
    expect(code).toBe(2)
    expect(stderr).toContain("no workflow 'relaese-notes'")
    expect(stderr).toContain("did you mean 'release-notes'?")
  })

  it("is taken for one of the project's by its name alone, and a file here is pointed at", async () => {
    const { code, stderr } = await place({ "w.wf": 'workflow w { script s { run = "true" } }' }).run(["run", "w"])
    expect(code).toBe(2)
    expect(stderr).toContain("for the file here write 'w.wf'\n")
  })
})

describe("parse", () => {
  const text =
    'workflow w {\n  # what it needs\n  inputs { who default = "you" }\n  script s { run = "echo {{who}}" }\n}\n'

  it("prints the definition as JSON", async () => {
    const { code, stdout } = await place({ "w.wf": text }).run(["parse", "w.wf", "--json"])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      name: "w",
      inputs: [{ name: "who", default: "you" }],
      body: [{ _tag: "Script", name: "s", run: "echo {{who}}" }]
    })
  })

  it("prints what it understood, and reads the standard input", async () => {
    const at = place()
    const printed = await at.run(["parse", "-"], { input: text })
    expect(printed.code).toBe(0)
    expect(await at.run(["parse", "-"], { input: printed.stdout })).toEqual(printed)
    const wrong = await at.run(["parse", "-"], { input: "workflow {" })
    expect(wrong.code).toBe(2)
    expect(wrong.stderr).toContain("<stdin>:1:10")
  })
})

describe("fmt", () => {
  const untidy = 'workflow   w{script s{run="true"}}\n'

  it("rewrites a file, keeps its mode and the link to it, and names it", async () => {
    const at = place({ "w.wf!": untidy })
    symlinkSync("w.wf", at.path("link.wf"))
    expect(await at.run(["fmt", "--check", "w.wf"])).toMatchObject({ code: 1, stdout: "w.wf\n" })
    expect(readFileSync(at.path("w.wf"), "utf8")).toBe(untidy)
    expect((await at.run(["fmt", "link.wf"])).code).toBe(0)
    expect(lstatSync(at.path("link.wf")).isSymbolicLink()).toBe(true)
    expect(statSync(at.path("w.wf")).mode & 0o777).toBe(0o755)
    expect(await at.run(["fmt", "--check", "w.wf"])).toMatchObject({ code: 0, stdout: "" })
  })

  it("leaves a file with errors as it is, and formats the others", async () => {
    const at = place({ "broken.wf": broken, "w.wf": untidy })
    const { code, stderr } = await at.run(["fmt", "broken.wf", "w.wf"])
    expect(code).toBe(2)
    expect(stderr).toContain("broken.wf:3:3")
    expect(readFileSync(at.path("broken.wf"), "utf8")).toBe(broken)
    expect(readFileSync(at.path("w.wf"), "utf8")).not.toBe(untidy)
  })

  it("prints what it read from the standard input, laid out", async () => {
    const { code, stdout } = await place().run(["fmt", "-"], { input: untidy })
    expect(code).toBe(0)
    expect(stdout).toBe('workflow w {\n  script s {\n    run = "true"\n  }\n}\n')
  })
})
