/** What an editor shows of the word under the mouse: what it means, its default, and what it names. */
import { extname } from "node:path"
import { optionDoc, gateDocs, modifierDocs, type OptionDoc, valueText } from "../workflow/OptionDocs.ts"
import { type Keyword, keywordDocs } from "../workflow/KeywordDocs.ts"
import { builtins } from "../workflow/Variables.ts"
import { type InputDeclaration, isRequired, type WorkflowDefinition } from "../workflow/Definition.ts"
import { describe } from "../workflow/OutputFields.ts"
import { childOf, fileOfName, fileOfValue } from "./GoTo.ts"
import { type Place, placeAt, type Role } from "./Place.ts"
import type { Hover, Position } from "./Protocol.ts"
import { findStep, markersOf, workflowNamed } from "./Steps.ts"
import { readSmall, type Subject } from "./Workspace.ts"

/** What is known of the word at a position; undefined where that is nothing. */
export const hoverAt = (subject: Subject, position: Position): Hover | undefined => {
  const { lines, tokens } = subject.document
  const place = placeAt(tokens, lines.offsetOf(position))
  const value = place && textOf(subject, place)
  return value === undefined || place === undefined
    ? undefined
    : { contents: { kind: "markdown", value }, range: lines.rangeOf(place.span) }
}

const textOf = (subject: Subject, { role, span }: Place): string | undefined => {
  switch (role._tag) {
    case "Keyword":
      return keywordText(role.keyword)
    case "Option":
      return optionText(role.name, role.owner, optionDoc(role.owner, role.name))
    case "Modifier":
      return modifierText(role.name)
    case "Name":
      return nameText(subject, role.keyword, role.name, span.start)
    case "Step":
      return stepText(subject, role.step, span.start)
    case "Marker":
      return `\`${role.marker}\`: a marker of the step \`${role.step}\`${knownMarkers(subject, role, span.start)}`
    case "Input":
      return inputText(subject.document.file.definition?.inputs, role.name)
    case "Entry":
      return entryText(subject, role)
    case "Variable":
      return variableText(subject, role.name)
    case "Value":
      return valueHover(subject, role, span.start)
  }
}

const isKeyword = (word: string): word is Keyword => Object.hasOwn(keywordDocs, word)

export const keywordText = (word: string): string | undefined => {
  if (!isKeyword(word)) return undefined
  const { example, summary } = keywordDocs[word]
  return `**${word}** · ${summary}\n\n\`\`\`millrace\n${example}\n\`\`\``
}

export const optionText = (name: string, owner: string, doc: OptionDoc | undefined): string | undefined => {
  if (doc === undefined) return undefined
  const otherwise = doc.required === true ? "required" : doc.default === undefined ? "" : `default: ${doc.default}`
  const parts = [valueText(doc), otherwise].filter((part) => part !== "")
  return `**${name}** (${owner}) · ${doc.summary}\n\n${parts.join(" · ")}`
}

const modifierText = (name: string): string | undefined => {
  const docs: Readonly<Record<string, string>> = modifierDocs
  return Object.hasOwn(docs, name) ? `**${name}** · ${docs[name]}` : undefined
}

const nameText = (subject: Subject, keyword: string, name: string, offset: number): string | undefined => {
  if (keyword === "call workflow") return workflowText(subject, name)
  if (keyword === "gate") {
    const meaning = Object.hasOwn(gateDocs, name) ? gateDocs[name] : "Asks a resolver"
    return joined(`**${name}** · ${meaning}`, fileText(fileOfName(subject, keyword, name, offset)))
  }
  if (keyword !== "call" && keyword !== "call path") return undefined
  const file = fileOfName(subject, keyword, name, offset)
  return file === undefined ? undefined : joined(`**${name}** · an action`, fileText(file))
}

const workflowText = ({ around }: Subject, name: string): string | undefined => {
  const definition = workflowNamed(around, name)
  if (definition === undefined) return undefined
  const { description, inputs, title } = definition
  const head = title === undefined ? `**${name}** · a workflow` : `**${name}** · ${title}`
  return joined(head, description, inputs.length === 0 ? "No inputs" : `Inputs:\n${inputsText(definition)}`)
}

const inputsText = ({ inputs }: WorkflowDefinition): string =>
  inputs
    .map((input) => {
      const { boolean, default: otherwise, description, name, secret } = input
      const notes = [
        ...(boolean ? ["boolean"] : []),
        ...(isRequired(input) ? ["required"] : []),
        ...(secret ? ["secret"] : []),
        ...(otherwise === undefined || secret ? [] : [`default ${JSON.stringify(otherwise)}`])
      ]
      const text = description === undefined ? "" : `: ${description}`
      return `- \`${name}\`${notes.length === 0 ? "" : ` (${notes.join(", ")})`}${text}`
    })
    .join("\n")

