/**
 * What every keyword and option of the language means, in a line (spec/language.md, "Options by node"): the one source
 * of the language server's texts and of the tables in docs/language.md. That no option is missing is checked by types.
 */
import type { Owner, optionNames } from "./ParserOptions.ts"

/** What stands behind an option's `=`; those that name something decide what an editor offers and goes to. */
export type OptionValue =
  | "number"
  | "duration"
  | "boolean"
  | "text"
  | "list"
  | "map"
  | "values"
  | "word"
  | "action"
  | "condition"
  | "options"
  | "provider"
  | "schema"
  | "script"
  | "snippets"
  | "source"
  | "targets"
  | "workflow"

export interface OptionDoc {
  readonly value: OptionValue
  /** One sentence without its full stop. */
  readonly summary: string
  /** What it is when it is not written; absent: nothing in particular. */
  readonly default?: string
  readonly required?: true
  /** The words that it may be, or (`action`) may be beside a name. */
  readonly words?: ReadonlyArray<string>
}

type Docs<O extends Owner> = { readonly [K in (typeof optionNames)[O][number]]: OptionDoc }

const as: OptionDoc = { value: "text", summary: "The identity that the step acts as", default: "the run's" }
const inherited = "for every call inside; an inner block's or the call's own wins"

const attempts = {
  retries: { value: "number", summary: "How often a failed attempt is repeated", default: "0" },
  on_fail: {
    value: "action",
    words: ["continue"],
    summary: "What follows when every attempt failed: `continue`, or an action that runs once before the step fails"
  },
  as
} as const satisfies Record<string, OptionDoc>

const call: Docs<"call"> = {
  ...attempts,
  retry_delay: { value: "duration", summary: "How long to wait before a retry", default: "0" },
  backoff: {
    value: "word",
    words: ["fixed", "exponential"],
    summary: "How the wait grows from retry to retry: not at all, or doubling",
    default: "fixed"
  },
  max_delay: { value: "duration", summary: "The longest wait before a retry", default: "1h" },
  jitter: {
    value: "boolean",
    summary: "Whether the wait is drawn at random, up to what it would be",
    default: "false"
  },
  output: { value: "schema", summary: "The output schema that the result must fit; markers follow from it" },
  with: { value: "snippets", summary: "Prompt snippets that are put behind the agent's prompt, one or a list" },
  plugin_dirs: { value: "list", summary: "Folders with further agents, behind those of the run" },
  timeout: { value: "duration", summary: "The longest time of one attempt", default: "the run's step timeout, 12h" },
  heartbeat: { value: "duration", summary: "The longest silence of one attempt" },
  max_turns: { value: "number", summary: "How many turns an agent may take" },
  model: { value: "text", summary: "The model that an agent runs on", default: "the agent's own, else the run's" },
  inputs: { value: "map", summary: "Further values for this step: `{{name}}` finds them in its prompt" }
}

const conditionOfCall: OptionDoc = {
  value: "condition",
  summary: "Runs the call only if the condition is met: `step.marker`, or a boolean input"
}

const loop: Docs<"while"> = {
  max_iterations: { value: "number", summary: "How many rounds there may be, at least 1", required: true },
  stuck_after: { value: "number", summary: "Fails the loop after so many rounds in a row with the same markers" },
  on_max_iter: {
    value: "word",
    words: ["fail", "continue"],
    summary: "What follows when the rounds are used up",
    default: "fail"
  }
}

const fanOut = {
  over: { value: "provider", summary: "The provider that gives the items", required: true },
  max_parallel: { value: "number", summary: "How many items are worked on at once", required: true },
  scope: { value: "values", summary: "What the provider takes its items from" },
  filter: { value: "values", summary: "Which of the items it gives" }
} as const satisfies Record<string, OptionDoc>

const timeoutOfWork: OptionDoc = { value: "duration", summary: "The longest time of one attempt", default: "no limit" }

