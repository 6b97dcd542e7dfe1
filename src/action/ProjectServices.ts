/**
 * What a project's files and configuration give to the runs of an engine, as services (spec/engine.md, "Services").
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type { PersistenceService } from "../persistence/Persistence.ts"
import { actionStepKey, type WorkflowDefinition } from "../workflow/Definition.ts"
import { type Diagnostic, hasErrors } from "../workflow/Diagnostic.ts"
import { toProblems } from "../workflow/InvalidWorkflow.ts"
import type { OutputSchema } from "../workflow/OutputSchema.ts"
import { ActionFailed, ActionNotFound, Executors, type Executor, type FoundExecutor } from "./Action.ts"
import { agentAction } from "./AgentAction.ts"
import type { LoadedConfig } from "./ConfigReader.ts"
import { executableAction } from "./ExecutableAction.ts"
import { type GateResolver, GateResolvers } from "./GateResolver.ts"
import { type ItemProvider, ItemProviders } from "./ItemProvider.ts"
import { functionAction, moduleAction } from "./ModuleAction.ts"
import type { ModuleLoader } from "./ModuleLoader.ts"
import { shownPath } from "./ProjectFiles.ts"
import { type FoundAction, type Lookup, shownPaths } from "./ProjectLookup.ts"
import { projectGates, projectProviders } from "./ProjectNames.ts"
import * as Places from "./ProjectPlaces.ts"
import {
  SchemaResolver,
  SchemaUnavailable,
  ScriptEnvironment,
  WorkflowResolver,
  WorkflowUnavailable
} from "./Resolvers.ts"
import { scheduledTrigger, scheduleSource } from "./ScheduleSource.ts"
import { collision, factsOf, isDeclared, suppliedIn } from "./TypedAction.ts"
import { type TriggerSource, TriggerSources } from "./TriggerSource.ts"
import { thrownText } from "./UserFunction.ts"

/** All that a project supplies. */
export type ProjectServices =
  | Executors
  | ItemProviders
  | GateResolvers
  | WorkflowResolver
  | SchemaResolver
  | TriggerSources

/** The layer that the configuration gives cannot be built. */
export class ConfigLayerFailed extends Schema.TaggedError<ConfigLayerFailed>()("ConfigLayerFailed", {
  file: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.file}: its \`layer\` cannot be built: ${this.detail}`
  }
}

/** The services of a run, as the project's folders are now. `own` are those of the configuration's layer. */
export const makeServices = (
  files: Lookup,
  loader: ModuleLoader,
  own: Context.Context<never>,
  persistence: PersistenceService
): Context.Context<ProjectServices> => {
  const { config } = files
  const services = Context.empty().pipe(
    Context.add(Executors, makeExecutors(files, loader, own)),
    Context.add(ItemProviders, withServices(projectProviders(files, persistence), provider(own))),
    Context.add(GateResolvers, withServices(projectGates(files), gate(own))),
    Context.add(WorkflowResolver, makeWorkflows(files)),
    Context.add(SchemaResolver, makeSchemas(files)),
    Context.add(TriggerSources, triggersOf(config))
  )
  if (config.scriptEnvironment === undefined) return services
  const variables = config.scriptEnvironment
  return Context.add(services, ScriptEnvironment, {
    variables: (identity) => Effect.provide(variables(identity), own)
  })
}

/** Builds the configuration's layer, which lives as long as the scope. */
export const buildLayer = (
  config: LoadedConfig
): Effect.Effect<Context.Context<never>, ConfigLayerFailed, Scope.Scope> =>
  Effect.tap(builtLayer(config), (own) => {
    const problems = unsuppliedActions(config, own)
    if (problems.length === 0) return Effect.void
    return Effect.fail(new ConfigLayerFailed({ file: config.file ?? "", detail: problems.join("; ") }))
  })

const builtLayer = (config: LoadedConfig): Effect.Effect<Context.Context<never>, ConfigLayerFailed, Scope.Scope> => {
  const { layer } = config
  if (layer === undefined) return Effect.succeed(Context.empty())
  return Effect.flatMap(scopeOf(config), (scope) => Layer.buildWithScope(layer, scope)).pipe(
    Effect.catchAllCause((cause) => {
      if (Cause.isInterruptedOnly(cause)) return Effect.interrupt
      const detail = thrownText(Cause.squash(cause)) ?? "it fails"
      return Effect.fail(new ConfigLayerFailed({ file: config.file ?? "", detail }))
    })
  )
}

/** What the layer fails with when it is closed is nobody's failure any more: what it was for has been done. */
const scopeOf = (config: LoadedConfig): Effect.Effect<Scope.CloseableScope, never, Scope.Scope> =>
  Effect.acquireRelease(Scope.make(), (scope, exit) =>
    Effect.catchAllCause(Scope.close(scope, exit), (cause) => {
      const detail = thrownText(Cause.squash(cause)) ?? "it fails"
      return Effect.logWarning(`${config.file ?? ""}: its \`layer\` cannot be closed: ${detail}`)
    })
  )

/** Why the typed actions of a configuration cannot be called with what its layer supplies. */
const unsuppliedActions = (config: LoadedConfig, own: Context.Context<never>): ReadonlyArray<string> =>
  [...config.actions.values()].filter(isDeclared).flatMap((action) => {
    const supplied = suppliedIn(own, action.name)
    if (supplied === undefined) return [`it does not supply the action '${action.name}'`]
    return collision(supplied.facts, factsOf(action))?.message ?? []
  })

