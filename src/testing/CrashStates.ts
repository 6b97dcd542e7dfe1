/**
 * Every state in which a crash can leave a memory store, from one run: what a process finds that starts after the one
 * before it died between two writes. The cheap half of crash testing: `CrashPoints` also has answers that are lost.
 */
import * as Effect from "effect/Effect"
import type { MemoryPersistence } from "../persistence/MemoryPersistence.ts"
import type { MemorySnapshot } from "../persistence/MemoryStore.ts"
import type { PersistenceService } from "../persistence/Persistence.ts"
import { intercept, type WriteName } from "./CrashPoints.ts"

/** The store between two writes. */
export interface CrashState<A> {
  /** Of the write that it follows, from 1. */
  readonly write: number
  readonly name: WriteName
  readonly snapshot: MemorySnapshot
  /** What the observer saw just before the next write was applied: all that the process did in this state. */
  readonly seen: A
}

export interface Recording<A> {
  readonly service: PersistenceService
  /** So far. */
  readonly states: () => ReadonlyArray<CrashState<A>>
}

/** A store that remembers its states; `observe` is called at each write, and at the end. */
export const recordingStates = <A>(memory: MemoryPersistence, observe: () => A): Recording<A> => {
  const finished: Array<CrashState<A>> = []
  let open: Omit<CrashState<A>, "seen"> | undefined
  let writes = 0
  const written = (name: WriteName, seen: A) => {
    if (open !== undefined) finished.push({ ...open, seen })
    writes += 1
    open = { write: writes, name, snapshot: memory.snapshot() }
  }
  const service = intercept(memory.service, {
    read: (effect) => effect,
    write: (name, effect) =>
      Effect.suspend(() => {
        const seen = observe()
        return Effect.tap(effect, (result) => Effect.sync(() => isNoWrite(result) || written(name, seen)))
      })
  })
  return { service, states: () => (open === undefined ? finished : [...finished, { ...open, seen: observe() }]) }
}

/** Nothing was claimed. */
const isNoWrite = (result: unknown): boolean => Array.isArray(result) && result.length === 0
