import { describe, expect, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { bin, type Ended, type Place, place, runIn, show } from "./support.ts"

const root = join(import.meta.dirname, "../..")

/** All files of a folder, with their texts. */
const filesIn = (folder: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, encoding: "utf8", withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((file) => [file.slice(folder.length + 1), readFileSync(file, "utf8")] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
  )

/** The commands that are printed below `next:`. */
const nextIn = (stdout: string): ReadonlyArray<string> =>
  stdout
    .slice(stdout.indexOf("\nnext:\n") + 7)
    .trimEnd()
    .split("\n")
    .map((line) => line.trim())

/** Types lines into a shell that has a `millrace`, as one who installed it. */
const type = (at: Place, lines: ReadonlyArray<string>): Promise<Ended> => {
  const path = at.write(".bin/millrace!", `#!/bin/sh\nexec '${process.execPath}' '${bin}' "$@"\n`)
  const env = { PATH: `${dirname(path)}:${process.env["PATH"] ?? ""}` }
  return at.run([], { env, command: ["sh", "-ec", lines.join("\n")] })
}

describe("init", { timeout: 60_000 }, () => {
  it("makes a project in an empty folder, and the commands that it prints run it to its end", async () => {
    const at = place()
    const made = await at.run(["init"])
    expect(made).toMatchObject({ code: 0, stderr: "" })
    expect(made.stdout.replace(realpathSync(at.folder), "FOLDER")).toMatchInlineSnapshot(`
      "a project in FOLDER:
        workflows/hello.wf  a workflow: scripts, an action, a gate
        actions/greet.ts    the action that it calls
        package.json        lets editors know the types, after \`npm install\`
        tsconfig.json       for editors, as well
        .gitignore          keeps the database out of git

      next:
        millrace run hello --input who=you
      "
    `)
    const ran = await type(at, nextIn(made.stdout))
    expect(ran).toMatchObject({ code: 3, stderr: "" })
    const approve = ran.stdout.split("\n").find((line) => line.includes("millrace approve")) ?? ""
    const approved = await type(at, [approve])
    expect(approved).toMatchObject({ code: 0, stderr: "" })
    const { run, steps } = await show(at, runIn(ran.stdout))
    expect(run.status).toBe("completed")
    expect(steps.map(({ context, name }) => [name, context?.replace(/\d\d:\d\d/, "12:34").trim() ?? null])).toEqual([
      ["clock", "12:34"],
      ["greet", "Hello you, it is 12:34"],
      ["human_approval", null],
      ["say", "Hello you, it is 12:34"],
      ["report", "the run has completed"]
    ])
  })

  it("writes files that are as the formatter leaves them, and that the validator has nothing to say about", async () => {
    const at = place()
    await at.run(["init"])
    expect(await at.run(["validate", "--strict", "hello"])).toMatchObject({ code: 0, stderr: "" })
    expect(await at.run(["fmt", "--check"])).toMatchObject({ code: 0, stdout: "", stderr: "" })
    const { "package.json": manifest, ...files } = filesIn(at.folder)
    expect(files).toMatchSnapshot()
    expect(JSON.parse(manifest ?? "")).toEqual({
      private: true,
      type: "module",
      devDependencies: { "@types/node": ">=20", millrace: `file:${root}` }
    })
  })

  it("asks for the release that wrote it where that is installed", async () => {
    const at = place()
    const installed = at.path("node_modules/millrace")
    cpSync(join(root, "dist/cli"), join(installed, "dist/cli"), { recursive: true })
    cpSync(join(root, "package.json"), join(installed, "package.json"))
    const command = [process.execPath, join(installed, "dist/cli/bin.js"), "init", "demo"] as const
    expect(await at.run([], { command })).toMatchObject({ code: 0, stderr: "" })
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
    const { devDependencies } = JSON.parse(readFileSync(at.path("demo/package.json"), "utf8"))
    expect(devDependencies.millrace).toBe(`^${version}`)
  })

  it("writes an action that the compiler accepts once the types are there", async () => {
    const at = place()
    await at.run(["init"])
    // What `npm install` would put there.
    mkdirSync(at.path("node_modules"))
    symlinkSync(join(root, "node_modules", "@types"), at.path("node_modules/@types"))
    const paths = { millrace: [join(root, "src/index.ts")] }
    // The types stand in the sources here, which need more than the project's own files.
    const compilerOptions = { paths, allowImportingTsExtensions: true, lib: ["ES2023", "DOM"] }
    at.write("check.json", JSON.stringify({ extends: "./tsconfig.json", compilerOptions, files: ["actions/greet.ts"] }))
    const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc")
    const check = () => spawnSync(process.execPath, [tsc, "-p", at.path("check.json")], { encoding: "utf8" })
    expect(check()).toMatchObject({ status: 0, stdout: "" })
    at.write(
      "actions/greet.ts",
      filesIn(at.folder)["actions/greet.ts"]?.replace("context: greeting", "context: 1") ?? ""
    )
    expect(check().stdout).toContain("error TS")
  }, 120_000)

  it("makes the folder that it is given, and says how to get there", async () => {
    const at = place()
    const made = await at.run(["init", "new folder/demo"])
    expect(made).toMatchObject({ code: 0, stderr: "" })
    expect(nextIn(made.stdout)).toEqual(["cd 'new folder/demo'", "millrace run hello --input who=you"])
    const ran = await type(
      at,
      nextIn(made.stdout).map((line) => line.replace(/$/, line.startsWith("cd") ? "" : " --yes"))
    )
    expect(ran).toMatchObject({ code: 0, stderr: "" })
    expect(existsSync(at.path("new folder/demo/millrace.db"))).toBe(true)
  })

  it("makes a hidden home, whose workflows are found from around it", async () => {
    const at = place({ "src/main.c": "" })
    const made = await at.run(["init", ".millrace"])
    expect(nextIn(made.stdout)).toEqual(["millrace run hello --input who=you"])
    expect(await type(at, nextIn(made.stdout))).toMatchObject({ code: 3, stderr: "" })
    expect(readdirSync(at.folder).toSorted()).toEqual([".bin", ".millrace", "src"])
  })

  it("below another project's home says which home is meant", async () => {
    const at = place({ ".millrace/workflows/other.wf": 'workflow other { script s { run = "true" } }' })
    const made = await at.run(["init", "inner"])
    expect(nextIn(made.stdout)).toEqual(["cd inner", "millrace run hello --input who=you --home ."])
    expect(await type(at, nextIn(made.stdout))).toMatchObject({ code: 3, stderr: "" })
    expect(existsSync(at.path("inner/millrace.db"))).toBe(true)
  })

  it("says the commands in the way in which it was started itself", async () => {
    const at = place()
    const byNpx = await at.run(["init", "a"], { env: { npm_lifecycle_event: "npx" } })
    expect(nextIn(byNpx.stdout)).toEqual(["cd a", "npx millrace run hello --input who=you"])
    // The script of a checkout is not found in other folders.
    const byScript = await at.run(["init", "b"], { env: { npm_lifecycle_event: "millrace" } })
    expect(nextIn(byScript.stdout)).toEqual(["npm run -s millrace -- run hello --input who=you --home b"])
    expect(await at.run(["run", "hello", "--home", "b", "--yes"])).toMatchObject({ code: 0, stderr: "" })
  })
})

describe("init where there are files", () => {
  it("leaves those that a folder may well have, names them, and says what they lack", async () => {
    const files = { ".gitignore": "dist/\n", "package.json": '{ "name": "theirs" }\n', "tsconfig.json": "{}" }
    const at = place(files)
    const made = await at.run(["init"])
    expect(made).toMatchObject({ code: 0, stderr: "" })
    expect(made.stdout.replace(realpathSync(at.folder), "FOLDER")).toMatchInlineSnapshot(`
      "a project in FOLDER:
        workflows/hello.wf  a workflow: scripts, an action, a gate
        actions/greet.ts    the action that it calls

      there already, and left as they are:
        package.json   \`npm install --save-dev millrace\` lets editors know the types
        tsconfig.json  
        .gitignore     a line \`millrace.db*\` in it keeps the database out of git

      next:
        millrace run hello --input who=you
      "
    `)
    expect(filesIn(at.folder)).toMatchObject(files)
  })

  it("says nothing of what they have already", async () => {
    const at = place({
      ".gitignore": "dist/\r\nmillrace.db*\r\n",
      "package.json": '{ "dependencies": { "millrace": "*" } }'
    })
    expect((await at.run(["init"])).stdout).toContain("as they are:\n  package.json  \n  .gitignore    \n")
  })

  it("writes nothing where one of the example's own files is there, and the exit code is 1", async () => {
    const at = place()
    await at.run(["init"])
    const before = filesIn(at.folder)
    expect(await at.run(["init"])).toEqual({
      code: 1,
      signal: null,
      stdout: "",
      stderr:
        "error: workflows/hello.wf and actions/greet.ts are there already; nothing was written\nhelp: another folder can have the example: millrace init DIR\n"
    })
    expect(filesIn(at.folder)).toEqual(before)
    const one = place({ "actions/greet.ts": "theirs" })
    expect((await one.run(["init"])).stderr).toMatch(
      /^error: actions\/greet\.ts is there already; nothing was written\n/
    )
    expect(filesIn(one.folder)).toEqual({ "actions/greet.ts": "theirs" })
  })

  it("takes a link that leads nowhere for a file", async () => {
    const at = place({ "actions/keep.txt": "" })
    symlinkSync("elsewhere", at.path("actions/greet.ts"))
    expect(await at.run(["init"])).toMatchObject({ code: 1, stdout: "" })
    expect(existsSync(at.path("actions/elsewhere"))).toBe(false)
  })

  it("refuses a file in the place of the folder", async () => {
    const at = place({ demo: "" })
    expect(await at.run(["init", "demo"])).toMatchObject({
      code: 2,
      stdout: "",
      stderr: "error: demo is a file, not a folder\n"
    })
    expect(await at.run(["init", "demo/inner"])).toMatchObject({ code: 1, stdout: "" })
  })

  it("takes away what it has written when the rest cannot be written", async () => {
    // A file stands where the second folder is to be made.
    const at = place({ actions: "a file" })
    const { code, stderr, stdout } = await at.run(["init"])
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
    expect(stderr).toMatch(/^error: the project cannot be written: E.*greet\.ts'; nothing of it was left\n$/)
    expect(filesIn(at.folder)).toEqual({ actions: "a file" })
    expect(readdirSync(at.folder)).toEqual(["actions"])
  })
})
