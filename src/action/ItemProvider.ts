/**
 * Item providers: where a foreach or a pipeline gets its items (spec/engine.md, "foreach" and "Services").
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Texts, Value } from "../workflow/Definition.ts"

export interface Item {
  readonly type: string
  readonly id: string
  readonly ref: string
  /** Become `item.<key>`. */
  readonly context: Texts
}

/** The dependent waits for the blocker to end; both by item id. */
export interface ItemEdge {
  readonly blocker: string
  readonly dependent: string
}

export interface ItemRequest {
  /** The fan-out step's name. */
  readonly name: string
  readonly scope: Readonly<Record<string, Value>>
  readonly filter: Readonly<Record<string, Value>>
  /** Whether edges are wanted. */
  readonly ordered: boolean
  readonly workingDirectory: string
  /** The structured output of an earlier step, by its name; undefined if it has none. */
  readonly output: (step: string) => unknown
  /** What an earlier step printed, by its name: all of it in a file where it is large. Absent: the engine cannot tell. */
  readonly result?: (step: string) => StepText | undefined
  readonly variables: Texts
}

export interface StepText {
  readonly context: string | null
  readonly outputFile: string | null
}

export interface Items {
  readonly items: ReadonlyArray<Item>
  readonly edges?: ReadonlyArray<ItemEdge>
  readonly warnings?: ReadonlyArray<string>
}

export class ItemProviderFailed extends Schema.TaggedError<ItemProviderFailed>()("ItemProviderFailed", {
  provider: Schema.String,
  message: Schema.String
}) {}

export interface ItemProvider {
  /** Whether it gives edges. */
  readonly ordered: boolean
  readonly needsFilter?: boolean
  /** What is wrong with a scope and filter that hold no `{{`. */
  readonly check?: (
    scope: Readonly<Record<string, Value>>,
    filter: Readonly<Record<string, Value>>
  ) => { readonly errors: ReadonlyArray<string>; readonly warnings: ReadonlyArray<string> }
  readonly items: (request: ItemRequest) => Effect.Effect<Items, ItemProviderFailed, Scope.Scope>
}

/** The providers by name. */
export class ItemProviders extends Context.Tag("millrace/ItemProviders")<
  ItemProviders,
  ReadonlyMap<string, ItemProvider>
>() {
  static readonly layer = (providers: Readonly<Record<string, ItemProvider>>): Layer.Layer<ItemProviders> =>
    Layer.succeed(ItemProviders, new Map(Object.entries(providers)))
}
