/**
 * Agents as executors: the prompt goes to the agent command on standard input, its result comes as a flow output
 * (spec/language.md, "Agents and snippets"; spec/engine.md, "call").
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { type ActionCall, ActionFailed, type Executor } from "./Action.ts"
import { type AgentConfig, argumentsOf, commandFile, environmentOf, valuesOf } from "./AgentCommand.ts"
import type { Agent } from "./AgentFile.ts"
import { composePrompt } from "./AgentPrompt.ts"
import { ownEnvironment } from "./Process.ts"
import { runProgram, toActionOutput, usageOf } from "./ProgramOutput.ts"
import { ScriptEnvironment } from "./Resolvers.ts"

export interface AgentOptions {
  /** The agent's file, as messages show it. */
  readonly file: string
  readonly agent: Agent
  readonly command: AgentConfig
  /** The folder that the command and plugin directories stand below. */
  readonly root: string
  /** The text of a snippet, or why there is none. */
  readonly snippet: (ref: string, workflow: string) => Either.Either<string, string>
}

/** The executor of an agent: one attempt is one run of the agent command. */
export const agentAction =
  (options: AgentOptions): Executor =>
  (call) =>
    attempt(options, call).pipe(
      Effect.mapError(
        (failed) =>
          new ActionFailed({ ...failed, message: `agent '${call.name}' (${options.file}): ${failed.message}` })
      )
    )

const attempt = (options: AgentOptions, call: ActionCall) =>
  Effect.gen(function* () {
    const { agent, command, root } = options
    const values = valuesOf(call, agent, root)
    const provider = yield* ScriptEnvironment
    const provided = yield* provider.variables(call.identity)
    const env = { ...ownEnvironment(), ...environmentOf(command.env ?? {}, values), ...provided }
    const file = commandFile(command.command, root, env["PATH"])
    if (file === undefined) return yield* lasting(`the agent command '${command.command}' is not in the PATH`)
    const prompt = composePrompt({
      agent,
      snippets: yield* snippetsOf(options, call),
      variables: call.variables,
      schema: call.schema,
      dryRun: call.dryRun,
      retryError: call.retryError
    })
    const args = argumentsOf(command.args ?? [], values)
    const program = { command: [file, ...args] as const, cwd: call.workingDirectory, env, stdin: prompt }
    const output = yield* runProgram(call, program)
    const result = yield* toActionOutput(call, output)
    return { ...result, metadata: { ...result.metadata, ...usageOf(output.flow) } }
  })

const snippetsOf = (options: AgentOptions, call: ActionCall): Effect.Effect<ReadonlyArray<string>, ActionFailed> =>
  Effect.forEach(call.snippets, (ref) =>
    Either.match(options.snippet(ref, call.workflow), { onLeft: lasting, onRight: Effect.succeed })
  )

/** Another attempt would meet the same. */
const lasting = (message: string): Effect.Effect<never, ActionFailed> =>
  Effect.fail(new ActionFailed({ message, permanent: true }))
