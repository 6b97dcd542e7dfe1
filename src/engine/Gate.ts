/**
 * The gate: a durable wait for an answer (spec/engine.md, "gate").
 *
 * - G1 An answer counts when the gate's end is a row; until then it stays in the inbox (I5).
 * - G2 The deadline counts from the first wait, across restarts.
 * - G3 A stored answer wins over the resolver's, whichever kind of gate it is.
 * - G4 An answer that the gate cannot read is dropped with a warning, and the gate goes on waiting.
 * - G5 (`GateNotice`) That a person was told of the gate is on its row.
 * - Z2 While the run is paused no answer and no deadline ends it, and its resolver is not asked.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { GateResolverFailed, type GateQuestion, type GateResolver, type GateVerdict } from "../action/GateResolver.ts"
import type { Change } from "../persistence/Journal.ts"
import type { BlockedOn, GateAnswer, GateRecord, StepPath, StepRecord } from "../persistence/Records.ts"
import { isTerminal, noResult, valueAsked } from "../persistence/Records.ts"
import type { Branch } from "./Branch.ts"
import type { EngineEvent } from "./Events.ts"
import { telling } from "./GateNotice.ts"
import { journaled, newRow, type RunContext, topicOf } from "./RunContext.ts"
import { messageOf, stepCompleted, stopRow } from "./StepRows.ts"

export interface GateSpec {
  readonly branch: Branch
  readonly path: StepPath
  readonly name: string
  readonly gate: Omit<GateRecord, "notifiedAt" | "answer">
  /** `continue`: a gate that timed out does not fail. */
  readonly onTimeout: "fail" | "continue"
  /** Approve at once (a dry run). */
  readonly approve: boolean
  readonly resolver: GateResolver | undefined
  readonly identity: string | undefined
  /** Why an approval is none; undefined if it is one. Absent: any is. */
  readonly check?: (answer: GateAnswer) => Effect.Effect<string | undefined>
}

/** Waits for the gate's answer and gives its row: `completed` (approved), `failed` (rejected, timed out) or `timed_out`. */
export const gate = (spec: GateSpec): Effect.Effect<StepRecord> =>
  Effect.flatMap(journaled(spec.branch, spec.path, "gate", spec.name), (row) => {
    if (row !== undefined && isTerminal(row.status)) return Effect.succeed(row)
    const reason = spec.branch.stopReason
    if (reason !== undefined) return stopRow(spec.branch, row)
    const wait = Effect.suspend(() => {
      const waiting = row ?? startWaiting(spec)
      if (spec.approve) return Effect.sync(() => answered(spec, waiting, dryRunAnswer(spec.branch.run), []))
      const { run } = spec.branch
      const answer = telling(run, blockedOn(spec, waiting), untilAnswered(spec, waiting))
      return Effect.zipRight(
        run.flush,
        Effect.flatMap(Effect.exit(Effect.interruptible(answer)), (exit) =>
          Exit.isSuccess(exit) ? Effect.sync(exit.value) : stopRow(spec.branch, current(spec, waiting), exit.cause)
        )
      )
    })
    return spec.branch.run.inProcess(Effect.uninterruptible(wait))
  })

/** The row as it is now: it may say meanwhile that a person was told. */
const current = ({ branch, path }: GateSpec, row: StepRecord): StepRecord => branch.run.row(path) ?? row

const startWaiting = (spec: GateSpec): StepRecord => {
  const { run, iteration, group } = spec.branch
  const row = newRow(run, {
    path: spec.path,
    kind: "gate",
    name: spec.name,
    role: "gate",
    status: "waiting",
    iteration,
    group,
    gate: { ...spec.gate, notifiedAt: null, answer: null },
    wakeAt: spec.approve ? null : run.now() + spec.gate.timeout
  })
  const event = { ...run.about(row), kind: spec.gate.kind, attempt: 1 }
  const waiting = { ...run.about(row), kind: spec.gate.kind, prompt: spec.gate.prompt }
  run.put(row, [
    { _tag: "StepStarted", ...event },
    { _tag: "GateWaiting", ...waiting }
  ])
  return row
}

const storedAnswer = ({ branch, path }: GateSpec) => branch.run.find("Answer", (message) => message.path === path)

