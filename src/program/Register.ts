/**
 * Running workflows: a body as an engine's program, for the time of a layer.
 *
 * The runs of a workflow belong to the scope of its registration: they are stopped, and awaited, before the layers that
 * its actions use close (design.md, "Shutdown order").
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import { payloadKeys } from "../workflow/Payload.ts"
import type { Branch } from "../engine/Branch.ts"
import { Engine } from "../engine/Engine.ts"
import type { CodeWorkflow } from "../engine/Program.ts"
import type { RunContext } from "../engine/RunContext.ts"
import type { Outcome } from "../engine/RunEnd.ts"
import type { BodyEnd } from "../engine/RunMain.ts"
import { asBranch } from "./BodyServices.ts"
import { type AnySchema, decode, payloadOfTexts } from "./Codec.ts"
import { Compensator } from "./Compensation.ts"
import { logDefect } from "./Defects.ts"
import { secretsIn } from "./PayloadSecrets.ts"
import type { Shape } from "./Shape.ts"
import { encodeAs, type ValueRefused } from "./ValueRefused.ts"
import { definitionKey, describeCause, describeFailure } from "./WorkflowEnd.ts"
import { named } from "./WorkflowNames.ts"
import { WorkflowRun } from "./WorkflowRun.ts"

/** Lets an engine run the workflow, until the layer's scope closes. */
export const register = <P extends AnySchema, S extends AnySchema, E extends AnySchema, R>(
  shape: Shape<P, S, E>,
  body: (payload: P["Type"]) => Effect.Effect<S["Type"], E["Type"], R>
): Layer.Layer<never, never, Engine | Exclude<R, WorkflowRun | Scope.Scope>> =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const engine = yield* Engine
      yield* named(engine, shape)
      const context = yield* Effect.context<Exclude<R, WorkflowRun | Scope.Scope>>()
      const key = definitionKey(shape)
      yield* engine.register({
        accepts: (run) => run.definition === key,
        workflow: inCode(shape),
        definitions: [key],
        make: (run) =>
          Effect.sync(() => {
            const given = Context.add(context, WorkflowRun, identityOf(run))
            const execute = (branch: Branch) =>
              // SAFETY: with the run and a scope, the context has all that the body requires.
              Effect.provide(Effect.scoped(runBody(shape, body, run, branch)), given) as Effect.Effect<BodyEnd>
            const compensator = new Compensator(run, execute, (outcome) => causeOf(shape, run, outcome))
            return {
              body: (branch: Branch) => compensator.body(execute(branch), branch),
              compensation: compensator.compensate
            }
          })
      })
    })
  )

/** For those who call it with texts by name. */
const inCode = <P extends AnySchema, S extends AnySchema, E extends AnySchema>(
  shape: Shape<P, S, E>
): CodeWorkflow => ({
  name: shape.name,
  takes: payloadKeys(shape.payload.ast),
  childOf: (texts) =>
    Either.map(payloadOfTexts(shape, texts), ({ encoded, payload }) => ({
      title: shape.name,
      definition: definitionKey(shape),
      inputs: {},
      payload: encoded,
      secrets: secretsIn(payload),
      timeout: shape.timeout
    }))
})

const identityOf = ({ record }: RunContext): typeof WorkflowRun.Service => ({
  id: record.id,
  workflow: record.workflow,
  idempotencyKey: record.idempotencyKey ?? undefined
})

const runBody = <P extends AnySchema, S extends AnySchema, E extends AnySchema, R>(
  shape: Shape<P, S, E>,
  body: (payload: P["Type"]) => Effect.Effect<S["Type"], E["Type"], R>,
  run: RunContext,
  branch: Branch
): Effect.Effect<BodyEnd, never, R> => {
  const misfit = (error: { readonly message: string }) =>
    run.misfit(`the payload cannot be read by workflow '${shape.name}': ${error.message}`)
  const decoded = Effect.catchAll(decode(shape.payload, run.record.payload), misfit)
  const exit = Effect.exit(asBranch(Effect.flatMap(decoded, body), branch))
  return Effect.flatMap(exit, (end): Effect.Effect<BodyEnd> => {
    if (Exit.isSuccess(end))
      return Effect.match(encodeSuccess(shape, end.value), { onFailure: died, onSuccess: completed })
    const failure = Cause.failureOption(end.cause)
    if (Option.isSome(failure)) {
      const onSuccess = (error: unknown) => failed(describeFailure(failure.value), error)
      return Effect.match(encodeError(shape, failure.value), { onFailure: died, onSuccess })
    }
    if (Cause.isInterruptedOnly(end.cause)) return Effect.interrupt
    const ended: BodyEnd = { status: "failed", error: describeCause(end.cause), result: { _tag: "Defect" } }
    // A body that is stopped, or replayed for what it did, has its end already.
    const isTold = branch.stopReason === undefined && run.silent === undefined
    return isTold
      ? Effect.as(logDefect(run, `the body of workflow '${shape.name}'`, end.cause), ended)
      : Effect.succeed(ended)
  })
}

const encodeSuccess = (
  { name, success: schema }: { readonly name: string; readonly success: AnySchema },
  success: unknown
): Effect.Effect<unknown, ValueRefused> =>
  encodeAs(schema, success, () => ({
    value: `the success that the body of workflow '${name}' gave`,
    advice: "Mend what it gives, or what `success` declares"
  }))

const encodeError = (
  { error: schema, name }: { readonly name: string; readonly error: AnySchema },
  error: unknown
): Effect.Effect<unknown, ValueRefused> =>
  encodeAs(schema, error, () => ({
    value: `the error that the body of workflow '${name}' failed with (${describeFailure(error)})`,
    advice: "Declare it in the workflow's `error`, or handle it in the body"
  }))

const died = (defect: ValueRefused): BodyEnd => ({
  status: "failed",
  error: describeCause(Cause.die(defect)),
  result: { _tag: "Defect" }
})

const completed = (value: unknown): BodyEnd => ({
  status: "completed",
  error: null,
  result: { _tag: "Success", value }
})

const failed = (message: string, error: unknown): BodyEnd => ({
  status: "failed",
  error: message,
  result: { _tag: "Failure", error }
})

/** Why a run does not come to a good end, from its records: the same in whichever engine compensates it. */
const causeOf = <P extends AnySchema, S extends AnySchema, E extends AnySchema>(
  shape: Shape<P, S, E>,
  run: RunContext,
  { error, result, status }: Outcome
): Effect.Effect<Cause.Cause<unknown>> => {
  if (status === "cancelled") return Effect.succeed(Cause.interrupt(FiberId.none))
  if (Predicate.isTagged(result, "Failure") && Predicate.hasProperty(result, "error")) {
    return Effect.matchEffect(decode(shape.error, result.error), {
      onSuccess: (failure) => Effect.succeed(Cause.fail(failure)),
      onFailure: ({ message }) => run.misfit(`the recorded error of '${shape.name}' cannot be read: ${message}`)
    })
  }
  return Effect.succeed(Cause.die(new Error(error ?? "unknown")))
}
