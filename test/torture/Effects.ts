/**
 * What the steps of a tortured project did, by the lines that they left, against the records of their runs
 * (spec/engine.md, "Durability" 2).
 */
import type { AttemptRecord, StepRecord } from "../../src/persistence/Records.ts"
import type { RunTree } from "../../src/testing/RecordComparison.ts"

interface Line {
  readonly what: string
  readonly pid: number
  /** ms since the epoch. */
  readonly time: number
}

/** The lines of each step, by `RUN PATH`. */
export type Effects = ReadonlyMap<string, ReadonlyArray<Line>>

export const readEffects = (text: string): Effects => {
  const effects = new Map<string, Array<Line>>()
  for (const line of text.split("\n")) {
    const [what, run, path, pid, time] = line.split(" ")
    if (what === undefined || run === undefined || path === undefined) continue
    const key = `${run} ${path}`
    const known = effects.get(key) ?? []
    effects.set(key, known)
    known.push({ what, pid: Number(pid), time: Number(time) })
  }
  return effects
}

export interface EffectReport {
  /** Executions of steps. */
  readonly executions: number
  /** Of steps that had begun when their process was killed. */
  readonly repeated: number
  readonly problems: ReadonlyArray<string>
}

export const checkEffects = (trees: ReadonlyArray<RunTree>, effects: Effects): EffectReport => {
  const problems: Array<string> = []
  let executions = 0
  let repeated = 0
  for (const { run, steps } of trees.flatMap((tree) => tree.runs)) {
    for (const step of steps) {
      if (step.kind !== "call" && step.kind !== "script") continue
      const lines = effects.get(`${run.id} ${step.path}`) ?? []
      const begun = lines.filter(({ what }) => what === "begin").length
      executions += begun
      repeated += Math.max(0, begun - step.attempts.filter(isKept).length)
      for (const problem of problemsOf(step, lines)) problems.push(`${run.workflow} ${run.id} ${step.path}: ${problem}`)
    }
  }
  return { executions, repeated, problems }
}

const isKept = ({ outcome }: AttemptRecord): boolean => outcome !== "lost"

/** One that a timeout or a cancellation met may not have come to its first line. */
const hasBegun = ({ outcome }: AttemptRecord): boolean => outcome === "completed" || outcome === "failed"

const problemsOf = (step: StepRecord, lines: ReadonlyArray<Line>): ReadonlyArray<string> => {
  const begun = lines.filter(({ what }) => what === "begin")
  const problems: Array<string> = []
  const beside = lines.filter(({ what }) => what === "beside").length
  if (beside > 0) problems.push(`ran ${beside} times beside what a killed process had left`)
  const { attempts } = step
  if (begun.length > attempts.length) problems.push(`was executed ${begun.length} times in ${attempts.length} attempts`)
  const least = attempts.filter(hasBegun).length
  if (begun.length < least) problems.push(`was executed ${begun.length} times, and has ended ${least} times`)
  const last = attempts.at(-1)
  if (step.status !== "completed" || last === undefined || step.endedAt === null) return problems
  const { endedAt } = step
  const after = begun.filter(({ time }) => time > endedAt).length
  if (after > 0) problems.push(`was executed ${after} times after it had completed`)
  const recorded = begun.filter(({ time }) => time >= last.startedAt).length
  if (recorded !== 1) problems.push(`was executed ${recorded} times in the attempt that completed`)
  if (!lines.some(({ what }) => what === "end")) problems.push("completed, and never came to its end")
  return problems
}
