/** `approve`: lets a run pass the gate that it waits at, and goes on with it. */
import * as Effect from "effect/Effect"
import { answer, answerArguments, answerOptions } from "../Answer.ts"
import { UsageError } from "../CliError.ts"
import { defineCommand, text } from "../CommandLine.ts"

export const command = defineCommand({
  name: "approve",
  summary: "Approve the gate that a run waits at, and go on with the run unless another process does.",
  examples: [
    ["approve, and go on with the run right here", "millrace approve 01JD8N4K"],
    [
      "with options of the gate, and a word for the steps behind it",
      'millrace approve 01JD8N4K --select staging,docs --feedback "go ahead"'
    ],
    ["one of several gates; whoever works on runs goes on", "millrace approve 01JD8N4K --gate human_review --no-resume"]
  ],
  arguments: answerArguments,
  options: {
    ...answerOptions,
    select: text("select", "A,B", "which of the gate's options are chosen"),
    value: text("value", "JSON", "what the gate of a typed workflow asks for")
  },
  run: ({ select, value, ...values }) =>
    Effect.flatMap(parsed(value), (json) =>
      answer({ ...values, approved: true, selections: keysOf(select), value: json })
    )
})

const parsed = (value: string | undefined): Effect.Effect<unknown, UsageError> =>
  value === undefined
    ? Effect.succeed(undefined)
    : Effect.try({
        try: (): unknown => JSON.parse(value),
        // Without the parser's words, which cite the value: it may be a secret.
        catch: () => new UsageError({ message: "--value is no JSON", hint: `a text is written --value '"so"'` })
      })

const keysOf = (select: string | undefined): ReadonlyArray<string> =>
  (select ?? "")
    .split(",")
    .map((key) => key.trim())
    .filter((key) => key !== "")
