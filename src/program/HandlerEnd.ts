/**
 * What goes around a typed action's handler, whoever calls it: the key that it gets, and the end that it comes to.
 *
 * - E1 A handler that succeeded has done its work: whatever is wrong with what it gave, no other attempt is made.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { ActionFailed } from "../action/Action.ts"
import { textOf, threw } from "../action/UserFunction.ts"
import { orFail } from "../engine/Settled.ts"
import { type AnySchema, decode } from "./Codec.ts"
import { encodeAs, type ValueRefused } from "./ValueRefused.ts"
import { describeFailure } from "./WorkflowEnd.ts"

const permanent = (message: string): ActionFailed => new ActionFailed({ message, permanent: true })

/** The action's own key for a payload; undefined: the step's. One that cannot be made would not be made later, either. */
export const keyFor = <P>(
  {
    idempotencyKey: key,
    name
  }: { readonly name: string; readonly idempotencyKey: ((payload: P) => string) | undefined },
  payload: P
): Effect.Effect<string | undefined, ActionFailed> =>
  key === undefined
    ? Effect.succeed(undefined)
    : Either.mapLeft(
        textOf(`the \`idempotencyKey\` of action '${name}'`, () => key(payload)),
        permanent
      )

/** The payload of an attempt. What was encoded and cannot be read would not be read later, either. */
export const readPayload = <P extends AnySchema>(
  { name, payload: schema }: { readonly name: string; readonly payload: P },
  encoded: unknown
): Effect.Effect<P["Type"], ActionFailed> =>
  orFail(decode(schema, encoded), ({ message }) =>
    permanent(`the payload of action '${name}' is encoded by its schema to what it does not read: ${message}`)
  )

/** A success as the journal keeps it (E1). */
export const encodeSuccess = (
  { name, success: schema }: { readonly name: string; readonly success: AnySchema },
  success: unknown
): Effect.Effect<unknown, ActionFailed> =>
  orFail(
    encodeAs(schema, success, () => ({ value: `the success that action '${name}' gave`, advice: successAdvice })),
    ({ message }) => permanent(message)
  )

const stays = "Its handler has done its work, so it is not tried again"

const successAdvice = `${stays}: mend what it gives, or what \`success\` declares`

/** What a function of the declaration makes of a success (E1); `what`: its name there. */
export const ofSuccess = <A>(action: string, what: string, make: () => A): Effect.Effect<A, ActionFailed> =>
  Effect.try({
    try: make,
    catch: (thrown) => permanent(`${threw(`the \`${what}\` of action '${action}'`, thrown)}. ${stays}`)
  })

/** A typed error as the journal keeps it. */
export const encodeError = (
  { error: schema, name }: { readonly name: string; readonly error: AnySchema },
  error: unknown
): Effect.Effect<unknown, ValueRefused> =>
  encodeAs(schema, error, () => ({
    value: `the error that action '${name}' failed with (${describeFailure(error)})`,
    advice: "Declare it in the action's `error`, or handle it in the handler"
  }))
