/**
 * `__complete`: what the scripts of `millrace completions` ask on a TAB. For bash the answers are what it puts into the
 * line; for others they are `WORD<TAB>WHAT IT IS`.
 */
import * as Effect from "effect/Effect"
import { type AnyError } from "./CliError.ts"
import { complete } from "./Completion.ts"
import { type Shell, shells } from "./CompletionScripts.ts"
import type { Candidate, Candidates } from "./CompletionSources.ts"
import { ExitCode } from "./ExitCode.ts"
import { oneOf } from "./OneOf.ts"
import { write } from "./Output.ts"
import { escaped, readLine, type ShellLine } from "./ShellWords.ts"

/** `bash TYPE BREAKS LINE`, `zsh WORD…` or `fish WORD…`, the last word being the cursor's, up to the cursor. */
export const answer = (words: ReadonlyArray<string>): Effect.Effect<ExitCode, AnyError> =>
  Effect.gen(function* () {
    const [name = "", ...rest] = words
    const shell: Shell = yield* oneOf("shell", name, shells)
    const answers = shell === "bash" ? yield* forBash(rest) : yield* forOthers(rest)
    write(answers.map((line) => `${line}\n`).join(""))
    return ExitCode.done
  })

const forOthers = (words: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, AnyError> =>
  Effect.map(complete(words.slice(0, -1), words.at(-1) ?? ""), (candidates) =>
    candidates.filter(fitsOneLine).map(({ about, text }) => `${text}\t${about}`)
  )

/** What bash asks when it shows what there is, and puts nothing into the line: `?`, `!` and `@`. */
const listings: ReadonlySet<string> = new Set(["63", "33", "64"])

const forBash = ([type = "", breaks = "", text = ""]: ReadonlyArray<string>) => {
  const line = readLine(text, breaks)
  return Effect.map(complete(line.words.slice(1), line.current), (candidates) =>
    replies(candidates.filter(fitsOneLine), line, listings.has(type))
  )
}

const replies = (candidates: Candidates, line: ShellLine, isListing: boolean): ReadonlyArray<string> =>
  candidates.map((candidate) => {
    const word = escaped(candidate.text.slice(line.kept), line.quote)
    // With a description two words differ where they did: what bash finds to be common is none of it.
    if (isListing && candidates.length > 1) return candidate.about === "" ? word : `${word}  (${candidate.about})`
    return isOpen(candidate) || line.quote !== undefined ? word : `${word} `
  })

/** Whether more may follow in the same word: no blank does then. */
const isOpen = ({ text }: Candidate): boolean => /[=/,]$/.test(text)

/** What holds a line's end cannot be typed on one. */
const fitsOneLine = ({ text }: Candidate): boolean => !/[\p{Cc}\u2028\u2029]/u.test(text)