const joined = (...parts: ReadonlyArray<string | undefined>): string =>
  parts.filter((part) => part !== undefined && part !== "").join("\n\n")

/** A file's path and, of a prompt, its beginning. */
const fileText = (path: string | undefined): string | undefined => {
  if (path === undefined) return undefined
  const text = extname(path) === ".md" ? readSmall(path) : undefined
  return joined(`\`${path}\``, text === undefined ? undefined : beginningOf(text))
}

const shownLines = 12

const beginningOf = (text: string): string => {
  const lines = text.trimEnd().split(/\r?\n/)
  const shown = lines.slice(0, shownLines).map((line) => `> ${line}`)
  return [...shown, ...(lines.length > shownLines ? ["> …"] : [])].join("\n")
}

const stepText = (subject: Subject, step: string, offset: number): string | undefined => {
  const place = findStep(subject, step, offset)
  if (place === undefined) return undefined
  const { found, workflow } = place
  const where = workflow === subject.workflow ? "" : ` of the workflow \`${workflow}\``
  const schema = found.output === undefined ? "" : `, which gives \`${found.output}\``
  return `**${step}** · a step${where}${schema}${knownMarkers(subject, { step }, offset)}`
}

const knownMarkers = (subject: Subject, { step }: { readonly step: string }, offset: number): string => {
  const markers = markersOf(subject, step, offset)
  return markers.length === 0 ? "" : `\n\nIts markers: ${markers.map((marker) => `\`${marker}\``).join(", ")}`
}

const inputText = (inputs: ReadonlyArray<InputDeclaration> | undefined, name: string): string | undefined => {
  const input = inputs?.find((declared) => declared.name === name)
  if (input === undefined) return undefined
  const kind = input.boolean ? "a boolean input" : "an input"
  const otherwise = input.default === undefined || input.secret ? "" : `, default ${JSON.stringify(input.default)}`
  return joined(`**${name}** · ${kind}${input.secret ? ", secret" : ""}${otherwise}`, input.description)
}

const entryText = (subject: Subject, role: Extract<Role, { readonly _tag: "Entry" }>): string | undefined => {
  const child = childOf(subject, role.frame)
  return child === undefined ? undefined : inputText(workflowNamed(subject.around, child)?.inputs, role.name)
}

const variableText = (subject: Subject, name: string): string => {
  const builtin = builtins.find((variable) => variable.name === name)
  if (builtin !== undefined) return `**${name}** · ${builtin.meaning}`
  if (name.startsWith("item.")) return `**${name}** · what the provider says of the item`
  const declared = inputText(subject.document.file.definition?.inputs, name)
  return declared ?? `**${name}** · a text of an earlier step's output, or of the run's context`
}

const valueHover = (
  subject: Subject,
  { doc, option, owner, text }: Extract<Role, { readonly _tag: "Value" }>,
  offset: number
): string | undefined => {
  if (doc.value === "workflow") return workflowText(subject, text)
  if (doc.value === "provider") return providerText(subject, text)
  const file = fileText(fileOfValue(subject, owner, option, text, offset))
  if (doc.value === "schema") return joined(`**${text}** · an output schema`, schemaText(subject, text), file)
  return file === undefined ? optionText(option, owner, doc) : joined(`**${text}**`, file)
}

const providerText = (subject: Subject, name: string): string | undefined => {
  const provider = subject.around?.host.provider(name)
  if (provider === undefined) return undefined
  const notes = [
    ...(provider.ordered ? ["knows an order"] : []),
    ...(provider.needsFilter === true ? ["needs a filter"] : [])
  ]
  const head = `**${name}** · an item provider${notes.length === 0 ? "" : `: ${notes.join(", ")}`}`
  return joined(head, fileText(subject.around?.locations.program("providers", name)))
}

const schemaText = ({ around, workflow }: Subject, ref: string): string | undefined => {
  const lookup = around?.host.schema(ref, workflow)
  if (lookup?._tag !== "Found") return undefined
  const fields = lookup.schema.fields.map(({ name, optional, type }) => {
    return `- \`${name}${optional ? "?" : ""}\`: ${describe(type)}`
  })
  const markers = lookup.schema.markers?.map(({ marker }) => `\`${marker}\``) ?? []
  return joined(fields.join("\n"), markers.length === 0 ? undefined : `Markers: ${markers.join(", ")}`)
}
