/**
 * A project's configuration: `millrace.config.ts` in its home folder or its root.
 *
 * ```ts
 * import { defineConfig } from "millrace"
 *
 * export default defineConfig({
 *   agent: { command: "claude", args: ["-p", ["--model", "{{model}}"]] },
 *   actions: { greet: ({ name }) => ({ context: `hello ${name}` }) },
 *   schedules: { nightly: "0 3 * * *" }
 * })
 * ```
 *
 * What has a name here wins over the file of that name in `actions/`, `providers/` and `gates/`, and over what is
 * built in. Names are known as soon as the file is loaded; `layer` is built only when workflows are run.
 */
import { existsSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Texts } from "../workflow/Definition.ts"
import type { AgentConfig } from "./AgentCommand.ts"
import type { EngineOptions } from "./EngineOptions.ts"
import type { FlowLimits } from "./FlowLimits.ts"
import { type LoadedConfig, noConfig, readConfig } from "./ConfigReader.ts"
import type { ModuleAction } from "./ModuleAction.ts"
import type { ModuleLoader } from "./ModuleLoader.ts"
import { shownPath } from "./ProjectFiles.ts"
import type { GateFunction } from "./ProjectGates.ts"
import type { DescribedItems, ItemFunction } from "./ProjectItems.ts"
import type { Declared, HandlersOf } from "./TypedAction.ts"
import type { TriggerSource } from "./TriggerSource.ts"
import { type Given, thrownText } from "./UserFunction.ts"

/** When a workflow with `trigger = scheduled` runs. */
export interface ScheduleConfig {
  /** Minute, hour, day of month, month, weekday. */
  readonly cron: string
  /** As `Europe/Berlin`; absent: the machine's. */
  readonly timeZone?: string
  readonly inputs?: Texts
}

export interface ConfigOptions<R> {
  /** Actions by name: functions as in `actions/<name>.ts`, and typed actions, whose layers `layer` holds. */
  readonly actions?: Readonly<Record<string, ModuleAction<R> | Declared<R>>>
  /** Item providers by name. */
  readonly providers?: Readonly<Record<string, ItemFunction<R> | DescribedItems<R>>>
  /** Gate resolvers by the gate's name. */
  readonly gates?: Readonly<Record<string, GateFunction<R>>>
  /** Environment variables by identity (`as`), or a function of the identity; undefined is a step without one. */
  readonly scriptEnvironment?: Readonly<Record<string, Texts>> | ((identity: string | undefined) => Given<Texts, R>)
  /** What runs agents. */
  readonly agent?: AgentConfig
  /** Cron expressions of workflows by name. */
  readonly schedules?: Readonly<Record<string, string | ScheduleConfig>>
  /** How many attempts of an action or agent may go on at once, and how often one may begin, in one process. */
  readonly limits?: Readonly<Record<string, FlowLimits<Texts>>>
  /** Sources of other triggers by name. */
  readonly triggers?: Readonly<Record<string, TriggerSource>>
  /** The only targets that workflows may name. */
  readonly targets?: ReadonlyArray<string>
  /** A shell command that is run when a run starts to wait for a person. */
  readonly onWaiting?: string
  /** Bytes beyond which the database does not grow; 64 GB. `millrace prune` makes room in a full one. */
  readonly maxDatabaseBytes?: number
  /** Limits and intervals of the engine. */
  readonly engine?: EngineOptions
}

/** `layer` supplies the services that the Effects of actions, providers and gates use. */
export type Config<R = never> = ConfigOptions<R> & LayerFor<R>

type LayerFor<R> = [R] extends [never]
  ? { readonly layer?: Layer.Layer<never, unknown> }
  : { readonly layer: Layer.Layer<R, unknown> }

/** The services that the typed actions among a configuration's actions need. */
type HandlersIn<A> = { readonly [K in keyof A]: HandlersOf<A[K]> }[keyof A]

/**
 * The configuration itself, so that an editor completes it and the compiler checks it: a service that an action uses,
 * and the layer of each typed action, must be in `layer`.
 */
export const defineConfig = <R = never, A extends Readonly<Record<string, unknown>> = Readonly<Record<never, unknown>>>(
  config: Omit<ConfigOptions<R>, "actions"> & {
    readonly actions?: A & Readonly<Record<string, ModuleAction<R> | Declared>>
  } & LayerFor<R | HandlersIn<A>>
): Config<R | HandlersIn<A>> =>
  // SAFETY: the actions are those of the type: functions that use R, and declarations of the handlers.
  config as Config<R | HandlersIn<A>>

/** The configuration cannot be loaded, or has other than the right shape. */
export class ConfigInvalid extends Schema.TaggedError<ConfigInvalid>()("ConfigInvalid", {
  file: Schema.String,
  problems: Schema.Array(Schema.String)
}) {
  override get message() {
    return this.problems.map((problem) => `${this.file}: ${problem}`).join("\n")
  }
}

const fileNames = ["ts", "mts", "js", "mjs"].map((extension) => `millrace.config.${extension}`)

/** Loads the configuration of the first folder that has one; none is an empty one. */
export const load = (
  folders: ReadonlyArray<string>,
  loader: ModuleLoader
): Effect.Effect<LoadedConfig, ConfigInvalid> =>
  Effect.suspend(() => {
    const files = folders.flatMap((folder) => fileNames.map((name) => join(folder, name)))
    const file = files.find((candidate) => existsSync(candidate))
    if (file === undefined) return Effect.succeed(noConfig)
    const invalid = (problems: ReadonlyArray<string>) => new ConfigInvalid({ file: shownPath(file), problems })
    return loader.load(file).pipe(
      Effect.mapError(({ cause }) => invalid([`cannot be loaded: ${thrownText(cause) ?? "it throws"}`])),
      Effect.flatMap((value) =>
        Either.match(readConfig(shownPath(file), value), {
          onLeft: (problems) => Effect.fail(invalid(problems)),
          onRight: Effect.succeed
        })
      )
    )
  })
