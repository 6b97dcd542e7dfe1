/** The names that stand behind a keyword or an option's `=`. */
import { isIdentifier } from "../workflow/Lexer.ts"
import { gateDocs, type OptionDoc } from "../workflow/OptionDocs.ts"
import type { Offer } from "./Completion.ts"
import { pluginDirsAt } from "./GoTo.ts"
import { CompletionKind } from "./Protocol.ts"
import { stepsBefore, workflowNamed } from "./Steps.ts"
import type { Subject } from "./Workspace.ts"

/** The names behind a keyword. */
export const namesFor = (subject: Subject, keyword: string, offset: number): ReadonlyArray<Offer> => {
  switch (keyword) {
    case "call":
      return [
        ...actions(subject, offset).filter(({ label }) => isIdentifier(label)),
        { label: "workflow", kind: CompletionKind.keyword, detail: "Run a workflow as a step", rank: 2 }
      ]
    case "call workflow":
      return workflows(subject)
    case "gate":
      return gates(subject)
    default:
      return []
  }
}

/** The values of an option, as they are named; conditions are not among them. */
export const valuesFor = (subject: Subject, doc: OptionDoc, offset: number): ReadonlyArray<Offer> => {
  const { around, workflow } = subject
  const words = (doc.words ?? []).map((label): Offer => ({ label, kind: CompletionKind.enumMember, rank: 1 }))
  switch (doc.value) {
    case "boolean":
      return ["true", "false"].map((label) => ({ label, kind: CompletionKind.value, rank: 1 }))
    case "action":
      return [...words, ...actions(subject, offset)]
    case "provider":
      return named(around?.host.providerNames(), CompletionKind.interface)
    case "schema":
      return named(around?.locations.schemaNames(workflow), CompletionKind.file)
    case "snippets":
      return named(around?.locations.snippetNames(workflow), CompletionKind.file)
    case "source":
    case "options":
      return named(stepsBefore(subject, offset), CompletionKind.method)
    case "targets":
      return named(around?.host.targets, CompletionKind.enumMember)
    case "workflow":
      return workflows(subject)
    default:
      return words
  }
}

const named = (names: ReadonlyArray<string> | undefined, kind: number): ReadonlyArray<Offer> =>
  (names ?? []).map((label) => ({ label, kind, rank: 1 }))

const actions = (subject: Subject, offset: number): ReadonlyArray<Offer> => {
  const names = subject.around?.locations.actionNames(subject.workflow, pluginDirsAt(subject, offset))
  return named(names, CompletionKind.function)
}

const workflows = ({ around }: Subject): ReadonlyArray<Offer> =>
  (around?.host.workflowNames() ?? []).map((label) => {
    const definition = workflowNamed(around, label)
    const detail = definition?.title ?? definition?.description
    return { label, kind: CompletionKind.module, rank: 1, ...(detail === undefined ? {} : { detail }) }
  })

const gates = ({ around }: Subject): ReadonlyArray<Offer> => {
  const names = new Set([...Object.keys(gateDocs), ...(around?.host.gateNames() ?? [])])
  return [...names]
    .filter((label) => label.startsWith("human_") || label === "quality_gate" || around?.host.gate(label) === true)
    .map((label) => {
      const detail = Object.hasOwn(gateDocs, label) ? gateDocs[label] : undefined
      return { label, kind: CompletionKind.event, rank: 1, ...(detail === undefined ? {} : { detail }) }
    })
}
