/**
 * As much of a TextMate engine as our grammar needs: rules with `match` or `begin` and `end`, captures, includes; the
 * earliest match wins, of equally early ones the first. Lines are looked at one by one, as editors do.
 */
import * as Schema from "effect/Schema"

const Captures = Schema.Record({ key: Schema.String, value: Schema.Struct({ name: Schema.String }) })

interface Rule {
  readonly name?: string
  readonly match?: string
  readonly begin?: string
  readonly end?: string
  readonly captures?: typeof Captures.Type
  readonly beginCaptures?: typeof Captures.Type
  readonly endCaptures?: typeof Captures.Type
  readonly include?: string
  readonly patterns?: ReadonlyArray<Rule>
}

const text = Schema.optionalWith(Schema.String, { exact: true })
const captures = Schema.optionalWith(Captures, { exact: true })
const Rule: Schema.Schema<Rule> = Schema.Struct({
  name: text,
  match: text,
  begin: text,
  end: text,
  captures,
  beginCaptures: captures,
  endCaptures: captures,
  include: text,
  patterns: Schema.optionalWith(Schema.Array(Schema.suspend((): Schema.Schema<Rule> => Rule)), { exact: true })
})

const Grammar = Schema.Struct({
  scopeName: Schema.String,
  fileTypes: Schema.Array(Schema.String),
  patterns: Schema.Array(Rule),
  repository: Schema.Record({ key: Schema.String, value: Rule })
})
export type Grammar = typeof Grammar.Type

/** Refuses what this engine does not know. */
export const readGrammar = (json: string): Grammar =>
  Schema.decodeUnknownSync(Schema.parseJson(Grammar))(json, { onExcessProperty: "ignore" })

/** Every regular expression of a grammar. */
export const expressions = (grammar: Grammar): ReadonlyArray<string> => {
  const of = (rule: Rule): ReadonlyArray<string> =>
    [rule.match, rule.begin, rule.end]
      .filter((source) => source !== undefined)
      .concat((rule.patterns ?? []).flatMap((inner) => of(inner)))
  return [...grammar.patterns, ...Object.values(grammar.repository)].flatMap(of)
}

/** The scope of each character, the innermost one; empty where there is none. */
export const scopesOf = (grammar: Grammar, source: string): ReadonlyArray<string> => {
  const scopes: Array<string> = []
  let open: Rule | undefined
  for (const line of source.split("\n")) {
    open = lineScopes(grammar, line, open, scopes)
    scopes.push(open?.name ?? "")
  }
  return scopes
}

const lineScopes = (
  grammar: Grammar,
  line: string,
  before: Rule | undefined,
  scopes: Array<string>
): Rule | undefined => {
  const base = scopes.length
  const paint = (from: number, to: number, name: string | undefined) => {
    if (name === undefined) return
    for (let at = from; at < to; at++) scopes[base + at] = name
  }
  let open = before
  let at = 0
  while (at < line.length) {
    const found = earliest(rulesIn(grammar, open), line, at)
    const start = found?.match.index ?? line.length
    const end = found === undefined ? line.length : start + Math.max(1, found.match[0].length)
    paint(at, start, open?.name ?? "")
    if (found === undefined) break
    const { match, rule, source } = found
    paint(start, end, rule.name ?? "")
    const given = source === "end" ? rule.endCaptures : source === "begin" ? rule.beginCaptures : rule.captures
    for (const [index, { name }] of Object.entries(given ?? {})) {
      const [from, to] = match.indices?.[Number(index)] ?? [0, 0]
      paint(from, to, name)
    }
    if (source !== "match") open = source === "begin" ? rule : undefined
    at = end
  }
  return open
}

interface Candidate {
  readonly rule: Rule
  readonly source: "match" | "begin" | "end"
}

const rulesIn = (grammar: Grammar, open: Rule | undefined): ReadonlyArray<Candidate> =>
  open === undefined
    ? flatten(grammar, grammar.patterns)
    : [{ rule: open, source: "end" }, ...flatten(grammar, open.patterns ?? [])]

const flatten = (grammar: Grammar, rules: ReadonlyArray<Rule>): ReadonlyArray<Candidate> =>
  rules.flatMap((rule): ReadonlyArray<Candidate> => {
    if (rule.include !== undefined) {
      const included = grammar.repository[rule.include.slice(1)]
      if (included === undefined) throw new Error(`the grammar has no ${rule.include}`)
      return flatten(grammar, [included])
    }
    if (rule.match !== undefined) return [{ rule, source: "match" }]
    if (rule.begin !== undefined) return [{ rule, source: "begin" }]
    return flatten(grammar, rule.patterns ?? [])
  })

const compiled = new Map<string, RegExp>()

const earliest = (candidates: ReadonlyArray<Candidate>, line: string, at: number) => {
  let best: (Candidate & { readonly match: RegExpExecArray }) | undefined
  for (const candidate of candidates) {
    const source = candidate.rule[candidate.source] ?? ""
    const expression = compiled.get(source) ?? new RegExp(source, "dg")
    compiled.set(source, expression)
    expression.lastIndex = at
    const match = expression.exec(line)
    if (match !== null && (best === undefined || match.index < best.match.index)) best = { ...candidate, match }
  }
  return best
}
