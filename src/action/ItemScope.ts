/**
 * Reading what a fan-out says to its provider: the keys of `scope` and `filter`, and files below the working directory
 * that they name.
 */
import { open } from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Value } from "../workflow/Definition.ts"
import { nearest } from "../workflow/Suggest.ts"
import { resolveBelow } from "./ProjectPath.ts"

/** The largest file of items that is read, in bytes. */
export const maxItemsFileBytes = 16 * 1024 * 1024

export type Values = Readonly<Record<string, Value>>

/** What is wrong with the keys of a scope or filter: each that the provider does not know. */
export const unknownKeys = (
  provider: string,
  what: "scope" | "filter",
  values: Values,
  known: ReadonlyArray<string>
): ReadonlyArray<string> =>
  Object.keys(values)
    .filter((key) => !known.includes(key))
    .map((key) => {
      const near = nearest(key, known)
      const hint =
        near !== undefined
          ? `did you mean '${near}'?`
          : known.length === 0
            ? `the provider '${provider}' has none`
            : `it knows ${listed(known)}`
      return `unknown key '${key}' in the ${what}; ${hint}`
    })

/** `a`, `b` and `c`, in code quotes. */
export const listed = (names: ReadonlyArray<string>): string => {
  const quoted = names.map((name) => `\`${name}\``)
  return quoted.length < 2 ? quoted.join("") : `${quoted.slice(0, -1).join(", ")} and ${quoted.at(-1) ?? ""}`
}

/** The texts of a key that holds a text or a list of texts; none where it is missing. */
export const textsOf = (values: Values, key: string, what: string): Either.Either<ReadonlyArray<string>, string> => {
  const value = Object.hasOwn(values, key) ? values[key] : undefined
  const list: ReadonlyArray<unknown> = value === undefined ? [] : Array.isArray(value) ? value : [value]
  return list.every((text): text is string => typeof text === "string" && text !== "")
    ? Either.right(list)
    : Either.left(`the ${what}'s \`${key}\` must be a text or a list of texts`)
}

/** The text of a key; undefined where it is missing. */
export const textOf = (values: Values, key: string, what: string): Either.Either<string | undefined, string> => {
  const value = Object.hasOwn(values, key) ? values[key] : undefined
  return value === undefined || (typeof value === "string" && value !== "")
    ? Either.right(value)
    : Either.left(`the ${what}'s \`${key}\` must be a text`)
}

/** The text of a file below the working directory; a byte order mark is dropped. Fails with what is wrong. */
export const readBelow = (path: string, workingDirectory: string): Effect.Effect<string, string> =>
  Effect.gen(function* () {
    const resolved = resolveBelow(path, [workingDirectory])
    if (resolved._tag === "Refused") return yield* Effect.fail(resolved.reason)
    if (resolved._tag === "Missing") return yield* Effect.fail(`there is no file ${resolved.searched.join(", ")}`)
    return yield* readLimited(resolved.file, path)
  })

/** The text of a file, called `shown` in messages. */
export const readLimited = (file: string, shown: string): Effect.Effect<string, string> =>
  Effect.tryPromise({
    try: async () => {
      const handle = await open(file)
      try {
        const stat = await handle.stat()
        if (!stat.isFile()) throw new Error("it is not a file")
        if (stat.size > maxItemsFileBytes) throw new Error(`it has more than ${maxItemsFileBytes} bytes`)
        return (await handle.readFile("utf8")).replace(/^\ufeff/, "")
      } finally {
        await handle.close()
      }
    },
    catch: (error) => `cannot read ${shown}: ${error instanceof Error ? error.message : String(error)}`
  })
