/**
 * Documents go through three stages, each by itself: while one is being read, another is already being summarized. The
 * service that reads takes two at a time; the one that summarizes takes five requests in any half second. A document that
 * cannot be read is no reason to stop the others.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Action, Engine, Workflow } from "millrace"
import { SqlitePersistence } from "millrace/sqlite"

export class Unreadable extends Schema.TaggedError<Unreadable>()("Unreadable", { document: Schema.String }) {}

export const Read = Action.make("read", {
  payload: Schema.String,
  success: Schema.String,
  error: Unreadable,
  limits: { concurrency: 2 }
})

export const Summarize = Action.make("summarize", {
  payload: Schema.String,
  success: Schema.String,
  retry: { times: 3, delay: "1 second", exponential: true },
  limits: { rate: { limit: 5, interval: "500 millis" } }
})

export const File = Action.make("file", {
  payload: Schema.Struct({ document: Schema.String, summary: Schema.String }),
  success: Schema.String
})

export const Batch = Workflow.make("batch", {
  payload: Schema.Struct({ id: Schema.String, documents: Schema.Array(Schema.String) }),
  success: Schema.Struct({ filed: Schema.Array(Schema.String), failed: Schema.Array(Schema.String) }),
  idempotencyKey: ({ id }) => id
})

export const batch = Batch.toLayer(({ documents }) =>
  Effect.gen(function* () {
    const ends = yield* Workflow.pipeline(
      documents,
      { key: (document) => document },
      (document) => Action.call(Read, document),
      (text) => Action.call(Summarize, text),
      (summary, document) => Action.call(File, { document, summary })
    )
    return {
      filed: ends.flatMap((end) => (Exit.isSuccess(end) ? [end.value] : [])),
      failed: documents.filter((_, index) => ends[index]?._tag === "Failure")
    }
  })
)

/** Stand-ins for the services. */
export const services = Layer.mergeAll(
  Read.toLayer((document) =>
    document.endsWith(".bin")
      ? Effect.fail(new Unreadable({ document }))
      : Effect.delay(Effect.succeed(`the text of ${document}`), "50 millis")
  ),
  Summarize.toLayer((text) => Effect.succeed(`summary of ${text}`)),
  File.toLayer(({ document, summary }) => Effect.as(Effect.log(`${document}: ${summary}`), `archive/${document}`))
)

/** Everything that works on batches, on a database file. */
export const documents = (filename: string) =>
  batch.pipe(
    Layer.provide(services),
    Layer.provideMerge(Engine.layer),
    Layer.provideMerge(SqlitePersistence.layer({ filename }))
  )
