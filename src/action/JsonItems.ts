/**
 * The item provider `json`: items from an earlier step's structured output or from a file.
 *
 * `scope = { from = "step.field" }` or `{ file = "path below the working directory" }`; either names a list of items
 * (`ItemList`).
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { field, isObject, parse } from "../workflow/Json.ts"
import { type ItemProvider, ItemProviderFailed, type ItemRequest } from "./ItemProvider.ts"
import { readList } from "./ItemList.ts"
import { readBelow, unknownKeys, type Values } from "./ItemScope.ts"

export { defaultItemType } from "./ItemList.ts"
export { maxItemsFileBytes } from "./ItemScope.ts"

const scopeKeys = ["from", "file"] as const

/** The provider `json`. */
export const jsonItems: ItemProvider = {
  ordered: true,
  check: (scope, filter) => {
    const source = sourceOf(scope)
    const errors = Either.isLeft(source) ? source.left : []
    return { errors: [...errors, ...unknownKeys("json", "filter", filter, [])], warnings: [] }
  },
  items: (request) =>
    Effect.gen(function* () {
      const source = sourceOf(request.scope)
      const errors = Either.isLeft(source) ? source.left : []
      const problems = [...errors, ...unknownKeys("json", "filter", request.filter, [])]
      if (Either.isLeft(source) || problems.length > 0) return yield* failed(problems.join("; "))
      const list = yield* source.right._tag === "File"
        ? readFile(source.right.path, request.workingDirectory)
        : Effect.succeed(outputField(request, source.right))
      const items = readList(list, describe(source.right), request.ordered)
      return Either.isRight(items) ? items.right : yield* failed(items.left)
    })
}

const failed = (message: string): ItemProviderFailed => new ItemProviderFailed({ provider: "json", message })

type Source =
  | { readonly _tag: "Output"; readonly step: string; readonly field: string }
  | { readonly _tag: "File"; readonly path: string }

const sourceOf = (scope: Values): Either.Either<Source, ReadonlyArray<string>> => {
  const errors = unknownKeys("json", "scope", scope, scopeKeys)
  const [key, ...more] = scopeKeys.filter((known) => Object.hasOwn(scope, known))
  if (errors.length > 0) return Either.left(errors)
  if (key === undefined) return Either.left(['the scope needs `from = "step.field"` or `file = "path"`'])
  if (more.length > 0) return Either.left(["the scope has both `from` and `file`; give one of them"])
  const value = scope[key]
  if (typeof value !== "string" || value === "") return Either.left([`the scope's \`${key}\` must be a text`])
  return key === "file" ? Either.right({ _tag: "File", path: value }) : outputSource(value)
}

const outputSource = (from: string): Either.Either<Source, ReadonlyArray<string>> => {
  const dot = from.indexOf(".")
  return dot > 0 && dot < from.length - 1
    ? Either.right({ _tag: "Output", step: from.slice(0, dot), field: from.slice(dot + 1) })
    : Either.left([`the scope's \`from\` must be written "step.field", not "${from}"`])
}

const outputField = (request: ItemRequest, source: Extract<Source, { _tag: "Output" }>): unknown => {
  const output = request.output(source.step)
  return isObject(output) ? field(output, source.field) : undefined
}

const describe = (source: Source): string =>
  source._tag === "File" ? source.path : `'${source.field}' in the output of '${source.step}'`

const readFile = (path: string, workingDirectory: string): Effect.Effect<unknown, ItemProviderFailed> =>
  Effect.flatMap(Effect.mapError(readBelow(path, workingDirectory), failed), (text) => {
    const value = parse(text)
    return value === undefined ? Effect.fail(failed(`${path} holds no valid JSON`)) : Effect.succeed(value)
  })
