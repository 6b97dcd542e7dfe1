/** Where journals of resumable calls are kept: one text for each workflow id. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { PersistenceError } from "../persistence/Persistence.ts"
import { makeFiles } from "./JournalFiles.ts"

export interface JournalStoreService {
  readonly load: (workflowId: string) => Effect.Effect<Option.Option<string>, PersistenceError>
  /** Replaces the journal as a whole; it is durable when the effect succeeds. */
  readonly save: (workflowId: string, journal: string) => Effect.Effect<void, PersistenceError>
  /** Does nothing when there is none. */
  readonly remove: (workflowId: string) => Effect.Effect<void, PersistenceError>
}

export class JournalStore extends Context.Tag("millrace/JournalStore")<JournalStore, JournalStoreService>() {
  /** Lives as long as the layer. */
  static readonly layerMemory: Layer.Layer<JournalStore> = Layer.sync(JournalStore, () => {
    const journals = new Map<string, string>()
    return JournalStore.of({
      load: (workflowId) => Effect.sync(() => Option.fromNullable(journals.get(workflowId))),
      save: (workflowId, journal) => Effect.sync(() => void journals.set(workflowId, journal)),
      remove: (workflowId) => Effect.sync(() => void journals.delete(workflowId))
    })
  })

  /** One file a journal in this folder, which is made when first needed. */
  static readonly layerFiles = (folder: string): Layer.Layer<JournalStore> =>
    Layer.sync(JournalStore, () => JournalStore.of(makeFiles(folder)))
}
