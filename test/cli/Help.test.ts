import { describe, expect, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import type { Example } from "../../src/cli/CommandLine.ts"
import { commands, groups, otherNames } from "../../src/cli/Commands.ts"
import { overviewExamples } from "../../src/cli/Help.ts"
import { place } from "./support.ts"

const names = commands.map(({ name }) => name)

/**
 * The words of each call of `millrace` in a line, as the shell that somebody types it into would split them; files and
 * folders that the examples name are there, and other programs are not run.
 */
const callsIn = (line: string): ReadonlyArray<ReadonlyArray<string>> => {
  const at = place({ "deploy.wf": "", "demo/here.txt": "", "home/.config/fish/completions/here.txt": "" })
  const script = `millrace() { printf '%s\\0' "$@" '|' >> "$CALLS"; }; less() { cat; }; ${line}`
  const { status, stderr } = spawnSync("bash", ["-c", script], {
    cwd: at.folder,
    env: { PATH: process.env["PATH"], HOME: at.path("home"), CALLS: at.path("calls") },
    encoding: "utf8",
    input: ""
  })
  expect({ line, status, stderr }).toEqual({ line, status: 0, stderr: "" })
  const words = readFileSync(at.path("calls"), "utf8").split("\0").slice(0, -1)
  return words
    .reduce<Array<Array<string>>>(
      (calls, word) => {
        if (word === "|") calls.push([])
        else calls.at(-1)?.push(word)
        return calls
      },
      [[]]
    )
    .slice(0, -1)
}

/** Reads a line's calls as the program would; each names a command that it has, with options that that has. */
const expectRead = async (line: string): Promise<ReadonlyArray<string>> => {
  const calls = callsIn(line)
  expect(calls.length, line).toBeGreaterThan(0)
  const called: Array<string> = []
  for (const [name = "", ...words] of calls) {
    const entry = commands.find((command) => command.name === name)
    expect(entry, `${line}: there is no command '${name}'`).toBeDefined()
    called.push(name)
    if (entry === undefined || words.includes("--help")) continue
    const { command } = await entry.load()
    const read = await Effect.runPromiseExit(command.parse(words))
    expect(read, line).toMatchObject({ _tag: "Success" })
  }
  return called
}

describe("the help of a command", () => {
  it.each(names)("%s is as it was read last", async (name) => {
    const asked = await place().run([name, "--help"])
    expect(asked).toMatchObject({ code: 0, stderr: "" })
    expect(asked.stdout).toMatchSnapshot()
  })

  it.each(commands.map(({ name, load }) => ({ name, load })))(
    "of $name ends with two to four examples, each of which the program can read",
    async ({ name, load }) => {
      const { examples } = (await load()).command
      expect(examples.length).toBeGreaterThanOrEqual(2)
      expect(examples.length).toBeLessThanOrEqual(4)
      for (const [does, line] of examples) {
        expect(does).not.toBe("")
        expect(await expectRead(line), line).toContain(name)
      }
    }
  )

  it("is broken between words in a terminal, and stands beside the names", async () => {
    const { stdout } = await place().onTerminal(["runs", "--help"], { columns: 60 }).ended
    const lines = stdout.split("\r\n")
    // What somebody may copy is not broken.
    for (const line of lines.filter((line) => !line.startsWith("  millrace "))) {
      expect([...line].length, line).toBeLessThanOrEqual(60)
    }
    const notes = await place().onTerminal(["validate", "--help"], { columns: 60 }).ended
    expect(notes.stdout).toContain(
      "Without an argument it checks all workflows of the project;\r\nof a directory, those in it."
    )
    expect(lines).toContain("  --home DIR         the project's home folder (default: the")
    expect(lines).toContain("                     nearest .millrace, or here)")
  })
})

describe("the overview", () => {
  it("has every command in one group", () => {
    expect(groups.flatMap(([, members]) => members).toSorted()).toEqual(names.toSorted())
  })

  it("ends with examples that the program can read", async () => {
    for (const [, line] of overviewExamples satisfies ReadonlyArray<Example>) await expectRead(line)
  })
})

describe("a name that is no command's", () => {
  const hintFor = async (name: string) => (await place().run([name])).stderr.split("\n")[1]

  it("is answered with the nearest names", async () => {
    expect(await hintFor("vaildate")).toBe("help: did you mean 'validate'?")
    expect(await hintFor("re")).toBe("help: did you mean 'resume' or 'reject'?")
    expect(await hintFor("comp")).toBe("help: did you mean 'completions'?")
  })

  it("that other tools have is answered with the name here", async () => {
    expect(await hintFor("status")).toBe("help: did you mean 'show'?")
    expect(await hintFor("new")).toBe("help: did you mean 'init'?")
    for (const [other, name] of Object.entries(otherNames)) {
      expect(names).not.toContain(other)
      expect(names).toContain(name)
    }
  })

  it("that is like none is answered with all of them, also behind `help`", async () => {
    const hint = `help: the commands: ${names.join(", ")}`
    expect(await hintFor("qqqqqqq")).toBe(hint)
    expect(await place().run(["help", "qqqqqqq"])).toEqual({
      code: 2,
      signal: null,
      stdout: "",
      stderr: `error: there is no command 'qqqqqqq'\n${hint}\n`
    })
  })
})
