/**
 * `while` and `do … while` (spec/engine.md, "Loops"). Each round's condition is a row under `@i`; how the loop ended
 * is one at the loop's own path.
 */
import * as Effect from "effect/Effect"
import type { DoWhileNode, WhileNode } from "../../workflow/Definition.ts"
import type { Branch } from "../Branch.ts"
import { decide } from "../Decision.ts"
import { conditionText, isMet } from "./IfNode.ts"
import type { Inherited, Interpreter } from "./Interpreter.ts"

type LoopNode = WhileNode | DoWhileNode

/** Why a loop went no further. */
type LoopEnd = "condition" | "cap" | "stuck"

export const whileNode = (
  self: Interpreter,
  node: WhileNode,
  key: string,
  branch: Branch,
  inherited: Inherited
): Effect.Effect<void> => {
  const loop = new Loop(self, node, key, branch, inherited)
  const round = (i: number): Effect.Effect<LoopEnd | undefined> =>
    Effect.flatMap(loop.condition(i), (met) => {
      const end = loop.endAfter(i - 1, met)
      return end === undefined ? loop.round(i, () => round(i + 1)) : Effect.succeed(end)
    })
  return loop.run(round(1))
}

export const doWhileNode = (
  self: Interpreter,
  node: DoWhileNode,
  key: string,
  branch: Branch,
  inherited: Inherited
): Effect.Effect<void> => {
  const loop = new Loop(self, node, key, branch, inherited)
  const round = (i: number): Effect.Effect<LoopEnd | undefined> =>
    loop.round(i, () =>
      Effect.flatMap(loop.condition(i), (met) => {
        const end = loop.endAfter(i, met)
        return end === undefined ? round(i + 1) : Effect.succeed(end)
      })
    )
  return loop.run(round(1))
}

class Loop {
  readonly #cap: number
  readonly #limit: number
  readonly #branch: Branch
  #markers: string | undefined
  #same = 0

  constructor(
    private readonly self: Interpreter,
    private readonly node: LoopNode,
    private readonly key: string,
    private readonly outer: Branch,
    private readonly inherited: Inherited
  ) {
    this.#branch = outer.child(key)
    this.#limit = self.run.settings.maxIterations
    this.#cap = Math.min(node.maxIterations, this.#limit)
  }

  get #keyword(): string {
    return this.node._tag === "While" ? "while" : "do while"
  }

  get #name(): string {
    return `${this.#keyword} ${conditionText(this.node.condition)}`
  }

  /** Of a round: before its body in `while`, after it in `do … while`. */
  condition(i: number): Effect.Effect<boolean> {
    const { self, node } = this
    return decide({
      branch: this.#branch,
      path: this.#branch.at(`@${i}`),
      kind: "condition",
      name: this.#name,
      decide: () => isMet(self, node.condition),
      row: { iteration: i }
    })
  }

  /** A round's body, then what follows unless the body ended the run's. */
  round(i: number, follow: () => Effect.Effect<LoopEnd | undefined>): Effect.Effect<LoopEnd | undefined> {
    return Effect.suspend(() => {
      this.self.run.showIteration(i)
      const round = this.#branch.child(`@${i}`, { iteration: i })
      const body = this.self.block(this.node.body, round, this.inherited)
      return Effect.flatMap(body, () => (this.self.ended ? Effect.succeed(undefined) : follow()))
    })
  }

  /** Why the loop goes no further after `rounds` rounds; a round is compared only if it would. */
  endAfter(rounds: number, met: boolean): LoopEnd | undefined {
    if (!met) return "condition"
    if (rounds >= this.#cap) return "cap"
    return rounds > 0 && this.#isStuck() ? "stuck" : undefined
  }

  #isStuck(): boolean {
    const { stuckAfter, condition } = this.node
    if (stuckAfter === undefined) return false
    const markers = JSON.stringify([...new Set(this.self.visible.result(condition.step)?.markers)].sort())
    this.#same = markers === this.#markers ? this.#same + 1 : 1
    this.#markers = markers
    return this.#same >= stuckAfter
  }

  run(rounds: Effect.Effect<LoopEnd | undefined>): Effect.Effect<void> {
    return Effect.flatMap(rounds, (ended) => {
      if (ended === undefined) return Effect.void
      const path = this.outer.at(this.key)
      const value = decide({ branch: this.outer, path, kind: "loop", name: this.#name, decide: () => ended })
      return Effect.flatMap(value, (why) => {
        this.self.run.showIteration(this.outer.iteration)
        return this.#leave(why)
      })
    })
  }

  #leave(why: LoopEnd): Effect.Effect<void> {
    const { self, node } = this
    const byEngine = node.maxIterations > this.#limit
    if (why === "condition" || (why === "cap" && node.onMaxIter === "continue" && !byEngine)) return Effect.void
    const limit = byEngine ? `the engine's limit of ${this.#limit} rounds` : `max_iterations = ${this.#cap}`
    const message =
      why === "cap"
        ? `the loop reached ${limit}`
        : `the loop is stuck: the same markers after ${this.#same} rounds in a row`
    return self.end(this.#name, message)
  }
}
