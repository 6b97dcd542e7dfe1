/**
 * "The same records" (design.md): what two runs of a workflow have to have in common when one of them was interrupted
 * and resumed. Ignored are ids, times and durations, owner, generation, `seq`, the count of recoveries, and lost
 * attempts; nothing else. Whether there is a time is no time: it counts.
 */
import * as Effect from "effect/Effect"
import { Persistence, type PersistenceError } from "../persistence/Persistence.ts"
import type { AttemptRecord, GateRecord, ItemRecord, RunId, RunRecord, StepRecord } from "../persistence/Records.ts"

/** A run with all below it, and the runs that it continued as. */
export interface RunTree {
  readonly root: RunId
  readonly runs: ReadonlyArray<{
    readonly run: RunRecord
    readonly steps: ReadonlyArray<StepRecord>
    readonly items: ReadonlyArray<ItemRecord>
  }>
}

/** Runs in a tree that is read: more is an error in the test. */
const most = 10_000

/** The records of a run and of all below it. */
export const readTree = (root: RunId): Effect.Effect<RunTree, PersistenceError, Persistence> =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const all = yield* persistence.list({ limit: most })
    const roots = chainOf(root, all)
    const runs = yield* Effect.forEach(
      all.filter((run) => roots.has(run.root)),
      (run) =>
        Effect.all({
          run: Effect.succeed(run),
          steps: persistence.steps(run.id),
          items: persistence.items(run.id)
        })
    )
    return { root, runs }
  })

/** The ids of a run and of all that it continued as. */
const chainOf = (first: RunId, all: ReadonlyArray<RunRecord>): ReadonlySet<RunId> => {
  const chain = new Set<RunId>()
  for (let id: RunId | null | undefined = first; id !== null && id !== undefined; ) {
    const current: RunId = id
    chain.add(current)
    id = all.find((run) => run.id === current)?.continuedAs
  }
  return chain
}

/** The tree as text, without what may differ: one line a record, in an order that does not depend on ids. */
export const comparableRecords = (tree: RunTree): ReadonlyArray<string> => {
  const known = cache.get(tree) ?? makeComparable(tree)
  cache.set(tree, known)
  return known
}

const cache = new WeakMap<RunTree, ReadonlyArray<string>>()

const makeComparable = (tree: RunTree): ReadonlyArray<string> => {
  const names = namesOf(tree)
  const lines = tree.runs.flatMap(({ run, steps, items }) => {
    const name = names.get(run.id) ?? run.id
    return [
      `${name} run ${canonical(comparableRun(run))}`,
      ...steps.map((step) => `${name} step ${step.path}#${step.epoch} ${canonical(comparableStep(step))}`),
      ...items.map((item) => `${name} item ${item.path} ${item.key} ${canonical(comparableItem(item))}`)
    ]
  })
  const anonymous = lines.map((line) => replaceIds(line, names))
  return anonymous.sort()
}

/** The first record that differs, in words; undefined if the trees hold the same records. */
export const recordDifference = (expected: RunTree, actual: RunTree): string | undefined =>
  lineDifference(comparableRecords(expected), comparableRecords(actual))

/** The same of two trees whose lines were made before. */
export const lineDifference = (wanted: ReadonlyArray<string>, found: ReadonlyArray<string>): string | undefined => {
  const missing = wanted.find((line) => !found.includes(line))
  const extra = found.find((line) => !wanted.includes(line))
  if (missing === undefined && extra === undefined) return undefined
  const [name, fields] = [headOf(missing ?? extra ?? ""), fieldsOf(missing)]
  const same = found.find((line) => headOf(line) === name)
  if (missing === undefined || same === undefined) return `${missing === undefined ? "unexpected" : "missing"}: ${name}`
  const other = fieldsOf(same)
  const names = Object.keys({ ...fields, ...other }).filter((key) => canonical(fields[key]) !== canonical(other[key]))
  const lines = names.map((key) => `  ${key}: expected ${canonical(fields[key])}, actual ${canonical(other[key])}`)
  return [name, ...lines].join("\n")
}

/** What names a record, before its JSON. */
const headOf = (line: string): string => line.slice(0, line.indexOf(" {"))

const fieldsOf = (line: string | undefined): Readonly<Record<string, unknown>> =>
  line === undefined ? {} : JSON.parse(line.slice(line.indexOf(" {") + 1))

/**
 * A run below the root is named by where it was dispatched, which its idempotency key says; one that goes on from another
 * by that.
 */
const namesOf = (tree: RunTree): ReadonlyMap<string, string> => {
  const names = new Map<string, string>([[tree.root, "root"]])
  const records = new Map<string, RunRecord>(tree.runs.map(({ run }) => [run.id, run]))
  const nameOf = (id: string): string => {
    const run = records.get(id)
    const name = names.get(id) ?? (run === undefined ? id : newName(run, nameOf))
    names.set(id, name)
    return name
  }
  for (const id of records.keys()) nameOf(id)
  return names
}

const newName = (run: RunRecord, nameOf: (id: string) => string): string => {
  if (run.continues !== null) return `${nameOf(run.continues.previous)}+`
  if (run.parent === null) return run.id
  const key = run.idempotencyKey ?? `${run.parent.run}${run.parent.path}`
  return `<${nameOf(run.parent.run)}${key.slice(run.parent.run.length)}>`
}

const replaceIds = (text: string, names: ReadonlyMap<string, string>): string => {
  let replaced = text
  for (const [id, name] of names) replaced = replaced.replaceAll(id, JSON.stringify(name).slice(1, -1))
  return replaced
}

/** JSON with sorted keys. */
const canonical = (value: unknown): string =>
  JSON.stringify(value ?? null, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner
  )

const isSet = (time: number | null): boolean => time !== null

const comparableRun = (run: RunRecord) => {
  const { owner: _o, generation: _g, seq: _s, recoveries: _r, readyAt: _a, createdAt: _c, ...rest } = run
  return {
    ...rest,
    startedAt: isSet(run.startedAt),
    endedAt: isSet(run.endedAt),
    totals: { ...run.totals, duration_ms: 0 },
    blockedOn: run.blockedOn.map((blocker) => ({ ...blocker, until: isSet(blocker.until) }))
  }
}

const comparableStep = (step: StepRecord) => ({
  ...step,
  startedAt: isSet(step.startedAt),
  endedAt: isSet(step.endedAt),
  wakeAt: isSet(step.wakeAt),
  attempts: step.attempts.filter((attempt) => attempt.outcome !== "lost").map(comparableAttempt),
  result: { ...step.result, metadata: withoutDuration(step.result.metadata) },
  gate: step.gate === null ? null : comparableGate(step.gate)
})

const comparableGate = (gate: GateRecord) => ({
  ...gate,
  notifiedAt: isSet(gate.notifiedAt),
  answer: gate.answer === null ? null : { ...gate.answer, at: 0 }
})

const comparableAttempt = (attempt: AttemptRecord) => ({
  ...attempt,
  startedAt: true,
  endedAt: isSet(attempt.endedAt),
  heartbeatAt: isSet(attempt.heartbeatAt),
  process: attempt.process !== null
})

const withoutDuration = (metadata: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(metadata).filter(([name]) => name !== "duration_ms"))

const comparableItem = (item: ItemRecord) => ({
  ...item,
  dispatchedAt: isSet(item.dispatchedAt),
  completedAt: isSet(item.completedAt)
})
