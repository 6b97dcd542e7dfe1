/**
 * A place in a document: the token there, the braces around it, and the role that the token plays. What hover and "go
 * to" look at.
 */
import { Kind, type Tokens } from "../workflow/Lexer.ts"
import { type OptionDoc, optionDoc, optionDocs } from "../workflow/OptionDocs.ts"
import type { Owner } from "../workflow/ParserOptions.ts"
import type { Span } from "../workflow/Source.ts"
import * as Template from "../workflow/Template.ts"
import { type Frame, type Slot, textOf, TokenWalk } from "./TokenWalk.ts"

/** The token at an offset: the one that holds it, else the word that ends there. */
export const tokenAt = ({ count, ends, kinds, starts }: Tokens, offset: number): number | undefined => {
  let found: number | undefined
  for (let index = 0; index < count && (starts[index] ?? 0) <= offset; index++) {
    const isOver = (ends[index] ?? 0) < offset
    if (!isOver && kinds[index] !== Kind.End) found = index
    // `a.|b` and `a|.b`: a word counts more than the mark beside it.
    if (found === index && isWord(kinds[index])) break
  }
  return found
}

export const isWord = (kind: number | undefined): boolean => kind === Kind.Identifier || kind === Kind.String

export const isInComment = ({ comments }: Tokens, offset: number): boolean => {
  for (let at = 0; at < comments.length; at += 2) {
    if ((comments[at] ?? 0) < offset && offset <= (comments[at + 1] ?? 0)) return true
  }
  return false
}

export const spanOf = ({ ends, starts, text }: Tokens, index: number): Span => ({
  start: starts[index] ?? text.length,
  end: ends[index] ?? text.length
})

/** What a token is there for. */
export type Role =
  | { readonly _tag: "Keyword"; readonly keyword: string }
  | { readonly _tag: "Option"; readonly owner: Owner; readonly name: string }
  /** A key of a map: an input that a child or a step is given, an environment variable. */
  | { readonly _tag: "Entry"; readonly frame: Frame; readonly name: string }
  | { readonly _tag: "Name"; readonly keyword: string; readonly name: string }
  | { readonly _tag: "Step"; readonly step: string }
  | { readonly _tag: "Marker"; readonly step: string; readonly marker: string }
  | { readonly _tag: "Input"; readonly name: string }
  | { readonly _tag: "Modifier"; readonly name: string }
  | { readonly _tag: "Variable"; readonly name: string }
  | {
      readonly _tag: "Value"
      readonly owner: Owner
      readonly option: string
      readonly doc: OptionDoc
      readonly text: string
    }

export interface Place {
  readonly role: Role
  readonly span: Span
  /** The token's index. */
  readonly token: number
}

/** What stands at an offset; undefined where it is nothing that means something by itself. */
export const placeAt = (tokens: Tokens, offset: number): Place | undefined => {
  const token = tokenAt(tokens, offset)
  if (token === undefined || isInComment(tokens, offset)) return undefined
  const variable = tokens.kinds[token] === Kind.String ? variableAt(tokens, token, offset) : undefined
  if (variable !== undefined) return variable
  const { frame, slot } = TokenWalk.upTo(tokens, token)
  const role = roleOf(tokens, token, frame, slot)
  return role && { role, span: spanOf(tokens, token), token }
}

/** The `{{name}}` of a text that an offset lies in. */
const variableAt = (tokens: Tokens, token: number, offset: number): Place | undefined => {
  const { end, start } = spanOf(tokens, token)
  for (const reference of Template.names(tokens.text.slice(start, end))) {
    const span = { start: start + reference.start, end: start + reference.end }
    if (span.start <= offset && offset <= span.end) {
      return { role: { _tag: "Variable", name: reference.name }, span, token }
    }
  }
  return undefined
}

const roleOf = (tokens: Tokens, token: number, frame: Frame, slot: Slot): Role | undefined => {
  if (!isWord(tokens.kinds[token])) return undefined
  const text = textOf(tokens, token)
  const next = tokens.kinds[token + 1]
  const isKey = (next === Kind.Equals || next === Kind.Colon) && frame.kind !== "file"
  if (isKey) return keyRole(frame, text)
  switch (slot._tag) {
    case "Member":
      if (frame.kind === "declarations") return { _tag: "Input", name: text }
      return tokens.kinds[token] === Kind.Identifier ? { _tag: "Keyword", keyword: text } : undefined
    case "Name":
      if (slot.keyword === "call" && text === "workflow") return { _tag: "Keyword", keyword: text }
      return nameRole(tokens, token, slot.keyword, text)
    case "Condition":
      return next === Kind.Dot ? { _tag: "Step", step: text } : { _tag: "Input", name: text }
    case "Marker":
      return { _tag: "Marker", step: slot.step, marker: text }
    case "Modifier":
      return text === "required" || text === "boolean"
        ? { _tag: "Modifier", name: text }
        : { _tag: "Input", name: text }
    case "Value":
      return valueRole(frame, slot.option, text, next === Kind.Dot)
    case "Mark":
      return { _tag: "Keyword", keyword: text }
  }
}

const keyRole = (frame: Frame, name: string): Role | undefined => {
  if (frame.kind === "declarations") return { _tag: "Modifier", name }
  if (frame.kind === "map") return { _tag: "Entry", frame, name }
  if (frame.owner === undefined) return undefined
  const owner = frame.owner === "do" && optionDoc("do", name) === undefined ? "do … while" : frame.owner
  return { _tag: "Option", owner, name }
}

/** A quoted name behind `call` is a path. */
const nameRole = (tokens: Tokens, token: number, keyword: string, name: string): Role => ({
  _tag: "Name",
  keyword: keyword === "call" && tokens.kinds[token] === Kind.String ? "call path" : keyword,
  name
})

const valueRole = (frame: Frame, option: string, text: string, dotted: boolean): Role | undefined => {
  if (frame.owner === undefined || (frame.kind !== "options" && frame.kind !== "list")) return undefined
  const owner = frame.owner
  const doc = optionDoc(owner, option) ?? (owner === "do" ? optionDoc("do … while", option) : undefined)
  if (doc === undefined) return undefined
  if (dotted && (doc.value === "condition" || doc.value === "options")) return { _tag: "Step", step: text }
  if (doc.value === "source") return { _tag: "Step", step: text }
  if (doc.value !== "condition") return { _tag: "Value", owner, option, doc, text }
  const dot = text.indexOf(".")
  return dot === -1 ? { _tag: "Input", name: text } : { _tag: "Step", step: text.slice(0, dot) }
}

/** What a block's braces know: in those of a `do` a loop's options too, for the condition stands behind them. */
export const optionsIn = (owner: Owner): Readonly<Record<string, OptionDoc>> =>
  owner === "do" ? { ...optionDocs.do, ...optionDocs["do … while"] } : optionDocs[owner]
