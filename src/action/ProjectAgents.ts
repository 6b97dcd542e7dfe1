/**
 * The agents of a project: finding the file that a name means, and reading it (spec/language.md, "Agents and snippets").
 */
import { resolve } from "node:path"
import * as Either from "effect/Either"
import type { AgentConfig } from "./AgentCommand.ts"
import { type Agent, parseAgent } from "./AgentFile.ts"
import * as Files from "./ProjectFiles.ts"
import * as Places from "./ProjectPlaces.ts"

export type FoundAgent =
  | { readonly _tag: "Agent"; readonly file: string; readonly agent: Agent; readonly command: AgentConfig }
  /** There is a file, but no agent can be made of it. */
  | { readonly _tag: "Unusable"; readonly reason: string }
  | { readonly _tag: "Missing"; readonly searched: ReadonlyArray<string> }

export class ProjectAgents {
  readonly #read = Files.cachedByFile(readAgent)

  constructor(
    private readonly places: Places.Places,
    /** The project's, below which plugin directories stand. */
    private readonly root: string,
    private readonly command: AgentConfig | undefined
  ) {}

  /** The agent that a name means in a workflow. */
  find(name: string, workflow: string, pluginDirs: ReadonlyArray<string>): FoundAgent {
    const found = Places.agentFile(this.places, this.#others(pluginDirs), name, workflow)
    return found._tag === "Found" ? this.at(found.file) : found
  }

  /** The agent in a file. */
  at(file: string): FoundAgent {
    const agent = this.#read(file)
    if (Either.isLeft(agent)) return { _tag: "Unusable", reason: agent.left }
    if (this.command === undefined) {
      const reason = `${Files.shownPath(file)} (nothing runs agents: give \`agent\` in millrace.config.ts)`
      return { _tag: "Unusable", reason }
    }
    return { _tag: "Agent", file, agent: agent.right, command: this.command }
  }

  names(workflow: string | undefined, pluginDirs: ReadonlyArray<string>): ReadonlyArray<string> {
    return Places.agentNames(this.places, this.#others(pluginDirs), workflow)
  }

  #others(pluginDirs: ReadonlyArray<string>): Places.AgentFolders {
    return { root: this.root, pluginDirs: pluginDirs.map((folder) => resolve(this.root, folder)) }
  }
}

const readAgent = (file: string): Either.Either<Agent, string> =>
  Either.flatMap(
    Either.mapLeft(Files.readText(file), ({ message }) => message),
    (text) => Either.mapLeft(parseAgent(text), (problems) => `${Files.shownPath(file)} (${problems.join("; ")})`)
  )
