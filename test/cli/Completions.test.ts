import { describe, expect, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { dirname } from "node:path"
import { commands } from "../../src/cli/Commands.ts"
import { isKnown } from "../../src/cli/CompletionSources.ts"
import { RunStatus } from "../../src/persistence/Records.ts"
import { bin, type Place, place, plain, runIn, start } from "./support.ts"

const hello = `workflow hello {
  meta { title = "Say hello" }
  inputs { who default = "you" description = "who is greeted"  loud boolean  token secret = true default = "t"  code required }
  script s { run = "echo {{who}}" }
}
`

const gated = `workflow gated {
  script before { run = "true" }
  gate human_approval { prompt = "Deploy?" options = { a = "Apples" b = "b" } }
}
`

const project = (more: Readonly<Record<string, string>> = {}) =>
  place({ "workflows/hello.wf": hello, "workflows/gated.wf": gated, ...more })

/** A PATH on which there is a \`millrace\`, as one who installed it has. */
const pathWith = (at: Place): string => {
  const file = at.write(".bin/millrace!", `#!/bin/sh\nexec '${process.execPath}' '${bin}' "$@"\n`)
  return `${dirname(file)}:${process.env["PATH"] ?? ""}`
}

/**
 * What a real bash offers for lines: each is completed by the function that the script registers. \`isListing\`: as
 * when somebody types TAB a second time.
 */
const inBash = (at: Place, lines: ReadonlyArray<string>, isListing = false): ReadonlyArray<ReadonlyArray<string>> => {
  const script = [
    "source <(millrace completions bash)",
    `COMP_TYPE=${isListing ? 63 : 9}`,
    'for COMP_LINE in "$@"; do',
    // As bash itself finds it: by the command's name.
    "  [[ $(complete -p millrace) == 'complete -o nospace -F _millrace millrace' ]] || exit 1",
    "  COMP_POINT=${#COMP_LINE}; _millrace millrace",
    `  printf '%s\\n' "\${COMPREPLY[@]}" ---`,
    "done"
  ].join("\n")
  const { stderr, stdout } = spawnSync("bash", ["--norc", "--noprofile", "-c", script, "bash", ...lines], {
    cwd: at.folder,
    env: { PATH: pathWith(at), HOME: at.path("home") },
    encoding: "utf8"
  })
  expect(stderr).toBe("")
  return stdout
    .split("---\n")
    .slice(0, -1)
    .map((answer) => answer.split("\n").filter((line) => line !== ""))
}

const names = commands.map(({ name }) => name)

describe("in bash a TAB", { timeout: 60_000 }, () => {
  it("completes commands, and options behind one", () => {
    const at = project()
    const [all, run, option, value, help, none] = inBash(at, [
      "millrace ",
      "millrace va",
      "millrace run --dr",
      "millrace run hello --db x --d",
      "millrace help va",
      "millrace nosuch "
    ])
    expect(all).toEqual([...names, "help"].map((name) => `${name} `))
    expect({ run, option, value, help, none }).toEqual({
      run: ["validate "],
      option: ["--dry-run "],
      value: ["--dry-run ", "--detach "],
      help: ["validate "],
      none: []
    })
  })

  it("offers the options that are left where no more arguments are taken, and none behind `--`", () => {
    const [left, over] = inBash(project(), ["millrace list --home x ", "millrace list -- "])
    expect(left).toEqual(["--json ", "--help "])
    expect(over).toEqual([])
  })

  it("completes values of which there are a few", () => {
    const [statuses, status, behindEquals, shells] = inBash(project(), [
      "millrace runs --status ",
      "millrace runs --status f",
      "millrace runs --status=wai",
      "millrace completions "
    ])
    expect(statuses).toEqual(RunStatus.literals.map((word) => `${word} `))
    // Bash keeps what stands in front of `=`.
    expect({ status, behindEquals, shells }).toEqual({
      status: ["failed "],
      behindEquals: ["waiting "],
      shells: ["bash ", "zsh ", "fish "]
    })
  })

  it("completes workflows by name, files and folders, and the inputs of a workflow", () => {
    const at = project({ "more/x y.wf": "workflow x { }", "more/notes.txt": "" })
    const answers = inBash(at, [
      "millrace run h",
      "millrace validate mo",
      "millrace validate more/",
      "millrace validate 'more/",
      "millrace run hello --input ",
      "millrace run hello --input who=",
      "millrace run hello --input loud=t",
      "millrace run hello --input token=",
      "millrace run hello --input who=x --input ",
      "millrace run ./workflows/hello.wf --input c"
    ])
    expect(answers).toEqual([
      ["hello "],
      ["more/"],
      ["more/x\\ y.wf "],
      ["more/x y.wf"],
      ["who=", "loud=", "token=", "code="],
      ["you "],
      ["true "],
      // A secret is not shown.
      [],
      ["loud=", "token=", "code="],
      ["code="]
    ])
  })

  it("looks where `--home` says, and below the user's own folder", () => {
    const at = place({ "home/shop/workflows/buy.wf": "workflow buy { }", "home/shop/millrace.config.ts": "throw 1" })
    expect(
      inBash(at, ["millrace run --home ~/shop b", "millrace run --home ~/s", "millrace run --home home/shop b"])
    ).toEqual([["buy "], ["~/shop/"], ["buy "]])
  })

  it("completes runs that the command can do something about, and their steps, gates and options", async () => {
    const at = project()
    const waiting = runIn((await at.run(["run", "gated"])).stdout)
    const done = runIn((await at.run(["run", "hello", "--input", "code=1"])).stdout)
    const newest = [done, waiting].map((run) => `${run} `)
    const answers = inBash(at, [
      "millrace show ",
      `millrace show ${waiting.slice(0, 25).toLowerCase()}`,
      "millrace approve ",
      "millrace cancel ",
      "millrace resume ",
      "millrace resume --restart ",
      "millrace graph --run ",
      `millrace logs ${waiting} b`,
      `millrace resume ${waiting} --from-step /h`,
      `millrace approve ${waiting} --gate h`,
      `millrace approve ${waiting} --select `,
      `millrace approve ${waiting} --select a,`,
      "millrace runs --workflow g"
    ])
    expect(answers).toEqual([
      newest,
      [waiting, done].filter((run) => run.startsWith(waiting.slice(0, 25))).map((run) => `${run} `),
      [`${waiting} `],
      [`${waiting} `],
      [`${waiting} `],
      newest,
      newest,
      ["before "],
      ["/human_approval "],
      ["human_approval "],
      ["a ", "b "],
      ["a,b "],
      ["gated "]
    ])
  })

  it("lists them with what they are", async () => {
    const at = project()
    const run = runIn((await at.run(["run", "gated"])).stdout)
    await at.run(["run", "gated"])
    const [workflows, inputs, options, runs, words, rest] = inBash(
      at,
      [
        "millrace run ",
        "millrace run hello --input ",
        `millrace approve ${run} --select `,
        "millrace show ",
        "millrace ",
        "millrace lsp --"
      ],
      true
    )
    expect(words?.at(-1)).toBe("help  (Explain a command.)")
    expect(rest?.at(-1)).toBe("--help  (explain the command)")
    expect(workflows).toEqual(["gated", "hello  (Say hello)", "millrace.db-files/", "workflows/"])
    expect(inputs?.[0]).toBe("who=  (who is greeted)")
    expect(options).toEqual(["a  (Apples)", "b"])
    expect(runs?.[1]?.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/, "TIME")).toBe(`${run}  (gated, waiting, TIME)`)
  })

  it("makes no database, loads no configuration, and says nothing when something is wrong", () => {
    const at = project({ "millrace.config.ts": "console.log('loaded'); throw new Error('loaded')" })
    expect(
      inBash(at, [
        "millrace show ",
        "millrace run h",
        "millrace run --home nowhere h",
        "millrace show 01 --db x",
        "millrace logs 01 "
      ])
    ).toEqual([[], ["hello "], [], [], []])
    expect(existsSync(at.path("millrace.db"))).toBe(false)
  })

  it("completes what is typed, in a terminal", async () => {
    const at = project({
      rc: "PS1='$ '; bind 'set bell-style none'; source <(millrace completions bash)\n"
    })
    const shell = start([], {
      cwd: at.folder,
      env: { PATH: pathWith(at), TERM: "dumb" },
      keepInput: true,
      command: ["script", "-qec", "bash --noprofile --rcfile rc -i", "/dev/null"]
    })
    await shell.prints("$ ")
    shell.type("millrace ru\t")
    await shell.prints("millrace run")
    shell.type("\t\t")
    await shell.prints("(List runs, the newest first.)")
    shell.type("s --sta\t")
    await shell.prints("--status ")
    shell.type("\u0015echo X; millrace run hel\t")
    await shell.prints("run hello ")
    shell.type("--input co\t")
    await shell.prints("code=")
    shell.type("1 --y\t\r")
    const printed = plain(await shell.prints("hello completed"))
    expect(printed).toContain("millrace run hello --input code=1 --yes")
    shell.type("exit\r")
    await shell.ended
  })
})

