/** The options of one node: which it knows, which it needs, which were written twice (spec/language.md, "Options by node"). */
import * as Coerce from "./ParserCoerce.ts"
import { type Cursor, shown } from "./ParserCursor.ts"
import type { Entry, Raw } from "./ParserValues.ts"
import { nearest } from "./Suggest.ts"

const call = [
  "retries",
  "on_fail",
  "output",
  "with",
  "as",
  "plugin_dirs",
  "timeout",
  "max_turns",
  "retry_delay",
  "backoff",
  "max_delay",
  "jitter",
  "heartbeat",
  "model",
  "inputs"
] as const
const loop = ["max_iterations", "stuck_after", "on_max_iter"] as const
const pipeline = ["over", "max_parallel", "scope", "filter", "on_child_fail"] as const

/** The options that each kind of node knows, by the words that messages name it with. */
export const optionNames = {
  call,
  "call in a parallel block": [...call, "if"],
  "call in a pipeline": [...call, "if"],
  "call workflow": ["inputs", "retries", "on_fail", "as", "timeout"],
  if: [],
  unless: [],
  while: loop,
  "do … while": loop,
  do: ["output", "with"],
  parallel: ["fail_fast", "min_success", "output", "with", "max_parallel"],
  gate: ["prompt", "min_approvals", "mode", "timeout", "on_timeout", "as", "options"],
  "gate quality_gate": ["source", "threshold", "on_fail"],
  script: ["run", "env", "timeout", "retries", "on_fail", "as"],
  foreach: [...pipeline, "workflow", "inputs", "ordered", "on_cycle"],
  pipeline,
  meta: ["title", "description", "trigger", "targets", "group"]
} as const satisfies Readonly<Record<string, ReadonlyArray<string>>>

export type Owner = keyof typeof optionNames

type Reader<A> = (cursor: Cursor, raw: Raw, name: string) => A | undefined

/**
 * The options of one node. Each reader gives an option's value, or undefined where it is absent or was reported.
 */
export class Options {
  private readonly byName = new Map<string, Entry>()

  private constructor(
    private readonly cursor: Cursor,
    private readonly owner: Owner,
    private readonly entries: ReadonlyArray<Entry>
  ) {}

  /** The options of an `owner`; reports those that it does not know and those written twice. */
  static check(cursor: Cursor, owner: Owner, entries: ReadonlyArray<Entry>): Options {
    const options = new Options(cursor, owner, entries)
    const { byName } = options
    for (const entry of entries) {
      const before = byName.get(entry.key)
      if (before !== undefined && before.block === entry.block) Coerce.repeated(cursor, before)
      byName.set(entry.key, entry)
    }
    const known: ReadonlyArray<string> = optionNames[owner]
    for (const entry of byName.values()) if (!known.includes(entry.key)) options.unknown(entry, known)
    return options
  }

  entry(name: string): Entry | undefined {
    return this.byName.get(name)
  }

  read<A>(name: string, reader: Reader<A>): A | undefined {
    const entry = this.byName.get(name)
    return entry && reader(this.cursor, entry.value, name)
  }

  integer(name: string, least: number, most?: number): number | undefined {
    return this.read(name, (cursor, raw) => Coerce.integer(cursor, raw, name, least, most))
  }

  /** Reports the options among `names` that were not written, at `start` to `end`. */
  require(names: ReadonlyArray<string>, start: number, end: number): void {
    for (const name of names) {
      if (this.byName.has(name)) continue
      this.cursor.report({
        code: "missing-option",
        message: `\`${this.owner}\` needs \`${name}\``,
        start,
        end,
        hint: `add \`${samples[name] ?? `${name} = …`}\``
      })
    }
  }

  /** `inputs { … }` and `inputs = { … }`, merged; a name in both is an error. */
  inputs(): { readonly [name: string]: string } | undefined {
    const form = (block: boolean) => this.entries.findLast((entry) => entry.key === "inputs" && entry.block === block)
    const [first, second] = [form(true), form(false)]
    const read = (entry: Entry | undefined) => entry && Coerce.textMap(this.cursor, entry.value, "inputs")
    const [inBlock, assigned] = [read(first), read(second)]
    if (first !== undefined && second !== undefined) this.reportShared(first, second)
    return inBlock === undefined && assigned === undefined ? undefined : { ...inBlock, ...assigned }
  }

  private reportShared(first: Entry, second: Entry): void {
    if (first.value.kind !== "map" || second.value.kind !== "map") return
    const [earlier, later] =
      first.keyStart < second.keyStart ? [first.value, second.value] : [second.value, first.value]
    const given = new Set(earlier.entries.map((entry) => entry.key))
    for (const entry of later.entries) {
      if (!given.has(entry.key)) continue
      this.cursor.report({
        code: "repeated-name",
        message: `the input ${shown(entry.key)} is given twice`,
        start: entry.keyStart,
        end: entry.keyEnd,
        hint: "`inputs { }` and `inputs = { }` are merged: give it in one of them"
      })
    }
  }

  private unknown(entry: Entry, known: ReadonlyArray<string>): void {
    const { cursor, owner } = this
    const at = { start: entry.keyStart, end: entry.keyEnd }
    if (entry.key === "skip_unless" && owner.startsWith("call")) {
      cursor.report({
        ...at,
        code: "foreign-condition",
        message: "`skip_unless` is now `if`",
        hint: known.includes("if") ? 'write `if = "step.marker"`' : "put the call into `if step.marker { … }`"
      })
      return
    }
    const [severity, code] = ["warning", "unknown-option"] as const
    const message = `\`${owner}\` has no option ${shown(entry.key)}, so it does nothing`
    cursor.report({ ...at, severity, code, message, hint: unknownHint(entry.key, owner, known) })
  }
}

/** What to write for an option that is missing, where the name alone does not say it. */
const samples: Readonly<Record<string, string>> = {
  max_parallel: "max_parallel = 4` (how many items run at once) or `max_parallel = 1",
  max_iterations: "max_iterations = 10",
  threshold: "threshold = 80",
  run: 'run = "…"'
}

const unknownHint = (key: string, owner: Owner, known: ReadonlyArray<string>): string | undefined => {
  const near = nearest(key, known)
  if (near !== undefined) return `did you mean \`${near}\`?`
  if (owner === "call" && key === "if") return "put the call into `if step.marker { … }`"
  const owners = Object.entries(optionNames).flatMap(([name, names]: [string, ReadonlyArray<string>]) =>
    names.includes(key) && !name.startsWith("call in") ? [`\`${name}\``] : []
  )
  if (owners.length > 0) return `\`${key}\` is an option of ${owners.join(", ")}`
  return known.length === 0
    ? `\`${owner}\` has no options`
    : `it knows ${known.map((name) => `\`${name}\``).join(", ")}`
}
