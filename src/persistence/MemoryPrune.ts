/**
 * What the memory backend keeps only while something refers to it: runs until they are pruned, and definitions.
 */
import { deleteRun, type MemoryStore, byId, records } from "./MemoryStore.ts"
import { outputName } from "./OutputStore.ts"
import type { PersistenceService, Pruned, PruneOptions, StoredDefinition } from "./Persistence.ts"
import { isEnded, type RunRecord } from "./Records.ts"

export const prune = (store: MemoryStore, options: PruneOptions): ReadonlyArray<Pruned> => {
  const pruned: Array<Pruned> = []
  let size = 0
  for (const { below, root } of prunable(store, options)) {
    pruned.push({ root: root.id, children: below.sort(byId).map((run) => run.id) })
    size += 1 + below.length
    if (size >= options.limit) break
  }
  if (!options.dryRun) {
    for (const { root, children } of pruned) for (const id of [root, ...children]) deleteRun(store, id)
  }
  return pruned
}

const prunable = (store: MemoryStore, { asOf = Number.MAX_SAFE_INTEGER, endedBefore, keep }: PruneOptions) => {
  const all = records(store)
  const counts = (run: RunRecord) => run.parent === null && isEnded(run.status) && (run.endedAt ?? Infinity) <= asOf
  const roots = all.filter(counts).sort(byId)
  const beyond = keep === undefined ? [] : roots.slice(0, Math.max(0, roots.length - keep))
  const aged = endedBefore === undefined ? [] : roots.filter(({ endedAt }) => endedAt !== null && endedAt < endedBefore)
  return [...new Set([...beyond, ...aged])]
    .map((root) => ({ root, below: all.filter((run) => run.root === root.id && run.id !== root.id) }))
    .filter(({ below }) => below.every((run) => isEnded(run.status)))
}

export const storeDefinition = (store: MemoryStore, given: StoredDefinition, now: number): void => {
  const { json, storedAt } = store.definitions.get(given.key) ?? { json: given.json, storedAt: now }
  store.definitions.set(given.key, { key: given.key, json, storedAt: Math.max(now, storedAt) })
}

export const definition = (store: MemoryStore, key: string): StoredDefinition | undefined => {
  const stored = store.definitions.get(key)
  return stored && { key, json: stored.json }
}

export const pruneDefinitions = (
  store: MemoryStore,
  { dryRun, limit, storedBefore }: Parameters<PersistenceService["pruneDefinitions"]>[0]
): ReadonlyArray<string> => {
  const named = new Set(records(store).map((run) => run.definition))
  const keys = Array.from(store.definitions.values())
    .filter(({ key, storedAt }) => storedAt < storedBefore && !named.has(key))
    .sort((a, b) => a.storedAt - b.storedAt || (a.key < b.key ? -1 : 1))
    .slice(0, limit)
    .map(({ key }) => key)
  if (!dryRun) for (const key of keys) store.definitions.delete(key)
  return keys
}

export const namedOutputs = (store: MemoryStore, names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const named = new Set<string | undefined>()
  for (const { journal } of store.runs.values()) {
    for (const { result } of journal.steps.values()) named.add(outputName(result.outputFile))
  }
  return names.filter((name) => named.has(name))
}
