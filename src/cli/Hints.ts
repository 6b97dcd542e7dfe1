/** The commands that make a run go on, as somebody would type them where they stand. */
import { isPaused } from "../engine/Pause.ts"
import type { BlockedOn, RunId, RunRecord } from "../persistence/Records.ts"
import { inline, quoted } from "./Output.ts"

/** Whether this is the program of a checkout, started by its npm script. */
export const isCheckout = (): boolean => process.env["npm_lifecycle_event"] === "millrace"

/** How this program was started, as one would type it again: from a checkout, by npx, or installed. */
export const program = (): string => {
  if (isCheckout()) return "npm run -s millrace --"
  return process.env["npm_lifecycle_event"] === "npx" ? "npx millrace" : "millrace"
}

/** `db`: ` --db FILE`, or nothing where it is found anyway. */
export const howToResume = (run: RunId, db: string): string => `go on with: ${program()} resume ${run}${db}`

/** What makes a run go on that was only created. */
export const howToTakeUp = (run: RunId, db: string): string =>
  `\`${program()} work${db}\` takes it up, or \`${program()} resume ${run}${db}\``

export const howToShow = (run: RunId, db: string): string => `see it with: ${program()} show ${run}${db}`

export const howToUnpause = (run: RunId, db: string): string => `let it go on with: ${program()} unpause ${run}${db}`

/** Of a run that waits for what has to come from elsewhere. */
export const howToGoOn = (run: RunRecord, gates: ReadonlyArray<BlockedOn>, db: string): ReadonlyArray<string> => {
  if (isPaused(run)) return ["it is paused", ...howToAnswer(gates, db), howToUnpause(run.id, db)]
  const paused = run.blockedOn.filter(({ _tag }) => _tag === "paused")
  const unpaused = paused.flatMap((on) => [`run ${on.run} below it is paused`, howToUnpause(on.run, db)])
  if (unpaused.length === 0 && gates.length === 0) return [howToResume(run.id, db)]
  return [...howToAnswer(gates, db), ...unpaused]
}

const howToAnswer = (gates: ReadonlyArray<BlockedOn>, db: string): ReadonlyArray<string> => {
  return gates.flatMap((gate) => {
    const name = gates.length > 1 ? ` --gate ${gate.name}` : ""
    const namesakes = gates.filter((other) => other.name === gate.name && other.run === gate.run)
    const names = namesakes.length > 1 ? ` --gate ${gate.path}` : name
    const select = gate.options.length === 0 ? "" : " [--select KEY,…]"
    const value = gate.asksValue === true ? " --value JSON" : ""
    return [
      `it waits at gate ${inline(gate.name)}${gate.prompt === null ? "" : `: ${inline(gate.prompt)}`}`,
      ...gate.options.map(({ key, text }) => `    ${inline(key)}${key === text ? "" : `: ${inline(text)}`}`),
      `  ${program()} approve ${gate.run}${names}${value}${select}${db}`,
      `  ${program()} reject ${gate.run}${names} --feedback "…"${db}`
    ]
  })
}

/** The command that shows the next page of a list. */
export const howToSeeMore = (words: ReadonlyArray<string>): string =>
  `more: ${[program(), ...words.map(quoted)].join(" ")}`
