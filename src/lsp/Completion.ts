/** What may be written at a place: keywords, options, names. Editors filter it by what is typed already. */
import { type Keyword, keywordDocs } from "../workflow/KeywordDocs.ts"
import { isIdentifier, Kind } from "../workflow/Lexer.ts"
import { modifierDocs, type OptionDoc } from "../workflow/OptionDocs.ts"
import { nodeKeywords } from "../workflow/ParserCursor.ts"
import type { Span } from "../workflow/Source.ts"
import { builtins } from "../workflow/Variables.ts"
import { namesFor, valuesFor } from "./CompletionNames.ts"
import { childOf } from "./GoTo.ts"
import { keywordText, optionText } from "./Hover.ts"
import { isInComment, isWord, optionsIn, spanOf } from "./Place.ts"
import { type CompletionItem, CompletionKind, type Position, type Range } from "./Protocol.ts"
import { markersOf, stepsBefore, workflowNamed } from "./Steps.ts"
import { type Frame, keysIn, TokenWalk } from "./TokenWalk.ts"
import type { Subject } from "./Workspace.ts"

/** Something that may be written, before it is known what of the text it replaces. */
export interface Offer {
  readonly label: string
  readonly kind: number
  /** Written instead of the label. */
  readonly text?: string
  readonly detail?: string
  readonly documentation?: string | undefined
  /** Offers of a lower rank come first. */
  readonly rank: number
}

/** All that may stand at a position. */
export const completionsAt = (subject: Subject, position: Position): ReadonlyArray<CompletionItem> => {
  const { lines, tokens } = subject.document
  const offset = lines.offsetOf(position)
  if (isInComment(tokens, offset)) return []
  const typed = typedAt(subject, offset)
  const variable = typed.inText ? variableAt(typed, tokens.text) : undefined
  if (variable !== undefined) return toItems(variables(subject, variable.isClosed), lines.rangeOf(variable.span))
  const offers = typed.inText ? offersInText(subject, typed) : offersAt(subject, typed)
  return toItems(offers, lines.rangeOf(typed.span))
}

const toItems = (offers: ReadonlyArray<Offer>, range: Range): ReadonlyArray<CompletionItem> =>
  offers.map(({ detail, documentation, kind, label, rank, text = label }) => ({
    label,
    kind,
    sortText: `${rank} ${label}`,
    filterText: label,
    textEdit: { range, newText: text },
    ...(detail === undefined ? {} : { detail }),
    ...(documentation === undefined ? {} : { documentation: { kind: "markdown", value: documentation } })
  }))

/** What is typed at a place, which an offer replaces. */
interface Typed {
  /** The token that is being typed, else the first behind the place. */
  readonly token: number
  readonly span: Span
  /** Whether it is inside of quotes. */
  readonly inText: boolean
  readonly offset: number
}

const typedAt = ({ document }: Subject, offset: number): Typed => {
  const { tokens } = document
  const { count, ends, kinds } = tokens
  let token = 0
  while (token < count - 1 && (ends[token] ?? 0) < offset) token++
  // Of two tokens that meet here the word is the one being typed.
  if (ends[token] === offset && !isWord(kinds[token]) && token < count - 1) token++
  const span = spanOf(tokens, token)
  const isTyped = isWord(kinds[token]) && span.start <= offset && offset <= span.end
  if (!isTyped || kinds[token] !== Kind.String) {
    return { token, span: isTyped ? span : { start: offset, end: offset }, inText: false, offset }
  }
  if (offset === span.start) return { token, span: { start: offset, end: offset }, inText: false, offset }
  const isClosed = span.end - span.start > 1 && tokens.text[span.end - 1] === '"'
  if (offset === span.end && isClosed)
    return { token: token + 1, span: { start: offset, end: offset }, inText: false, offset }
  // A text that ends in another line is most likely not closed yet.
  const line = tokens.text.slice(span.start, span.end).includes("\n")
  const end = line ? offset : isClosed ? span.end - 1 : span.end
  return { token, span: { start: span.start + 1, end }, inText: true, offset }
}

const offersAt = (subject: Subject, { offset, token }: Typed): ReadonlyArray<Offer> => {
  const { tokens } = subject.document
  const walk = TokenWalk.upTo(tokens, token)
  const { frame, slot } = walk
  switch (slot._tag) {
    case "Member":
      return membersOf(subject, walk, token)
    case "Name":
      return namesFor(subject, slot.keyword, offset)
    case "Condition":
      return conditions(subject, offset, slot.keyword !== "while")
    case "Marker":
      return markersOf(subject, slot.step, offset).map((label) => ({ label, kind: CompletionKind.event, rank: 1 }))
    case "Modifier":
      return modifiers
    case "Value": {
      const doc = optionOf(frame, slot.option)
      return doc === undefined ? [] : valueOffers(subject, doc, offset, false)
    }
    case "Mark":
      return []
  }
}

const optionOf = ({ kind, owner }: Frame, option: string): OptionDoc | undefined => {
  if (owner === undefined || kind === "map") return undefined
  const options = optionsIn(owner)
  return Object.hasOwn(options, option) ? options[option] : undefined
}

const valueOffers = (subject: Subject, doc: OptionDoc, offset: number, inText: boolean): ReadonlyArray<Offer> => {
  if (doc.value === "condition") return conditions(subject, offset, true)
  const offers = valuesFor(subject, doc, offset)
  return inText ? offers : offers.map(quoted)
}

