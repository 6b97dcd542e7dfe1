/**
 * The gate resolvers that a project brings: executables in `gates/`, and functions of its configuration
 * (spec/engine.md, "gate" and "Services").
 *
 * An executable gets the question as JSON on its standard input and prints `{"verdict": "approved", "feedback": "…"}`,
 * `{"verdict": "rejected", "reason": "…"}` or `{"verdict": "pending"}`. It is asked when the gate starts waiting, and
 * then again and again (every 5 s) until it has decided.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { field, isObject, kind } from "../workflow/Json.ts"
import { nearest } from "../workflow/Suggest.ts"
import { ask } from "./AskProgram.ts"
import { type GateQuestion, type GateResolver, GateResolverFailed, type GateVerdict } from "./GateResolver.ts"
import { type Given, settle } from "./UserFunction.ts"

/** How long an executable may take for one answer, in ms. */
export const gateLimit = 60_000

/** What a resolver may answer; the text alone where there is nothing to add. */
export type GivenVerdict =
  | "approved"
  | "rejected"
  | "pending"
  | { readonly verdict: "approved"; readonly feedback?: string }
  | { readonly verdict: "rejected"; readonly reason?: string }
  | { readonly verdict: "pending" }

/** A resolver in the configuration. */
export type GateFunction<R = never> = (
  question: GateQuestion,
  context: { readonly signal: AbortSignal }
) => Given<GivenVerdict, R>

/** The resolver of an executable. */
export const programGate =
  (file: string): GateResolver =>
  (question) =>
    ask({
      file,
      cwd: question.workingDirectory,
      identity: question.identity,
      input: inputOf(question),
      limit: gateLimit
    }).pipe(Effect.flatMap(toVerdict), Effect.mapError(failed(question)))

/** The question as JSON: the run is called as actions know it. */
const inputOf = ({ run, ...question }: GateQuestion) => ({ ...question, runId: run })

/** The resolver of a function in the configuration. */
export const functionGate =
  (resolve: GateFunction<unknown>): GateResolver =>
  (question) =>
    settle((signal) => resolve(question, { signal })).pipe(Effect.flatMap(toVerdict), Effect.mapError(failed(question)))

const failed =
  ({ gate }: GateQuestion) =>
  (message: string) =>
    new GateResolverFailed({ gate, message })

const toVerdict = (value: unknown): Effect.Effect<GateVerdict, string> =>
  Either.match(readVerdict(value), { onLeft: Effect.fail, onRight: Effect.succeed })

const verdicts = ["approved", "rejected", "pending"] as const

/** The verdict that an answer stands for, or what is wrong with the answer. */
export const readVerdict = (value: unknown): Either.Either<GateVerdict, string> => {
  const answer = typeof value === "string" ? { verdict: value } : value
  if (!isObject(answer)) return Either.left(`its answer is ${kind(value)}, not {"verdict": "approved"}`)
  const verdict = field(answer, "verdict")
  const text = field(answer, verdict === "rejected" ? "reason" : "feedback")
  if (text !== undefined && text !== null && typeof text !== "string") {
    return Either.left("the `feedback` or `reason` of its answer is no text")
  }
  switch (verdict) {
    case "approved":
      return Either.right(typeof text === "string" ? { _tag: "Approved", feedback: text } : { _tag: "Approved" })
    case "rejected":
      return Either.right({ _tag: "Rejected", reason: text ?? "rejected" })
    case "pending":
      return Either.right({ _tag: "Pending" })
    default: {
      const near = typeof verdict === "string" ? nearest(verdict, verdicts) : undefined
      const hint = near === undefined ? "" : `; did you mean "${near}"?`
      return Either.left(`the \`verdict\` of its answer is neither approved, rejected nor pending${hint}`)
    }
  }
}