export const optionDocs: { readonly [O in Owner]: Docs<O> } = {
  call,
  "call in a parallel block": { ...call, if: conditionOfCall },
  "call in a pipeline": {
    ...call,
    if: { ...conditionOfCall, summary: "Runs the call only if the condition on the item's own earlier calls is met" }
  },
  "call workflow": {
    ...attempts,
    inputs: { value: "map", summary: "The inputs of the called workflow" },
    timeout: timeoutOfWork
  },
  if: {},
  unless: {},
  while: loop,
  "do … while": loop,
  do: {
    output: { value: "schema", summary: `The output schema ${inherited}` },
    with: { value: "snippets", summary: "Prompt snippets for every call inside, in front of the call's own" }
  },
  parallel: {
    fail_fast: { value: "boolean", summary: "Whether the first failed call stops the others", default: "true" },
    min_success: { value: "number", summary: "How many calls must succeed", default: "all" },
    max_parallel: { value: "number", summary: "How many calls run at once", default: "all" },
    output: { value: "schema", summary: "The output schema of every call; a call's own replaces it" },
    with: { value: "snippets", summary: "Prompt snippets for every call, in front of the call's own" }
  },
  gate: {
    prompt: { value: "text", summary: "What is asked; `{{name}}` is replaced" },
    min_approvals: { value: "number", summary: "How many approvals the resolver wants", default: "1" },
    mode: {
      value: "word",
      words: ["min_approvals", "review_decision"],
      summary: "Whether approvals are counted, or the review's decision is taken",
      default: "min_approvals"
    },
    timeout: { value: "duration", summary: "How long the gate waits for an answer", default: "24h" },
    on_timeout: {
      value: "word",
      words: ["fail", "continue"],
      summary: "What follows when no answer came in time",
      default: "fail"
    },
    as,
    options: {
      value: "options",
      summary: "What a person may select: a list of texts, a map of keys and texts, or `step.field` (human gates only)"
    }
  },
  "gate quality_gate": {
    source: { value: "source", summary: "The step whose `confidence` is looked at", required: true },
    threshold: { value: "number", summary: "The least confidence that passes, 0 to 100", required: true },
    on_fail: {
      value: "word",
      words: ["fail", "continue"],
      summary: "What follows when the confidence is too low",
      default: "fail"
    }
  },
  script: {
    ...attempts,
    run: { value: "script", summary: "A shell command, or the path of an executable file", required: true },
    env: { value: "map", summary: "Further environment variables; `{{name}}` is replaced" },
    timeout: call.timeout
  },
  foreach: {
    ...fanOut,
    workflow: { value: "workflow", summary: "The workflow that runs for every item", required: true },
    inputs: { value: "map", summary: "The inputs of each run, beside `item.id`, `item.ref` and `item.<key>`" },
    ordered: { value: "boolean", summary: "Whether items wait for those that they depend on", default: "false" },
    on_cycle: {
      value: "word",
      words: ["fail", "warn"],
      summary: "What follows when items depend on each other in a circle",
      default: "fail"
    },
    on_child_fail: {
      value: "word",
      words: ["halt", "continue", "skip_dependents"],
      summary: "What becomes of the other items when one failed",
      default: "continue"
    }
  },
  pipeline: {
    ...fanOut,
    on_child_fail: {
      value: "word",
      words: ["halt", "continue"],
      summary: "What becomes of the other items when one failed",
      default: "continue"
    }
  },
  meta: {
    title: { value: "text", summary: "How runs of the workflow are called", default: "its name" },
    description: { value: "text", summary: "What the workflow is for" },
    trigger: { value: "word", words: ["manual", "pr", "scheduled"], summary: "What starts it", default: "manual" },
    targets: { value: "targets", summary: "What it may be run on, one or a list" },
    group: { value: "text", summary: "The group that it is listed in" }
  }
}

/** The option of a node; undefined if the node does not know it. */
export const optionDoc = (owner: Owner, name: string): OptionDoc | undefined => {
  const docs: Readonly<Record<string, OptionDoc>> = optionDocs[owner]
  return Object.hasOwn(docs, name) ? docs[name] : undefined
}

/** What `inputs { … }` of a workflow says of an input. */
export const modifierDocs: Readonly<Record<"required" | "boolean" | "default" | "description" | "secret", string>> = {
  required: "The input must be given, even if it has a default",
  boolean: "Conditions may test the input; it is never required, and `false` if it is absent",
  default: "The input's value when it is not given; an input without one is required",
  description: "What the input is for",
  secret: "Whether the value is hidden wherever it would be shown"
}

/** The gates that are part of the language or of the reference engine. */
export const gateDocs: Readonly<Record<string, string>> = {
  human_approval: "Waits until somebody approves or rejects",
  human_review: "Waits until somebody has reviewed",
  pr_approval: "Waits for the approvals of a pull request (asks a resolver)",
  pr_checks: "Waits for the checks of a pull request (asks a resolver)",
  quality_gate: "Passes if an earlier step's `confidence` reaches a threshold"
}

/** A node's options as a Markdown table, in the order of the table above. */
export const optionTable = (owner: Owner): string => {
  const rows = Object.entries<OptionDoc>(optionDocs[owner]).map(
    ([name, doc]) => `| \`${name}\` | ${valueText(doc)} | ${defaultText(doc)} | ${doc.summary.replaceAll("|", "\\|")} |`
  )
  return ["| option | value | default | meaning |", "| --- | --- | --- | --- |", ...rows].join("\n")
}

const defaultText = (doc: OptionDoc): string => (doc.required === true ? "required" : (doc.default ?? ""))

/** What may be written behind `=`, as people read it. */
export const valueText = ({ value, words }: OptionDoc): string => {
  if (value === "word" && words !== undefined) return words.map((word) => `\`${word}\``).join(", ")
  return valueTexts[value]
}

const valueTexts: Readonly<Record<OptionValue, string>> = {
  number: "a whole number",
  duration: "a duration (`30s`, `5m`; a bare number is seconds)",
  boolean: "`true` or `false`",
  text: "a text",
  list: "a list of texts",
  map: "a map of texts",
  values: "a map",
  word: "a word",
  action: "`continue`, an action's name or its path",
  condition: "a condition",
  options: "a list, a map or `step.field`",
  provider: "an item provider's name",
  schema: "an output schema's name or path",
  script: "a command or a path",
  snippets: "a snippet's name or path, or a list of them",
  source: "a step's name",
  targets: "a text or a list of texts",
  workflow: "a workflow's name"
}