/** A name that cannot stand without quotes gets them. */
const quoted = (offer: Offer): Offer =>
  isIdentifier(offer.label) ? offer : { ...offer, text: JSON.stringify(offer.label) }

/** Inside of quotes: what the option names. */
const offersInText = (subject: Subject, { offset, token }: Typed): ReadonlyArray<Offer> => {
  const { frame, slot } = TokenWalk.upTo(subject.document.tokens, token)
  const doc = slot._tag === "Value" ? optionOf(frame, slot.option) : undefined
  return doc === undefined ? [] : valueOffers(subject, doc, offset, true)
}

/** The name behind a `{{` that is being typed, and whether its `}}` is there. */
const variableAt = (
  { offset, span }: Typed,
  text: string
): { readonly span: Span; readonly isClosed: boolean } | undefined => {
  const before = text.slice(span.start, offset)
  const open = before.lastIndexOf("{{")
  if (open === -1 || before.indexOf("}}", open) !== -1) return undefined
  const rest = /^[A-Za-z0-9_.-]*/.exec(text.slice(offset, offset + 200))?.[0].length ?? 0
  const end = offset + rest
  return { span: { start: span.start + open + 2, end }, isClosed: text.startsWith("}}", end) }
}

const variables = (subject: Subject, isClosed: boolean): ReadonlyArray<Offer> => {
  const inputs = subject.document.file.definition?.inputs ?? []
  const offer = (label: string, rank: number, detail: string | undefined): Offer => ({
    label,
    kind: CompletionKind.variable,
    text: isClosed ? label : `${label}}}`,
    rank,
    ...(detail === undefined ? {} : { detail })
  })
  return [
    ...inputs.map(({ description, name }) => offer(name, 1, description)),
    ...builtins.filter(({ name }) => !name.includes("<")).map(({ meaning, name }) => offer(name, 2, meaning))
  ]
}

const conditions = (subject: Subject, offset: number, withInputs: boolean): ReadonlyArray<Offer> => {
  const inputs = subject.document.file.definition?.inputs.filter(({ boolean }) => boolean) ?? []
  return [
    ...stepsBefore(subject, offset).map((step): Offer => {
      const text = isIdentifier(step) ? step : JSON.stringify(step)
      return { label: step, text, kind: CompletionKind.method, rank: 1, detail: "a step" }
    }),
    ...(withInputs ? inputs : []).map(({ name }): Offer => {
      return { label: name, kind: CompletionKind.variable, rank: 2, detail: "a boolean input" }
    })
  ]
}

const modifiers: ReadonlyArray<Offer> = Object.entries(modifierDocs).map(([label, documentation]) => ({
  label,
  kind: CompletionKind.keyword,
  documentation,
  rank: 1,
  ...(label === "required" || label === "boolean" ? {} : { text: `${label} = ` })
}))

/** Options and keywords: what begins something in the innermost braces. */
const membersOf = (subject: Subject, walk: TokenWalk, token: number): ReadonlyArray<Offer> => {
  const { frame } = walk
  switch (frame.kind) {
    case "file":
      return [keyword("workflow")]
    case "workflow":
      return [keyword("meta"), keyword("inputs"), ...nodeKeywords.map(keyword)]
    case "map":
      return inputsOfChild(subject, frame, token)
    case "options": {
      const options = walk.hasSteps ? [] : optionOffers(subject, frame, token)
      const keywords = frame.members === "nodes" ? nodeKeywords : frame.members === "calls" ? (["call"] as const) : []
      return [...options, ...keywords.map(keyword)]
    }
    default:
      return []
  }
}

const keyword = (label: Keyword): Offer => ({
  label,
  kind: CompletionKind.keyword,
  detail: keywordDocs[label].summary,
  documentation: keywordText(label),
  rank: 3
})

/** The options that are not written yet, those that are needed first. */
const optionOffers = (subject: Subject, frame: Frame, token: number): ReadonlyArray<Offer> => {
  const { owner } = frame
  if (owner === undefined) return []
  const written = keysIn(subject.document.tokens, frame.open)
  return Object.entries(optionsIn(owner))
    .filter(([name]) => !written.has(name) || written.get(name) === token)
    .map(([label, doc]) => ({
      label,
      kind: CompletionKind.property,
      detail: doc.summary,
      documentation: optionText(label, owner, doc),
      text: assigned(subject, label, token),
      rank: doc.required === true ? 1 : 2
    }))
}

/** A key with its `=`, if none follows yet. */
const assigned = ({ document }: Subject, name: string, token: number): string =>
  isWord(document.tokens.kinds[token]) && document.tokens.kinds[token + 1] === Kind.Equals ? name : `${name} = `

const inputsOfChild = (subject: Subject, frame: Frame, token: number): ReadonlyArray<Offer> => {
  const child = childOf(subject, frame)
  const inputs = child === undefined ? [] : (workflowNamed(subject.around, child)?.inputs ?? [])
  const written = keysIn(subject.document.tokens, frame.open)
  return inputs
    .filter(({ name }) => !written.has(name) || written.get(name) === token)
    .map(({ description, name }) => ({
      label: name,
      kind: CompletionKind.variable,
      text: assigned(subject, name, token),
      rank: 1,
      ...(description === undefined ? {} : { detail: description })
    }))
}