/** Gives what records the end: decided outside, written by the caller, so that no interruption falls between. */
const untilAnswered = (spec: GateSpec, row: StepRecord): Effect.Effect<() => StepRecord> =>
  Effect.suspend(() => {
    const { run } = spec.branch
    if (spec.branch.isHeld) {
      return Effect.zipRight(spec.branch.unpaused([blockedOn(spec, row)]), untilAnswered(spec, row))
    }
    const found = storedAnswer(spec)
    if (found !== undefined) {
      const { answer } = found.message
      return Effect.flatMap(problemOf(spec, answer), (problem) => {
        if (problem === undefined) return Effect.succeed(() => answered(spec, row, answer, [run.consume([found.id])]))
        return Effect.flatMap(refuse(spec, row, found.id, problem), (refused) => untilAnswered(spec, refused))
      })
    }
    const deadline = row.wakeAt ?? Number.POSITIVE_INFINITY
    if (run.now() >= deadline) return Effect.succeed(() => timedOut(spec, row))
    return Effect.flatMap(ask(spec, row, deadline), (verdict) => {
      // G3: one that arrived while the resolver was asked.
      const isOpen = verdict._tag === "Pending" || storedAnswer(spec) !== undefined
      return isOpen
        ? Effect.zipRight(waitForAnswer(spec, row, deadline), untilAnswered(spec, row))
        : Effect.succeed(() => answered(spec, row, answerOf(run, verdict), []))
    })
  })

const problemOf = ({ check }: GateSpec, answer: GateAnswer): Effect.Effect<string | undefined> =>
  check === undefined || !answer.approved ? Effect.succeed(undefined) : check(answer)

/** G4: says on the row why, until there is another answer. */
const refuse = (
  { branch, name }: GateSpec,
  row: StepRecord,
  answer: number,
  problem: string
): Effect.Effect<StepRecord> =>
  Effect.sync(() => {
    const { run } = branch
    const error = `an answer was refused: ${problem}`
    const refused: StepRecord = { ...row, error }
    const warning: EngineEvent = { _tag: "StepWarning", ...run.about(row), message: `gate '${name}': ${error}` }
    run.append([{ _tag: "Step", step: refused }, run.consume([answer])], [warning])
    return refused
  })

const topicOfAnswer = ({ path, branch }: GateSpec): string =>
  topicOf({ _tag: "Answer", path, answer: dryRunAnswer(branch.run) })

/** Until an answer arrives, the gate's time is over, or its resolver is to be asked again. */
const waitForAnswer = (spec: GateSpec, row: StepRecord, deadline: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { run } = spec.branch
    const next = spec.resolver === undefined ? deadline : run.now() + run.settings.resolverInterval
    const wait = { blockedOn: [blockedOn(spec, row)], wakeAt: Math.min(deadline, next) }
    return run.park(wait, [topicOfAnswer(spec)], () => storedAnswer(spec) !== undefined)
  })

const pending: GateVerdict = { _tag: "Pending" }

/**
 * Asks the resolver, if there is one; an error of its is logged and counts as no answer yet. One that takes its time
 * holds up neither a stored answer nor the gate's end.
 */
const ask = (spec: GateSpec, row: StepRecord, deadline: number): Effect.Effect<GateVerdict> => {
  const { resolver } = spec
  if (resolver === undefined) return Effect.succeed(pending)
  const { run } = spec.branch
  const logged = (error: GateResolverFailed) => {
    const message = run.shown(`gate '${spec.name}': the resolver failed: ${error.message}`)
    run.append([], [{ _tag: "StepWarning", ...run.about(row), message }])
    const told = Effect.annotateLogs(Effect.logWarning(message), { run: run.id, step: row.path })
    return Effect.as(told, pending)
  }
  const threw = (defect: unknown) =>
    Effect.fail(new GateResolverFailed({ gate: spec.name, message: messageOf(defect) ?? "it threw" }))
  const asked = Effect.scoped(Effect.suspend(() => resolver(questionOf(spec)))).pipe(
    Effect.catchAllDefect(threw),
    Effect.catchAll(logged)
  )
  return Effect.raceFirst(asked, untilOvertaken(spec, deadline))
}

