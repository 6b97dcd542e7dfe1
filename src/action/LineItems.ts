/**
 * The item provider `lines`: one item for each line that is not blank.
 *
 * `scope = { file = "path below the working directory" }`, `{ from = "step" }` (what a step printed) or
 * `{ from = "step.field" }` (a text of its structured output), or `{ text = "{{name}}" }`. The id is the trimmed line;
 * `item.number` counts the lines from 1. A line that occurs twice is one item.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { field, isObject, kind } from "../workflow/Json.ts"
import { type Item, type ItemProvider, ItemProviderFailed, type ItemRequest } from "./ItemProvider.ts"
import { readBelow, readLimited, textOf, unknownKeys, type Values } from "./ItemScope.ts"

/** The provider `lines`. */
export const lineItems: ItemProvider = {
  ordered: false,
  check: (scope, filter) => {
    const source = readScope(scope, filter)
    return { errors: Either.isLeft(source) ? source.left : [], warnings: [] }
  },
  items: (request) =>
    Effect.gen(function* () {
      const source = readScope(request.scope, request.filter)
      if (Either.isLeft(source)) return yield* Effect.fail(source.left.join("; "))
      return { items: toItems(yield* textFrom(source.right, request)) }
    }).pipe(Effect.mapError((message) => new ItemProviderFailed({ provider: "lines", message })))
}

const scopeKeys = ["file", "from", "text"] as const

interface Source {
  readonly key: (typeof scopeKeys)[number]
  readonly value: string
}

const readScope = (scope: Values, filter: Values): Either.Either<Source, ReadonlyArray<string>> => {
  const unknown = [...unknownKeys("lines", "scope", scope, scopeKeys), ...unknownKeys("lines", "filter", filter, [])]
  if (unknown.length > 0) return Either.left(unknown)
  const [key, other] = scopeKeys.filter((known) => Object.hasOwn(scope, known))
  if (key === undefined) return Either.left(['the scope needs `file = "path"`, `from = "step"` or `text = "{{name}}"`'])
  if (other !== undefined) return Either.left([`the scope has both \`${key}\` and \`${other}\`; give one of them`])
  // A text that is given may be empty: it has no lines.
  if (key === "text" && scope[key] === "") return Either.right({ key, value: "" })
  return Either.mapBoth(textOf(scope, key, "scope"), {
    onLeft: (problem) => [problem],
    onRight: (value) => ({ key, value: value ?? "" })
  })
}

const textFrom = ({ key, value }: Source, request: ItemRequest): Effect.Effect<string, string> => {
  switch (key) {
    case "text":
      return Effect.succeed(value)
    case "file":
      return readBelow(value, request.workingDirectory)
    case "from":
      return value.includes(".") ? outputField(value, request) : printed(value, request)
  }
}

const outputField = (from: string, request: ItemRequest): Effect.Effect<string, string> => {
  const dot = from.indexOf(".")
  const output = request.output(from.slice(0, dot))
  const text = isObject(output) ? field(output, from.slice(dot + 1)) : undefined
  return typeof text === "string" ? Effect.succeed(text) : Effect.fail(`'${from}' is ${kind(text)}, not a text`)
}

/** A large output is in a file; a small one is the step's context. */
const printed = (step: string, request: ItemRequest): Effect.Effect<string, string> => {
  const result = request.result?.(step)
  if (result === undefined) return Effect.fail(`there is no step '${step}' with an output`)
  return result.outputFile === null
    ? Effect.succeed(result.context ?? "")
    : readLimited(result.outputFile, `the output of '${step}'`)
}

const toItems = (text: string): ReadonlyArray<Item> => {
  const items = new Map<string, Item>()
  text.split(/\r?\n/).forEach((line, index) => {
    const id = line.trim()
    if (id === "" || items.has(id)) return
    items.set(id, { type: "line", id, ref: id, context: { number: String(index + 1) } })
  })
  return [...items.values()]
}
