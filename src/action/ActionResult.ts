/**
 * What a module's action gave back, checked and made an output (spec/engine.md, "call"). The call's output schema is
 * the engine's to apply, whichever executor gave the output.
 */
import * as Either from "effect/Either"
import type { Texts } from "../workflow/Definition.ts"
import { isObject } from "../workflow/Json.ts"
import * as Json from "../workflow/Json.ts"
import { nearest } from "../workflow/Suggest.ts"
import type { ActionOutput } from "./Action.ts"

/** What a module's action may give; nothing at all is an empty result. */
export interface ModuleResult {
  readonly markers?: ReadonlyArray<string>
  readonly context?: string
  readonly resultText?: string
  /** Any JSON. */
  readonly structuredOutput?: unknown
  /** Texts; numbers are written as texts. */
  readonly metadata?: Readonly<Record<string, string | number>>
}

const keys = ["markers", "context", "resultText", "structuredOutput", "metadata"] as const

export interface CheckedResult {
  readonly output: ActionOutput
  readonly warnings: ReadonlyArray<string>
}

/** The output that a value stands for, or what is wrong with its shape, as the end of a sentence. */
export const checkResult = (value: unknown): Either.Either<CheckedResult, string> => {
  if (value === undefined || value === null) return Either.right({ output: {}, warnings: [] })
  if (!isPlain(value)) return Either.left(`gave ${shown(value)}, not an object with ${keys.join(", ")}`)
  const structured = toJson(value["structuredOutput"])
  const problems = [
    textsProblem(value["markers"]),
    textProblem("context", value["context"]),
    textProblem("resultText", value["resultText"]),
    metadataProblem(value["metadata"]),
    Either.isLeft(structured) ? structured.left : undefined
  ].filter((problem) => problem !== undefined)
  if (problems.length > 0 || Either.isLeft(structured)) return Either.left(problems.join("; "))
  return Either.right({ output: toOutput(value, structured.right), warnings: unknownKeys(value) })
}

const shown = (value: unknown): string => {
  if (typeof value === "function") return "a function"
  return isObject(value) ? `an instance of ${value.constructor.name}` : Json.kind(value)
}

const isPlain = (value: unknown): value is Readonly<Record<string, unknown>> => {
  if (!isObject(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  // A module may run in a realm of its own, with an Object of its own.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

const textProblem = (key: string, value: unknown): string | undefined =>
  value === undefined || typeof value === "string" ? undefined : `gave ${Json.kind(value)} as \`${key}\`, not a text`

const textsProblem = (value: unknown): string | undefined =>
  value === undefined || isTexts(value) ? undefined : `gave \`markers\` that are no list of texts`

const isTexts = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((element) => typeof element === "string")

const metadataProblem = (value: unknown): string | undefined =>
  value === undefined || isMetadata(value) ? undefined : "gave `metadata` that is no object of texts and numbers"

const isMetadata = (value: unknown): value is Readonly<Record<string, string | number>> =>
  isObject(value) && Object.values(value).every((entry) => typeof entry === "string" || Number.isFinite(entry))

/** What a record can hold of a value: its JSON, so that a resumed run sees the very same. */
const toJson = (value: unknown): Either.Either<Json.Json | undefined, string> => {
  try {
    const text: string | undefined = JSON.stringify(value)
    if (text === undefined && value !== undefined) return Either.left("gave a `structuredOutput` that is no JSON")
    return Either.right(text === undefined ? undefined : Json.parse(text))
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split("\n")[0] ?? "") : "it cannot be read"
    return Either.left(`gave a \`structuredOutput\` that is no JSON: ${reason}`)
  }
}

const toOutput = (value: Readonly<Record<string, unknown>>, structured: Json.Json | undefined): ActionOutput => ({
  ...(isTexts(value["markers"]) ? { markers: [...value["markers"]] } : {}),
  ...(typeof value["context"] === "string" ? { context: value["context"] } : {}),
  ...(typeof value["resultText"] === "string" ? { resultText: value["resultText"] } : {}),
  ...(structured === undefined ? {} : { structuredOutput: structured }),
  ...(isMetadata(value["metadata"]) ? { metadata: texts(value["metadata"]) } : {})
})

const texts = (metadata: Readonly<Record<string, string | number>>): Texts =>
  Object.fromEntries(Object.entries(metadata).map(([key, entry]) => [key, String(entry)]))

const unknownKeys = (value: Readonly<Record<string, unknown>>): ReadonlyArray<string> =>
  Object.keys(value)
    .filter((key) => !keys.some((known) => known === key))
    .map((key) => {
      const near = nearest(key, keys)
      return `the result's \`${key}\` is ignored${near === undefined ? "" : `; did you mean \`${near}\`?`}`
    })
