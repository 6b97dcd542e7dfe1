/**
 * Millrace: durable workflows on Effect. Loads no SQL driver and no command line; a store on SQLite is
 * `millrace/sqlite`.
 */

// Workflows and actions in TypeScript.
export * as Action from "./program/Action.ts"
export * as Workflow from "./program/Workflow.ts"

// The `.wf` language.
export * as Build from "./workflow/Build.ts"
export * as Definition from "./workflow/Definition.ts"
export * as Diagnostic from "./workflow/Diagnostic.ts"
export * as DiagnosticRenderer from "./workflow/DiagnosticRenderer.ts"
export * as FlowOutput from "./workflow/FlowOutput.ts"
export { InvalidWorkflow, type Problem } from "./workflow/InvalidWorkflow.ts"
export * as OutputSchema from "./workflow/OutputSchema.ts"
export * as Parser from "./workflow/Parser.ts"
export * as Printer from "./workflow/Printer.ts"
export * as Validator from "./workflow/Validator.ts"

// What a host supplies.
export {
  type ActionCall,
  ActionFailed,
  ActionNotFound,
  type ActionOutput,
  type Executor,
  Executors,
  type FoundExecutor
} from "./action/Action.ts"
export type { ActionContext } from "./action/ActionContext.ts"
export type { ModuleResult } from "./action/ActionResult.ts"
export {
  type GateQuestion,
  type GateResolver,
  GateResolverFailed,
  GateResolvers,
  type GateVerdict
} from "./action/GateResolver.ts"
export {
  type Item,
  type ItemEdge,
  type ItemProvider,
  ItemProviderFailed,
  ItemProviders,
  type ItemRequest,
  type Items
} from "./action/ItemProvider.ts"
export { type Config, ConfigInvalid, defineConfig } from "./action/Config.ts"
export type { EngineOptions } from "./action/EngineOptions.ts"
export { fileItems } from "./action/FileItems.ts"
export { jsonItems } from "./action/JsonItems.ts"
export { lineItems } from "./action/LineItems.ts"
export { runItems } from "./action/RunItems.ts"
export type { FlowLimits } from "./action/FlowLimits.ts"
export type { ModuleAction } from "./action/ModuleAction.ts"
export { ScriptExecutors, type ScriptOptions } from "./action/Script.ts"
export * as Project from "./action/Project.ts"
export {
  SchemaResolver,
  SchemaUnavailable,
  ScriptEnvironment,
  WorkflowResolver,
  WorkflowUnavailable
} from "./action/Resolvers.ts"
export {
  type TriggerEvent,
  type TriggerOutcome,
  type TriggerSource,
  TriggerSourceFailed,
  TriggerSources
} from "./action/TriggerSource.ts"

// Running.
export { ChildRunner, ChildRunnerFailed, type ChildRunnerService } from "./engine/ChildRunner.ts"
export * as Client from "./engine/Client.ts"
export { type CodeChild, type CodeWorkflow, Engine, type ProgramSource, ProgramUnavailable } from "./engine/Engine.ts"
export { EngineConfig, type EngineSettings } from "./engine/EngineConfig.ts"
export type { Standstill } from "./engine/Standstill.ts"
export { type EngineEvent, type EventsMissed, TooManySubscribers } from "./engine/Events.ts"
export type { ForkError, ForkOptions } from "./engine/Fork.ts"
export { type GateNotice, GateNotifier, type GateNotifierService } from "./engine/GateNotice.ts"
export * as Prune from "./engine/Prune.ts"
export { RunNotEnded, StepNotFound } from "./engine/Reopen.ts"
export * as Runs from "./engine/Runs.ts"
export { fork, NothingToResume, resume, type ResumeError, RunPaused } from "./engine/Resume.ts"
export { SecretListener } from "./engine/SecretListener.ts"
export * as Triggers from "./engine/Triggers.ts"
export { submit } from "./engine/interpreter/NewWorkflowRun.ts"
export { InvalidInputs, type StartOptions, WorkflowFiles } from "./engine/interpreter/WorkflowFiles.ts"

// Stores.
export * as MemoryPersistence from "./persistence/MemoryPersistence.ts"
export { type AttemptLog, type KeptOutput, OutputStore } from "./persistence/OutputStore.ts"
export {
  LeaseLost,
  NotWaiting,
  Persistence,
  PersistenceError,
  type PersistenceService,
  type Pruned,
  type PruneOptions,
  RunAlreadyEnded,
  RunAlreadyExists,
  RunAlreadyOwned,
  type RunFilter,
  RunNotFound,
  SeqConflict
} from "./persistence/Persistence.ts"
export * as Records from "./persistence/Records.ts"
