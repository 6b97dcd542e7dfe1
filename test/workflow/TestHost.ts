/**
 * A validator's host over plain tables, and files given as text.
 */
import * as Schema from "effect/Schema"
import { actionStepKey } from "../../src/workflow/Definition.ts"
import type { Diagnostic } from "../../src/workflow/Diagnostic.ts"
import { parse as parseSchema } from "../../src/workflow/OutputSchemaYaml.ts"
import { type ParsedFile, parse } from "../../src/workflow/Parser.ts"
import { payloadKeys, textKeys, otherKeys } from "../../src/workflow/Payload.ts"
import { validate } from "../../src/workflow/Validator.ts"
import type { Host, ProviderInfo, ScriptLookup } from "../../src/workflow/ValidatorHost.ts"

type AnySchema = Schema.Schema.AnyNoContext

export interface World {
  /** Texts of workflow files by name. */
  readonly workflows?: Readonly<Record<string, string>>
  /** Workflows that exist but cannot be read, with the reason. */
  readonly broken?: Readonly<Record<string, string>>
  /** Names of actions; absent: every action exists. */
  readonly actions?: ReadonlyArray<string>
  /** Schemas of the payloads, and of the successes, of actions in code. */
  readonly typed?: Readonly<Record<string, readonly [payload: AnySchema, success?: AnySchema]>>
  /** Schemas of the payloads of workflows in code. */
  readonly code?: Readonly<Record<string, AnySchema>>
  readonly providers?: Readonly<Record<string, ProviderInfo>>
  readonly gates?: ReadonlyArray<string>
  /** YAML texts by name. */
  readonly schemas?: Readonly<Record<string, string>>
  readonly snippets?: ReadonlyArray<string>
  readonly scripts?: Readonly<Record<string, "ok" | "not-executable">>
  readonly targets?: ReadonlyArray<string>
  readonly contextNames?: ReadonlyArray<string>
}

export const fileOf = (name: string, text: string): ParsedFile => parse({ file: `workflows/${name}.wf`, text })

export const hostOf = (world: World): Host => {
  const files = new Map(Object.entries(world.workflows ?? {}).map(([name, text]) => [name, fileOf(name, text)]))
  const providers = new Map(Object.entries(world.providers ?? {}))
  const broken = new Map(Object.entries(world.broken ?? {}))
  const scripts = new Map(Object.entries(world.scripts ?? {}))
  return {
    workflow: (name) => {
      const error = broken.get(name)
      if (error !== undefined) return { _tag: "Broken", error }
      const payload = world.code?.[name]
      if (payload !== undefined) return { _tag: "Code", takes: payloadKeys(payload.ast) }
      const file = files.get(name)
      return file === undefined ? { _tag: "Missing" } : { _tag: "Found", file }
    },
    workflowNames: () => [...files.keys()],
    action: (ref) =>
      world.actions === undefined || world.actions.includes(actionStepKey(ref))
        ? { _tag: "Found" }
        : { _tag: "Missing", searched: ["agents/", ".claude/agents/"], candidates: world.actions },
    typedAction: (name) => {
      const [payload, success = Schema.Void] = world.typed?.[name] ?? []
      return payload && { takes: payloadKeys(payload.ast), gives: textKeys(success.ast), keeps: otherKeys(success.ast) }
    },
    provider: (name) => providers.get(name),
    providerNames: () => [...providers.keys()],
    gate: (name) => world.gates?.includes(name) ?? false,
    gateNames: () => world.gates ?? [],
    schema: (ref) => {
      const text = new Map(Object.entries(world.schemas ?? {})).get(ref)
      if (text === undefined) return { _tag: "Missing", searched: [`schemas/${ref}.yaml`] }
      const { diagnostics, schema } = parseSchema(ref, { file: `schemas/${ref}.yaml`, text })
      return schema === undefined ? { _tag: "Invalid", diagnostics } : { _tag: "Found", schema, warnings: diagnostics }
    },
    snippet: (ref) =>
      world.snippets?.includes(ref) ? { _tag: "Found" } : { _tag: "Missing", searched: [`prompts/${ref}.md`] },
    script: (path) => scriptLookup(path, scripts.get(path)),
    ...(world.targets === undefined ? {} : { targets: world.targets }),
    ...(world.contextNames === undefined ? {} : { contextNames: world.contextNames })
  }
}

const scriptLookup = (path: string, state: "ok" | "not-executable" | undefined): ScriptLookup => {
  if (state === undefined) return { _tag: "Missing", searched: [`./${path}`] }
  return state === "ok" ? { _tag: "Found" } : { _tag: "NotExecutable", path }
}

/** The findings about the text of a workflow, which must parse. */
export const findingsOf = (text: string, world: World = {}): ReadonlyArray<Diagnostic> => {
  const name = /workflow\s+([A-Za-z0-9_-]+)/.exec(text)?.[1] ?? "main"
  const file = fileOf(name, text)
  const errors = file.diagnostics.filter(({ severity }) => severity === "error")
  if (errors.length > 0) throw new Error(`the test's text does not parse: ${JSON.stringify(errors)}`)
  return validate(file, hostOf(world))
}

/** Findings as `code: message`, warnings marked. */
export const messagesOf = (text: string, world: World = {}): ReadonlyArray<string> =>
  findingsOf(text, world).map(({ code, message, severity }) =>
    severity === "warning" ? `(warning) ${code}: ${message}` : `${code}: ${message}`
  )
