import { describe, expect, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { textsIn } from "./SourceTexts.ts"

const sources = join(import.meta.dirname, "../../src/cli")

const filesIn = (folder: string, suffixes: ReadonlyArray<string>): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => suffixes.some((suffix) => name.endsWith(suffix)))
    .map((name) => join(folder, name))

/** As it stands in a source or in a snapshot, or was printed in lines: all the same. */
const normal = (text: string): string => text.replaceAll("\\n", "\n").replaceAll("\\", "").replace(/\s+/g, " ").trim()

/** What somebody reads has several words. */
const isMessage = (text: string): boolean => /\p{L}.* .*\p{L}/u.test(text)

describe("the texts of a source", () => {
  it("are its strings and the parts of its templates, not its comments and patterns", () => {
    const source = `
      // it's a "comment"
      /* \`another\` */
      const a = "one \\"word\\"" + 'it\\'s'
      const b = \`run \${id({ a: "x", b: \`in \${c} out\` })} of '\${w}'\`
      const c = /["'\`/]\\/[/"]/.test(d) ? 1 / 2 / 3 : "last"
    `
    expect(textsIn(source)).toEqual(['one "word"', "it's", "run ", "x", "in ", " out", " of '", "'", "last"])
  })
})

/** What no test can bring about in a real process, and why. */
const unmet: Readonly<Record<string, string>> = {
  "could not be approved:": "the store refuses the answer for good while it takes all else that the run writes"
}

describe("every message of the command line", () => {
  const expected = normal(
    filesIn(import.meta.dirname, [".test.ts", ".snap"])
      .filter((file) => file !== import.meta.filename)
      .map((file) => readFileSync(file, "utf8"))
      .join("\n")
  )

  it.each(filesIn(sources, [".ts"]).map((file) => file.slice(sources.length + 1)))(
    "of %s is part of what a test expects",
    (file) => {
      const messages = textsIn(readFileSync(join(sources, file), "utf8"))
        .map(normal)
        .filter(isMessage)
      expect(messages.filter((message) => !expected.includes(message) && unmet[message] === undefined)).toEqual([])
    }
  )
})
