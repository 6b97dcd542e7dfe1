/**
 * Who may write to which run: a second, separate account of ownership (design.md, "Ownership"), by owner, generation
 * and the end of the owner's lease. It shares nothing with the engine or the stores.
 */
interface Ownership {
  owner: string | undefined
  generation: number
  isOver: boolean
}

export class LeaseModel {
  readonly #runs = new Map<string, Ownership>()
  /** Until when an engine's lease holds, wall clock. */
  readonly #leases = new Map<string, number>()

  ownerOf(run: string): string | undefined {
    return this.#runs.get(run)?.owner
  }

  renewed(engine: string, until: number): void {
    this.#leases.set(engine, until)
  }

  expired(engine: string, lease: number): void {
    if (this.#leases.get(engine) === lease) this.#leases.set(engine, 0)
  }

  created(run: string, owner: string | undefined, generation: number): void {
    if (!this.#runs.has(run)) this.#runs.set(run, { owner, generation, isOver: false })
  }

  /** Whether the holder of this generation may write. */
  mayWrite(run: string, engine: string, generation: number): boolean {
    const known = this.#runs.get(run)
    return known !== undefined && known.owner === engine && known.generation === generation
  }

  /** The generation under which an engine may have the run; undefined: it may not. */
  claimable(run: string, engine: string, now: number): number | undefined {
    const known = this.#runs.get(run)
    if (known === undefined || known.isOver) return undefined
    if (known.owner === engine) return known.generation
    const isFree = known.owner === undefined || (this.#leases.get(known.owner) ?? 0) <= now
    return isFree ? known.generation + 1 : undefined
  }

  claimed(run: string, owner: string, generation: number): void {
    this.#runs.set(run, { owner, generation, isOver: false })
  }

  /** Let go: free for whoever claims it. */
  released(run: string): void {
    const known = this.#runs.get(run)
    if (known !== undefined) known.owner = undefined
  }

  /** Ended: nobody may claim it. */
  ended(run: string): void {
    this.#runs.set(run, { owner: undefined, generation: this.#runs.get(run)?.generation ?? 0, isOver: true })
  }
}
