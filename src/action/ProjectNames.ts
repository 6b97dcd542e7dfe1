/**
 * The item providers and gate resolvers of a project by name: those of its configuration, then its executables, then
 * the built-in ones. Names, and what the validator needs, are known without a store and without the configuration's
 * layer; the services come from `projectProviders` and `projectGates`.
 */
import type { PersistenceService } from "../persistence/Persistence.ts"
import type { ProviderInfo } from "../workflow/ValidatorHost.ts"
import { fileItems } from "./FileItems.ts"
import type { GateResolver } from "./GateResolver.ts"
import type { ItemProvider } from "./ItemProvider.ts"
import { jsonItems } from "./JsonItems.ts"
import { lineItems } from "./LineItems.ts"
import { functionGate, programGate } from "./ProjectGates.ts"
import { functionItems, infoOf, programItems } from "./ProjectItems.ts"
import type { Lookup } from "./ProjectLookup.ts"
import * as Places from "./ProjectPlaces.ts"
import { runItems, runItemsInfo } from "./RunItems.ts"

/** Those that need no store. */
export const builtins: ReadonlyMap<string, ItemProvider> = new Map([
  ["json", jsonItems],
  ["files", fileItems],
  ["lines", lineItems]
])

const runItemsName = "workflow_runs"

export const providerNames = ({ config, places }: Lookup): ReadonlyArray<string> => [
  ...new Set([
    ...config.providers.keys(),
    ...Places.programNames(places, "providers"),
    ...builtins.keys(),
    runItemsName
  ])
]

/** What is known of a provider; an executable's scope and filter are its own to check. */
export const providerInfo = ({ config, places }: Lookup, name: string): ProviderInfo | undefined => {
  const configured = config.providers.get(name)
  if (configured !== undefined) return infoOf(configured)
  if (Places.programFile(places, "providers", name)._tag === "Found") return { ordered: true }
  return name === runItemsName ? runItemsInfo : builtins.get(name)
}

/** All providers, as they are now. */
export const projectProviders = (
  { config, places }: Lookup,
  persistence: Pick<PersistenceService, "list">
): ReadonlyMap<string, ItemProvider> => {
  const providers = new Map<string, ItemProvider>([...builtins, [runItemsName, runItems(persistence)]])
  for (const name of Places.programNames(places, "providers")) {
    const found = Places.programFile(places, "providers", name)
    if (found._tag === "Found") providers.set(name, programItems(name, found.file))
  }
  for (const [name, given] of config.providers) providers.set(name, functionItems(name, given))
  return providers
}

export const gateNames = ({ config, places }: Lookup): ReadonlyArray<string> => [
  ...new Set([...config.gates.keys(), ...Places.programNames(places, "gates")])
]

export const hasGate = ({ config, places }: Lookup, name: string): boolean =>
  config.gates.has(name) || Places.programFile(places, "gates", name)._tag === "Found"

/** All gate resolvers, as they are now. */
export const projectGates = ({ config, places }: Lookup): ReadonlyMap<string, GateResolver> => {
  const gates = new Map<string, GateResolver>()
  for (const name of Places.programNames(places, "gates")) {
    const found = Places.programFile(places, "gates", name)
    if (found._tag === "Found") gates.set(name, programGate(found.file))
  }
  for (const [name, given] of config.gates) gates.set(name, functionGate(given))
  return gates
}
