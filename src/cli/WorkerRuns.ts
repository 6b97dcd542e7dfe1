/**
 * Which runs of a database a worker runs, and with what (engine/Screening, K4).
 *
 * - A1 A worker serves one project: a run that was started from another one, which is there, is that one's.
 * - A2 It leaves alone what it could not run: where an action, agent, provider, gate, workflow, schema or snippet that
 *   the run's definition names is missing here, another worker may have it. Which of them are missing is said once.
 * - A3 A run finds what stands beside the workflow file that it was started from, as it did where it was started.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Project } from "../action/Project.ts"
import { Definitions } from "../engine/interpreter/Definitions.ts"
import type { RunPlace } from "../engine/interpreter/WorkflowFiles.ts"
import type { PersistenceError, PersistenceService } from "../persistence/Persistence.ts"
import type { RunRecord } from "../persistence/Records.ts"
import type { WorkflowDefinition } from "../workflow/Definition.ts"
import { syntaxCodes } from "../workflow/SyntaxCodes.ts"
import { validate } from "../workflow/Validator.ts"
import { contextNames, homeOf, siblingsOf } from "./Home.ts"
import { forgetAt } from "./Remembered.ts"

export interface WorkerRunsOptions {
  readonly project: Project
  /** The services of the configuration's layer. */
  readonly own: Context.Context<never>
  readonly persistence: PersistenceService
  /** Told of a run that is left alone, with what is missing; once for all runs of a definition. */
  readonly leftAlone: (run: RunRecord, missing: ReadonlyArray<string>) => void
}

/** What the validator says where a name has nothing behind it. Scripts are not looked for: a step may make them. */
const missingCodes: ReadonlySet<string> = new Set([
  "unknown-action",
  "unknown-gate",
  "unknown-provider",
  "unknown-workflow",
  "workflow-broken",
  "schema-missing",
  "snippet-missing",
  // Those of a called workflow: it is no workflow as it stands.
  ...Object.keys(syntaxCodes)
])

/** How long it holds that something is missing, ms: files come and go. */
const missingFor = 2_000

/** Verdicts and reports that are remembered. */
const maxRemembered = 1_000

interface Verdict {
  readonly missing: ReadonlyArray<string>
  readonly until: number
}

export class WorkerRuns {
  readonly #definitions: Definitions
  readonly #projects = new Map<string, Project>()
  readonly #verdicts = new Map<string, Verdict>()
  readonly #reported = new Set<string>()

  constructor(private readonly options: WorkerRunsOptions) {
    this.#definitions = new Definitions(options.persistence)
  }

  /** A3. */
  placeOf(run: RunRecord): RunPlace {
    const { own, persistence } = this.options
    const project = this.#projectOf(run)
    return { supplies: project.services(own, persistence), scriptRoots: project.roots }
  }

  /** A1, A2. */
  knows(run: RunRecord): Effect.Effect<boolean, PersistenceError> {
    const home = homeOf(run)
    if (home !== undefined && home !== this.options.project.home) return Effect.succeed(false)
    return Effect.map(this.#missing(run), (missing) => {
      if (missing.length > 0) this.#report(run, missing)
      return missing.length === 0
    })
  }

  #projectOf(run: RunRecord): Project {
    const folder = siblingsOf(run)
    if (folder === undefined) return this.options.project
    const known = this.#projects.get(folder)
    if (known !== undefined) return known
    const project = this.options.project.beside(folder)
    forgetAt(maxRemembered, this.#projects)
    this.#projects.set(folder, project)
    return project
  }

  #missing(run: RunRecord): Effect.Effect<ReadonlyArray<string>, PersistenceError> {
    const { pluginDirs } = run.settings
    const key = JSON.stringify([run.definition, siblingsOf(run) ?? null, pluginDirs])
    const known = this.#verdicts.get(key)
    if (known !== undefined && known.until > performance.now()) return Effect.succeed(known.missing)
    const looked = Effect.map(this.#definitions.load(run.definition), (definition) => this.#missingIn(run, definition))
    return looked.pipe(
      Effect.catchTag("UnreadableDefinition", ({ message }) => Effect.succeed([message])),
      Effect.tap((missing) =>
        Effect.sync(() => {
          const until = missing.length === 0 ? Number.POSITIVE_INFINITY : performance.now() + missingFor
          forgetAt(maxRemembered, this.#verdicts)
          this.#verdicts.set(key, { missing, until })
        })
      )
    )
  }

  #missingIn(run: RunRecord, definition: WorkflowDefinition): ReadonlyArray<string> {
    const { pluginDirs, workingDirectory } = run.settings
    const host = this.#projectOf(run).host({ workingDirectory, contextNames: Object.values(contextNames) })
    const action: typeof host.action = (ref, workflow, dirs) => host.action(ref, workflow, [...pluginDirs, ...dirs])
    return validate({ definition }, { ...host, action })
      .filter(({ code, severity }) => severity === "error" && missingCodes.has(code))
      .map(({ message }) => message)
  }

  #report(run: RunRecord, missing: ReadonlyArray<string>): void {
    const key = JSON.stringify([run.definition, missing])
    if (this.#reported.has(key)) return
    forgetAt(maxRemembered, this.#reported)
    this.#reported.add(key)
    this.options.leftAlone(run, missing)
  }
}
