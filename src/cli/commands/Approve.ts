/** `approve`: lets a run pass the gate that it waits at, and goes on with it. */
import { answer, answerArguments, answerOptions } from "../Answer.ts"
import { defineCommand, text } from "../CommandLine.ts"

export const command = defineCommand({
  name: "approve",
  summary: "Approve the gate that a run waits at, and go on with the run unless another process does.",
  arguments: answerArguments,
  options: { ...answerOptions, select: text("select", "A,B", "which of the gate's options are chosen") },
  run: ({ select, ...values }) => answer({ ...values, approved: true, selections: keysOf(select) })
})

const keysOf = (select: string | undefined): ReadonlyArray<string> =>
  (select ?? "")
    .split(",")
    .map((key) => key.trim())
    .filter((key) => key !== "")
