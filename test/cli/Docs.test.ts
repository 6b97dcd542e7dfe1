import { describe, expect, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Command } from "../../src/cli/CommandLine.ts"
import { commands } from "../../src/cli/Commands.ts"
import { ExitCode } from "../../src/cli/ExitCode.ts"
import { contextNames } from "../../src/cli/Home.ts"
import { semanticCodes } from "../../src/workflow/SemanticCodes.ts"
import { syntaxCodes } from "../../src/workflow/SyntaxCodes.ts"

const root = join(import.meta.dirname, "../..")
const read = (name: string): string => readFileSync(join(root, name), "utf8")

/** The text below a heading, up to the next of its kind. */
const section = (text: string, heading: string): string => {
  const start = text.indexOf(`\n${heading}\n`)
  if (start === -1) throw new Error(`there is no '${heading}'`)
  const rest = text.slice(start + heading.length + 2)
  const end = rest.search(new RegExp(`^#{1,${heading.indexOf(" ")}} `, "m"))
  return end === -1 ? rest : rest.slice(0, end)
}

const usageOf = ({ arguments: words, name }: Command): string =>
  [
    "millrace",
    name,
    ...words.map(({ name: word, needed, repeats }) => (needed ? word : `[${word}${repeats ? "…" : ""}]`))
  ].join(" ")

describe("docs/cli.md", () => {
  const text = read("docs/cli.md")

  it("has every command, in the order of the program, and no other", () => {
    const documented = [...section(text, "## Commands").matchAll(/^### (.+)$/gm)].map(([, name]) => name)
    expect(documented).toEqual(commands.map(({ name }) => name))
  })

  it.each(commands.map(({ name, load }) => ({ name, load })))(
    "has every option of $name and its usage, and no other",
    async ({ name, load }) => {
      const { command } = await load()
      const part = section(text, `### ${name}`)
      const documented = [...part.matchAll(/^\| `(--[^`]+)` +\|/gm)].map(([, option = ""]) =>
        option.replaceAll("\\|", "|")
      )
      const known = command.options.map(
        (option) => `--${option.name}${option.value === undefined ? "" : ` ${option.value}`}`
      )
      expect([...documented].sort()).toEqual([...known].sort())
      expect(part).toContain(`\`${usageOf(command)}\``)
    }
  )

  it("has every exit code, and no other", () => {
    const documented = [...section(text, "## Exit codes").matchAll(/^\| (\d+) +\|/gm)].map(([, code]) => Number(code))
    expect(documented).toEqual(Object.values(ExitCode))
  })

  it("names the variables that runs get of the command line", () => {
    for (const name of Object.values(contextNames)) expect(text).toContain(`\`${name}\``)
  })
})

describe("docs/language.md", () => {
  it("lists every diagnostic with its meaning, and no other", () => {
    const rows = [
      ...section(read("docs/language.md"), "## Diagnostics").matchAll(/^\| `([a-z0-9-]+)` +\| (.+?) +\|$/gm)
    ]
    const documented = rows.map(([, code, meaning]) => [code, meaning])
    expect(documented).toEqual([...Object.entries(syntaxCodes), ...Object.entries(semanticCodes)])
  })
})

describe("the pages", () => {
  const below = (folder: string): ReadonlyArray<string> =>
    readdirSync(join(root, folder), { encoding: "utf8", recursive: true })
      .filter((name) => name.endsWith(".md"))
      .map((name) => `${folder}/${name}`)
  const pages = ["README.md", "CONTRIBUTING.md", ...below("docs"), "examples/agents/README.md"]

  it("link to files that exist, and to their headings", () => {
    for (const page of pages) {
      for (const [, target = "", heading] of withoutCode(read(page)).matchAll(
        /\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g
      )) {
        const file = target === "" ? page : join(page, "..", target)
        expect(() => readdirOrFile(join(root, file)), `${page} links to ${target}`).not.toThrow()
        if (heading !== undefined) expect(anchorsOf(read(file)), `${page} links to ${target}`).toContain(heading)
      }
    }
  })
})

const withoutCode = (page: string): string => page.replace(/^```[\s\S]*?^```$/gm, "")

/** The headings of a page, as links name them. */
const anchorsOf = (page: string): ReadonlyArray<string> =>
  [...withoutCode(page).matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replace(/[^\w\s-]/g, "")
      .replace(/\s/g, "-")
  )

const readdirOrFile = (path: string): unknown => {
  try {
    return readFileSync(path)
  } catch {
    return readdirSync(path)
  }
}
