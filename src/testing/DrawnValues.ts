/**
 * What `Workflow.now`, `uuid` and `random` gave: another value in each history, by right. Where two histories are
 * compared, each value is replaced by one that says only which one it is.
 */
import { comparableRecords, type RunTree } from "./RecordComparison.ts"

const drawing = ["now", "uuid", "random"]

/** The lines of `comparableRecords` without drawn values. */
export const comparableLines = (tree: RunTree): ReadonlyArray<string> => {
  const stands = standIns(tree)
  return comparableRecords(tree).map((line) => {
    let replaced = line
    for (const [text, standIn] of stands) replaced = replaced.replaceAll(text, standIn)
    return replaced
  })
}

/** Texts of JSON, by what stands for them: a number for a number. */
const standIns = (tree: RunTree): ReadonlyArray<readonly [string, string]> =>
  tree.runs
    .flatMap(({ steps }) => steps)
    .filter(({ kind, name }) => kind === "value" && drawing.includes(name))
    .sort((one, other) => (one.path < other.path ? -1 : 1))
    .flatMap(({ name, path, value }, index) => {
      const text = typeof value === "number" ? String(value) : ""
      // Shorter numbers stand for other things as well.
      if (text.length >= shortest) return [[text, String(firstStandIn + index)] as const]
      return typeof value === "string" ? [[value, `<${name} of ${path}>`] as const] : []
    })

const shortest = 8
const firstStandIn = 7_000_000_000_000
