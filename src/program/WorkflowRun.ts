/**
 * The run that a body is part of, and the branch that a fiber of it stands on (design.md, "Concurrency in code
 * workflows").
 *
 * - B1 A primitive journals under the branch of the fiber that calls it. Branches come only from the workflow's own
 *   `all`, `child` and the like; a fiber forked in any other way inherits a marked branch, and a primitive called there
 *   dies with `UnscopedConcurrency`: names would otherwise swap on replay, unseen.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as GlobalValue from "effect/GlobalValue"
import * as Schema from "effect/Schema"
import type { Branch } from "../engine/Branch.ts"
import type { RunId } from "../persistence/Records.ts"

/** Present inside the body of a workflow, and only there: what needs it does not compile elsewhere. */
export class WorkflowRun extends Context.Tag("millrace/WorkflowRun")<
  WorkflowRun,
  {
    readonly id: RunId
    readonly workflow: string
    readonly idempotencyKey: string | undefined
  }
>() {}

/** A primitive was called from a fiber that the workflow's own combinators did not fork. A defect. */
export class UnscopedConcurrency extends Schema.TaggedError<UnscopedConcurrency>()("UnscopedConcurrency", {
  scope: Schema.String,
  primitive: Schema.String
}) {
  override get message() {
    const where = this.scope === "" ? "the body" : this.scope
    return `'${this.primitive}' was called below ${where} from a fiber that was forked there; use Workflow.all, race or timeout instead of Effect.all, race, timeout or fork`
  }
}

interface Standing {
  readonly branch: Branch
  readonly isForked: boolean
}

const standing = GlobalValue.globalValue("millrace/program/standing", () =>
  FiberRef.unsafeMake<Standing | undefined>(undefined, {
    fork: (inherited) => (inherited === undefined ? undefined : { ...inherited, isForked: true })
  })
)

/** Makes a branch the one that an effect's primitives journal under. */
export const standingOn = <A, E, R>(effect: Effect.Effect<A, E, R>, branch: Branch): Effect.Effect<A, E, R> =>
  Effect.locally(effect, standing, { branch, isForked: false })

/** The branch of the calling fiber, for a primitive of this name (B1). */
export const currentBranch = (name: string): Effect.Effect<Branch, never, WorkflowRun> =>
  Effect.zipRight(WorkflowRun, standingBranch(name))

/** The same, for what stands in a body without saying so in its type: its clock. */
export const standingBranch = (name: string): Effect.Effect<Branch> =>
  Effect.flatMap(FiberRef.get(standing), (found) => {
    if (found === undefined) return Effect.dieMessage(`'${name}' was called outside the body of a workflow`)
    if (found.isForked) return Effect.die(new UnscopedConcurrency({ scope: found.branch.scope, primitive: name }))
    return Effect.succeed(found.branch)
  })
