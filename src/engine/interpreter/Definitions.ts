/**
 * Definitions as the store keeps them: once, under the hash of their JSON (spec/engine.md, "Records").
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import type { PersistenceError, PersistenceService } from "../../persistence/Persistence.ts"
import { WorkflowDefinition } from "../../workflow/Definition.ts"

/** Before the hash of a `.wf` definition's JSON. */
export const definitionPrefix = "wf:"

export const isDefinitionKey = (key: string): boolean => key.startsWith(definitionPrefix)

const Json = Schema.parseJson(WorkflowDefinition)

/** A stored definition cannot be read. */
export class UnreadableDefinition extends Schema.TaggedError<UnreadableDefinition>()("UnreadableDefinition", {
  key: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `the stored definition ${this.key} cannot be read: ${this.reason}`
  }
}

/** A definition as it is stored. */
interface Encoded {
  readonly key: string
  readonly json: string
  /** When it last was, here; ms since the epoch. */
  storedAt: number | undefined
}

export class Definitions {
  readonly #encoded = new WeakMap<WorkflowDefinition, Encoded>()
  readonly #read = new Map<string, WorkflowDefinition>()

  constructor(
    private readonly persistence: PersistenceService,
    /** Before the hashes of those that it stores. */
    private readonly prefix: string = definitionPrefix
  ) {}

  /**
   * Stores a definition, if it is not there, and gives its key. One that was stored a while ago is stored again: it may
   * be that no run names it any more, and `Prune` deletes those that were not stored for long.
   */
  store(definition: WorkflowDefinition): Effect.Effect<string, PersistenceError> {
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const known = this.#encoded.get(definition) ?? this.#encode(definition)
      const { json, key, storedAt } = known
      if (storedAt !== undefined && Math.abs(now - storedAt) < storeAgainAfter) return Effect.succeed(key)
      return Effect.map(this.persistence.storeDefinition({ key, json }, now), () => {
        known.storedAt = now
        return key
      })
    })
  }

  /** What is stored here is not read again: runs that begin at once would each do so. */
  #encode(definition: WorkflowDefinition): Encoded {
    const json = Schema.encodeSync(Json)(definition)
    const key = this.prefix + createHash("sha256").update(json).digest("hex")
    const read: typeof WorkflowDefinition.Encoded = JSON.parse(json)
    if (!this.#read.has(key)) this.#remember(key, read)
    const encoded: Encoded = { key, json, storedAt: undefined }
    this.#encoded.set(definition, encoded)
    return encoded
  }

  load(key: string): Effect.Effect<WorkflowDefinition, UnreadableDefinition | PersistenceError> {
    const known = this.#read.get(key)
    if (known !== undefined) return Effect.succeed(known)
    return Effect.flatMap(this.persistence.definition(key), (stored) => {
      if (stored === undefined) return Effect.fail(new UnreadableDefinition({ key, reason: "it is not there" }))
      return Schema.decode(Json)(stored.json).pipe(
        Effect.mapError((error) => new UnreadableDefinition({ key, reason: error.message })),
        Effect.tap((definition) => Effect.sync(() => this.#remember(key, definition)))
      )
    })
  }

  #remember(key: string, definition: WorkflowDefinition): void {
    if (this.#read.size >= maxRemembered) this.#read.clear()
    this.#read.set(key, definition)
  }
}

const maxRemembered = 1_000

/** ms; far less than the age at which `Prune` deletes a definition that no run names. */
const storeAgainAfter = 3_600_000
