/**
 * The YAML form of output schemas (spec/language.md, "Output schemas"):
 *
 * ```yaml
 * fields:
 *   findings:
 *     type: array
 *     items:
 *       file: string
 *       severity: enum(critical, high, low)
 *       suggestion?: { type: string, desc: "How to mend it", examples: ["escape it"] }
 *   approved: boolean
 * markers:
 *   has_critical: findings[severity == critical].length > 0
 * ```
 *
 * A `?` behind a field's name or type makes it optional. `items` is a type, or a map of the elements' fields.
 */
import * as Either from "effect/Either"
import { isAlias, isMap, isScalar, isSeq, type Document, type Node, type Pair, parseDocument } from "yaml"
import type { Diagnostic } from "./Diagnostic.ts"
import * as MarkerExpression from "./MarkerExpression.ts"
import type { Field, FieldType, MarkerRule, OutputSchema } from "./OutputSchema.ts"
import type { Source, Span } from "./Source.ts"
import { nearest } from "./Suggest.ts"

export interface ParsedSchema {
  /** Absent exactly if there is an error. */
  readonly schema?: OutputSchema
  /** All errors and warnings, in the order of the file. */
  readonly diagnostics: ReadonlyArray<Diagnostic>
}

/** Fields of one schema, those of nested objects included. */
const maxFields = 1_000
/** Objects and lists within each other. */
const maxDepth = 16

/** Parses the text of a schema file. Never throws. */
export const parse = (name: string, source: Source): ParsedSchema => {
  const document = parseDocument(source.text, { prettyErrors: false })
  const reader = new Reader(document, source)
  if (document.errors.length === 0) {
    const schema = reader.schema(name)
    if (!reader.failed) return { schema, diagnostics: reader.diagnostics() }
  }
  return { diagnostics: reader.diagnostics() }
}

const types = ["string", "number", "boolean", "enum", "array", "object"]
const longKeys = ["type", "desc", "examples", "items", "fields"]
const topKeys = ["fields", "markers"]

type MapNode = { readonly items: ReadonlyArray<Pair> } & Node

class Reader {
  failed = false
  private readonly found: Array<Diagnostic> = []
  private fieldCount = 0

  constructor(
    private readonly document: Document,
    private readonly source: Source
  ) {
    for (const { message, pos } of document.errors) {
      this.error("schema-syntax", message, { start: pos[0], end: Math.max(pos[0] + 1, pos[1]) })
    }
  }

  diagnostics(): ReadonlyArray<Diagnostic> {
    return [...this.found].sort((a, b) => (a.span?.start ?? 0) - (b.span?.start ?? 0))
  }

  schema(name: string): OutputSchema {
    const top = this.map(this.document.contents, "a schema is a map with `fields`")
    if (top === undefined) return { name, fields: [] }
    this.warnUnknown(top, topKeys)
    const listed = this.value(top, "fields")
    if (listed === undefined) this.error("schema-shape", "the schema has no `fields`", this.span(top))
    const fields = listed === undefined ? [] : this.fields(listed, 0)
    const rules = this.value(top, "markers")
    return rules === undefined ? { name, fields } : { name, fields, markers: this.markers(rules, fields) }
  }

  private fields(node: unknown, depth: number): ReadonlyArray<Field> {
    const map = this.map(node, "`fields` is a map of names to types")
    if (map === undefined || this.tooDeep(node, depth)) return []
    return map.items.flatMap((pair) => this.field(pair, depth))
  }

  private field(pair: Pair, depth: number): ReadonlyArray<Field> {
    const written = this.text(pair.key)
    if (written === undefined || written === "?" || written === "") {
      this.error("schema-shape", "a field's name is a text", this.span(pair.key))
      return []
    }
    if (this.fieldCount++ === maxFields) {
      this.error("schema-limit", `a schema has at most ${maxFields} fields`, this.span(pair.key))
    }
    if (this.fieldCount > maxFields) return []
    const optional = written.endsWith("?")
    const name = optional ? written.slice(0, -1) : written
    const node = this.resolved(pair.value)
    if (isMap(node)) return [this.longField(name, optional, node, depth)]
    const { optional: marked, type } = this.type(this.text(node) === undefined ? pair.key : node, this.text(node), name)
    return [{ name, type, optional: optional || marked, examples: [] }]
  }

