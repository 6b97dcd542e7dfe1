/**
 * Whether a `.wf` file is one that `Workflow.fromFile` can run: sound, calling nothing but the actions that it is given,
 * and fitting the payload that it is started with.
 */
import { basename, dirname, resolve } from "node:path"
import * as Either from "effect/Either"
import { readWorkflow } from "../action/ProjectFiles.ts"
import { lookUpScript } from "../action/ProjectHost.ts"
import { builtins } from "../action/ProjectNames.ts"
import { type Declared, factsOf } from "../action/TypedAction.ts"
import { isRequired, type WorkflowDefinition } from "../workflow/Definition.ts"
import { type Diagnostic, hasErrors, sort } from "../workflow/Diagnostic.ts"
import { InvalidWorkflow } from "../workflow/InvalidWorkflow.ts"
import type { PayloadKeys } from "../workflow/Payload.ts"
import { validate } from "../workflow/Validator.ts"
import type { Host, WorkflowFile } from "../workflow/ValidatorHost.ts"
import { keysOf } from "../workflow/ValidatorPayload.ts"
import { shown, Subject, suggestion } from "../workflow/ValidatorReport.ts"

/** What a file is looked at with. */
export interface FileUse {
  readonly file: string
  readonly actions: ReadonlyArray<Declared>
  readonly takes: PayloadKeys
}

/** The name that the workflow of a file has. */
export const nameOf = (file: string): string => basename(file, ".wf")

/** Where a file's scripts stand, beside the working directory. */
export const scriptRootOf = (file: string): string => dirname(resolve(file))

/** The definition of a file, or all that is wrong with it; warnings alone are nothing wrong. */
export const check = (use: FileUse): Either.Either<WorkflowDefinition, InvalidWorkflow> =>
  Either.match(readWorkflow(use.file), {
    onLeft: ({ detail }) => Either.left(unreadable(use.file, detail)),
    onRight: (parsed) => {
      const { definition, diagnostics } = parsed
      const host = hostOf(use)
      const found = [...diagnostics, ...validate(parsed, host).map(strictOfName)]
      if (definition !== undefined) checkPayload(use, definition, parsed, host, found)
      return definition === undefined || hasErrors(found)
        ? Either.left(InvalidWorkflow.fromDiagnostics(use.file, sort(found)))
        : Either.right(definition)
    }
  })

const unreadable = (file: string, detail: string): InvalidWorkflow =>
  new InvalidWorkflow({
    file,
    problems: [{ severity: "error", code: "file-unreadable", message: detail, file }],
    rendered: `${file}: ${detail}`
  })

/** Runs are asked for by the workflow's name, which is known from the path alone. */
const strictOfName = (diagnostic: Diagnostic): Diagnostic =>
  diagnostic.code === "file-name" ? { ...diagnostic, severity: "error" } : diagnostic

/** Nothing but what is given, what needs nobody (scripts, people's gates), and the providers built in. */
const hostOf = ({ actions, file }: FileUse): Host => {
  const byName = new Map(actions.map((action) => [action.name, factsOf(action)]))
  return {
    workflow: () => ({ _tag: "Missing" }),
    workflowNames: () => [],
    action: (ref) =>
      ref._tag === "Name" && byName.has(ref.name)
        ? { _tag: "Found" }
        : { _tag: "Missing", searched: [], candidates: [...byName.keys()] },
    typedAction: (name) => byName.get(name),
    provider: (name) => builtins.get(name),
    providerNames: () => [...builtins.keys()],
    gate: () => false,
    gateNames: () => [],
    schema: () => ({ _tag: "Missing", searched: [] }),
    snippet: () => ({ _tag: "Missing", searched: [] }),
    script: (path) => lookUpScript(path, [process.cwd(), scriptRootOf(file)])
  }
}

/** The payload's keys are the workflow's inputs. */
const checkPayload = (
  { takes }: FileUse,
  definition: WorkflowDefinition,
  file: WorkflowFile,
  host: Host,
  found: Array<Diagnostic>
): void => {
  const subject = new Subject(definition.name, definition, file, host, "", found)
  const whose = `the workflow ${shown(definition.name)}`
  const keys = keysOf(subject, whose, takes, { node: definition })
  if (takes._tag === "NoObject") return
  for (const input of definition.inputs) {
    const key = keys.find(({ name }) => name === input.name)
    if (!isRequired(input) || key?.required === true) continue
    const what = key === undefined ? "does not have" : "may lack"
    const hint = "give the input a default, or the payload a key that is always there"
    subject.error("input-missing", `the payload ${what} the required input ${shown(input.name)}`, { node: input }, hint)
  }
  const declared = definition.inputs.map(({ name }) => name)
  for (const { name } of keys.filter((key) => !declared.includes(key.name))) {
    const message = `the payload has ${shown(name)}, and ${whose} declares no such input`
    subject.error("input-undeclared", message, { node: definition }, suggestion(name, declared))
  }
}
