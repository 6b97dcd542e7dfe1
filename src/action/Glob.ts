/**
 * Patterns of paths: `*`, `?`, `[a-z]`, `[!a]` within a segment, `{a,b}` anywhere, `**` for any folders, `\` before a
 * character that is meant as it is. Wildcards at the start of a segment match no hidden name, and `**` enters neither
 * hidden folders nor `node_modules`; a pattern that names them does.
 *
 * A pattern is matched segment by segment, so that a walk enters only folders that can hold a match.
 */
import * as Either from "effect/Either"

type Token =
  | { readonly _tag: "Literal"; readonly character: string }
  | { readonly _tag: "One" | "Many" }
  | { readonly _tag: "Class"; readonly negated: boolean; readonly ranges: ReadonlyArray<readonly [string, string]> }

/** A segment's tokens, or any folders. */
type Segment = "**" | ReadonlyArray<Token>

/** One list of segments for each combination of alternatives. */
export interface Glob {
  readonly alternatives: ReadonlyArray<ReadonlyArray<Segment>>
}

/** Combinations of `{…}` in one pattern. */
const maxAlternatives = 256

/** Reads a pattern, or says what is wrong with it. */
export const compile = (pattern: string): Either.Either<Glob, string> =>
  Either.gen(function* () {
    const texts = yield* expand(pattern)
    const alternatives: Array<ReadonlyArray<Segment>> = []
    for (const text of texts) alternatives.push(yield* readSegments(text))
    return { alternatives }
  })

// ---- matching

/** How far a path has got: for each alternative the segments that may come next. */
export type Progress = ReadonlyArray<ReadonlyArray<number>>

export const start = ({ alternatives }: Glob): Progress => alternatives.map((segments) => reachable(segments, [0]))

/** Where one more name leads. `hidden`: wildcards match hidden names too. */
export const advance = ({ alternatives }: Glob, progress: Progress, name: string, hidden: boolean): Progress =>
  alternatives.map((segments, index) => {
    const next = (progress[index] ?? []).flatMap((at) => {
      const segment = segments[at]
      if (segment === undefined) return []
      if (segment === "**") return hidden || !isApart(name) ? [at] : []
      return matches(segment, name, hidden) ? [at + 1] : []
    })
    return reachable(segments, next)
  })

/** Whether nothing below can match. */
export const isDead = (progress: Progress): boolean => progress.every((positions) => positions.length === 0)

/** Whether the path so far matches. */
export const isMatch = ({ alternatives }: Glob, progress: Progress): boolean =>
  alternatives.some((segments, index) => progress[index]?.includes(segments.length) === true)

const isApart = (name: string): boolean => name.startsWith(".") || name === "node_modules"

/** `**` may stand for no folder at all. */
const reachable = (segments: ReadonlyArray<Segment>, positions: ReadonlyArray<number>): ReadonlyArray<number> => {
  const all = new Set(positions)
  for (const position of all) if (segments[position] === "**") all.add(position + 1)
  return [...all]
}

/** Wildcards with one way back, to the last `*`: no pattern takes more than pattern times name. */
const matches = (tokens: ReadonlyArray<Token>, name: string, hidden: boolean): boolean => {
  if (!hidden && name.startsWith(".") && tokens[0]?._tag !== "Literal") return false
  const characters = Array.from(name)
  let token = 0
  let at = 0
  let star = -1
  let starAt = 0
  while (at < characters.length) {
    const wanted = tokens[token]
    if (wanted?._tag === "Many") {
      star = token++
      starAt = at
    } else if (wanted !== undefined && fits(wanted, characters[at] ?? "")) {
      token++
      at++
    } else if (star !== -1) {
      token = star + 1
      at = ++starAt
    } else {
      return false
    }
  }
  while (tokens[token]?._tag === "Many") token++
  return token === tokens.length
}

const fits = (token: Token, character: string): boolean => {
  switch (token._tag) {
    case "Literal":
      return token.character === character
    case "Class":
      return token.ranges.some(([from, to]) => from <= character && character <= to) !== token.negated
    default:
      return true
  }
}

