/**
 * A branch: a scope of paths with one line of control (design.md, "Paths" and "Interruption carries no reason").
 *
 * Owns: the path of a scope, the occurrence counts of its keys, and the cell that says why it was interrupted.
 */
import { encodeKey } from "../workflow/StepNames.ts"
import type { StepPath } from "../persistence/Records.ts"
import type { RunContext } from "./RunContext.ts"
import type { StopReason } from "./StopReason.ts"

export class Branch {
  #stop: StopReason | undefined
  readonly #counts = new Map<string, number>()

  private constructor(
    readonly run: RunContext,
    readonly parent: Branch | undefined,
    /** Empty for the body of a run. */
    readonly scope: string,
    /** Of the innermost loop around it; 0 outside. */
    readonly iteration: number,
    /** `parallel:<path>` of the block that it is a branch of. */
    readonly group: string | null
  ) {}

  static root(run: RunContext, scope: string): Branch {
    return new Branch(run, undefined, scope, 0, null)
  }

  /** A scope inside this one that is interrupted for reasons of its own. `segment` is a whole path segment. */
  child(segment: string, options: { readonly iteration?: number; readonly group?: string } = {}): Branch {
    return new Branch(
      this.run,
      this,
      `${this.scope}/${segment}`,
      options.iteration ?? this.iteration,
      options.group ?? this.group
    )
  }

  /** A branch for the same scope: for a call of a parallel block, whose path stands beside its siblings'. */
  beside(group: string): Branch {
    return new Branch(this.run, this, this.scope, this.iteration, group)
  }

  /** The path of a whole segment, as a `.wf` node has it. */
  at(segment: string): StepPath {
    // SAFETY: the brand only marks texts made here and in `next`.
    return `${this.scope}/${segment}` as StepPath
  }

  /** The path of the next primitive with this key, in call order: for code. */
  next(key: string): StepPath {
    return this.at(this.nextSegment(key))
  }

  nextSegment(key: string): string {
    const encoded = encodeKey(key)
    const count = (this.#counts.get(encoded) ?? 0) + 1
    this.#counts.set(encoded, count)
    return count === 1 ? encoded : `${encoded}~${count}`
  }

  /** Says why this branch is interrupted; the first reason stays. */
  stop(reason: StopReason): void {
    this.#stop ??= reason
  }

  /** Why this branch is being interrupted, if anybody said so: the run's silent reason, else the nearest cell's. */
  get stopReason(): StopReason | undefined {
    if (this.run.silent !== undefined) return this.run.silent
    return this.#stop ?? this.parent?.stopReason
  }
}
