/**
 * Lists of items as JSON: what the provider `json` reads, and what executables and functions give.
 *
 * An item is a text, or an object with `id` and optionally `ref`, `type` and `blocked_by` (ids), whose other texts
 * become `item.<key>`.
 */
import * as Either from "effect/Either"
import type { Texts } from "../workflow/Definition.ts"
import { field, isObject, kind } from "../workflow/Json.ts"
import { nearest } from "../workflow/Suggest.ts"
import type { Item, ItemEdge, Items } from "./ItemProvider.ts"

/** The type of items that name none. */
export const defaultItemType = "item"

/** Problems that one message lists. */
const shownProblems = 10

/** The items of a list, or what is wrong with them; `where` is what the list is, in a sentence. */
export const readList = (list: unknown, where: string, ordered: boolean): Either.Either<Items, string> => {
  if (!Array.isArray(list)) return Either.left(`${where} is ${kind(list)}, not a list of items`)
  const read = list.map((element: unknown) => readItem(element))
  const problems = read.flatMap((item, index) =>
    Either.isLeft(item) ? [`item ${index + 1} of ${where} ${item.left}`] : []
  )
  if (problems.length > 0) return Either.left(problems.slice(0, shownProblems).join("; "))
  const sound = read.filter(Either.isRight).map(({ right }) => right)
  const items = sound.map(({ item }) => item)
  return Either.right(ordered ? { items, edges: sound.flatMap(edgesOf) } : { items })
}

const resultKeys = ["items", "edges", "warnings"]

/** What a provider gives: a list of items, or an object with `items` and optionally `edges` and `warnings`. */
export const readItems = (value: unknown, where: string, ordered: boolean): Either.Either<Items, string> => {
  if (!isObject(value)) return readList(value, where, ordered)
  const unknown = Object.keys(value).find((key) => !resultKeys.includes(key))
  if (unknown !== undefined) return Either.left(`${where} has the unknown key '${unknown}'${hint(unknown)}`)
  return Either.gen(function* () {
    const { items, edges: own } = yield* readList(field(value, "items"), `\`items\` of ${where}`, ordered)
    const edges = yield* readEdges(field(value, "edges") ?? [], where)
    const warnings = yield* readWarnings(field(value, "warnings") ?? [], where)
    return ordered ? { items, edges: [...(own ?? []), ...edges], warnings } : { items, warnings }
  })
}

const hint = (key: string): string => {
  const near = nearest(key, resultKeys)
  return near === undefined ? "; it may have items, edges and warnings" : `; did you mean '${near}'?`
}

const readEdges = (value: unknown, where: string): Either.Either<ReadonlyArray<ItemEdge>, string> => {
  const edges = Array.isArray(value) ? value.map(readEdge) : [undefined]
  return edges.every((edge) => edge !== undefined)
    ? Either.right(edges)
    : Either.left(`\`edges\` of ${where} is no list of {"blocker": id, "dependent": id}`)
}

const readEdge = (value: unknown): ItemEdge | undefined => {
  if (!isObject(value)) return undefined
  const blocker = identifier(field(value, "blocker"))
  const dependent = identifier(field(value, "dependent"))
  return blocker === undefined || dependent === undefined ? undefined : { blocker, dependent }
}

const readWarnings = (value: unknown, where: string): Either.Either<ReadonlyArray<string>, string> =>
  Array.isArray(value) && value.every((text) => typeof text === "string")
    ? Either.right(value)
    : Either.left(`\`warnings\` of ${where} is no list of texts`)

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

const otherTexts = (element: { readonly [key: string]: unknown }): Texts =>
  Object.fromEntries(
    Object.entries(element).filter(
      (entry): entry is [string, string] => typeof entry[1] === "string" && !ownKeys.has(entry[0])
    )
  )
