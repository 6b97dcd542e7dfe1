/**
 * What the tokens up to a place mean: in which braces it is, and what may stand there. Works on tokens and not on the
 * definition, because a text that is being written has holes where the questions are. It looks at each token once,
 * knows nothing of what names mean, and takes every text.
 */
import { Kind, stringValue, type Tokens } from "../workflow/Lexer.ts"
import type { Owner } from "../workflow/ParserOptions.ts"

/** What braces or brackets belong to. */
export interface Frame {
  readonly kind: "file" | "workflow" | "declarations" | "options" | "map" | "list" | "unknown"
  /** Of which node the options are; of a map or list: of the node that it is an option of. */
  readonly owner: Owner | undefined
  /** The option whose value a map or list is, or an entry of. */
  readonly option: string | undefined
  /** The name behind the keyword: `W` in `call workflow W {`. */
  readonly name: string | undefined
  readonly members: "nodes" | "calls" | "none"
  /** The token that opens it; -1 for the file. */
  readonly open: number
}

/** What the next token is to be. */
export type Slot =
  /** A key, or where the frame has them a keyword or an input's name. */
  | { readonly _tag: "Member" }
  | { readonly _tag: "Name"; readonly keyword: string }
  | { readonly _tag: "Condition"; readonly keyword: string }
  /** Behind the dot of `step.`, in a condition or in an option's value. */
  | { readonly _tag: "Marker"; readonly step: string }
  | { readonly _tag: "Value"; readonly option: string }
  /** Behind an input's name. */
  | { readonly _tag: "Modifier"; readonly input: string }
  /** Nothing that could be offered: `=`, `{`. */
  | { readonly _tag: "Mark" }

const member: Slot = { _tag: "Member" }
const mark: Slot = { _tag: "Mark" }

const fileFrame: Frame = {
  kind: "file",
  owner: undefined,
  option: undefined,
  name: undefined,
  members: "none",
  open: -1
}

interface Head {
  readonly keyword: string
  readonly name?: string
}

export class TokenWalk {
  readonly frames: Array<Frame> = [fileFrame]
  slot: Slot = member
  /** The keyword whose braces may follow. */
  private head: Head | undefined
  /** The key whose `=` follows. */
  private key: string | undefined
  /** The word before, if a dot may follow it. */
  private word: string | undefined
  /** The braces that hold a step already: an option behind it would be misplaced. */
  private readonly begun = new Set<Frame>()

  constructor(private readonly tokens: Tokens) {}

  /** The state in front of a token. */
  static upTo(tokens: Tokens, index: number): TokenWalk {
    const walk = new TokenWalk(tokens)
    for (let at = 0; at < index; at++) walk.pass(at)
    return walk
  }

  get frame(): Frame {
    return this.frames.at(-1) ?? fileFrame
  }

  /** Whether a step stands in the innermost braces already. */
  get hasSteps(): boolean {
    return this.begun.has(this.frame)
  }

  private pass(index: number): void {
    const kind = this.tokens.kinds[index] ?? Kind.End
    switch (kind) {
      case Kind.LeftBrace:
        return this.open(this.braces(index))
      case Kind.LeftBracket:
        return this.open({ ...this.inner("list", index), option: this.option })
      case Kind.RightBrace:
      case Kind.RightBracket:
        return this.close()
      case Kind.Comma:
      case Kind.Semicolon:
        return this.separate()
      case Kind.Equals:
      case Kind.Colon:
        return this.passEquals()
      case Kind.Dot:
        if (this.word === undefined) return
        this.slot = { _tag: "Marker", step: this.word }
        this.word = undefined
        return
      case Kind.Unknown:
        return
      default:
        this.passWord(index, kind)
    }
  }

  private get option(): string | undefined {
    return this.slot._tag === "Value" ? this.slot.option : this.frame.option
  }

  private open(frame: Frame): void {
    this.frames.push(frame)
    this.head = undefined
    this.word = undefined
    this.slot = frame.kind === "list" ? { _tag: "Value", option: frame.option ?? "" } : member
  }

  private inner(kind: Frame["kind"], open: number): Frame {
    const { name, owner } = this.frame
    return { kind, owner, option: undefined, name, members: "none", open }
  }

  private braces(index: number): Frame {
    const { frame, head, slot } = this
    if (slot._tag === "Value") return { ...this.inner("map", index), option: slot.option }
    if (head === undefined) return this.inner("unknown", index)
    const { keyword, name } = head
    if (keyword === "inputs") {
      const kind = frame.kind === "workflow" ? "declarations" : "map"
      return { ...this.inner(kind, index), option: keyword }
    }
    if (keyword === "workflow") return { ...this.inner("workflow", index), owner: undefined, name, members: "nodes" }
    const owner = ownerOf(keyword, name, frame)
    return { ...this.inner("options", index), owner, name, members: membersOf(keyword) }
  }

