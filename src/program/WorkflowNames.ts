/**
 * A name is one workflow to an engine: runs are found, keyed and read by it.
 *
 * - A3 Two with one name meet in a `WorkflowCollision` when their layers are built, never in each other's runs. Versions
 *   of one workflow go side by side, with whatever schemas; a declaration that is loaded twice is one.
 */
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type Declaration, Declarations, describedShape, isSameShape } from "../action/Declarations.ts"
import type { Engine } from "../engine/Engine.ts"
import type { AnySchema } from "./Codec.ts"
import type { Shape } from "./Shape.ts"

/** Two workflows have one name, and are not one. A defect: both are the program's own. */
export class WorkflowCollision extends Schema.TaggedError<WorkflowCollision>()("WorkflowCollision", {
  workflow: Schema.String,
  /** What the two are, take, give and fail with. */
  one: Schema.String,
  other: Schema.String
}) {
  override get message() {
    return `two workflows of one engine are called '${this.workflow}': one is ${this.one}, the other ${this.other}; give one of them another name, or, where it is the same workflow after a change, another version`
  }
}

interface WorkflowFacts extends Declaration {
  readonly version: string
  /** The path of the `.wf` file that it is made of; undefined: it is code. */
  readonly file: string | undefined
}

const isTogether = (one: WorkflowFacts, other: WorkflowFacts): boolean =>
  one.file === other.file && (one.version !== other.version || isSameShape(one, other))

const described = (facts: WorkflowFacts): string => {
  const what = facts.file === undefined ? `version ${facts.version}` : facts.file
  return `${what}, ${describedShape(facts)}`
}

const registered = new Declarations((one: WorkflowFacts, other: WorkflowFacts) =>
  isTogether(one, other)
    ? undefined
    : new WorkflowCollision({ workflow: one.name, one: described(one), other: described(other) })
)

/** Notes that an engine runs a workflow, until the scope closes; dies where another has its name (A3). */
export const named = <P extends AnySchema, S extends AnySchema, E extends AnySchema>(
  engine: Context.Tag.Service<Engine>,
  { error, name, payload, success, version }: Shape<P, S, E>,
  file?: string
): Effect.Effect<void, never, Scope.Scope> =>
  registered.supplying(engine, { name, version, file, schemas: [payload.ast, success.ast, error.ast] })
