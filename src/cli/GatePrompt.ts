/**
 * Asking at a human gate on the terminal: approve or reject, with feedback and selections.
 */
import { createInterface, type Interface } from "node:readline"
import * as Effect from "effect/Effect"
import type { BlockedOn } from "../persistence/Records.ts"
import { inline, type Paint, writeLine } from "./Output.ts"

export interface Reply {
  readonly approved: boolean
  readonly feedback: string | undefined
  readonly selections: ReadonlyArray<string>
}

/** The reply, or undefined where the user leaves the gate as it is. Interrupted, it takes the question back. */
export const ask = (gate: BlockedOn, paint: Paint): Effect.Effect<Reply | undefined> =>
  Effect.async((resume) => {
    const terminal = createInterface({ input: process.stdin, output: process.stdout, terminal: true })
    // In its raw mode the terminal sends no signal for Ctrl-C.
    terminal.on("SIGINT", () => process.kill(process.pid, "SIGINT"))
    // Ctrl-D leaves the gate, as `leave` does.
    terminal.once("close", () => resume(Effect.succeed(undefined)))
    dialogue(questions(terminal), gate, paint).then((reply) => {
      resume(Effect.succeed(reply))
      terminal.close()
    })
    return Effect.sync(() => terminal.close())
  })

type Question = (text: string) => Promise<string>

/** Asks, and takes the next line that was not taken: what is typed ahead is not lost. */
const questions = (terminal: Interface): Question => {
  const lines: Array<string> = []
  let waiting: ((line: string) => void) | undefined
  terminal.on("line", (line) => {
    if (waiting === undefined) lines.push(line)
    else waiting(line)
  })
  return (text) =>
    new Promise((resolve) => {
      terminal.setPrompt(text)
      terminal.prompt()
      const ahead = lines.shift()
      if (ahead !== undefined) return resolve(ahead)
      waiting = (line) => {
        waiting = undefined
        resolve(line)
      }
    })
}

const dialogue = async (question: Question, gate: BlockedOn, paint: Paint): Promise<Reply | undefined> => {
  writeLine("")
  writeLine(paint("bold", `Gate ${inline(gate.name)}${gate.prompt === null ? "" : `: ${inline(gate.prompt)}`}`))
  gate.options.forEach(({ key, text }, at) => writeLine(`  ${at + 1}) ${described(key, text)}`))
  for (;;) {
    const answer = (await question("[a]pprove, [r]eject, or [l]eave it waiting? ")).trim().toLowerCase()
    if (isShort(answer, "approve") || answer === "y" || answer === "yes") {
      const selections = gate.options.length === 0 ? [] : await select(question, gate)
      return { approved: true, feedback: await feedback(question), selections }
    }
    if (isShort(answer, "reject") || answer === "n" || answer === "no") {
      return { approved: false, feedback: await feedback(question), selections: [] }
    }
    if (isShort(answer, "leave")) return undefined
  }
}

const described = (key: string, text: string): string =>
  key === text ? inline(key) : `${inline(key)}: ${inline(text)}`

const isShort = (answer: string, word: string): boolean => answer !== "" && word.startsWith(answer)

const feedback = async (question: Question): Promise<string | undefined> => {
  const text = (await question("Feedback (empty for none): ")).trim()
  return text === "" ? undefined : text
}

const select = async (question: Question, gate: BlockedOn): Promise<ReadonlyArray<string>> => {
  for (;;) {
    const words = (await question("Which of them (numbers or names, with commas; empty for none)? "))
      .split(",")
      .map((word) => word.trim())
      .filter((word) => word !== "")
    const keys = words.map((word) => gate.options.find(({ key }, at) => key === word || String(at + 1) === word)?.key)
    const unknown = words.filter((_, at) => keys[at] === undefined)
    if (unknown.length === 0) return keys.filter((key) => key !== undefined)
    writeLine(`there is no ${unknown.map(inline).join(", ")}`)
  }
}
