/**
 * The prompt of an agent's attempt (spec/language.md, "Agents and snippets").
 */
import type { Texts } from "../workflow/Definition.ts"
import * as FlowOutput from "../workflow/FlowOutput.ts"
import type { OutputSchema } from "../workflow/OutputSchema.ts"
import * as OutputSchemaPrompt from "../workflow/OutputSchemaPrompt.ts"
import { substitute } from "../workflow/Template.ts"
import type { Agent } from "./AgentFile.ts"

export interface PromptParts {
  readonly agent: Pick<Agent, "body" | "canCommit">
  /** The texts of the snippets, in order. */
  readonly snippets: ReadonlyArray<string>
  readonly variables: Texts
  readonly schema: OutputSchema | undefined
  readonly dryRun: boolean
  /** Why the attempt before this one failed. */
  readonly retryError: string | undefined
}

const dryRunOrder = "This is a dry run: do not commit, do not push, and do not change anything outside of this machine."

/** The parts that there are, trimmed, with a blank line between them. */
export const composePrompt = (parts: PromptParts): string => {
  const lookup = (name: string) => (Object.hasOwn(parts.variables, name) ? parts.variables[name] : undefined)
  const rendered = (text: string) => substitute(text, lookup, { unknown: "empty" })
  const { agent, dryRun, retryError, schema, snippets } = parts
  const texts = [
    dryRun && agent.canCommit ? dryRunOrder : "",
    retryError === undefined ? "" : `The attempt before this one failed. Its error:\n\n${retryError}`,
    rendered(agent.body),
    ...snippets.map(rendered),
    schema === undefined ? FlowOutput.instructions : OutputSchemaPrompt.instructions(schema)
  ]
  const trimmed = texts.map((text) => text.trim()).filter((text) => text !== "")
  return `${trimmed.join("\n\n")}\n`
}
