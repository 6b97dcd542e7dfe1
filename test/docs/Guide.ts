/**
 * Follows a guide as its reader would: writes the files that it shows and types its commands, in the order of the page,
 * in a folder of its own.
 *
 * A fence below a line of the form `path`: is that file. `sh` is typed as a whole and has to succeed. `console` shows
 * commands behind `$ ` (`> ` goes on with one) and what each prints, which is compared: but for times, which are
 * never the same, and ids of runs, which have to be the same ones throughout. A line `…` stands for any lines. Other
 * fences are read only.
 */
import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { readFileSync, symlinkSync } from "node:fs"
import { userInfo } from "node:os"
import { join } from "node:path"
import { buildSync } from "esbuild"
import { bin, type Place } from "../cli/support.ts"
import { processesMarked } from "../action/support.ts"

const root = join(import.meta.dirname, "../..")

interface Block {
  /** The file that the line above it names. */
  readonly file: string | undefined
  readonly language: string
  readonly text: string
}

const blocksOf = (markdown: string): ReadonlyArray<Block> =>
  [...markdown.matchAll(/(?:^`([^`\n]+)`:\n\n)?^```(\w*)\n([\s\S]*?)^```$/gm)].map(
    ([, file, language = "", text = ""]) => ({ file, language, text })
  )

/** What a page's programs import, as if it had been installed: the package from its sources, and what it needs. */
const install = (at: Place): void => {
  const own = at.path("node_modules/millrace")
  const names = ["index", "sqlite", "testing/index"]
  at.write(
    "node_modules/millrace/package.json",
    JSON.stringify({
      type: "module",
      exports: { ".": "./index.js", "./sqlite": "./sqlite.js", "./testing": "./testing/index.js" }
    })
  )
  buildSync({
    absWorkingDir: root,
    entryPoints: names.map((name) => `src/${name}.ts`),
    outdir: own,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    packages: "external"
  })
  for (const name of ["effect", "@effect", "jiti", "fast-check", "better-sqlite3", "yaml"]) {
    symlinkSync(join(root, "node_modules", name), at.path(`node_modules/${name}`))
  }
}

/** Where a guide's project stands on the page, and whose it is. */
const shownFolder = "/home/you/project"
const shownUser = "by you"

const thisUser = `by ${userInfo().username}`

/** How long a command may take on a loaded machine, ms. */
const patience = 120_000

export class Reader {
  readonly #at: Place
  readonly #env: Record<string, string | undefined>
  readonly #mark = `GUIDE_MARK=${randomUUID()}`
  /** The ids of runs: as the page shows them, and as they are. */
  readonly #ids = new Map<string, string>()
  #lastCode = 0
  /** Commands that were typed. */
  commands = 0

  constructor(at: Place) {
    this.#at = at
    at.write(".bin/millrace!", `#!/bin/sh\nexec "${process.execPath}" "${bin}" "$@"\n`)
    const [name = "", value] = this.#mark.split("=")
    const { INIT_CWD: _cwd, npm_lifecycle_event: _event, FORCE_COLOR: _color, ...inherited } = process.env
    this.#env = {
      ...inherited,
      NO_COLOR: "1",
      PATH: `${at.path(".bin")}:${process.env["PATH"] ?? ""}`,
      [name]: value
    }
  }

  /** Does all that a page says. */
  async follow(page: string): Promise<void> {
    const blocks = blocksOf(readFileSync(page, "utf8"))
    if (blocks.some(({ text }) => text.includes("--import jiti/register"))) install(this.#at)
    for (const { file, language, text } of blocks) {
      if (file !== undefined) this.#at.write(file, text)
      else if (language === "sh") await this.#typeAll(text)
      else if (language === "console") for (const entry of entriesOf(text)) await this.#type(entry)
    }
  }

  /** What the commands have started and not ended. */
  get leftovers(): ReadonlyArray<number> {
    return processesMarked(this.#mark)
  }

  async #typeAll(text: string): Promise<void> {
    this.commands++
    const { code, printed } = await this.#sh(`set -e\n${this.#known(text)}`)
    if (code !== 0) throw new Error(`exit code ${code} of:\n${text}\n${printed}`)
  }

  async #type({ command, shown }: Entry): Promise<void> {
    this.commands++
    // So that the page may ask for `$?`.
    const { code, printed } = await this.#sh(`(exit ${this.#lastCode})\n${this.#known(command)}`)
    this.#lastCode = code
    const actual = printed.replaceAll(this.#at.folder, shownFolder).replaceAll(thisUser, shownUser)
    if (code !== 0 && shown.length === 0) throw new Error(`exit code ${code} of:\n${command}\n${actual}`)
    const ids = matchLines(shown.map(withoutTimes), linesOf(actual).map(withoutTimes), this.#ids)
    if (ids === undefined) {
      throw new Error(`not what the page shows:\n$ ${command}\n${actual}\n--- the page:\n${shown.join("\n")}`)
    }
    for (const [there, here] of ids) this.#ids.set(there, here)
  }

  /** A text of the page with the ids that its runs have here. */
  #known(text: string): string {
    return text.replace(ulid, (id) => this.#ids.get(id) ?? id)
  }

  #sh(script: string): Promise<{ readonly code: number; readonly printed: string }> {
    return new Promise((resolve, reject) => {
      const child = spawn("sh", ["-c", `exec 2>&1\n${script}`], {
        cwd: this.#at.folder,
        env: this.#env,
        timeout: patience
      })
      let printed = ""
      child.stdin.end()
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        printed += text
      })
      child.on("error", reject)
      child.on("close", (code, signal) =>
        code === null ? reject(new Error(`${signal} for:\n${script}\n${printed}`)) : resolve({ code, printed })
      )
    })
  }
}

