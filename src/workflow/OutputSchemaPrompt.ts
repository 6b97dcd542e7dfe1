/**
 * What an agent is told about the schema of its output (spec/language.md, "Agents and snippets").
 */
import { closing, opening } from "./FlowOutput.ts"
import type { Json } from "./Json.ts"
import { describe } from "./OutputFields.ts"
import type { Field, FieldType, OutputSchema } from "./OutputSchema.ts"

/** The output instructions at the end of a prompt: the block to print, then its fields with what they mean. */
export const instructions = (schema: OutputSchema): string =>
  `When you have finished, end your answer with this block, and write it nowhere else. Replace the values by yours; \
write valid JSON without comments.

${opening}
${JSON.stringify(sampleOf(schema.fields), null, 2)}
${closing}

Fields:
${lines(schema.fields, "").join("\n")}
`

/** The schema as JSON Schema (draft 2020-12), for executors that hand one to a model. */
export const jsonSchemaText = (schema: OutputSchema): string =>
  JSON.stringify({ $schema: "https://json-schema.org/draft/2020-12/schema", ...objectSchema(schema.fields) }, null, 2)

const sampleOf = (fields: ReadonlyArray<Field>): Json =>
  Object.fromEntries(fields.map((field) => [field.name, sample(field.type, field.examples)]))

const sample = (type: FieldType, examples: ReadonlyArray<string>): Json => {
  switch (type._tag) {
    case "String":
      return examples[0] ?? "text"
    case "Number":
      return Number.isFinite(Number(examples[0])) ? Number(examples[0]) : 0
    case "Boolean":
      return examples[0] !== "false"
    case "Enum":
      return type.values.join("|")
    case "Array":
      return type.items === undefined ? [] : [sample(type.items, examples)]
    case "Object":
      return sampleOf(type.fields ?? [])
  }
}

const lines = (fields: ReadonlyArray<Field>, path: string): ReadonlyArray<string> =>
  fields.flatMap((field) => {
    const at = path + field.name
    const inner = field.type._tag === "Array" ? field.type.items : field.type
    const own = [`- ${at}: ${typeText(field.type)}${field.optional ? ", optional" : ""}${notes(field)}`]
    if (inner?._tag !== "Object" || inner.fields === undefined) return own
    return [...own, ...lines(inner.fields, field.type._tag === "Array" ? `${at}[].` : `${at}.`)]
  })

const typeText = (type: FieldType): string => {
  if (type._tag !== "Array" || type.items === undefined) return describe(type)
  return type.items._tag === "Object" ? "a list of objects" : `a list; each element is ${describe(type.items)}`
}

const notes = ({ description, examples }: Field): string => {
  const meaning = description === undefined ? "" : `. ${description}`
  return examples.length === 0
    ? meaning
    : `${meaning} (for example ${examples.map((e) => JSON.stringify(e)).join(", ")})`
}

const objectSchema = (fields: ReadonlyArray<Field>): { readonly [key: string]: Json } => ({
  type: "object",
  properties: Object.fromEntries(fields.map((field) => [field.name, fieldSchema(field)])),
  required: fields.filter(({ optional }) => !optional).map(({ name }) => name)
})

const fieldSchema = (field: Field): Json => {
  const schema = typeSchema(field.type)
  return {
    ...(field.optional ? { anyOf: [schema, { type: "null" }] } : schema),
    ...(field.description === undefined ? {} : { description: field.description }),
    ...(field.examples.length === 0 ? {} : { examples: field.examples })
  }
}

const typeSchema = (type: FieldType): { readonly [key: string]: Json } => {
  switch (type._tag) {
    case "String":
      return { type: "string" }
    case "Number":
      return { type: "number" }
    case "Boolean":
      return { type: "boolean" }
    case "Enum":
      return { enum: type.values }
    case "Array":
      return type.items === undefined ? { type: "array" } : { type: "array", items: typeSchema(type.items) }
    case "Object":
      return type.fields === undefined ? { type: "object" } : objectSchema(type.fields)
  }
}
