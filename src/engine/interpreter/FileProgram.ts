/**
 * A run of a `.wf` definition as a program: the interpreter over the snapshot that the run has, never over the file
 * (spec/engine.md, "Records").
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { PersistenceError } from "../../persistence/Persistence.ts"
import type { WorkflowDefinition } from "../../workflow/Definition.ts"
import { shortestSecret } from "../../workflow/SecretForms.ts"
import { declaredSecrets, tooShort } from "../../workflow/Secrets.ts"
import { type BodyEnd, type Program, ProgramUnavailable } from "../Program.ts"
import type { RunContext } from "../RunContext.ts"
import { outputOf } from "./ChildOutput.ts"
import { Interpreter, type Services } from "./Interpreter.ts"

/** `end`: how a body ended, from what its steps left; by default with all that a parent may see. */
export const makeProgram = (
  run: RunContext,
  services: Services,
  context: Context.Context<never>,
  end: (interpreter: Interpreter) => Effect.Effect<BodyEnd> = (interpreter) => Effect.succeed(endOf(interpreter))
): Effect.Effect<Program, ProgramUnavailable | PersistenceError> =>
  services.definitions.load(run.record.definition).pipe(
    Effect.mapError((error) =>
      error._tag === "PersistenceError" ? error : new ProgramUnavailable({ message: error.message })
    ),
    Effect.tap((definition) => keepSecrets(run, definition)),
    Effect.map((definition) => {
      const interpreter = new Interpreter(run, services, definition)
      const body: Program["body"] = (branch) =>
        Effect.zipRight(
          Effect.provide(interpreter.body(branch), context),
          Effect.suspend(() => end(interpreter))
        )
      if (definition.always.length === 0) return { body }
      return { body, always: (branch, status) => Effect.provide(interpreter.always(branch, status), context) }
    })
  )

/** What the definition declares counts, whoever made the record. */
const keepSecrets = (run: RunContext, { inputs: declarations }: WorkflowDefinition): Effect.Effect<void> => {
  const { inputs, startedAt } = run.record
  const told = startedAt === null ? tooShort(declarations, inputs) : []
  const warned = Effect.forEach(told, (name) => Effect.logWarning(shortWarning(run, name)), { discard: true })
  return Effect.zipRight(run.learn(declaredSecrets(declarations, inputs)), warned)
}

const shortWarning = ({ record }: RunContext, name: string): string =>
  `the secret input '${name}' of workflow '${record.workflow}' has fewer than ${shortestSecret} characters: what steps print of it is shown`

export const endOf = ({ failure, visible }: Interpreter): BodyEnd => ({
  status: failure === undefined ? "completed" : "failed",
  error: failure === undefined ? null : `${failure.step}: ${failure.message}`,
  result: outputOf(visible)
})