interface Entry {
  readonly command: string
  readonly shown: ReadonlyArray<string>
}

const entriesOf = (text: string): ReadonlyArray<Entry> => {
  const entries: Array<{ command: string; shown: Array<string> }> = []
  for (const line of linesOf(text)) {
    const last = entries.at(-1)
    if (line.startsWith("$ ")) entries.push({ command: line.slice(2), shown: [] })
    else if (last === undefined) throw new Error(`a console begins with a command, not with: ${line}`)
    else if (line.startsWith("> ") && last.shown.length === 0) last.command += `\n${line.slice(2)}`
    else last.shown.push(line)
  }
  return entries
}

const linesOf = (text: string): ReadonlyArray<string> => text.trimEnd().split("\n")

const any = "…"
const ulid = /\b[0-9A-HJKMNP-TV-Z]{26}\b/g

/** A line without what differs from one time to the next, and without the blanks that fill its columns. */
const withoutTimes = (line: string): string =>
  line
    .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+Z)?/g, "TIME")
    .replace(/\b\d+(\.\d+)?(ms|s|m|h)\b/g, "TIME")
    .replace(/ +/g, " ")
    .replace(/^ TIME/, "TIME")
    .trimEnd()

type Ids = ReadonlyMap<string, string>

/** The ids that make the lines fit, or undefined where none do. */
const matchLines = (shown: ReadonlyArray<string>, actual: ReadonlyArray<string>, ids: Ids): Ids | undefined => {
  const [first, ...rest] = shown
  if (first === undefined) return actual.every((line) => line === "") ? ids : undefined
  if (first.trim() === any) {
    for (let skipped = 0; skipped <= actual.length; skipped++) {
      const found = matchLines(rest, actual.slice(skipped), ids)
      if (found !== undefined) return found
    }
    return undefined
  }
  const [line, ...others] = actual
  const found = line === undefined ? undefined : matchLine(first, line, ids)
  return found === undefined ? undefined : matchLines(rest, others, found)
}

const matchLine = (shown: string, actual: string, ids: Ids): Ids | undefined => {
  if (shown.replace(ulid, "RUN") !== actual.replace(ulid, "RUN")) return undefined
  const here = actual.match(ulid) ?? []
  const known = new Map(ids)
  for (const [at, there] of (shown.match(ulid) ?? []).entries()) {
    const id = here[at] ?? ""
    const other = known.get(there)
    if (other === undefined ? [...known.values()].includes(id) : other !== id) return undefined
    known.set(there, id)
  }
  return known
}
