/**
 * What the tests of whole projects share: a stand-in for a coding agent, and running a project's workflow.
 */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { open, type Project } from "../../src/action/Project.ts"
import { Engine } from "../../src/engine/Engine.ts"
import { EngineConfig } from "../../src/engine/EngineConfig.ts"
import { type StartOptions, WorkflowFiles } from "../../src/engine/interpreter/WorkflowFiles.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import { ended, memoryLayer } from "../engine/TestEngine.ts"
import { write, writeScript } from "./support.ts"

/** The packages that a project's modules see are this repository's. */
export const modules = { moduleAliases: { effect: join(import.meta.dirname, "../../node_modules/effect") } }

/**
 * An agent that keeps the prompt and the arguments of its nth call in `prompt.n` and `args.n`, and answers with the
 * file `answer.n` of the working directory, or `answer`.
 */
export const writeAgentProgram = (folder: string): string =>
  writeScript(
    folder,
    "bin/agent",
    `#!/bin/sh
n=1; while [ -e "prompt.$n" ]; do n=$((n + 1)); done
cat > "prompt.$n"
printf '%s\\n' "$@" > "args.$n"
echo "thinking"
if [ -e "answer.$n" ]; then cat "answer.$n"; elif [ -e answer ]; then cat answer; fi
`
  )

/** A configuration whose agent command is the stand-in. */
export const writeAgentConfig = (folder: string, agent = ""): void => {
  writeAgentProgram(folder)
  write(folder, "millrace.config.mjs", `export default { agent: { command: "./bin/agent", ${agent} } }\n`)
}

export const answer = (json: string): string => `Done.\n<<<FLOW_OUTPUT>>>\n${json}\n<<<END_FLOW_OUTPUT>>>\n`

export const read = (folder: string, file: string): string => readFileSync(join(folder, file), "utf8")

/** How often the stand-in was called. */
export const calls = (folder: string): number => {
  let count = 0
  while (existsSync(join(folder, `prompt.${count + 1}`))) count++
  return count
}

export const engineOf = (project: Project) => {
  const config = EngineConfig.layerWith({ checkInvariants: true, linger: 20, resolverInterval: 20 })
  return WorkflowFiles.layerWith({ scriptRoots: project.roots }).pipe(
    Layer.provideMerge(Engine.layer),
    Layer.provideMerge(project.layer),
    Layer.provideMerge(memoryLayer()),
    Layer.provide(config)
  )
}

/** Runs a workflow of the project in `folder` to its end. */
export const run = (folder: string, workflow: string, options: StartOptions = {}) =>
  Effect.gen(function* () {
    const project = yield* open({ from: folder, modules })
    return yield* runIn(project, folder, workflow, options)
  })

export const runIn = (project: Project, folder: string, workflow: string, options: StartOptions = {}) =>
  Effect.gen(function* () {
    const definition = yield* project.workflows.find(workflow)
    const settings = { workingDirectory: folder, ...options.settings }
    const id = yield* (yield* WorkflowFiles).start(definition, { ...options, settings })
    const end = yield* ended(id, yield* (yield* Engine).await(id))
    return { ...end, items: yield* (yield* Persistence).items(id) }
  }).pipe(Effect.provide(engineOf(project)))
