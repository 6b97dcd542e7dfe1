/**
 * Agents as files: `<name>.md`, a prompt with an optional frontmatter (spec/language.md, "Agents and snippets").
 *
 * ```md
 * ---
 * role: actor
 * can_commit: true
 * model: large
 * ---
 * Implement the plan: {{prior_context}}
 * ```
 */
import * as Either from "effect/Either"
import { parse as parseYaml } from "yaml"
import { field, isObject, kind } from "../workflow/Json.ts"
import { nearest } from "../workflow/Suggest.ts"
import { problemsOf } from "./Problems.ts"

export type AgentRole = "actor" | "reviewer"

export interface Agent {
  readonly role: AgentRole
  /** Only an actor's. */
  readonly canCommit: boolean
  readonly model: string | undefined
  /** The prompt's text, `{{…}}` not yet replaced. */
  readonly body: string
}

const roles: ReadonlyArray<AgentRole> = ["actor", "reviewer"]

/** The agent that a file's text describes, or all that is wrong with its frontmatter. Other keys are not ours. */
export const parseAgent = (text: string): Either.Either<Agent, ReadonlyArray<string>> => {
  const parts = split(text)
  if (parts === undefined) return Either.left(["its frontmatter has no closing line `---`"])
  return Either.flatMap(readKeys(parts.frontmatter), (keys) => toAgent(keys, parts.body))
}

interface Parts {
  readonly frontmatter: string
  readonly body: string
}

const split = (text: string): Parts | undefined => {
  if (!/^---[ \t]*\r?\n/.test(text)) return { frontmatter: "", body: text }
  const closing = /\r?\n---[ \t]*(?:\r?\n|$)/.exec(text)
  if (closing === null) return undefined
  return {
    frontmatter: text.slice(text.indexOf("\n"), closing.index),
    body: text.slice(closing.index + closing[0].length)
  }
}

type Keys = { readonly [key: string]: unknown }

const readKeys = (frontmatter: string): Either.Either<Keys, ReadonlyArray<string>> => {
  try {
    const keys: unknown = parseYaml(frontmatter, { prettyErrors: false }) ?? {}
    return isObject(keys) ? Either.right(keys) : Either.left([`its frontmatter is ${kind(keys)}, not a map of keys`])
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split("\n")[0] ?? "") : "it cannot be read"
    return Either.left([`its frontmatter is no valid YAML: ${reason}`])
  }
}

const toAgent = (keys: Keys, body: string): Either.Either<Agent, ReadonlyArray<string>> => {
  const role = roleOf(field(keys, "role"))
  const canCommit = flagOf(field(keys, "can_commit"))
  const model = modelOf(field(keys, "model"))
  if (Either.isLeft(role) || Either.isLeft(canCommit) || Either.isLeft(model)) {
    return Either.left(problemsOf([role, canCommit, model]))
  }
  if (canCommit.right && role.right !== "actor") {
    return Either.left(["`can_commit: true` needs `role: actor`"])
  }
  return Either.right({ role: role.right, canCommit: canCommit.right, model: model.right, body })
}

const roleOf = (value: unknown): Either.Either<AgentRole, string> => {
  if (value === undefined || value === null) return Either.right("reviewer")
  const role = roles.find((known) => known === value)
  if (role !== undefined) return Either.right(role)
  const near = typeof value === "string" ? nearest(value, roles) : undefined
  return Either.left(`\`role\` is actor or reviewer${near === undefined ? "" : `; did you mean \`${near}\`?`}`)
}

const flagOf = (value: unknown): Either.Either<boolean, string> => {
  if (value === undefined || value === null) return Either.right(false)
  return typeof value === "boolean" ? Either.right(value) : Either.left("`can_commit` is true or false")
}

/** Coding agents write `model: inherit` for: the one of the surroundings. */
const modelOf = (value: unknown): Either.Either<string | undefined, string> => {
  if (value === undefined || value === null || value === "" || value === "inherit") return Either.right(undefined)
  return typeof value === "string" ? Either.right(value) : Either.left("`model` is a text")
}
