/**
 * The item provider `files`: the files below the working directory that match a pattern.
 *
 * `scope = { glob = "src/**\/*.ts" }`, also a list of patterns; `ignore`: patterns of files and folders to leave out.
 * An item's id is the path, sorted; `item.path`, `item.name`, `item.dir`, `item.stem` and `item.extension` are its
 * parts. Links to files count, links to folders are not followed.
 */
import type { Dirent } from "node:fs"
import { readdir, stat } from "node:fs/promises"
import { join, posix } from "node:path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Glob from "./Glob.ts"
import { type Item, type ItemProvider, ItemProviderFailed } from "./ItemProvider.ts"
import { textsOf, unknownKeys, type Values } from "./ItemScope.ts"
import { problemsOf } from "./Problems.ts"

/** The most files and folders that one request looks at. */
export const maxVisited = 1_000_000

/** The provider `files`. */
export const fileItems: ItemProvider = {
  ordered: false,
  check: (scope, filter) => {
    const wanted = readScope(scope, filter)
    return { errors: Either.isLeft(wanted) ? wanted.left : [], warnings: [] }
  },
  items: (request) =>
    Effect.gen(function* () {
      const wanted = readScope(request.scope, request.filter)
      if (Either.isLeft(wanted)) return yield* failed(wanted.left.join("; "))
      const walk = new Walk(request.workingDirectory, wanted.right)
      yield* walk.folder("", wanted.right.globs.map(Glob.start), wanted.right.ignored.map(Glob.start))
      return { items: walk.found.sort().map(toItem) }
    })
}

const failed = (message: string): ItemProviderFailed => new ItemProviderFailed({ provider: "files", message })

interface Wanted {
  readonly globs: ReadonlyArray<Glob.Glob>
  readonly ignored: ReadonlyArray<Glob.Glob>
}

const readScope = (scope: Values, filter: Values): Either.Either<Wanted, ReadonlyArray<string>> => {
  const unknown = [
    ...unknownKeys("files", "scope", scope, ["glob", "ignore"]),
    ...unknownKeys("files", "filter", filter, [])
  ]
  if (unknown.length > 0) return Either.left(unknown)
  if (!Object.hasOwn(scope, "glob")) return Either.left(['the scope needs `glob = "src/**/*.ts"`'])
  const globs = patternsOf(scope, "glob")
  const ignored = patternsOf(scope, "ignore")
  if (Either.isRight(globs) && Either.isRight(ignored)) {
    return Either.right({ globs: globs.right, ignored: ignored.right })
  }
  return Either.left(problemsOf([globs, ignored]))
}

const patternsOf = (scope: Values, key: string): Either.Either<ReadonlyArray<Glob.Glob>, string> =>
  Either.flatMap(textsOf(scope, key, "scope"), (patterns) => Either.all(patterns.map(Glob.compile)))

type Progresses = ReadonlyArray<Glob.Progress>

class Walk {
  readonly found: Array<string> = []
  #visited = 0

  constructor(
    private readonly root: string,
    private readonly wanted: Wanted
  ) {}

  /** `folder` is relative to the root, with a `/` at its end. */
  folder(folder: string, globs: Progresses, ignored: Progresses): Effect.Effect<void, ItemProviderFailed> {
    return Effect.flatMap(this.#entries(folder), (entries) =>
      Effect.forEach(entries, (entry) => this.#entry(folder, entry, globs, ignored), { discard: true })
    )
  }

  #entry(folder: string, entry: Dirent, before: Progresses, beforeIgnored: Progresses) {
    return Effect.suspend((): Effect.Effect<void, ItemProviderFailed> => {
      if (++this.#visited > maxVisited) {
        return Effect.fail(failed(`there are more than ${maxVisited} files and folders to look at`))
      }
      const { globs, ignored } = this.wanted
      const next = advanceAll(globs, before, entry.name, false)
      const nextIgnored = advanceAll(ignored, beforeIgnored, entry.name, true)
      if (next.every(Glob.isDead) || matchesAny(ignored, nextIgnored)) return Effect.void
      const path = folder + entry.name
      if (entry.isDirectory()) return this.folder(`${path}/`, next, nextIgnored)
      if (!matchesAny(globs, next)) return Effect.void
      return Effect.map(this.#isFile(entry, path), (isFile) => {
        if (isFile) this.found.push(path)
      })
    })
  }

  #entries(folder: string): Effect.Effect<ReadonlyArray<Dirent>, ItemProviderFailed> {
    return Effect.tryPromise({
      try: () => readdir(join(this.root, folder), { withFileTypes: true }),
      catch: (error) => failed(`cannot read the folder ./${folder}: ${reason(error)}`)
    })
  }

  #isFile(entry: Dirent, path: string): Effect.Effect<boolean> {
    if (!entry.isSymbolicLink()) return Effect.succeed(entry.isFile())
    // A link that leads nowhere is no file.
    const target = Effect.tryPromise(() => stat(join(this.root, path)))
    return Effect.match(target, { onFailure: () => false, onSuccess: (found) => found.isFile() })
  }
}

const advanceAll = (globs: ReadonlyArray<Glob.Glob>, before: Progresses, name: string, hidden: boolean): Progresses =>
  globs.map((glob, index) => Glob.advance(glob, before[index] ?? [], name, hidden))

const matchesAny = (globs: ReadonlyArray<Glob.Glob>, progresses: Progresses): boolean =>
  globs.some((glob, index) => Glob.isMatch(glob, progresses[index] ?? []))

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const toItem = (path: string): Item => {
  const { base, dir, ext, name } = posix.parse(path)
  return { type: "file", id: path, ref: path, context: { path, name: base, dir, stem: name, extension: ext.slice(1) } }
}
