/**
 * `@effect/workflow` on `@effect/cluster`'s single runner, with `@effect/sql-sqlite-node` as its store.
 */
import * as ClusterWorkflowEngine from "@effect/cluster/ClusterWorkflowEngine"
import * as SingleRunner from "@effect/cluster/SingleRunner"
import * as SqlClient from "@effect/sql/SqlClient"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as Activity from "@effect/workflow/Activity"
import * as Workflow from "@effect/workflow/Workflow"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Schema from "effect/Schema"

const Work = Workflow.make({
  name: "work",
  payload: { id: Schema.String, steps: Schema.Number, shape: Schema.String, wait: Schema.Number },
  success: Schema.Number,
  idempotencyKey: ({ id }) => id
})

const stepOf = (n, wait) =>
  Activity.make({
    name: `step-${n}`,
    success: Schema.Number,
    execute: wait > 0 ? Effect.as(Effect.sleep(wait), n) : Effect.succeed(n)
  })

const body = ({ steps, shape, wait }) =>
  Effect.forEach(
    Array.from({ length: steps }, (_, n) => n),
    (n) => stepOf(n, wait),
    { concurrency: shape === "block" ? "unbounded" : 1, discard: true }
  ).pipe(Effect.as(steps))

const layer = (filename) =>
  Work.toLayer(body).pipe(
    Layer.provideMerge(ClusterWorkflowEngine.layer),
    Layer.provideMerge(SingleRunner.layer()),
    Layer.provideMerge(SqliteClient.layer({ filename })),
    Layer.provide(Logger.minimumLogLevel(LogLevel.Warning))
  )

const ended = (tag) => `
  SELECT count(*) AS count FROM cluster_messages message JOIN cluster_replies reply ON reply.request_id = message.id
  WHERE message.tag = '${tag}' AND json_extract(reply.payload, '$.value.exit._tag') = 'Success'`

export const recorded = { runs: ended("run"), steps: ended("activity") }

export const open = async ({ file, synchronous }) => {
  const runtime = ManagedRuntime.make(layer(file))
  const query = (text) => Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe(text))
  await runtime.runPromise(query(`PRAGMA synchronous = ${synchronous}`))
  let started = 0
  return {
    prepare: async ({ runs, atOnce, steps, shape, wait }) => {
      const one = Effect.suspend(() => Work.execute({ id: `run-${++started}`, steps, shape, wait }))
      const all = Effect.forEach(Array.from({ length: runs }), () => one, { concurrency: atOnce, discard: true })
      return () => runtime.runPromise(all)
    },
    synchronous: async () => (await runtime.runPromise(query("PRAGMA synchronous"))).map((row) => row.synchronous),
    close: () => runtime.dispose()
  }
}
