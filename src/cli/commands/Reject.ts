/** `reject`: fails the gate that a run waits at, and takes the run to its end. */
import { answer, answerArguments, answerOptions } from "../Answer.ts"
import { defineCommand } from "../CommandLine.ts"

export const command = defineCommand({
  name: "reject",
  summary: "Reject the gate that a run waits at, and take the run to its end unless another process does.",
  arguments: answerArguments,
  options: answerOptions,
  run: (values) => answer({ ...values, approved: false, selections: [] })
})
