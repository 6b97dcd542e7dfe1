/**
 * What the validator asks its surroundings: plain, synchronous lookups, so that the command line, the language
 * server, an application and a test each give their own.
 */
import type { ActionRef, Value, WorkflowDefinition } from "./Definition.ts"
import type { Diagnostic } from "./Diagnostic.ts"
import type { OutputSchema } from "./OutputSchema.ts"
import type { PayloadKeys } from "./Payload.ts"
import type { Source, SpanTable } from "./Source.ts"

/** A parsed file (`Parser.ParsedFile` is one), or a definition made in code, which has neither text nor positions. */
export interface WorkflowFile {
  /** Undefined where the text could not be read so far. */
  readonly definition: WorkflowDefinition | undefined
  readonly source?: Source
  readonly spans?: SpanTable
  /** What reading the text reported; shown for called workflows only. */
  readonly diagnostics?: ReadonlyArray<Diagnostic>
}

export type WorkflowLookup =
  | { readonly _tag: "Found"; readonly file: WorkflowFile }
  /** It is written in code, and made of this payload. */
  | { readonly _tag: "Code"; readonly takes: PayloadKeys }
  | { readonly _tag: "Missing" }
  /** There is one, but it cannot be read. */
  | { readonly _tag: "Broken"; readonly error: string }

/** `candidates` are the names that there are, for a hint at a misspelt one; `searched` the places looked at. */
export type ActionLookup =
  | { readonly _tag: "Found" }
  | { readonly _tag: "Missing"; readonly searched: ReadonlyArray<string>; readonly candidates: ReadonlyArray<string> }

export type FileLookup =
  | { readonly _tag: "Found" }
  | { readonly _tag: "Missing"; readonly searched: ReadonlyArray<string> }

export type SchemaLookup =
  /** `warnings` stand in the schema's file. */
  | { readonly _tag: "Found"; readonly schema: OutputSchema; readonly warnings?: ReadonlyArray<Diagnostic> }
  | { readonly _tag: "Missing"; readonly searched: ReadonlyArray<string> }
  /** At least one of the diagnostics, which stand in the schema's file, is an error. */
  | { readonly _tag: "Invalid"; readonly diagnostics: ReadonlyArray<Diagnostic> }

export type ScriptLookup = FileLookup | { readonly _tag: "NotExecutable"; readonly path: string }

/** What is known of an action in code. */
export interface TypedActionInfo {
  readonly takes: PayloadKeys
  /** The names of texts in what it gives, which become variables; undefined: any. */
  readonly gives: ReadonlyArray<string> | undefined
  /** The names of what it gives that is no text, and no variable for that. */
  readonly keeps: ReadonlyArray<string>
}

type Values = Readonly<Record<string, Value>>

/** What is known of an item provider without asking it for items (`ItemProvider` is one). */
export interface ProviderInfo {
  readonly ordered: boolean
  readonly needsFilter?: boolean
  /** What is wrong with a scope and filter that hold no `{{`. */
  readonly check?: (
    scope: Values,
    filter: Values
  ) => { readonly errors: ReadonlyArray<string>; readonly warnings: ReadonlyArray<string> }
}

/** `workflow` is always the name of the workflow in which the reference stands. */
export interface Host {
  readonly workflow: (name: string) => WorkflowLookup
  readonly workflowNames: () => ReadonlyArray<string>
  readonly action: (ref: ActionRef, workflow: string, pluginDirs: ReadonlyArray<string>) => ActionLookup
  /** What is known of an action by this name, if it is one in code. */
  readonly typedAction?: (name: string) => TypedActionInfo | undefined
  readonly provider: (name: string) => ProviderInfo | undefined
  readonly providerNames: () => ReadonlyArray<string>
  /** Whether a resolver answers gates of this name; not asked for `human_approval`, `human_review`, `quality_gate`. */
  readonly gate: (name: string) => boolean
  readonly gateNames: () => ReadonlyArray<string>
  /** The file that would be a provider or a gate of this name, if it were executable. */
  readonly notExecutable?: (kind: "providers" | "gates", name: string) => string | undefined
  readonly schema: (ref: string, workflow: string) => SchemaLookup
  readonly snippet: (ref: string, workflow: string) => FileLookup
  /** A path below the working directory or one of the configured roots. */
  readonly script: (path: string) => ScriptLookup
  /** The only targets that a workflow may have; absent: any. */
  readonly targets?: ReadonlyArray<string>
  /** The names that the run context injects. */
  readonly contextNames?: ReadonlyArray<string>
}
