/** `approve`: lets a run pass the gate that it waits at, and goes on with it. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { answer, answerArguments, answerOptions } from "../Answer.ts"
import { UsageError } from "../CliError.ts"
import { defineCommand, text } from "../CommandLine.ts"

export const command = defineCommand({
  name: "approve",
  summary: "Approve the gate that a run waits at, and go on with the run unless another process does.",
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
    : Effect.mapError(Schema.decode(Schema.parseJson())(value), ({ message }) => {
        return new UsageError({ message: `--value is no JSON: ${message}`, hint: `a text is written --value '"so"'` })
      })

const keysOf = (select: string | undefined): ReadonlyArray<string> =>
  (select ?? "")
    .split(",")
    .map((key) => key.trim())
    .filter((key) => key !== "")
