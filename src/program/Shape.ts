/**
 * What the functions of a workflow share: its name, its version, and the schemas of what it takes and gives.
 */
import type { AnySchema } from "./Codec.ts"

export interface Shape<P extends AnySchema, S extends AnySchema, E extends AnySchema> {
  readonly name: string
  readonly version: string
  readonly payload: P
  readonly success: S
  readonly error: E
  readonly idempotencyKey: ((payload: P["Type"]) => string) | undefined
  /** Of a run, ms. */
  readonly timeout: number | null
}
