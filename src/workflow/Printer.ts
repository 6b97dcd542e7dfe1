/**
 * A definition as `.wf` text in its canonical form: reading what is printed gives an equal definition. `formatSource`
 * lays out a text that someone wrote instead, with its comments; both lay out alike.
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { InputDeclaration, WorkflowDefinition } from "./Definition.ts"
import { formatSource } from "./Formatter.ts"
import { parse } from "./Parser.ts"
import { printNodes } from "./PrinterNodes.ts"
import { block, name, option, quote } from "./PrinterText.ts"

export { formatSource } from "./Formatter.ts"

/** A definition that the language cannot say, such as one made in code with a step named `a b`. */
export class UnprintableDefinition extends Schema.TaggedError<UnprintableDefinition>()("UnprintableDefinition", {
  workflow: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `The workflow ${JSON.stringify(this.workflow)} cannot be written as .wf text: ${this.reason}`
  }
}

/**
 * The definition as text. Throws `UnprintableDefinition` if the text would not read back as the definition, which no
 * definition that was read from a file does: names that are no identifiers, paths that lead out of the project, blocks
 * nested deeper than `maxNesting`. `printEither` gives the error as a value.
 */
export const print = (definition: WorkflowDefinition): string => Either.getOrThrowWith(printEither(definition), same)

export const printEither = (definition: WorkflowDefinition): Either.Either<string, UnprintableDefinition> => {
  const refuse = (reason: string) => Either.left(new UnprintableDefinition({ workflow: definition.name, reason }))
  const file = `${definition.name}.wf`
  const formatted = formatSource({ file, text: printFile(definition) })
  if (Either.isLeft(formatted)) {
    const [problem] = formatted.left.problems.filter(({ severity }) => severity === "error")
    return refuse(problem?.message ?? "it does not read back")
  }
  const read = parse({ file, text: formatted.right }).definition
  return isSame(read, definition) ? Either.right(formatted.right) : refuse("it reads back as another definition")
}

const same = <A>(value: A): A => value

const printFile = (definition: WorkflowDefinition): string => {
  const sections = [
    meta(definition),
    definition.inputs.length === 0 ? "" : `inputs ${block(definition.inputs.map(printInput))}`,
    printNodes(definition.body),
    definition.always.length === 0 ? "" : `always {\n${printNodes(definition.always)}\n}`
  ]
  return `workflow ${name(definition.name)} {\n${sections.filter((section) => section !== "").join("\n\n")}\n}\n`
}

const meta = (definition: WorkflowDefinition): string => {
  const { title, description, trigger, targets, group } = definition
  const entries = [
    ...option("title", title, quote),
    ...option("description", description, quote),
    ...(trigger === "manual" ? [] : option("trigger", trigger, name)),
    ...(targets.length === 0 ? [] : option("targets", targets, (texts) => `[${texts.map(quote).join(", ")}]`)),
    ...option("group", group, quote)
  ]
  return entries.length === 0 ? "" : `meta ${block(entries)}`
}

/** A name that would read as a modifier gets a comma in front of it. */
const printInput = (input: InputDeclaration, index: number): string => {
  const parts = [
    ...(index > 0 && (input.name === "required" || input.name === "boolean") ? [","] : []),
    name(input.name),
    ...(input.boolean ? ["boolean"] : []),
    ...(input.required ? ["required"] : []),
    ...(input.secret ? ["secret = true"] : []),
    ...option("default", input.default, quote),
    ...option("description", input.description, quote)
  ]
  return parts.join(" ")
}

/** Structural equality of definitions; the order of keys does not count. */
const isSame = (a: unknown, b: unknown): boolean => {
  if (a === b) return true
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const [left, right] = [new Map(Object.entries(a)), new Map(Object.entries(b))]
  return left.size === right.size && [...left].every(([key, value]) => right.has(key) && isSame(value, right.get(key)))
}
