/** What an engine writes, in words: a crash is found again by the number of the write, and understood by its words. */
import * as Effect from "effect/Effect"
import type { Change } from "../persistence/Journal.ts"
import type { PersistenceService } from "../persistence/Persistence.ts"
import { intercept, runWrites, type WriteName } from "./CrashPoints.ts"

const isOfRun = (name: WriteName): boolean => runWrites.some((known) => known === name)

/** A store that says each of its `runWrites` when it is asked for it. */
export const sayingWrites = (store: PersistenceService, said: Array<string>): PersistenceService => {
  const saying = intercept(store, {
    read: (effect) => effect,
    write: (name, effect) =>
      Effect.suspend(() => {
        if (name !== "commit" && isOfRun(name)) said.push(name)
        return effect
      })
  })
  return {
    ...saying,
    commit: (commit) =>
      Effect.suspend(() => {
        said.push(wordsOf(commit.changes))
        return saying.commit(commit)
      })
  }
}

/** `commit: /charge completed, /ship running`. */
export const wordsOf = (changes: ReadonlyArray<Change>): string => {
  const words = changes.flatMap((change) => {
    if (change._tag === "Step") return [`${change.step.path} ${change.step.status}`]
    if (change._tag === "Run" && change.patch.status !== undefined) return [`run ${change.patch.status}`]
    return []
  })
  return words.length === 0 ? "commit" : `commit: ${words.join(", ")}`
}
