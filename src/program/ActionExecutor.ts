/**
 * Typed actions as `.wf` calls meet them (spec/engine.md, "call"): variables become the payload, the success the
 * step's output, the typed error its reason.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import {
  type ActionCall,
  ActionFailed,
  type ActionOutput,
  type Executor,
  type FoundExecutor,
  type StepDefaults
} from "../action/Action.ts"
import type { FlowLimits } from "../action/FlowLimits.ts"
import type { Texts } from "../workflow/Definition.ts"
import { isObject } from "../workflow/Json.ts"
import type { Action, ActionAttempt, Handle, RetryOptions } from "./Action.ts"
import { type AnySchema, payloadOfTexts } from "./Codec.ts"
import { encodeSuccess, keyFor, ofSuccess } from "./HandlerEnd.ts"
import { describeFailure } from "./WorkflowEnd.ts"

/** What an action says of its calls. */
type Declaration<P extends AnySchema, S extends AnySchema> = Pick<
  Action<string, P, S, AnySchema>,
  | "name"
  | "payload"
  | "success"
  | "markers"
  | "summary"
  | "idempotencyKey"
  | "retry"
  | "timeout"
  | "heartbeat"
  | "limits"
>

/** The executor of an action whose handler is there. */
export const executorOf = <P extends AnySchema, S extends AnySchema>(
  action: Declaration<P, S>,
  handle: Handle
): FoundExecutor => ({ execute: execute(action, handle), defaults: defaultsOf(action), limits: limitsOf(action) })

/** Those whose variables make no payload fail at once, and need no turn of their own. */
const limitsOf = <P extends AnySchema>(
  action: Pick<Declaration<P, AnySchema>, "name" | "payload" | "limits">
): FlowLimits<Texts> | undefined => {
  if (action.limits?.perKey === undefined) return action.limits
  const { perKey, ...limits } = action.limits
  const key = (variables: Texts) =>
    Either.match(payloadOfTexts(action, variables), { onLeft: () => "", onRight: ({ payload }) => perKey.key(payload) })
  return { ...limits, perKey: { ...perKey, key } }
}

const defaultsOf = ({
  heartbeat,
  retry,
  timeout
}: Pick<Declaration<AnySchema, AnySchema>, "heartbeat" | "retry" | "timeout">): StepDefaults => ({
  retries: retry.times,
  delay: (number) => retryDelay(retry, number),
  timeout,
  heartbeat
})

/** ms before a retry; 1 is the first. */
export const retryDelay = (retry: RetryOptions, number: number): number => {
  if (retry.delay === undefined) return 0
  const factor = retry.exponential === true ? 2 ** Math.min(number - 1, 52) : 1
  return Math.min(Duration.toMillis(retry.delay) * factor, longestDelay)
}

/** ms: an hour. */
const longestDelay = 3_600_000

const execute =
  <P extends AnySchema, S extends AnySchema>(action: Declaration<P, S>, handle: Handle): Executor =>
  (call) =>
    Effect.gen(function* () {
      const payload = yield* payloadFor(action, call)
      const handled = handle(payload, attemptOf(call, yield* keyFor(action, payload)))
      const success = yield* Effect.mapError(handled, (error) => new ActionFailed({ message: describeFailure(error) }))
      return yield* outputOf(action, success)
    })

/** Another attempt would find the same variables. */
const payloadFor = <P extends AnySchema>(
  action: { readonly name: string; readonly payload: P },
  { variables }: ActionCall
): Effect.Effect<P["Type"], ActionFailed> =>
  Either.match(payloadOfTexts(action, variables), {
    onLeft: (problem) => Effect.fail(new ActionFailed({ message: `action ${problem}`, permanent: true })),
    onRight: ({ payload }) => Effect.succeed(payload)
  })

const attemptOf = (call: ActionCall, key: string | undefined): ActionAttempt => ({
  run: call.run,
  path: call.path,
  attempt: call.attempt,
  idempotencyKey: key ?? call.idempotencyKey,
  heartbeat: call.heartbeat,
  lastHeartbeat: call.lastHeartbeat,
  dryRun: call.dryRun
})

const outputOf = <S extends AnySchema>(
  action: Pick<Declaration<AnySchema, S>, "name" | "markers" | "success" | "summary">,
  success: S["Type"]
): Effect.Effect<ActionOutput, ActionFailed> =>
  Effect.gen(function* () {
    const { markers, name, summary } = action
    const encoded = yield* encodeSuccess(action, success)
    const context = (yield* ofSuccess(name, "summary", () => summary?.(success))) ?? ownSummary(encoded)
    const found = yield* ofSuccess(name, "markers", () => markers?.(success))
    return {
      ...(encoded === null ? {} : { structuredOutput: encoded }),
      ...(found === undefined ? {} : { markers: [...found] }),
      ...(context === undefined ? {} : { context })
    }
  })

const ownSummary = (encoded: unknown): string | undefined => {
  const summary = isObject(encoded) ? encoded["summary"] : undefined
  return typeof summary === "string" ? summary : undefined
}