describe("the scripts", () => {
  it.each(["bash", "zsh", "fish"])("for %s is as it was read last", async (shell) => {
    const { code, stderr, stdout } = await place().run(["completions", shell])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout).toMatchSnapshot()
  })

  it("is not to be had for other shells", async () => {
    expect(await place().run(["completions", "zhs"])).toMatchObject({
      code: 2,
      stdout: "",
      stderr: "error: there is no shell 'zhs'\nhelp: did you mean 'zsh'?\n"
    })
    expect(await place().run(["completions", "powershell"])).toMatchObject({
      code: 2,
      stderr: "error: there is no shell 'powershell'\nhelp: one of: bash, zsh, fish\n"
    })
    expect(await place().run(["completions"])).toMatchObject({ code: 2, stdout: "" })
  })

  it("for zsh and fish get each word with what it is", async () => {
    const at = project()
    expect(await at.run(["__complete", "zsh", "run", "h"])).toMatchObject({ code: 0, stdout: "hello\tSay hello\n" })
    expect(await at.run(["__complete", "fish", "runs", "--status=f"])).toMatchObject({ stdout: "--status=failed\t\n" })
    expect(await at.run(["__complete", "fish", "--"])).toMatchObject({
      stdout: "--help\tlist the commands\n--version\tsay which release this is\n"
    })
    expect(await at.run(["__complete", "tcsh"])).toMatchObject({ code: 2, stdout: "" })
  })
})

describe("the table of commands", () => {
  it("has no value of which completion does not know what it can be, or that only the user knows", async () => {
    for (const { load, name } of commands) {
      const { command } = await load()
      for (const { name: argument } of command.arguments) expect(isKnown(argument), `${name} ${argument}`).toBe(true)
      for (const { name: option, value } of command.options) {
        if (value !== undefined) expect(isKnown(value, option), `${name} --${option} ${value}`).toBe(true)
      }
    }
  })
})
