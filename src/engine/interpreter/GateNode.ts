/**
 * `gate`: of people, of resolvers, and the quality gate (spec/engine.md, "gate").
 */
import * as Effect from "effect/Effect"
import { humanGates } from "../../action/GateResolver.ts"
import { isTerminal, noResult, type StepRecord } from "../../persistence/Records.ts"
import { defaults, type GateNode, type QualityGateNode } from "../../workflow/Definition.ts"
import { qualityGateKey } from "../../workflow/StepNames.ts"
import { substitute } from "../../workflow/Template.ts"
import type { Branch } from "../Branch.ts"
import { feedbackOf, gate, type GateSpec } from "../Gate.ts"
import { journaled, newRow } from "../RunContext.ts"
import { stepCompleted } from "../Step.ts"
import type { Interpreter } from "./Interpreter.ts"

type GateOption = { readonly key: string; readonly text: string }

export const gateNode = (self: Interpreter, node: GateNode, key: string, branch: Branch): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { run, services } = self
    const path = branch.at(key)
    const row = run.row(path)
    if (row !== undefined && isTerminal(row.status)) return leaveGate(self, row)
    const resolver = services.resolvers.get(node.name)
    const isAsked = !humanGates.has(node.name) && !run.record.dryRun && branch.stopReason === undefined
    if (resolver === undefined && isAsked) {
      return run.misfit(`no resolver for gate '${node.name}'`)
    }
    const options = run.record.dryRun ? [] : optionsOf(self, node)
    if (options === undefined) return missingOptions(self, node, branch, key)
    const prompt = node.prompt === undefined ? null : substitute(node.prompt, lookupOf(self), { unknown: "empty" })
    const spec: GateSpec = {
      branch,
      path,
      name: node.name,
      gate: {
        kind: node.name,
        prompt,
        minApprovals: node.minApprovals ?? defaults.minApprovals,
        mode: node.mode ?? defaults.gateMode,
        timeout: node.timeout ?? defaults.gateTimeout,
        options
      },
      onTimeout: node.onTimeout ?? defaults.onTimeout,
      approve: run.record.dryRun,
      resolver,
      identity: node.as ?? run.record.settings.identity ?? undefined
    }
    return Effect.flatMap(gate(spec), (row) => leaveGate(self, row))
  })

const lookupOf = (self: Interpreter) => (name: string) => self.visible.lookup(name)

const leaveGate = (self: Interpreter, row: StepRecord): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (row.status === "completed") {
      const feedback = feedbackOf(row)
      if (feedback !== undefined) self.visible.setFeedback(feedback)
      self.completed(row)
      return Effect.void
    }
    self.visible.forget(row.name, row.iteration)
    // A gate that failed because it timed out has failed; one recorded as timed out lets the run go on.
    return row.status === "timed_out" ? Effect.void : self.end(row.name, row.error ?? `gate '${row.name}' was rejected`)
  })

/** What can be selected; undefined when the step that should say so has no such field. */
const optionsOf = (self: Interpreter, node: GateNode): ReadonlyArray<GateOption> | undefined => {
  const { options } = node
  if (options === undefined) return []
  if (options._tag === "Fixed") return options.entries
  return toOptions(fieldOf(self.visible.result(options.step)?.structured, options.field))
}

const fieldOf = (value: unknown, field: string): unknown =>
  typeof value === "object" && value !== null && Object.hasOwn(value, field)
    ? (value as Record<string, unknown>)[field] // SAFETY: an own property of an object
    : undefined

/** An array of texts, or an object of texts. */
const toOptions = (value: unknown): ReadonlyArray<GateOption> | undefined => {
  if (Array.isArray(value)) {
    const texts = value.filter((text): text is string => typeof text === "string")
    return texts.length === value.length ? texts.map((text) => ({ key: text, text })) : undefined
  }
  if (typeof value !== "object" || value === null) return undefined
  const entries = Object.entries(value)
  return entries.every((entry): entry is [string, string] => typeof entry[1] === "string")
    ? entries.map(([key, text]) => ({ key, text }))
    : undefined
}

/** A gate that ends without having waited: its row says why. */
const missingOptions = (self: Interpreter, node: GateNode, branch: Branch, key: string): Effect.Effect<void> => {
  const from = node.options?._tag === "From" ? `${node.options.step}.${node.options.field}` : ""
  const error = `the options of gate '${node.name}' come from ${from}, which is no object or list of texts`
  const decided = immediate(self, branch, key, node.name, () => ({ status: "failed", error }))
  return Effect.flatMap(decided, (row) => leaveGate(self, row))
}

/** A gate decided on the spot. */
const immediate = (
  self: Interpreter,
  branch: Branch,
  key: string,
  name: string,
  verdict: () => Pick<StepRecord, "status" | "error"> & Partial<StepRecord>
): Effect.Effect<StepRecord> => {
  const { run } = self
  const path = branch.at(key)
  return Effect.flatMap(journaled(branch, path, "gate", name), (known) => {
    if (known !== undefined) return Effect.succeed(known)
    if (branch.stopReason !== undefined) return Effect.interrupt
    return Effect.sync(() => {
      const { iteration } = branch
      const row = newRow(run, { path, kind: "gate", name, role: "gate", iteration, ...verdict() })
      run.put(row, [
        { _tag: "StepStarted", ...run.about(row), kind: "gate", attempt: 1 },
        { _tag: "GateResolved", ...run.about(row), approved: row.status === "completed" },
        stepCompleted(run, row)
      ])
      return row
    })
  })
}

export const qualityGateNode = (
  self: Interpreter,
  node: QualityGateNode,
  key: string,
  branch: Branch
): Effect.Effect<void> =>
  Effect.flatMap(
    immediate(self, branch, key, qualityGateKey, () => judge(self, node)),
    (row) => leaveGate(self, row)
  )

const judge = (self: Interpreter, node: QualityGateNode): Pick<StepRecord, "status" | "error" | "result"> => {
  if (self.run.record.dryRun) return { status: "completed", error: null, result: noResult }
  const source = self.visible.result(node.source)
  if (source === undefined) {
    return { status: "failed", error: `quality gate: step '${node.source}' has no result`, result: noResult }
  }
  const { confidence, note } = confidenceOf(source.structured)
  const text = `quality gate on '${node.source}': confidence ${confidence}${note}, threshold ${node.threshold}`
  const result = { ...noResult, text }
  return confidence >= node.threshold || node.onFail === "continue"
    ? { status: "completed", error: null, result }
    : { status: "failed", error: text, result }
}

/** Cut to a whole number from 0 to 100; missing or unreadable counts as 0 and says so. */
const confidenceOf = (structured: unknown): { readonly confidence: number; readonly note: string } => {
  const value = fieldOf(structured, "confidence")
  if (value === undefined || value === null) return { confidence: 0, note: " (missing)" }
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value
  if (typeof number !== "number" || !Number.isFinite(number)) return { confidence: 0, note: " (unreadable)" }
  return { confidence: Math.trunc(Math.min(100, Math.max(0, number))), note: "" }
}
