/**
 * Names that mean one declaration each among all that is supplied together: of actions, of workflows. Two with one name
 * are the program's own mistake, which is found when their layers are built.
 *
 * Neighbours: `TypedAction` (A2) and `program/WorkflowNames` say which two collide.
 */
import * as Effect from "effect/Effect"
import * as AST from "effect/SchemaAST"
import type * as Scope from "effect/Scope"

export interface Declaration {
  readonly name: string
  /** The schemas of payload, success and error. */
  readonly schemas: ReadonlyArray<AST.AST>
}

/** Whether they take, give and fail with the same. */
export const isSameShape = (one: Declaration, other: Declaration): boolean =>
  one.schemas.every((schema, index) => isSameSchema(schema, other.schemas[index]))

/** As they read: one declaration may be loaded twice. */
const isSameSchema = (one: AST.AST, other: AST.AST | undefined): boolean =>
  other !== undefined &&
  (one === other || (String(one) === String(other) && String(AST.encodedAST(one)) === String(AST.encodedAST(other))))

/** What it takes, gives and fails with, for people. */
export const describedShape = ({ schemas: [payload, success, error] }: Declaration): string =>
  `(${String(payload)}) => ${String(success)}, failing with ${String(error)}`

export class Declarations<D extends Declaration> {
  /** By what they are supplied together to, then by name; one for each layer. */
  readonly #supplied = new WeakMap<object, Map<string, Set<{ readonly declared: D }>>>()

  /** `collision`: of two with one name; undefined where they go together. */
  constructor(private readonly collision: (one: D, other: D) => Error | undefined) {}

  /** Notes that a layer supplies it, until the scope closes; dies where one collides with it that is supplied already. */
  supplying(together: object, declared: D): Effect.Effect<void, never, Scope.Scope> {
    const acquire = Effect.suspend(() => {
      const entries = this.#entriesOf(together, declared.name)
      for (const other of entries) {
        const collided = this.collision(other.declared, declared)
        if (collided !== undefined) return Effect.die(collided)
      }
      const entry = { declared }
      entries.add(entry)
      return Effect.succeed({ entries, entry })
    })
    const release = (supplied: Effect.Effect.Success<typeof acquire>) =>
      Effect.sync(() => supplied.entries.delete(supplied.entry))
    return Effect.asVoid(Effect.acquireRelease(acquire, release))
  }

  #entriesOf(together: object, name: string): Set<{ readonly declared: D }> {
    const byName = this.#supplied.get(together) ?? new Map<string, Set<{ readonly declared: D }>>()
    this.#supplied.set(together, byName)
    const entries = byName.get(name) ?? new Set<{ readonly declared: D }>()
    byName.set(name, entries)
    return entries
  }
}
