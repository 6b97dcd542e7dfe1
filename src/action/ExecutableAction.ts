/**
 * Actions that are programs: `actions/<name>` or `actions/<name>.<ext>`. `{"parameters":…,"context":…}` comes on the
 * standard input as JSON, the result goes out as a flow output (spec/engine.md, "call"; spec/language.md, "Flow output").
 */
import * as Effect from "effect/Effect"
import { ActionFailed, type Executor } from "./Action.ts"
import { contextData } from "./ActionContext.ts"
import { ownEnvironment } from "./Process.ts"
import { runProgram, toActionOutput } from "./ProgramOutput.ts"
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
      return yield* toActionOutput(call, output)
    }).pipe(
      Effect.mapError(
        (failed) => new ActionFailed({ ...failed, message: `action '${call.name}' (${file}): ${failed.message}` })
      )
    )
