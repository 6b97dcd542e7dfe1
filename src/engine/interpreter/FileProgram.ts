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
import { andThen, orFail } from "../Settled.ts"
import { outputOf } from "./ChildOutput.ts"
import { Interpreter, type Services } from "./Interpreter.ts"

/** `end`: how a body ended, from what its steps left; by default with all that a parent may see. */
export const makeProgram = (
  run: RunContext,
  services: Services,
  context: Context.Context<never>,
  end: (interpreter: Interpreter) => Effect.Effect<BodyEnd> = (interpreter) => Effect.succeed(endOf(interpreter))
): Effect.Effect<Program, ProgramUnavailable | PersistenceError> => {
  const loaded = orFail(services.definitions.load(run.record.definition), (error) =>
    error._tag === "PersistenceError" ? error : new ProgramUnavailable({ message: error.message })
  )
  return andThen(loaded, (definition) =>
    andThen(keepSecrets(run, definition), () => {
      const interpreter = new Interpreter(run, services, definition)
      const program: Program = {
        context,
        body: (branch) => Effect.flatMap(interpreter.body(branch), () => end(interpreter))
      }
      const { length } = definition.always
      return Effect.succeed(length === 0 ? program : { ...program, always: interpreter.always.bind(interpreter) })
    })
  )
}

/** What the definition declares counts, whoever made the record. */
const keepSecrets = (run: RunContext, { inputs: declarations }: WorkflowDefinition): Effect.Effect<void> => {
  const { inputs, startedAt } = run.record
  const secrets = declaredSecrets(declarations, inputs)
  const told = startedAt === null ? tooShort(declarations, inputs) : []
  if (secrets === undefined && told.length === 0) return Effect.void
  const warned = Effect.forEach(told, (name) => Effect.logWarning(shortWarning(run, name)), { discard: true })
  return Effect.zipRight(run.learn(secrets), warned)
}

const shortWarning = ({ record }: RunContext, name: string): string =>
  `the secret input '${name}' of workflow '${record.workflow}' has fewer than ${shortestSecret} characters: what steps print of it is shown`

export const endOf = ({ failure, visible }: Interpreter): BodyEnd => ({
  status: failure === undefined ? "completed" : "failed",
  error: failure === undefined ? null : `${failure.step}: ${failure.message}`,
  result: outputOf(visible)
})
