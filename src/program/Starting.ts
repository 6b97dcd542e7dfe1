/**
 * Starting runs: here, or in the store for whoever knows the workflow.
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { textOf } from "../action/UserFunction.ts"
import { digestOf, keyDigest } from "../engine/Continue.ts"
import { createUnclaimed } from "../engine/CreateRun.ts"
import { Engine } from "../engine/Engine.ts"
import { EngineConfig } from "../engine/EngineConfig.ts"
import { defaultSettings, newRun } from "../engine/NewRun.ts"
import { newUlid } from "../persistence/Ulid.ts"
import { Persistence, type PersistenceError, type RunAlreadyExists } from "../persistence/Persistence.ts"
import { RunId, type RunRecord } from "../persistence/Records.ts"
import { shownText } from "../persistence/Redaction.ts"
import type { Texts } from "../workflow/Definition.ts"
import { joined, type Secrets } from "../workflow/Secrets.ts"
import type { AnySchema } from "./Codec.ts"
import { secretsIn } from "./PayloadSecrets.ts"
import type { Shape } from "./Shape.ts"
import { encodePayload } from "./ValueRefused.ts"
import { definitionKey } from "./WorkflowEnd.ts"

/** The idempotency key is taken by a run with another payload. */
export class IdempotencyConflict extends Schema.TaggedError<IdempotencyConflict>()("IdempotencyConflict", {
  workflow: Schema.String,
  idempotencyKey: Schema.String,
  run: RunId
}) {
  override get message() {
    return `workflow '${this.workflow}' has run ${this.run} for key '${this.idempotencyKey}', with another payload`
  }
}

export type Create<R> = (run: RunRecord) => Effect.Effect<RunId, RunAlreadyExists | PersistenceError, R>

/** In this process's engine, if that can run it; what is to be done where it cannot, but another process may. */
export const createHere =
  (left: (engine: Context.Tag.Service<Engine>, run: RunRecord) => Effect.Effect<void>): Create<Engine | Persistence> =>
  (run) =>
    Effect.flatMap(Engine, (engine) =>
      Effect.flatMap(engine.accepts(run), (isKnown) =>
        isKnown ? engine.start(run) : Effect.zipLeft(createInStore(run), left(engine, run))
      )
    )

/** For the first engine that looks for runs of the workflow. */
export const createInStore: Create<Persistence> = (run) =>
  Effect.flatMap(Persistence, (persistence) => Effect.as(createUnclaimed(persistence, run, run.createdAt), run.id))

/** What a new run's record says of its workflow. */
export interface NewRunParts {
  readonly title: string
  readonly definition: string
  readonly inputs: Texts
  readonly secrets: Secrets | undefined
}

/** Makes them of an encoded payload. */
export type PartsOf<X> = (encoded: unknown) => Effect.Effect<NewRunParts, X | PersistenceError, Persistence>

/** Of a workflow whose body is code. */
export const partsInCode =
  (workflow: { readonly name: string; readonly version: string }): PartsOf<never> =>
  () =>
    Effect.succeed({ title: workflow.name, definition: definitionKey(workflow), inputs: {}, secrets: undefined })

/** The id of the run, which is the one that has the payload's idempotency key if there is one. */
export const start = <P extends AnySchema, S extends AnySchema, E extends AnySchema, R, X>(
  shape: Shape<P, S, E>,
  payload: P["Type"],
  create: Create<R>,
  partsOf: PartsOf<X>
): Effect.Effect<RunId, IdempotencyConflict | PersistenceError | X, Persistence | R> =>
  Effect.gen(function* () {
    const encoded = yield* encodePayload(shape.payload, payload, () => `for a run of workflow '${shape.name}'`)
    const idempotencyKey = yield* keyOf(shape, payload)
    const { stepTimeout } = yield* EngineConfig
    const { definition, inputs, secrets: declared, title } = yield* partsOf(encoded)
    const secrets = joined(declared, secretsIn(payload))
    const record = newRun({
      id: RunId.make(yield* newUlid),
      workflow: shape.name,
      title,
      definition,
      inputs,
      payload: encoded,
      createdAt: yield* Clock.currentTimeMillis,
      idempotencyKey,
      settings: {
        ...defaultSettings(stepTimeout),
        runTimeout: shape.timeout,
        ...(secrets === undefined ? {} : { secrets })
      }
    })
    const taken = (holder: RunRecord): Effect.Effect<RunId, IdempotencyConflict> => {
      if (isFor(holder, encoded)) return Effect.succeed(holder.id)
      // A key may be made of what is secret.
      const key = shownText(record, idempotencyKey ?? "")
      return new IdempotencyConflict({ workflow: shape.name, idempotencyKey: key, run: holder.id })
    }
    // Looked for, so that no body begins in vain.
    const known = yield* runOfKey(record)
    if (known !== undefined) return yield* taken(known)
    return yield* Effect.catchTag(create(record), "RunAlreadyExists", ({ run }) => Effect.flatMap(runOf(run), taken))
  })

const runOfKey = ({ idempotencyKey: key, workflow }: RunRecord) =>
  key === null
    ? Effect.succeed(undefined)
    : Effect.flatMap(Persistence, (persistence) => persistence.findByKey(workflow, key))

/** Null: the workflow makes none, and each start is a run of its own. */
const keyOf = <P extends AnySchema>(
  { idempotencyKey: key, name }: Pick<Shape<P, AnySchema, AnySchema>, "idempotencyKey" | "name">,
  payload: P["Type"]
): Effect.Effect<string | null> =>
  key === undefined
    ? Effect.succeed(null)
    : Either.match(
        textOf(`the \`idempotencyKey\` of workflow '${name}'`, () => key(payload)),
        { onLeft: (message) => Effect.die(new Error(message)), onRight: (text) => Effect.succeed(text) }
      )

const runOf = (run: RunId): Effect.Effect<RunRecord, PersistenceError, Persistence> =>
  Effect.flatMap(Persistence, (persistence) => Effect.catchTag(persistence.get(run), "RunNotFound", Effect.die))

/** Whether a run's idempotency key stands for this payload, as it is after JSON has kept it. */
const isFor = (run: RunRecord, encoded: unknown): boolean => keyDigest(run) === digestOf(encoded)
