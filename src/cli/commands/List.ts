/** `list`: the workflows of a project. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { type ListedWorkflow } from "../../action/Project.ts"
import { shownPath } from "../../action/ProjectFiles.ts"
import { isRequired, type WorkflowDefinition } from "../../workflow/Definition.ts"
import { defineCommand, flag } from "../CommandLine.ts"
import { ExitCode } from "../ExitCode.ts"
import { homeOption, openProject } from "../Home.ts"
import { inline, shorten, writeLine, writeTable } from "../Output.ts"

export const command = defineCommand({
  name: "list",
  summary: "List the workflows of the project.",
  notes: ["A file that cannot be read is listed with its problem; `millrace validate` says all that is wrong."],
  examples: [
    ["what can be run here, and with which inputs", "millrace list"],
    ["the workflows of another project", "millrace list --home ../shop/.millrace --json"]
  ],
  arguments: {},
  options: { home: homeOption, json: flag("json", "print a JSON array") },
  run: ({ home, json }) =>
    Effect.gen(function* () {
      const project = yield* openProject(home)
      const listed = project.list().map(describe)
      if (json) writeLine(JSON.stringify(listed, undefined, 2))
      else if (listed.length === 0) writeLine(`no workflows in ${shownPath(project.home)}`)
      else writeTable([headings, ...listed.map(row)])
      return ExitCode.done
    })
})

interface Listed {
  readonly name: string
  readonly title: string
  readonly file: string
  readonly trigger: string
  readonly inputs: ReadonlyArray<{ readonly name: string; readonly required: boolean }>
  readonly problem?: string
}

const describe = ({ name, file, parsed }: ListedWorkflow): Listed => {
  const nothing = { name, title: "", file: shownPath(file), trigger: "", inputs: [] }
  if (Either.isLeft(parsed)) return { ...nothing, problem: parsed.left.message }
  const { definition, diagnostics } = parsed.right
  const problem = diagnostics.find(({ severity }) => severity === "error")?.message
  if (problem !== undefined) return { ...nothing, problem }
  return definition === undefined ? nothing : { ...nothing, ...shown(definition) }
}

const shown = ({ title, name, trigger, inputs }: WorkflowDefinition) => ({
  title: title ?? name,
  trigger,
  inputs: inputs.map((input) => ({ name: input.name, required: isRequired(input) }))
})

const headings = ["WORKFLOW", "TITLE", "INPUTS", "FILE", ""]

/** Inputs that may be left out are in brackets. */
const row = ({ name, title, inputs, file, problem }: Listed): ReadonlyArray<string> => [
  inline(name),
  shorten(inline(title), 40),
  shorten(inputs.map((input) => (input.required ? input.name : `[${input.name}]`)).join(" "), 40),
  file,
  problem === undefined ? "" : `error: ${shorten(inline(problem), 80)}`
]
