/** "Go to definition": where what a word names is written. */
import { pathToFileURL } from "node:url"
import type { WorkflowDefinition } from "../workflow/Definition.ts"
import type { ParsedFile } from "../workflow/Parser.ts"
import type { Span } from "../workflow/Source.ts"
import { Lines } from "./Lines.ts"
import { optionDoc } from "../workflow/OptionDocs.ts"
import { type Place, placeAt } from "./Place.ts"
import type { Location, Position } from "./Protocol.ts"
import { allNodes, findStep } from "./Steps.ts"
import { type Frame, keysIn, textOf } from "./TokenWalk.ts"
import type { Subject } from "./Workspace.ts"

/** The place that the word at a position leads to; undefined where it leads nowhere. */
export const definitionAt = (subject: Subject, position: Position): Location | undefined => {
  const { document } = subject
  const offset = document.lines.offsetOf(position)
  const place = placeAt(document.tokens, offset)
  return place && follow(subject, place, offset)
}

const follow = (subject: Subject, place: Place, offset: number): Location | undefined => {
  const { role } = place
  switch (role._tag) {
    case "Name":
      return followName(subject, role.keyword, role.name, offset)
    case "Step":
    case "Marker":
      return toStep(subject, role.step, place.span.start)
    case "Input":
    case "Variable":
      return toInput(subject.document.file, subject.document.uri, role.name)
    case "Entry":
      return toInputOfChild(subject, role.frame, role.name)
    case "Value":
      return toFile(fileOfValue(subject, role.owner, role.option, role.text, offset)) ?? workflowOf(subject, role)
    default:
      return undefined
  }
}

const workflowOf = (
  subject: Subject,
  { option, owner, text }: { readonly option: string; readonly owner: string; readonly text: string }
): Location | undefined => (owner === "foreach" && option === "workflow" ? toWorkflow(subject, text) : undefined)

const followName = (subject: Subject, keyword: string, name: string, offset: number): Location | undefined => {
  if (keyword === "call workflow") return toWorkflow(subject, name)
  return toFile(fileOfName(subject, keyword, name, offset))
}

/** The file of an action that is called, or of a gate's resolver. */
export const fileOfName = (subject: Subject, keyword: string, name: string, offset: number): string | undefined => {
  const { around, workflow } = subject
  if (keyword === "gate") return around?.locations.program("gates", name)
  if (keyword !== "call" && keyword !== "call path") return undefined
  const ref = keyword === "call" ? ({ _tag: "Name", name } as const) : ({ _tag: "Path", path: name } as const)
  return around?.locations.action(ref, workflow, pluginDirsAt(subject, offset))
}

/** The folders with agents that the call at a place adds. */
export const pluginDirsAt = ({ document }: Subject, offset: number): ReadonlyArray<string> => {
  const { definition, spans } = document.file
  if (definition === undefined) return []
  const around = allNodes(definition).findLast(({ node }) => {
    const span = spans.node(node)
    return node._tag === "Call" && span !== undefined && span.start <= offset && offset <= span.end
  })
  return around?.node._tag === "Call" ? (around.node.pluginDirs ?? []) : []
}

/** The file that an option's value names. */
export const fileOfValue = (
  subject: Subject,
  owner: Parameters<typeof optionDoc>[0],
  option: string,
  text: string,
  offset: number
): string | undefined => {
  const { around, workflow } = subject
  switch (optionDoc(owner, option)?.value) {
    case "schema":
      return around?.locations.schema(text, workflow)
    case "snippets":
      return around?.locations.snippet(text, workflow)
    case "script":
      return around?.locations.script(text)
    case "provider":
      return around?.locations.program("providers", text)
    case "action": {
      if (text === "continue") return undefined
      return fileOfName(subject, text.includes("/") ? "call path" : "call", text, offset)
    }
    default:
      return undefined
  }
}

const toFile = (path: string | undefined): Location | undefined => {
  const start = { line: 0, character: 0 }
  return path === undefined ? undefined : { uri: pathToFileURL(path).href, range: { start, end: start } }
}

const inFile = (uri: string, file: ParsedFile, span: Span | undefined): Location => ({
  uri,
  range: new Lines(file.source.text).rangeOf(span ?? { start: 0, end: 0 })
})

/** The file of a workflow, at its name. */
const toWorkflow = (subject: Subject, name: string): Location | undefined => {
  const path = subject.around?.locations.workflow(name)
  const read = path === undefined ? undefined : subject.read(path)
  if (path === undefined || read === undefined) return toFile(path)
  const { definition, spans } = read.file
  return inFile(read.uri ?? pathToFileURL(path).href, read.file, definition && spans.name(definition))
}

/** The step of a name, in this document or in a workflow that it calls. */
const toStep = (subject: Subject, step: string, offset: number): Location | undefined => {
  const place = findStep(subject, step, offset)
  if (place === undefined) return undefined
  const { file, uri } = subject.document
  const { node } = place.found
  const own = file.spans.name(node)
  if (own !== undefined) return inFile(uri, file, own)
  const path = subject.around?.locations.workflow(place.workflow)
  const read = path === undefined ? undefined : subject.read(path)
  if (path === undefined || read?.file.definition === undefined) return toFile(path)
  const inner = stepIn(read.file.definition, node)
  return inFile(read.uri ?? pathToFileURL(path).href, read.file, inner && read.file.spans.name(inner))
}

/** The like of a node in another reading of its file. */
const stepIn = (definition: WorkflowDefinition, node: object): object | undefined => {
  const wanted = JSON.stringify(node)
  return allNodes(definition).find((found) => JSON.stringify(found.node) === wanted)?.node
}

const toInput = (file: ParsedFile, uri: string, name: string): Location | undefined => {
  const input = file.definition?.inputs.find((declared) => declared.name === name)
  return input === undefined ? undefined : inFile(uri, file, file.spans.name(input))
}

/** The declaration of an input that a called workflow is given. */
const toInputOfChild = (subject: Subject, frame: Frame, name: string): Location | undefined => {
  const child = childOf(subject, frame)
  const path = child === undefined ? undefined : subject.around?.locations.workflow(child)
  const read = path === undefined ? undefined : subject.read(path)
  if (path === undefined || read === undefined) return undefined
  return toInput(read.file, read.uri ?? pathToFileURL(path).href, name)
}

/** The workflow whose inputs a map gives. */
export const childOf = ({ document }: Subject, { name, open, option, owner }: Frame): string | undefined => {
  if (option !== "inputs") return undefined
  if (owner === "call workflow") return name
  if (owner !== "foreach") return undefined
  const { tokens } = document
  const around = openingAround(tokens, open)
  const key = around === undefined ? undefined : keysIn(tokens, around).get("workflow")
  return key === undefined ? undefined : textOf(tokens, key + 2)
}

/** The brace in front of a token that is still open there. */
const openingAround = (tokens: Subject["document"]["tokens"], index: number): number | undefined => {
  let depth = 0
  for (let at = index - 1; at >= 0; at--) {
    const char = tokens.text[tokens.starts[at] ?? 0]
    if (char === "}" || char === "]") depth++
    else if ((char === "{" || char === "[") && depth-- === 0) return at
  }
  return undefined
}
