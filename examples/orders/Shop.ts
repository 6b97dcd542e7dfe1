/**
 * The world outside: customers' accounts and a stock, in a database of their own, as a bank and a warehouse would keep
 * them. A request has a key; one that comes again, since whoever sent it died before the answer, is done once.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { SqliteClient } from "@effect/sql-sqlite-node"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export interface Movement {
  /** The same for the same request. */
  readonly key: string
  /** An account or a kind of goods. */
  readonly of: string
  /** Cents or pieces; below 0: taken away. */
  readonly amount: number
  readonly why: string
}

export class Shop extends Context.Tag("examples/Shop")<
  Shop,
  {
    /** Says no, and moves nothing, where less than nothing would be left. */
    readonly move: (movement: Movement) => Effect.Effect<boolean>
    /** All that was moved, in order. */
    readonly movements: Effect.Effect<ReadonlyArray<Movement>>
    /** What is left of an account or of goods. */
    readonly left: (of: string) => Effect.Effect<number>
  }
>() {}

const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE IF NOT EXISTS movements (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, "of" TEXT NOT NULL, amount INTEGER NOT NULL, why TEXT NOT NULL)`
  const opening = [
    { key: "opening ann", of: "ann", amount: 100_000, why: "opening" },
    { key: "opening ben", of: "ben", amount: 1_000, why: "opening" },
    { key: "opening book", of: "book", amount: 100, why: "opening" },
    { key: "opening lamp", of: "lamp", amount: 100, why: "opening" },
    { key: "opening vase", of: "vase", amount: 100, why: "opening" }
  ]
  yield* sql`INSERT INTO movements ${sql.insert(opening)} ON CONFLICT (key) DO NOTHING`

  const done = (key: string) => Effect.map(sql`SELECT 1 FROM movements WHERE key = ${key}`, (rows) => rows.length > 0)
  // One statement, so that no kill comes in between.
  const move = ({ amount, key, of, why }: Movement) => sql`
    INSERT INTO movements (key, "of", amount, why) SELECT ${key}, ${of}, ${amount}, ${why}
    WHERE ${amount} + (SELECT coalesce(sum(amount), 0) FROM movements WHERE "of" = ${of}) >= 0
    ON CONFLICT (key) DO NOTHING`

  return Shop.of({
    move: (movement) => Effect.orDie(Effect.zipRight(move(movement), done(movement.key))),
    movements: Effect.orDie(sql<Movement>`SELECT key, "of", amount, why FROM movements ORDER BY number`),
    left: (of) =>
      sql<{ readonly left: number }>`SELECT coalesce(sum(amount), 0) AS "left" FROM movements WHERE "of" = ${of}`.pipe(
        Effect.map(([row]) => row?.left ?? 0),
        Effect.orDie
      )
  })
})

export const layer = (filename: string): Layer.Layer<Shop> =>
  Layer.orDie(Layer.provide(Layer.effect(Shop, make), SqliteClient.layer({ filename })))
