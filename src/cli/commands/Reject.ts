/** `reject`: fails the gate that a run waits at, and takes the run to its end. */
import { answer, answerArguments, answerOptions } from "../Answer.ts"
import { defineCommand } from "../CommandLine.ts"

export const command = defineCommand({
  name: "reject",
  summary: "Reject the gate that a run waits at, and take the run to its end unless another process does.",
  examples: [
    ["reject, with the reason that the run fails with", 'millrace reject 01JD8N4K --feedback "the tests are red"'],
    ["one of several gates", "millrace reject 01JD8N4K --gate human_review"]
  ],
  arguments: answerArguments,
  options: answerOptions,
  run: (values) => answer({ ...values, approved: false, selections: [] })
})