  /** `{ type, desc, examples, items, fields }`. */
  private longField(name: string, optional: boolean, node: MapNode, depth: number): Field {
    this.warnUnknown(node, longKeys)
    const typeNode = this.value(node, "type")
    const { optional: marked, type } = this.type(typeNode ?? node, this.text(typeNode), name)
    const description = this.text(this.value(node, "desc"))
    const field = {
      name,
      type: this.withParts(type, node, depth),
      optional: optional || marked,
      examples: this.examples(node)
    }
    return description === undefined ? field : { ...field, description }
  }

  private withParts(type: FieldType, node: MapNode, depth: number): FieldType {
    const items = this.value(node, "items")
    const fields = this.value(node, "fields")
    if (items !== undefined && type._tag !== "Array") this.misplaced("items", "array", items)
    if (fields !== undefined && type._tag !== "Object") this.misplaced("fields", "object", fields)
    if (type._tag === "Array" && items !== undefined) return { _tag: "Array", items: this.items(items, depth + 1) }
    if (type._tag === "Object" && fields !== undefined) {
      return { _tag: "Object", fields: this.fields(fields, depth + 1) }
    }
    return type
  }

  private misplaced(key: string, type: string, node: unknown): void {
    this.error("schema-shape", `\`${key}\` belongs to a field of type ${type}`, this.span(node))
  }

  private items(node: unknown, depth: number): FieldType {
    if (isMap(this.resolved(node))) return { _tag: "Object", fields: this.fields(node, depth) }
    return this.type(node, this.text(node), "items").type
  }

  private examples(node: MapNode): ReadonlyArray<string> {
    const examples = this.value(node, "examples")
    if (examples === undefined) return []
    const elements = isSeq(examples) ? examples.items : [examples]
    return elements.flatMap((element) => {
      const text = this.text(element)
      if (text !== undefined) return [text]
      this.error("schema-shape", "an example is a text, a number, true or false", this.span(element))
      return []
    })
  }

  /** The short form of a type; `node` is where it stands. */
  private type(
    node: unknown,
    written: string | undefined,
    field: string
  ): { readonly type: FieldType; readonly optional: boolean } {
    const optional = written?.endsWith("?") ?? false
    const text = (optional ? written?.slice(0, -1) : written)?.trim()
    const type = text === undefined ? undefined : simpleType(text)
    if (type !== undefined) return { type, optional }
    if (text?.startsWith("enum")) this.badEnum(node, text)
    else if (text === undefined) {
      this.error("schema-type", `'${field}' has no type`, this.span(node), `expected ${types.join(", ")}`)
    } else {
      const near = nearest(text, types)
      const hint = near === undefined ? `expected ${types.join(", ")}` : `did you mean '${near}'?`
      this.error("schema-type", `unknown type '${text}'`, this.span(node), hint)
    }
    return { type: { _tag: "String" }, optional }
  }

  private badEnum(node: unknown, text: string): void {
    const open = text.includes("(") && !text.endsWith(")")
    const hint = open ? 'within { } write it in quotes: "enum(a, b)"' : "such as enum(low, high), each value once"
    this.error("schema-type", `'${text}' lists no values`, this.span(node), hint)
  }

  private markers(node: unknown, fields: ReadonlyArray<Field>): ReadonlyArray<MarkerRule> {
    const map = this.map(node, "`markers` is a map of markers to expressions")
    const sound = !this.failed
    return (map?.items ?? []).flatMap((pair) => {
      const marker = this.text(pair.key)
      const written = this.text(pair.value)
      if (marker === undefined || written === undefined) {
        this.error("marker-expression", "a marker has a name and an expression", this.span(pair.key))
        return []
      }
      const expression = this.expression(marker, written, pair.value, sound ? fields : undefined)
      return expression === undefined ? [] : [{ marker, expression }]
    })
  }