  private close(): void {
    if (this.frames.length > 1) this.frames.pop()
    this.head = undefined
    this.word = undefined
    this.slot = this.frame.kind === "list" ? { _tag: "Value", option: this.frame.option ?? "" } : member
  }

  private separate(): void {
    this.head = undefined
    this.word = undefined
    this.slot = this.frame.kind === "list" ? { _tag: "Value", option: this.frame.option ?? "" } : member
  }

  private passEquals(): void {
    this.slot = this.key === undefined ? mark : { _tag: "Value", option: this.key }
    this.key = undefined
    this.word = undefined
  }

  private passWord(index: number, kind: number): void {
    const text = textOf(this.tokens, index)
    const next = this.tokens.kinds[index + 1] ?? Kind.End
    this.word = undefined
    if ((next === Kind.Equals || next === Kind.Colon) && this.frame.kind !== "file") {
      this.key = text
      this.head = undefined
      this.slot = mark
      return
    }
    const { slot } = this
    switch (slot._tag) {
      case "Name":
        return this.passName(slot.keyword, text)
      case "Condition":
        this.word = text
        this.slot = mark
        return
      case "Value":
        this.word = text
        this.slot = this.frame.kind === "list" ? slot : member
        return
      case "Marker":
        this.slot = this.frame.kind === "list" ? { _tag: "Value", option: this.frame.option ?? "" } : member
        return
      default:
        if (kind === Kind.Identifier) this.passMember(text)
    }
  }

  private passName(keyword: string, text: string): void {
    if (keyword === "call" && text === "workflow") {
      this.head = { keyword: "call workflow" }
      this.slot = { _tag: "Name", keyword: "call workflow" }
      return
    }
    this.head = { keyword, name: text }
    this.slot = member
  }

  private passMember(text: string): void {
    const { frame } = this
    if (frame.kind === "declarations") {
      const isFlag = text === "required" || text === "boolean"
      if (!isFlag || this.slot._tag !== "Modifier") this.slot = { _tag: "Modifier", input: text }
      return
    }
    this.head = { keyword: text }
    this.slot = slotBehind(text, frame)
    if (this.slot !== member) this.begun.add(frame)
  }
}

/** What follows a keyword; a word that is none is left to itself. */
const slotBehind = (text: string, { kind, members }: Frame): Slot => {
  if (kind === "file") return text === "workflow" ? { _tag: "Name", keyword: text } : member
  switch (text) {
    case "call":
      return members === "none" ? member : { _tag: "Name", keyword: text }
    case "gate":
    case "script":
    case "foreach":
    case "pipeline":
      return members === "nodes" ? { _tag: "Name", keyword: text } : member
    case "if":
    case "unless":
    case "while":
      return members === "nodes" ? { _tag: "Condition", keyword: text } : member
    case "do":
    case "parallel":
    case "always":
      return mark
    default:
      return member
  }
}

const ownerOf = (keyword: string, name: string | undefined, around: Frame): Owner | undefined => {
  switch (keyword) {
    case "call":
      if (around.members !== "calls") return "call"
      return around.owner === "pipeline" ? "call in a pipeline" : "call in a parallel block"
    case "gate":
      return name === "quality_gate" ? "gate quality_gate" : "gate"
    case "call workflow":
    case "if":
    case "unless":
    case "while":
    case "do":
    case "parallel":
    case "script":
    case "foreach":
    case "pipeline":
    case "meta":
      return keyword
    default:
      return undefined
  }
}

const membersOf = (keyword: string): Frame["members"] => {
  if (keyword === "parallel" || keyword === "pipeline") return "calls"
  return ["if", "unless", "while", "do", "always"].includes(keyword) ? "nodes" : "none"
}

/** What a word means: a text without its quotes. */
export const textOf = ({ ends, kinds, starts, text }: Tokens, index: number): string => {
  const [start, end] = [starts[index] ?? text.length, ends[index] ?? text.length]
  return kinds[index] === Kind.String ? stringValue(text, start, end) : text.slice(start, end)
}

/** The keys directly in the braces that a token opens, each with its token. */
export const keysIn = (tokens: Tokens, open: number): ReadonlyMap<string, number> => {
  const keys = new Map<string, number>()
  let depth = 0
  for (let index = open + 1; index < tokens.count && depth >= 0; index++) {
    const kind = tokens.kinds[index]
    if (kind === Kind.LeftBrace || kind === Kind.LeftBracket) depth++
    else if (kind === Kind.RightBrace || kind === Kind.RightBracket) depth--
    else if (depth === 0 && (kind === Kind.Identifier || kind === Kind.String)) {
      const text = textOf(tokens, index)
      const next = tokens.kinds[index + 1]
      const isKey = next === Kind.Equals || next === Kind.Colon || (text === "inputs" && next === Kind.LeftBrace)
      if (isKey) keys.set(text, index)
    }
  }
  return keys
}
