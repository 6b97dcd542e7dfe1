/**
 * What `call workflow` and `foreach` know of the workflow that they start: one of a file, or one in code
 * (spec/engine.md, "Child runs").
 */
import * as Either from "effect/Either"
import type { Texts, WorkflowDefinition } from "../../workflow/Definition.ts"
import { declaredSecrets } from "../../workflow/Secrets.ts"
import type { ChildRequest } from "../Child.ts"
import type { CodeWorkflow } from "../Program.ts"
import { missingInput, missingNames, undeclaredInputs, undeclaredNames, withDefaults } from "./Inputs.ts"

/** A workflow as the engine can start it as a child. */
export interface ResolvedChild {
  /** Why it cannot be started here. */
  readonly problem: string | undefined
  /** Which of the inputs that it needs are not given. */
  readonly missing: (isGiven: (name: string) => boolean) => string | undefined
  /** Warnings of what is given beyond what it takes. */
  readonly undeclared: (given: Texts) => ReadonlyArray<string>
  /** The child that these inputs make, or why they make none. */
  readonly childOf: (inputs: Texts) => Either.Either<Omit<ChildRequest, "path" | "key">, string>
}

export const childInFile = (
  definition: WorkflowDefinition,
  key: string,
  problem: string | undefined
): ResolvedChild => ({
  problem,
  missing: (isGiven) => missingInput(definition, isGiven),
  undeclared: (given) => undeclaredInputs(definition, given),
  childOf: (given) => {
    const inputs = withDefaults(definition, given)
    return Either.right({
      workflow: definition.name,
      title: definition.title ?? definition.name,
      definition: key,
      inputs,
      payload: null,
      settings: {},
      secrets: declaredSecrets(definition.inputs, inputs)
    })
  }
})

export const childInCode = (workflow: CodeWorkflow, problem: string | undefined): ResolvedChild => {
  const { childOf, name, takes } = workflow
  const keys = takes._tag === "Keys" ? takes.keys : []
  const needed = keys.filter(({ required }) => required).map((key) => key.name)
  const refused = `workflow '${name}' takes ${takes._tag === "Keys" ? "" : takes.wanted}, which no .wf file can give`
  return {
    problem: problem ?? (takes._tag === "Keys" ? undefined : refused),
    missing: (isGiven) => missingNames(name, needed, isGiven),
    undeclared: (given) =>
      undeclaredNames(
        name,
        keys.map((key) => key.name),
        given
      ),
    childOf: (given) =>
      Either.map(childOf(given), ({ timeout, ...child }) => ({
        workflow: name,
        ...child,
        settings: { runTimeout: timeout }
      }))
  }
}