  /** `fields` is undefined where they are broken, so that nothing can be said about names. */
  private expression(
    marker: string,
    written: string,
    node: unknown,
    fields: ReadonlyArray<Field> | undefined
  ): MarkerExpression.MarkerExpression | undefined {
    const parsed = MarkerExpression.parse(written)
    const unfit = Either.isRight(parsed) && fields !== undefined ? misfit(parsed.right, fields) : undefined
    const problem = Either.isLeft(parsed) ? parsed.left : unfit
    if (problem !== undefined) this.error("marker-expression", `marker '${marker}': ${problem}`, this.span(node))
    return Either.isRight(parsed) ? parsed.right : undefined
  }

  private warnUnknown(map: MapNode, known: ReadonlyArray<string>): void {
    for (const pair of map.items) {
      const key = this.text(pair.key) ?? ""
      if (known.includes(key)) continue
      const near = nearest(key, known)
      const hint = near === undefined ? `known are ${known.join(", ")}` : `did you mean '${near}'?`
      this.add("warning", "schema-unknown-key", `unknown key '${key}'`, this.span(pair.key), hint)
    }
  }

  private tooDeep(node: unknown, depth: number): boolean {
    if (depth < maxDepth) return false
    this.error("schema-limit", `fields are nested more than ${maxDepth} deep`, this.span(node))
    return true
  }

  private map(node: unknown, otherwise: string): MapNode | undefined {
    const resolved = this.resolved(node)
    if (isMap(resolved)) return resolved
    this.error("schema-shape", otherwise, this.span(node))
    return undefined
  }

  private value(map: MapNode, key: string): unknown {
    const pair = map.items.find((pair) => this.text(pair.key) === key)
    return pair === undefined ? undefined : (this.resolved(pair.value) ?? undefined)
  }

  /** A scalar as it is written; undefined for everything else, null too. */
  private text(node: unknown): string | undefined {
    const resolved = this.resolved(node)
    if (!isScalar(resolved) || resolved.value === null) return undefined
    return typeof resolved.value === "string" ? resolved.value : (resolved.source ?? String(resolved.value))
  }

  private resolved(node: unknown): unknown {
    return isAlias(node) ? node.resolve(this.document) : node
  }

  private span(node: unknown): Span {
    const range = isNode(node) ? node.range : undefined
    const start = range?.[0] ?? 0
    return { start, end: Math.max(start + 1, range?.[1] ?? 0) }
  }

  private error(code: string, message: string, span: Span, hint?: string): void {
    this.failed = true
    this.add("error", code, message, span, hint)
  }

  private add(severity: "error" | "warning", code: string, message: string, span: Span, hint?: string): void {
    const diagnostic = { severity, code, message, source: this.source, span }
    this.found.push(hint === undefined ? diagnostic : { ...diagnostic, hint })
  }
}

const misfit = (expression: MarkerExpression.MarkerExpression, fields: ReadonlyArray<Field>): string | undefined => {
  const problem = MarkerExpression.misfit(expression, fields)
  const near = nearest(
    expression.field,
    fields.map(({ name }) => name)
  )
  const unknown = !fields.some(({ name }) => name === expression.field)
  return problem !== undefined && unknown && near !== undefined ? `${problem}; did you mean '${near}'?` : problem
}

const isNode = (node: unknown): node is Node => isMap(node) || isSeq(node) || isScalar(node) || isAlias(node)

const simpleType = (text: string): FieldType | undefined => {
  switch (text) {
    case "string":
      return { _tag: "String" }
    case "number":
      return { _tag: "Number" }
    case "boolean":
      return { _tag: "Boolean" }
    case "array":
      return { _tag: "Array" }
    case "object":
      return { _tag: "Object" }
    default:
      return enumType(text)
  }
}

const enumType = (text: string): FieldType | undefined => {
  if (!text.endsWith(")")) return undefined
  const open = text.indexOf("(")
  if (text.slice(0, Math.max(0, open)).trim() !== "enum") return undefined
  const values = text
    .slice(open + 1, -1)
    .split(",")
    .map((value) => value.trim())
  return values.includes("") || new Set(values).size < values.length ? undefined : { _tag: "Enum", values }
}
