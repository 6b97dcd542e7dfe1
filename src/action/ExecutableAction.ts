/**
 * Actions that are programs: `actions/<name>` or `actions/<name>.<ext>`. `{"parameters":…,"context":…}` comes on the
 * standard input as JSON, the result goes out as a flow output (spec/engine.md, "call"; spec/language.md, "Flow output").
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { type ActionCall, ActionFailed, type ActionOutput, type Executor } from "./Action.ts"
import { contextData } from "./ActionContext.ts"
import { fitToSchema } from "./ActionResult.ts"
import { type ProgramOutput, runProgram } from "./ProgramOutput.ts"
import { ScriptEnvironment } from "./Resolvers.ts"

/**
 * The executor of an executable file, which runs in the call's working directory with the engine's environment and
 * the script-environment provider's values for the identity.
 */
export const executableAction =
  (file: string): Executor =>
  (call) =>
    Effect.gen(function* () {
      const provider = yield* ScriptEnvironment
      const output = yield* runProgram(call, {
        command: [file],
        cwd: call.workingDirectory,
        env: { ...ownEnvironment(), ...(yield* provider.variables(call.identity)) },
        stdin: JSON.stringify({ parameters: call.variables, context: contextData(call) })
      })
      return yield* toOutput(call, output)
    }).pipe(
      Effect.mapError(
        (failed) => new ActionFailed({ ...failed, message: `action '${call.name}' (${file}): ${failed.message}` })
      )
    )

const ownEnvironment = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))
  )

const toOutput = (
  call: ActionCall,
  { durationMs, file, flow }: ProgramOutput
): Effect.Effect<ActionOutput, ActionFailed> => {
  const common: ActionOutput = {
    ...(file === undefined ? {} : { outputFile: file }),
    metadata: { duration_ms: String(durationMs) }
  }
  if (flow === undefined) return fitted(call, common)
  // With a schema, markers and context come from it alone.
  const own =
    call.schema === undefined
      ? { markers: flow.markers, ...(flow.context === undefined ? {} : { context: flow.context }) }
      : {}
  return fitted(call, { ...common, ...own, structuredOutput: flow.structured })
}

const fitted = (call: ActionCall, output: ActionOutput): Effect.Effect<ActionOutput, ActionFailed> =>
  Either.match(fitToSchema(output, call.schema, call.dryRun), {
    onLeft: (message) => Effect.fail(new ActionFailed({ message })),
    onRight: Effect.succeed
  })
