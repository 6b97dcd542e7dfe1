/**
 * The item providers that a project brings: executables in `providers/`, and functions of its configuration
 * (spec/engine.md, "foreach" and "Services").
 *
 * An executable gets `{"name", "scope", "filter", "ordered", "workingDirectory", "variables"}` on its standard input
 * and prints a list of items, or `{"items": […], "edges": [{"blocker", "dependent"}], "warnings": […]}` (`ItemList`).
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import type { ProviderInfo } from "../workflow/ValidatorHost.ts"
import { ask } from "./AskProgram.ts"
import { readItems } from "./ItemList.ts"
import { type ItemProvider, ItemProviderFailed, type ItemRequest, type Items } from "./ItemProvider.ts"
import { type Given, settle } from "./UserFunction.ts"

/** How long an executable may take for its list, in ms. */
export const providerLimit = 600_000

/** An item as a configuration's function may give it. */
export type GivenItem =
  | string
  | {
      readonly id: string | number
      readonly ref?: string
      readonly type?: string
      /** Ids. */
      readonly blocked_by?: ReadonlyArray<string | number>
      /** Texts become `item.<key>`. */
      readonly [key: string]: unknown
    }

export interface GivenItems {
  readonly items: ReadonlyArray<GivenItem>
  readonly edges?: ReadonlyArray<{ readonly blocker: string | number; readonly dependent: string | number }>
  readonly warnings?: ReadonlyArray<string>
}

/** A provider in the configuration. */
export type ItemFunction<R = never> = (
  request: ItemRequest,
  context: { readonly signal: AbortSignal }
) => Given<ReadonlyArray<GivenItem> | GivenItems, R>

/** One that says more of itself: what `ordered`, `needsFilter` and `check` mean, `ItemProvider` tells. */
export interface DescribedItems<R = never> extends Partial<ProviderInfo> {
  readonly items: ItemFunction<R>
}

/** The provider of an executable; edges are its own to give or not. */
export const programItems = (name: string, file: string): ItemProvider => ({
  ordered: true,
  items: (request) =>
    toItems(
      name,
      request,
      ask({
        file,
        cwd: request.workingDirectory,
        identity: undefined,
        input: inputOf(request),
        limit: providerLimit
      })
    )
})

const inputOf = ({ filter, name, ordered, scope, variables, workingDirectory }: ItemRequest) => ({
  name,
  scope,
  filter,
  ordered,
  workingDirectory,
  variables
})

/** The provider of a function in the configuration. */
export const functionItems = (name: string, given: DescribedItems<unknown>): ItemProvider => ({
  ...infoOf(given),
  items: (request) =>
    toItems(
      name,
      request,
      settle((signal) => given.items(request, { signal }))
    )
})

/** What the validator is told of a provider of the configuration. */
export const infoOf = ({ check, needsFilter, ordered }: DescribedItems<unknown>): ProviderInfo => ({
  ordered: ordered ?? true,
  ...(needsFilter === undefined ? {} : { needsFilter }),
  ...(check === undefined ? {} : { check })
})

const toItems = (
  provider: string,
  request: ItemRequest,
  answer: Effect.Effect<unknown, string, Scope.Scope>
): Effect.Effect<Items, ItemProviderFailed, Scope.Scope> =>
  answer.pipe(
    Effect.flatMap((value) =>
      Either.match(readItems(value, "the answer", request.ordered), { onLeft: Effect.fail, onRight: Effect.succeed })
    ),
    Effect.mapError((message) => new ItemProviderFailed({ provider, message: `provider '${provider}': ${message}` }))
  )
