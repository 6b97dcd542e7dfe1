/**
 * Values that do not fit the schemas that were declared for them, whatever their types say: whose value it is, where in
 * it, what was expected there, and what to do.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { orFail } from "../engine/Settled.ts"
import { type AnySchema, tryEncode } from "./Codec.ts"

/** A schema refuses the value that it was declared for. A defect of a body, a handler or whoever calls a handle. */
export class ValueRefused extends Schema.TaggedError<ValueRefused>()("ValueRefused", {
  /** Whose: `the payload that workflow 'order' gives to action 'charge'`. */
  value: Schema.String,
  /** Each place, what was expected there and what there is: `cents: Expected number, actual "1"`. */
  problem: Schema.String,
  /** What to do, as a sentence without its full stop. */
  advice: Schema.String
}) {
  override get message() {
    return `${this.value} is refused by its schema: ${this.problem}. ${this.advice}`
  }
}

/** What is said of a value that is refused. */
export type About = Pick<ValueRefused, "value" | "advice">

/** A value as the journal keeps it, or why it cannot. */
export const encodeAs = (schema: AnySchema, value: unknown, about: () => About): Effect.Effect<unknown, ValueRefused> =>
  orFail(tryEncode(schema, value), ({ message }) => new ValueRefused({ ...about(), problem: message }))

/** The same where the types say that it fits: dies. */
export const encodePayload = (schema: AnySchema, value: unknown, whose: () => string): Effect.Effect<unknown> =>
  Effect.orDie(encodeAs(schema, value, () => ({ value: `the payload ${whose()}`, advice: payloadAdvice })))

const payloadAdvice = "Give it what its `payload` declares"
