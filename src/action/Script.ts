/**
 * Scripts: the step that runs a file or a shell command (spec/engine.md, "script").
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { ScriptNode, Texts } from "../workflow/Definition.ts"
import * as ShellTemplate from "../workflow/ShellTemplate.ts"
import { substitute } from "../workflow/Template.ts"
import { type ActionCall, ActionFailed, type ActionOutput, type Executor } from "./Action.ts"
import { type Obstacle, obstacle } from "./Executable.ts"
import { type ProgramOutput, runProgram } from "./ProgramOutput.ts"
import { resolveBelow } from "./ProjectPath.ts"
import { ScriptEnvironment } from "./Resolvers.ts"
import { compose } from "./ScriptVariables.ts"

export { contextLength, flowOutputLimit, largeOutputBytes } from "./ProgramOutput.ts"

export interface ScriptOptions {
  /** The run's inputs, which become `FLOW_<NAME>` and `CONDUCTOR_<NAME>`. */
  readonly inputs: Texts
  /** Folders searched for script files after the working directory. */
  readonly roots: ReadonlyArray<string>
}

/**
 * The executor of a script node. Fails without further attempts (`permanent`) where another attempt would meet the
 * same text: a template that fits nowhere, a path that may not be used. In a dry run nothing is executed.
 */
export const scriptExecutor =
  (node: Pick<ScriptNode, "run" | "env">, options: ScriptOptions): Executor =>
  (call) =>
    call.dryRun ? Effect.succeed({}) : runScript(node, options, call)

/**
 * What executes the scripts of workflows: processes, unless an application (which has them elsewhere) or a test gives
 * another executor of a node.
 */
export class ScriptExecutors extends Context.Reference<ScriptExecutors>()("millrace/ScriptExecutors", {
  defaultValue: (): { readonly find: (node: ScriptNode, options: ScriptOptions) => Executor } => ({
    find: scriptExecutor
  })
}) {}

const runScript = (
  node: Pick<ScriptNode, "run" | "env">,
  options: ScriptOptions,
  call: ActionCall
): Effect.Effect<ActionOutput, ActionFailed> =>
  Effect.gen(function* () {
    const script = yield* ShellTemplate.isScriptPath(node.run)
      ? scriptFile(node.run, call, options.roots)
      : shellCommand(node.run)
    const provider = yield* ScriptEnvironment
    const composed = compose({
      own: process.env,
      provided: yield* provider.variables(call.identity),
      inputs: options.inputs,
      variables: call.variables,
      env: node.env ?? {},
      command: script.variables
    })
    if (Either.isLeft(composed)) return yield* new ActionFailed({ message: composed.left.message })
    const { env, warnings } = composed.right
    for (const warning of warnings) yield* call.warn(warning)
    return toOutput(yield* runProgram(call, { command: script.command, cwd: call.workingDirectory, env }))
  })

interface ScriptCommand {
  readonly command: readonly [file: string, ...args: ReadonlyArray<string>]
  readonly variables: ReadonlyArray<ShellTemplate.ShellVariable>
}

const shellCommand = (run: string): Effect.Effect<ScriptCommand, ActionFailed> =>
  Either.match(ShellTemplate.compile(run), {
    onLeft: (problems) =>
      Effect.fail(new ActionFailed({ message: problems.map(({ message }) => message).join("; "), permanent: true })),
    onRight: ({ command, variables }) => Effect.succeed({ command: ["/bin/sh", "-c", command], variables })
  })

const scriptFile = (
  run: string,
  call: ActionCall,
  roots: ReadonlyArray<string>
): Effect.Effect<ScriptCommand, ActionFailed> =>
  Effect.suspend(() => {
    const lookup = (name: string) => (Object.hasOwn(call.variables, name) ? call.variables[name] : undefined)
    const path = substitute(run, lookup, { unknown: "empty" })
    const found = findScript(path, [call.workingDirectory, ...roots])
    if (Either.isRight(found)) return Effect.succeed({ command: [found.right], variables: [] })
    const { message, permanent } = found.left
    return Effect.fail(new ActionFailed(permanent ? { message, permanent } : { message }))
  })

/** Why a script's path is of no use. */
export interface ScriptUnusable {
  readonly message: string
  /** No file could change that. */
  readonly permanent: boolean
  /** Where there is no such file; a path that is refused says why. */
  readonly searched: ReadonlyArray<string>
  /** What is there, but cannot be run. */
  readonly obstacle?: Obstacle & { readonly file: string }
}

/** The script file that a path names: below one of the folders, in this order, and executable. */
export const findScript = (path: string, folders: ReadonlyArray<string>): Either.Either<string, ScriptUnusable> => {
  const resolved = resolveBelow(path, folders)
  switch (resolved._tag) {
    case "Refused":
      return Either.left({ message: `script: ${resolved.reason}`, permanent: true, searched: [resolved.reason] })
    case "Missing": {
      const { searched } = resolved
      return Either.left({
        message: `script '${path}' not found; searched ${searched.join(", ")}`,
        permanent: false,
        searched
      })
    }
    case "Found": {
      const { file } = resolved
      const found = obstacle(file)
      if (found === undefined) return Either.right(file)
      return Either.left({
        message: `script '${path}' cannot be run: ${found.detail}`,
        permanent: false,
        searched: [],
        obstacle: { ...found, file }
      })
    }
  }
}

const toOutput = ({ durationMs, file, flow, head }: ProgramOutput): ActionOutput => ({
  ...(flow === undefined ? { context: head } : { markers: flow.markers, structuredOutput: flow.structured }),
  ...(flow?.context === undefined ? {} : { context: flow.context }),
  ...(file === undefined ? {} : { outputFile: file }),
  metadata: { duration_ms: String(durationMs) }
})
