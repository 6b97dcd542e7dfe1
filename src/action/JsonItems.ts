/**
 * The item provider `json`: items from an earlier step's structured output or from a file.
 *
 * `scope = { from = "step.field" }` or `{ file = "path below the working directory" }`; either names a list of texts,
 * or of objects with `id` and optionally `ref`, `type` and `blocked_by` (ids), whose other texts become `item.<key>`.
 */
import { open } from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Texts, Value } from "../workflow/Definition.ts"
import { field, isObject, kind, parse } from "../workflow/Json.ts"
import { nearest } from "../workflow/Suggest.ts"
import {
  type Item,
  type ItemEdge,
  type ItemProvider,
  ItemProviderFailed,
  type ItemRequest,
  type Items
} from "./ItemProvider.ts"
import { resolveBelow } from "./ProjectPath.ts"

/** The largest file of items that is read, in bytes. */
export const maxItemsFileBytes = 16 * 1024 * 1024

/** The type of items that name none. */
export const defaultItemType = "item"

const scopeKeys = ["from", "file"] as const

type Values = Readonly<Record<string, Value>>

/** The provider `json`. */
export const jsonItems: ItemProvider = {
  ordered: true,
  check: (scope, filter) => {
    const source = sourceOf(scope)
    const errors = Either.isLeft(source) ? source.left : []
    return { errors: [...errors, ...filterErrors(filter)], warnings: [] }
  },
  items: (request) =>
    Effect.gen(function* () {
      const source = sourceOf(request.scope)
      const errors = [...(Either.isLeft(source) ? source.left : []), ...filterErrors(request.filter)]
      if (Either.isLeft(source) || errors.length > 0) return yield* failed(errors.join("; "))
      const list = yield* source.right._tag === "File"
        ? readList(source.right.path, request.workingDirectory)
        : Effect.succeed(outputField(request, source.right))
      return yield* toItems(list, describe(source.right), request.ordered)
    })
}

const failed = (message: string): ItemProviderFailed => new ItemProviderFailed({ provider: "json", message })

type Source =
  | { readonly _tag: "Output"; readonly step: string; readonly field: string }
  | { readonly _tag: "File"; readonly path: string }

const sourceOf = (scope: Values): Either.Either<Source, ReadonlyArray<string>> => {
  const errors = Object.keys(scope).filter(isUnknown).map(unknownKey)
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

const isUnknown = (key: string): boolean => !scopeKeys.some((known) => known === key)

const unknownKey = (key: string): string => {
  const near = nearest(key, scopeKeys)
  return `unknown key '${key}' in the scope; ${near === undefined ? "it knows `from` and `file`" : `did you mean '${near}'?`}`
}

const filterErrors = (filter: Values): ReadonlyArray<string> =>
  Object.keys(filter).map((key) => `unknown key '${key}' in the filter; the provider 'json' has none`)

const outputField = (request: ItemRequest, source: Extract<Source, { _tag: "Output" }>): unknown => {
  const output = request.output(source.step)
  return isObject(output) ? field(output, source.field) : undefined
}

const describe = (source: Source): string =>
  source._tag === "File" ? source.path : `'${source.field}' in the output of '${source.step}'`

const readList = (path: string, workingDirectory: string): Effect.Effect<unknown, ItemProviderFailed> =>
  Effect.gen(function* () {
    const resolved = resolveBelow(path, [workingDirectory])
    if (resolved._tag === "Refused") return yield* failed(resolved.reason)
    if (resolved._tag === "Missing") return yield* failed(`there is no file ${resolved.searched.join(", ")}`)
    const text = yield* Effect.tryPromise({
      try: () => readLimited(resolved.file),
      catch: (error) => failed(`cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`)
    })
    return parse(text.replace(/^\ufeff/, "")) ?? (yield* failed(`${path} holds no valid JSON`))
  })

const readLimited = async (file: string): Promise<string> => {
  const handle = await open(file)
  try {
    const stat = await handle.stat()
    if (!stat.isFile()) throw new Error("it is not a file")
    if (stat.size > maxItemsFileBytes) throw new Error(`it has more than ${maxItemsFileBytes} bytes`)
    return await handle.readFile("utf8")
  } finally {
    await handle.close()
  }
}

const toItems = (list: unknown, where: string, ordered: boolean): Effect.Effect<Items, ItemProviderFailed> => {
  if (!Array.isArray(list)) return Effect.fail(failed(`${where} is ${kind(list)}, not a list of items`))
  const read = list.map((element: unknown) => readItem(element))
  const problems = read.flatMap((item, index) =>
    Either.isLeft(item) ? [`item ${index + 1} of ${where} ${item.left}`] : []
  )
  if (problems.length > 0) return Effect.fail(failed(problems.slice(0, shownProblems).join("; ")))
  const sound = read.filter(Either.isRight).map(({ right }) => right)
  const items = sound.map(({ item }) => item)
  return Effect.succeed(ordered ? { items, edges: sound.flatMap(edgesOf) } : { items })
}

const shownProblems = 10

interface ReadItem {
  readonly item: Item
  readonly blockedBy: ReadonlyArray<string>
}

const edgesOf = ({ blockedBy, item }: ReadItem): ReadonlyArray<ItemEdge> =>
  blockedBy.map((blocker) => ({ blocker, dependent: item.id }))

const readItem = (element: unknown): Either.Either<ReadItem, string> => {
  if (typeof element === "string") {
    return element === ""
      ? Either.left("is an empty text")
      : Either.right({ item: { type: defaultItemType, id: element, ref: element, context: {} }, blockedBy: [] })
  }
  if (!isObject(element)) return Either.left(`is ${kind(element)}, not a text or an object with an id`)
  const id = identifier(field(element, "id"))
  if (id === undefined) return Either.left("has no `id`")
  const blockedBy = field(element, "blocked_by") ?? []
  const blockers = Array.isArray(blockedBy) ? blockedBy.map(identifier) : [undefined]
  if (!blockers.every((blocker) => blocker !== undefined))
    return Either.left("has a `blocked_by` that is no list of ids")
  const type = field(element, "type") ?? defaultItemType
  const ref = field(element, "ref") ?? id
  if (typeof type !== "string" || type === "") return Either.left("has a `type` that is no text")
  if (typeof ref !== "string") return Either.left("has a `ref` that is no text")
  return Either.right({ item: { type, id, ref, context: otherTexts(element) }, blockedBy: blockers })
}

/** Numbers are common as ids; they are the same item as their text. */
const identifier = (value: unknown): string | undefined => {
  if (typeof value === "number") return String(value)
  return typeof value === "string" && value !== "" ? value : undefined
}

const ownKeys: ReadonlySet<string> = new Set(["id", "ref", "type", "blocked_by"])

const otherTexts = (element: { readonly [key: string]: unknown }): Texts => {
  const texts: Record<string, string> = {}
  for (const [key, value] of Object.entries(element)) {
    if (typeof value === "string" && !ownKeys.has(key)) texts[key] = value
  }
  return texts
}
