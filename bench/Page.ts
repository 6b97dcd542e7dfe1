/**
 * docs/performance.md, from what was measured: a section for each of the programs that measure, which writes its own and
 * leaves the others, as it leaves the one that is written by hand: what bounds the figures.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { machine, type Result, table } from "./Report.ts"

const sections = ["bench", "by hand", "bench:peers"] as const
export type Section = Exclude<(typeof sections)[number], "by hand">

const begin = (section: (typeof sections)[number]): string =>
  section === "by hand" ? "<!-- written by hand -->" : `<!-- written by npm run ${section} -- --write -->`
const end = (section: (typeof sections)[number]): string => `<!-- end of ${section} -->`

export const writeSection = (root: string, section: Section, text: string): void => {
  const file = join(root, "docs", "performance.md")
  writeFileSync(file, withSection(existsSync(file) ? readFileSync(file, "utf8") : "", section, text))
}

/** The page with this section new, in the sections' order. */
export const withSection = (page: string, section: Section, text: string): string => {
  const parts = sections.flatMap((it) => {
    const found = it === section ? text : sectionOf(page, it)
    return found === undefined ? [] : [`${begin(it)}\n\n${found.trim()}\n\n${end(it)}`]
  })
  return `${["# Performance", ...parts].join("\n\n")}\n`
}

const sectionOf = (page: string, section: (typeof sections)[number]): string | undefined => {
  const from = page.indexOf(begin(section))
  const to = page.indexOf(end(section), from)
  return from < 0 || to < 0 ? undefined : page.slice(from + begin(section).length, to)
}

export const workloadsSection = (results: ReadonlyArray<Result>): string => `## Against SQLite

Written by \`npm run bench -- --write\`; the figures are of one run on one machine: ${machine()}.

Absolute times say little on another machine, ratios say more: each workload is measured in turn with its yardstick, in
a process of their own, and the ratio is the median of the rounds'. _Raw_ is plain better-sqlite3 with the same pragmas
and rows of the same size, a commit for each statement. A ratio of speeds is the workload's by the yardstick's; FULL,
NORMAL and OFF are SQLite's \`synchronous\`.

${table(results)}
`