const withServices = <A>(all: ReadonlyMap<string, A>, change: (one: A) => A): ReadonlyMap<string, A> =>
  new Map([...all].map(([name, one]) => [name, change(one)]))

const provider =
  (own: Context.Context<never>) =>
  (given: ItemProvider): ItemProvider => ({
    ...given,
    items: (request) => Effect.provide(given.items(request), own)
  })

const gate =
  (own: Context.Context<never>) =>
  (given: GateResolver): GateResolver =>
  (question) =>
    Effect.provide(given(question), own)

/** The configuration's sources, and the schedules. */
const triggersOf = (config: LoadedConfig): ReadonlyMap<string, TriggerSource> =>
  new Map([[scheduledTrigger, scheduleSource(config.schedules)], ...config.triggers])

/** Actions and agents; `own` are the services of the configuration's layer. */
export const makeExecutors = (
  files: Lookup,
  loader: ModuleLoader,
  own: Context.Context<never> = Context.empty()
): Context.Tag.Service<typeof Executors> => {
  const provided =
    (execute: Executor): Executor =>
    (call) =>
      Effect.provide(execute(call), own)
  return {
    find: (ref, workflow, pluginDirs) =>
      Effect.suspend(() => {
        const found = files.action(ref, workflow, pluginDirs)
        if (found._tag !== "Missing") {
          const executor = executorOf(found, files, loader, own)
          const limits = files.config.limits.get(actionStepKey(ref)) ?? executor.limits
          return Effect.succeed({ ...executor, limits, execute: provided(executor.execute) })
        }
        const action = ref._tag === "Name" ? ref.name : ref.path
        return Effect.fail(new ActionNotFound({ action, searched: found.searched, candidates: found.candidates }))
      }),
    names: Effect.sync(() => files.actionNames())
  }
}

const executorOf = (
  found: Exclude<FoundAction, { readonly _tag: "Missing" }>,
  files: Lookup,
  loader: ModuleLoader,
  own: Context.Context<never>
): FoundExecutor => {
  switch (found._tag) {
    case "Typed":
      return suppliedIn(own, found.action.name)?.executor ?? { execute: unsupplied(found.file) }
    case "Function":
      return { execute: functionAction(found.file, found.action) }
    case "Module":
      return { execute: moduleAction(found.file, loader) }
    case "Program":
      return { execute: executableAction(found.file) }
    case "Agent": {
      const { agent, command, file } = found
      const { canCommit, model, role } = agent
      const execute = agentAction({
        file: shownPath(file),
        agent,
        command,
        root: files.roots[0] ?? "",
        snippet: (ref, workflow) =>
          Either.mapLeft(
            files.snippet(ref, workflow),
            (searched) => `no snippet '${ref}'; searched ${searched.join(", ")}`
          )
      })
      return model === undefined ? { execute, role, canCommit } : { execute, role, canCommit, model }
    }
  }
}

/** For whoever looks at a project without building its configuration's layer. */
const unsupplied =
  (file: string): Executor =>
  ({ name }) =>
    Effect.fail(
      new ActionFailed({ message: `${file}: its \`layer\` does not supply the action '${name}'`, permanent: true })
    )

export const makeWorkflows = (files: Lookup): Context.Tag.Service<typeof WorkflowResolver> => {
  const names = () => [...Places.workflowFiles(files.places).keys()]
  const find = (name: string): Either.Either<WorkflowDefinition, string> => {
    const found = Places.workflowFile(files.places, name)
    if (found._tag === "Missing") return Either.left(missing(found.searched))
    return Either.flatMap(
      Either.mapLeft(files.read(found.file), (unreadable) => unreadable.message),
      ({ definition, diagnostics }) =>
        definition === undefined || hasErrors(diagnostics)
          ? Either.left(`its file has errors: ${inOneLine(diagnostics)}`)
          : Either.right(definition)
    )
  }
  return {
    find: (name) =>
      Effect.suspend(() =>
        Either.match(find(name), {
          onLeft: (reason) => Effect.fail(new WorkflowUnavailable({ workflow: name, reason, candidates: names() })),
          onRight: Effect.succeed
        })
      ),
    names: Effect.sync(names)
  }
}

/** Why there is no workflow. */
export const missing = (searched: ReadonlyArray<string>): string =>
  searched.length === 0
    ? "no workflow can have this name"
    : `there is none; searched ${shownPaths(searched).join(", ")}`

export const makeSchemas = (files: Lookup): Context.Tag.Service<typeof SchemaResolver> => ({
  find: (ref, workflow) =>
    Effect.suspend((): Effect.Effect<OutputSchema, SchemaUnavailable> => {
      const found = files.schema(ref, workflow)
      switch (found._tag) {
        case "Found":
          return Effect.succeed(found.schema)
        case "Missing": {
          const searched = found.searched.join(", ")
          return Effect.fail(
            new SchemaUnavailable({ schema: ref, message: `no output schema '${ref}'; searched ${searched}` })
          )
        }
        case "Invalid":
          return Effect.fail(
            new SchemaUnavailable({ schema: ref, message: `output schema '${ref}': ${inOneLine(found.diagnostics)}` })
          )
      }
    })
})

/** The errors as one line of text, with their positions. */
const inOneLine = (diagnostics: ReadonlyArray<Diagnostic>): string =>
  toProblems(diagnostics.filter(({ severity }) => severity === "error"))
    .map(({ column, file, line, message }) =>
      line === undefined ? `${file ?? ""}: ${message}` : `${file ?? ""}:${line}:${column ?? 1}: ${message}`
    )
    .join("; ")
