/**
 * The code of every mistake that `Validator` can report (spec/language.md, "Semantic validation"), with one line of
 * explanation each. docs/language.md lists them; test/diagnostics/semantic.test.ts shows every one.
 */
export const semanticCodes = {
  "duplicate-input": "an input is declared twice",
  "file-name": "the file's name differs from its workflow's (warning)",
  "filter-needed": "the provider needs a filter, and there is none",
  "input-missing": "a called workflow requires an input that the call does not give",
  "input-undeclared": "a call gives an input that the called workflow does not declare (warning)",
  "order-unsupported": "`ordered = true` with a provider that knows no order",
  "payload-missing": "an action in code needs a value that nothing gives",
  "payload-refused": "an action or a workflow in code does not take a value that is written out",
  "payload-shape": "an action or a workflow in code takes what texts by name cannot make",
  "provider-refusal": "the provider rejects the scope or the filter",
  "provider-warning": "what the provider has to say about the scope or the filter (warning)",
  "schema-missing": "no output schema has this name",
  "script-missing": "no script stands at this path",
  "script-not-executable": "the script's file lacks its execute bit",
  "script-unsafe-path": "a script's path that is absolute or leads out of the project",
  "shell-template": "a `{{name}}` in a shell command where no reference to a variable fits",
  "short-secret": "a secret that is too short to be hidden in what steps print (warning)",
  "skip-without-order": "`skip_dependents` without `ordered = true`",
  "snippet-missing": "no prompt snippet has this name",
  "unknown-action": "an action that nothing executes",
  "unknown-gate": "a gate that nothing resolves",
  "unknown-input": "a condition on something that is no boolean input",
  "unknown-provider": "an item provider that does not exist",
  "unknown-step": "a step that cannot have run before it is referred to",
  "unknown-target": "a target that the host does not have",
  "unknown-variable": "a `{{name}}` in a child's inputs that nothing can provide (warning)",
  "unknown-workflow": "a workflow that does not exist",
  "workflow-broken": "a called workflow that cannot be loaded",
  "workflow-chain": "more workflows calling each other than may",
  "workflow-cycle": "workflows that call each other in a circle"
} as const

export type SemanticCode = keyof typeof semanticCodes