/** An answer came, or the gate's time is over. */
const untilOvertaken = (spec: GateSpec, deadline: number): Effect.Effect<GateVerdict> =>
  Effect.async((resume) => {
    const { run } = spec.branch
    const overtaken = () => resume(Effect.succeed(pending))
    const unlisten = run.listen(topicOfAnswer(spec), overtaken)
    const disarm = run.host.deadlines.arm(deadline - run.now(), overtaken)
    return Effect.sync(() => {
      unlisten()
      disarm()
    })
  })

const questionOf = (spec: GateSpec): GateQuestion => ({
  gate: spec.name,
  prompt: spec.gate.prompt ?? "",
  minApprovals: spec.gate.minApprovals,
  mode: spec.gate.mode,
  options: spec.gate.options,
  timeout: spec.gate.timeout,
  identity: spec.identity,
  run: spec.branch.run.id,
  path: spec.path,
  workingDirectory: spec.branch.run.record.settings.workingDirectory
})

const answerOf = (run: RunContext, verdict: Exclude<GateVerdict, { _tag: "Pending" }>): GateAnswer => ({
  approved: verdict._tag === "Approved",
  feedback: verdict._tag === "Approved" ? (verdict.feedback ?? null) : verdict.reason,
  selections: [],
  by: "resolver",
  at: run.now()
})

const dryRunAnswer = (run: RunContext): GateAnswer => ({
  approved: true,
  feedback: null,
  selections: [],
  by: "dry run",
  at: run.now()
})

const blockedOn = (spec: GateSpec, row: StepRecord): BlockedOn => ({
  _tag: "gate",
  run: spec.branch.run.id,
  path: spec.path,
  name: spec.name,
  kind: spec.gate.kind,
  prompt: spec.gate.prompt,
  options: spec.gate.options,
  minApprovals: spec.gate.minApprovals,
  ...valueAsked(spec.gate),
  until: row.wakeAt
})

const answered = (
  spec: GateSpec,
  waiting: StepRecord,
  answer: GateAnswer,
  changes: ReadonlyArray<Change>
): StepRecord => {
  const row = current(spec, waiting)
  const gateRecord: GateRecord = { ...spec.gate, notifiedAt: row.gate?.notifiedAt ?? null, answer }
  const ended: StepRecord = answer.approved
    ? {
        ...row,
        status: "completed",
        error: null,
        gate: gateRecord,
        result: { ...noResult, context: selectionContext(answer) }
      }
    : { ...row, status: "failed", gate: gateRecord, error: rejection(spec, answer) }
  return end(spec, ended, changes, answer.approved)
}

const rejection = ({ branch, name }: GateSpec, { feedback }: GateAnswer): string =>
  feedback === null ? `gate '${name}' was rejected` : branch.run.shown(feedback)

const timedOut = (spec: GateSpec, waiting: StepRecord): StepRecord => {
  const row = current(spec, waiting)
  return spec.onTimeout === "fail"
    ? end(spec, { ...row, status: "failed", error: "gate timed out" }, [], false)
    : end(spec, { ...row, status: "timed_out", error: null }, [], false)
}

const end = (spec: GateSpec, row: StepRecord, changes: ReadonlyArray<Change>, approved: boolean): StepRecord => {
  const { run } = spec.branch
  const ended: StepRecord = { ...row, endedAt: run.now(), wakeAt: null }
  const resolved: EngineEvent = { _tag: "GateResolved", ...run.about(ended), approved }
  run.append([{ _tag: "Step", step: ended }, ...changes], [resolved, stepCompleted(run, ended)])
  return ended
}

/** Only selections make a gate add a context. */
const selectionContext = (answer: GateAnswer): string | null => {
  if (answer.selections.length === 0) return null
  return ["User selected the following items:", ...answer.selections.map((key) => `- ${key}`)].join("\n")
}

/** What `gate_feedback` becomes: the feedback, or the selections. */
export const feedbackOf = (row: StepRecord): string | undefined => {
  const answer = row.gate?.answer
  if (answer === undefined || answer === null || !answer.approved) return undefined
  const selected = answer.selections.join(", ")
  if (selected === "") return answer.feedback ?? undefined
  return answer.feedback === null ? selected : `${answer.feedback}\n${selected}`
}
