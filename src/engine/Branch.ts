/**
 * A branch: a scope of paths with one line of control (design.md, "Paths" and "Interruption carries no reason").
 *
 * Owns: the path of a scope, the occurrence counts of its keys, the time that its code has come to, the cell that says
 * why it was interrupted, and the wait of what may not begin while the run is paused.
 * - T1 A branch's time is that of the rows that its code has passed: the same in every replay, and without a row.
 */
import * as Effect from "effect/Effect"
import { encodeKey } from "../workflow/StepNames.ts"
import { type BlockedOn, isTerminal, type StepPath, type StepRecord } from "../persistence/Records.ts"
import { pausedOn } from "./Pause.ts"
import { bodyPath, isOfBody } from "./Phases.ts"
import type { RowsAhead } from "./RecordedRows.ts"
import type { RunContext } from "./RunContext.ts"
import type { StopReason } from "./StopReason.ts"

export class Branch {
  #stop: StopReason | undefined
  #counts: Map<string, number> | undefined
  /** Rows that its code has not come to yet; undefined where none is expected. */
  #ahead: RowsAhead | undefined
  /** The primitive that the code has come to: all before it have ended. */
  #current: StepPath | undefined
  /** The latest end of those before it, ms. */
  #passed: number

  private constructor(
    readonly run: RunContext,
    readonly parent: Branch | undefined,
    /** Empty for the body of a run. */
    readonly scope: string,
    /** Of the innermost loop around it; 0 outside. */
    readonly iteration: number,
    /** `parallel:<path>` of the block that it is a branch of. */
    readonly group: string | null
  ) {
    // What the parent is at now, the block that this is a branch of, ends behind it.
    this.#passed = parent === undefined ? Number.NEGATIVE_INFINITY : parent.#passed
  }

  /** The branch of the phase. */
  get root(): Branch {
    return this.parent?.root ?? this
  }

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
    this.#passed = this.#time
    const segment = this.#numbered(key)
    this.#current = this.at(segment)
    return segment
  }

  /** The path of something that is not passed when it is made: what is still inside it has the time from before. */
  reserve(key: string): StepPath {
    return this.at(this.#numbered(key))
  }

  #numbered(key: string): string {
    const encoded = encodeKey(key)
    const counts = (this.#counts ??= new Map())
    const count = (counts.get(encoded) ?? 0) + 1
    counts.set(encoded, count)
    const segment = count === 1 ? encoded : `${encoded}~${count}`
    this.#ahead?.delete(segment)
    return segment
  }

  // ---- what was recorded here

  /** From here on the code has to come to what earlier executions recorded in this scope (U1). False: nothing. */
  expectRecorded(): boolean {
    this.#ahead = this.run.recorded.in(this.scope)
    return this.#ahead !== undefined
  }

  /** A row that the code has not come to, although it ends; a stopped branch may leave some. */
  get left(): StepRecord | undefined {
    return this.stopReason === undefined ? this.#firstAhead : undefined
  }

  /** The same, although it begins something new: also behind the blocks around it, which have ended then. */
  get missed(): StepRecord | undefined {
    return this.stopReason === undefined ? (this.#firstAhead ?? this.parent?.missed) : undefined
  }

  get #firstAhead(): StepRecord | undefined {
    return this.#ahead?.values().next().value
  }

  // ---- where the code is

  /** T1, ms since the epoch. */
  get time(): number {
    return Math.max(this.#time, this.#begin)
  }

  get #time(): number {
    const ended = this.#current === undefined ? null : this.#row(this.#current)?.endedAt
    return Math.max(this.#passed, ended ?? Number.NEGATIVE_INFINITY)
  }

  /** When the phase of the branch began. */
  get #begin(): number {
    const body = isOfBody(this.at("")) ? undefined : this.#row(bodyPath)
    return body?.endedAt ?? this.run.body.begun
  }

  /**
   * Whether an earlier execution has gone past what the code has come to: the journal holds a row of this branch behind
   * it, or the end of a block, or of the phase, that the branch is in.
   */
  get isOvertaken(): boolean {
    return this.#isOver || this.#hasRowsAhead
  }

  /** What was cut short did not come to its end with the block around it, or with the body. */
  get #isOver(): boolean {
    if (this.#stop !== undefined) return false
    const { scope } = this
    // SAFETY: blocks have their row at the path of their scope.
    const row = this.#row(scope === "" ? bodyPath : (scope as StepPath))
    const hasEnded = row !== undefined && isTerminal(row.status) && row.status !== "cancelled"
    return hasEnded || (this.parent !== undefined && this.parent.#isOver)
  }

  get #hasRowsAhead(): boolean {
    const prefix = `${this.scope}/`
    let passed = 0
    let ahead = 0
    for (const { path, position } of this.run.writer.live.values()) {
      if (!path.startsWith(prefix) || path.startsWith("@", prefix.length)) continue
      const [segment = ""] = path.slice(prefix.length).split("/", 1)
      if (this.#wasGiven(segment)) passed = Math.max(passed, position)
      else ahead = Math.max(ahead, position)
    }
    return ahead > passed
  }

  /** Whether the code has come to the primitive of this segment. */
  #wasGiven(segment: string): boolean {
    const [key = "", number = "1"] = segment.split("~")
    return Number(number) <= (this.#counts?.get(key) ?? 0)
  }

  /** A row that is only looked at: the program has not come to it by that. */
  #row(path: StepPath): StepRecord | undefined {
    return this.run.writer.live.get(path)
  }

  // ---- stopping

  /** Says why this branch is interrupted; the first reason stays. */
  stop(reason: StopReason): void {
    this.#stop ??= reason
  }

  /** Why this branch is being interrupted, if anybody said so: the run's silent reason, else the nearest cell's. */
  get stopReason(): StopReason | undefined {
    if (this.run.silent !== undefined) return this.run.silent
    return this.#stop ?? this.parent?.stopReason
  }

  /** Whether nothing may begin here (Z2). A branch that is being stopped goes on to where it is stopped. */
  get isHeld(): boolean {
    return this.run.isPaused && this.stopReason === undefined
  }

  /**
   * Waits while nothing may begin here. `blockedOn`: what the branch waits for besides. Also where its caller cannot be
   * interrupted, in a finalizer or an acquisition: nobody could be let go there.
   */
  unpaused(blockedOn: ReadonlyArray<BlockedOn> = []): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.isHeld) return Effect.void
      const wait = { blockedOn: [pausedOn(this.run.id), ...blockedOn], wakeAt: null }
      return Effect.zipRight(
        Effect.interruptible(this.run.park(wait, [], () => !this.isHeld)),
        this.unpaused(blockedOn)
      )
    })
  }
}
