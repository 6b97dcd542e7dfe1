/**
 * How often each thing happened in simulations: a run of them in which nothing happened proves nothing.
 */
export const happenings = [
  // What is done to engines.
  "engine crashed",
  "engine frozen",
  "engine frozen beyond its lease",
  "engine shut down",
  "clock set",
  // What the store does.
  "write slow",
  "write refused",
  "write answered wrongly",
  "write cut off by a crash",
  "read refused",
  "hint missed",
  "store out of order",
  // What people do.
  "gate approved",
  "gate rejected",
  "gate answered twice",
  "signal sent",
  "signal never sent",
  "run cancelled",
  "child run cancelled",
  "run resumed",
  "run restarted",
  // What comes of it.
  "run started",
  "child run started",
  "run completed",
  "run failed",
  "run ended cancelled",
  "run let go",
  "run woken",
  "run taken over",
  "write of a loser refused",
  "attempt executed",
  "attempt lost",
  "attempt begun by a loser",
  "step timed out",
  "gate timed out",
  "always block run",
  "gate left unanswered",
  "records compared with an undisturbed run"
] as const

export type Happening = (typeof happenings)[number]

export class Tally {
  readonly #counts = new Map<Happening, number>()

  add(what: Happening, times = 1): void {
    this.#counts.set(what, this.of(what) + times)
  }

  of(what: Happening): number {
    return this.#counts.get(what) ?? 0
  }

  addAll(other: Tally): void {
    for (const what of happenings) this.add(what, other.of(what))
  }

  /** One line each. */
  get lines(): ReadonlyArray<string> {
    return happenings.map((what) => `${String(this.of(what)).padStart(9)}  ${what}`)
  }
}
