/**
 * Checks of plain data, compiled from schemas: `Schema.is` walks a schema anew, and copies, for each value, which for a
 * run's rows costs more than reading them.
 *
 * A guard says yes to what the schema's type side accepts, keys that it does not name included. It knows the schemas of
 * records: structs, lists, unions, literals and refinements of texts, numbers and flags; what is none of these is a
 * defect of the program that `guardOf` finds at once.
 */
import type * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import * as Option from "effect/Option"
import { isObject } from "../../workflow/Json.ts"

type Guard = (value: unknown) => boolean

/** Whether a value is of the schema's type. A required key whose value may be undefined may be missing. */
export const guardOf = <A, I>(schema: Schema.Schema<A, I>): ((value: unknown) => value is A) => {
  const guard = compile(AST.typeAST(schema.ast))
  return (value): value is A => guard(value)
}

const compile = (ast: AST.AST): Guard => {
  switch (ast._tag) {
    case "UnknownKeyword":
    case "AnyKeyword":
      return () => true
    case "StringKeyword":
      return (value) => typeof value === "string"
    case "NumberKeyword":
      return (value) => typeof value === "number"
    case "BooleanKeyword":
      return (value) => typeof value === "boolean"
    case "UndefinedKeyword":
      return (value) => value === undefined
    case "Literal":
      return (value) => value === ast.literal
    case "Union":
      return union(ast.types)
    case "Refinement":
      return refinement(ast)
    case "TypeLiteral":
      return struct(ast)
    case "TupleType":
      return list(ast)
    default:
      throw new Error(`no guard is made of a schema of ${ast._tag}`)
  }
}

const union = (types: ReadonlyArray<AST.AST>): Guard => {
  if (types.every(AST.isLiteral)) {
    const literals = new Set<unknown>(types.map(({ literal }) => literal))
    return (value) => literals.has(value)
  }
  const guards = types.map(compile)
  return (value) => {
    for (const guard of guards) if (guard(value)) return true
    return false
  }
}

const refinement = (ast: AST.Refinement): Guard => {
  const from = compile(ast.from)
  const options: AST.ParseOptions = {}
  return (value) => from(value) && Option.isNone(ast.filter(value, options, ast))
}

/** A key that is missing reads as undefined, which only a key that may be so accepts. */
const struct = (ast: AST.TypeLiteral): Guard => {
  const keys = ast.propertySignatures.map(({ isOptional, name, type }) => ({
    name: String(name),
    isOptional,
    guard: compile(type)
  }))
  const values = ast.indexSignatures.map(({ type }) => compile(type))
  return (value) => {
    if (!isObject(value)) return false
    for (const { guard, isOptional, name } of keys) {
      const field = value[name]
      if (!guard(field) && !(isOptional && field === undefined)) return false
    }
    for (const guard of values) for (const key in value) if (!guard(value[key])) return false
    return true
  }
}

const list = (ast: AST.TupleType): Guard => {
  const [rest] = ast.rest
  if (ast.elements.length > 0 || rest === undefined || ast.rest.length > 1) {
    throw new Error("no guard is made of a tuple")
  }
  const guard = compile(rest.type)
  return (value) => Array.isArray(value) && value.every(guard)
}
