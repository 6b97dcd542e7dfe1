/**
 * What the steps of a run see of each other: results, contexts and variables (spec/language.md, "Variables and
 * templates"). Built step by step at constant cost; long texts are made only when somebody reads them.
 */
import type { StepRecord } from "../../persistence/Records.ts"
import type { Texts } from "../../workflow/Definition.ts"
import { isBuiltin, variablesOf } from "../../workflow/Variables.ts"
import { Contexts } from "./Contexts.ts"

/** A step's result as later steps, and the parent of a child run, see it. */
export interface Entry {
  readonly step: string
  readonly iteration: number
  readonly markers: ReadonlyArray<string>
  readonly context: string | null
  readonly structured: unknown
  readonly outputFile: string | null
}

export const entryOf = (step: StepRecord): Entry => ({
  step: step.name,
  iteration: step.iteration,
  markers: step.result.markers,
  context: step.result.context,
  structured: step.result.structured,
  outputFile: step.result.outputFile
})

export interface VisibleOptions {
  readonly runId: string
  readonly inputs: Texts
  /** The run context's injected values. */
  readonly values: Texts
  readonly dryRun: boolean
  /** Of the contexts that are handed on together. */
  readonly maxContextBytes: number
}

/** Names under which a step's result is found beside its own: without `workflow:`, `foreach:` or `pipeline:`. */
const shortName = (step: string): string | undefined => {
  const colon = step.indexOf(":")
  if (colon === -1) return undefined
  const prefix = step.slice(0, colon)
  return prefix === "workflow" || prefix === "foreach" || prefix === "pipeline" ? step.slice(colon + 1) : undefined
}

export class Visible {
  readonly #results = new Map<string, Entry>()
  readonly #outputs = new Map<string, string>()
  /** Completed steps in order: what a parent imports. */
  readonly log: Array<Entry> = []
  #contexts: Contexts
  #context = ""
  #output: unknown = null
  #outputFile = ""
  #feedback = ""
  #last: Entry | undefined
  readonly #extra = new Map<string, string>()

  constructor(private readonly options: VisibleOptions) {
    this.#contexts = new Contexts(options.maxContextBytes)
  }

  /** For a chain of its own beside others: it sees what there is as variables, but no step's result yet. */
  fork(extra: Texts): Visible {
    const fork = new Visible(this.options)
    for (const [name, value] of this.#outputs) fork.#outputs.set(name, value)
    for (const [name, value] of this.#extra) fork.#extra.set(name, value)
    fork.#contexts = this.#contexts.copy()
    fork.#context = this.#context
    fork.#output = this.#output
    fork.#outputFile = this.#outputFile
    fork.#feedback = this.#feedback
    fork.setExtra(extra)
    return fork
  }

  /** The most recent result of a step. */
  result(step: string): Entry | undefined {
    return this.#results.get(step)
  }

  /** The last completed step, whose markers and context a child run gives. */
  get last(): Entry | undefined {
    return this.#last
  }

  get lastStructured(): unknown {
    return this.#output
  }

  get feedback(): string | undefined {
    return this.#feedback === "" ? undefined : this.#feedback
  }

  setFeedback(feedback: string): void {
    this.#feedback = feedback
  }

  /** `workflow_status` inside always, `item.*` inside a pipeline. */
  setExtra(values: Texts): void {
    for (const [name, value] of Object.entries(values)) this.#extra.set(name, value)
  }

  /** A completed step. */
  add(entry: Entry): void {
    this.log.push(entry)
    this.#last = entry
    this.#see(entry)
  }

  /** A step that failed and yet hands something on (a fan-out): no markers, and nothing for a parent. */
  addFailed(entry: Entry): void {
    this.#see({ ...entry, markers: [] })
  }

  /** The fields of an output that become no variables: a built-in or an injected value has their name. */
  refused(structured: unknown): ReadonlyArray<string> {
    if (structured === null) return []
    return Object.keys(variablesOf(structured)).filter((name) => this.#isProtected(name))
  }

  #isProtected(name: string): boolean {
    return isBuiltin(name) || Object.hasOwn(this.options.values, name)
  }

  #see(entry: Entry): void {
    this.#remember(entry)
    if (entry.context !== null) this.#addContext(entry, entry.context)
    if (entry.outputFile !== null) this.#outputFile = entry.outputFile
    if (entry.structured === null || entry.structured === undefined) return
    this.#output = entry.structured
    for (const [name, value] of Object.entries(variablesOf(entry.structured))) {
      if (!this.#isProtected(name)) this.#outputs.set(name, value)
    }
  }

  /** A step that did not complete: its earlier result no longer counts. */
  forget(step: string, iteration: number): void {
    this.#remember({ step, iteration, markers: [], context: null, structured: null, outputFile: null })
  }

  /** A result that is no step's: a parallel block's. */
  remember(entry: Entry): void {
    this.#remember(entry)
  }

  #remember(entry: Entry): void {
    this.#results.set(entry.step, entry)
    const short = shortName(entry.step)
    if (short !== undefined) this.#results.set(short, entry)
  }

  #addContext(entry: Entry, context: string): void {
    this.#context = context
    const structured = entry.structured === null ? null : JSON.stringify(entry.structured)
    const { step, iteration, markers, outputFile } = entry
    this.#contexts.add({
      step,
      iteration,
      context,
      markers,
      structured_output: structured,
      output_file: outputFile
    })
  }

  /** The value of a variable; undefined where there is none of this name. */
  lookup(name: string): string | undefined {
    const builtin = this.#builtin(name)
    if (builtin !== undefined) return builtin
    const extra = this.#extra.get(name)
    if (extra !== undefined) return extra
    const { inputs, values } = this.options
    if (Object.hasOwn(values, name)) return values[name]
    const output = this.#outputs.get(name)
    if (output !== undefined) return output
    return Object.hasOwn(inputs, name) ? inputs[name] : undefined
  }

  /** All variables, by name; `over` win. */
  variables(over: Texts): Texts {
    const all = new Map<string, string>(Object.entries(this.options.inputs))
    for (const [name, value] of this.#outputs) all.set(name, value)
    for (const [name, value] of Object.entries(this.options.values)) all.set(name, value)
    for (const [name, value] of this.#extra) all.set(name, value)
    for (const name of builtins) all.set(name, this.#builtin(name) ?? "")
    for (const [name, value] of Object.entries(over)) all.set(name, value)
    return Object.fromEntries(all)
  }

  #builtin(name: string): string | undefined {
    switch (name) {
      case "workflow_run_id":
        return this.options.runId
      case "prior_context":
        return this.#context
      case "prior_contexts":
        return this.#contexts.text
      case "prior_output":
        return this.#output === null ? "" : JSON.stringify(this.#output)
      case "prior_output_file":
        return this.#outputFile
      case "gate_feedback":
        return this.#feedback
      case "dry_run":
        return this.options.dryRun ? "true" : "false"
      default:
        return undefined
    }
  }
}

const builtins = [
  "workflow_run_id",
  "prior_context",
  "prior_contexts",
  "prior_output",
  "prior_output_file",
  "gate_feedback",
  "dry_run"
] as const