// ---- reading

/** The pattern without `{…}`: one text for each combination, escapes kept. */
const expand = (pattern: string): Either.Either<ReadonlyArray<string>, string> => {
  const open = findBrace(pattern)
  if (open === undefined) return Either.right([pattern])
  const parts = splitBrace(pattern, open)
  if (parts === undefined) return Either.left(`the pattern '${pattern}' has a \`{\` without \`}\``)
  const texts: Array<string> = []
  for (const choice of parts.choices) {
    const inner = expand(pattern.slice(0, open) + choice + parts.rest)
    if (Either.isLeft(inner)) return inner
    texts.push(...inner.right)
    if (texts.length > maxAlternatives) {
      return Either.left(`the pattern '${pattern}' stands for more than ${maxAlternatives} patterns`)
    }
  }
  return Either.right(texts)
}

const findBrace = (pattern: string): number | undefined => {
  for (let at = 0; at < pattern.length; at++) {
    if (pattern[at] === "\\") at++
    else if (pattern[at] === "{") return at
  }
  return undefined
}

const splitBrace = (
  pattern: string,
  open: number
): { readonly choices: ReadonlyArray<string>; readonly rest: string } | undefined => {
  const choices: Array<string> = []
  let depth = 0
  let from = open + 1
  for (let at = open; at < pattern.length; at++) {
    const character = pattern[at]
    if (character === "\\") at++
    else if (character === "{") depth++
    else if (character === "," && depth === 1) {
      choices.push(pattern.slice(from, at))
      from = at + 1
    } else if (character === "}" && --depth === 0) {
      return { choices: [...choices, pattern.slice(from, at)], rest: pattern.slice(at + 1) }
    }
  }
  return undefined
}

const readSegments = (text: string): Either.Either<ReadonlyArray<Segment>, string> => {
  if (text.startsWith("/")) return Either.left(`the pattern '${text}' is absolute; write it relative`)
  const parts = text.split("/").filter((part) => part !== "" && part !== ".")
  if (parts.length === 0) return Either.left("a pattern is empty")
  if (parts.includes("..")) return Either.left(`the pattern '${text}' leads out with '..'`)
  const segments: Array<Segment> = []
  for (const part of parts) {
    const tokens = part === "**" ? "**" : readTokens(part)
    if (tokens === undefined) return Either.left(`the pattern '${text}' has a \`[\` without \`]\``)
    segments.push(tokens)
  }
  return Either.right(segments)
}

const readTokens = (part: string): ReadonlyArray<Token> | undefined => {
  const characters = Array.from(part)
  const tokens: Array<Token> = []
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] ?? ""
    if (character === "[") {
      const end = characters.indexOf("]", at + (characters[at + 1] === "!" || characters[at + 1] === "^" ? 3 : 2))
      if (end === -1) return undefined
      tokens.push(readClass(characters.slice(at + 1, end)))
      at = end
    } else if (character === "\\" && at + 1 < characters.length) {
      tokens.push({ _tag: "Literal", character: characters[++at] ?? "" })
    } else {
      tokens.push(readToken(character))
    }
  }
  return tokens
}

const readToken = (character: string): Token => {
  if (character === "*") return { _tag: "Many" }
  return character === "?" ? { _tag: "One" } : { _tag: "Literal", character }
}

const readClass = (inside: ReadonlyArray<string>): Token => {
  const negated = inside[0] === "!" || inside[0] === "^"
  const members = negated ? inside.slice(1) : inside
  const ranges: Array<readonly [string, string]> = []
  for (let at = 0; at < members.length; at++) {
    const from = members[at] ?? ""
    const to = members[at + 2]
    if (members[at + 1] === "-" && to !== undefined) {
      ranges.push([from, to])
      at += 2
    } else {
      ranges.push([from, from])
    }
  }
  return { _tag: "Class", negated, ranges }
}
