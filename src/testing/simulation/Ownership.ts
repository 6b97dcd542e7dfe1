/**
 * I7, by the lease model: the store takes no write of a loser, refuses none of an owner, and gives no run away whose
 * owner's lease holds; an engine sends no commit once its own lease has ended (spec/engine.md, "Durability" 3 and 4).
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Change } from "../../persistence/Journal.ts"
import type { Claim } from "../../persistence/Persistence.ts"
import { isEnded, type RunId } from "../../persistence/Records.ts"
import { LeaseModel } from "./LeaseModel.ts"
import type { Ledger } from "./Ledger.ts"
import type { Write } from "./ObservedStore.ts"
import type { Tally } from "./Tally.ts"
import type { World } from "./World.ts"

export class Ownership {
  readonly #leases = new LeaseModel()

  constructor(
    private readonly world: World,
    private readonly ledger: Ledger,
    private readonly tally: Tally
  ) {}

  ownerOf(run: string): string | undefined {
    return this.#leases.ownerOf(run)
  }

  /** `who` wrote; `engine` is its id, if it is one. */
  wrote(who: string, engine: string, write: Write): void {
    const exit: Exit.Exit<unknown, unknown> = write.exit
    const isDone = Exit.isSuccess(exit)
    switch (write._tag) {
      case "Renew":
        if (isDone) this.#leases.renewed(write.engine.id, write.engine.leaseUntil)
        return
      case "Expire":
        if (isDone) this.#leases.expired(write.engine, write.leaseUntil)
        return
      case "Create":
        if (isDone) this.#leases.created(write.run.id, write.run.owner ?? undefined, write.run.generation)
        return
      case "CreateWith":
        if (!isDone) return
        this.#leases.created(write.run.id, write.run.owner ?? undefined, write.run.generation)
        for (const change of write.changes) this.#changed(write.run.id, change)
        return
      case "Commit": {
        const { changes, generation, run } = write.commit
        this.#fenced(who, engine, run, generation, "commit", write.exit)
        if (isDone) for (const change of changes) this.#changed(run, change)
        return
      }
      case "Release":
        this.#fenced(who, engine, write.release.run, write.release.generation, "release", write.exit)
        if (Exit.isSuccess(write.exit) && write.exit.value) this.#leases.released(write.release.run)
        return
      case "Claim":
        if (Exit.isSuccess(write.exit)) return this.#claimed(who, engine, write.exit.value, write.options.now)
        if (tagOf(write.exit) === "RunAlreadyOwned") this.#refused(who, engine, write.run, write.options.now)
        return
      case "ClaimReady":
        if (!Exit.isSuccess(write.exit)) return
        for (const claim of write.exit.value) this.#claimed(who, engine, claim, write.options.now)
        return
      case "Reopen":
        if (Exit.isSuccess(write.exit)) this.#leases.claimed(write.reopen.run, engine, write.exit.value.generation)
        return
      case "Send":
        return
    }
  }

  #fenced(
    who: string,
    engine: string,
    run: RunId,
    generation: number,
    what: string,
    exit: Exit.Exit<unknown, unknown>
  ): void {
    const may = this.#leases.mayWrite(run, engine, generation)
    const name = this.ledger.nameOf(run)
    if (Exit.isSuccess(exit) && !may) {
      this.world.violated(`I7: the store took a ${what} of ${who} to ${name}, which it does not own (${generation})`)
    }
    if (tagOf(exit) !== "LeaseLost") return
    this.tally.add("write of a loser refused")
    if (may) this.world.violated(`I7: the store refused a ${what} of ${who} to ${name}, which it owns`)
  }

  #changed(run: RunId, change: Change): void {
    if (change._tag === "Create" || change._tag === "Continue") {
      this.#leases.created(change.run.id, change.run.owner ?? undefined, change.run.generation)
    }
    if (change._tag !== "Run" || change.patch.status === undefined) return
    if (isEnded(change.patch.status)) this.#leases.ended(run)
    else if (change.patch.status === "needs_resume") this.#leases.released(run)
  }

  #claimed(who: string, engine: string, { generation, run }: Claim, now: number): void {
    const owner = this.#leases.ownerOf(run)
    const expected = this.#leases.claimable(run, engine, now)
    const name = this.ledger.nameOf(run)
    if (expected !== generation) {
      const right = expected === undefined ? "it may not have" : `it may have as ${expected}`
      this.world.violated(`I7: the store gave ${who} ${name} as generation ${generation}, which ${right}`)
    }
    if (owner === undefined) this.tally.add("run woken")
    else if (owner !== engine) this.tally.add("run taken over")
    this.#leases.claimed(run, engine, generation)
  }

  #refused(who: string, engine: string, run: RunId, now: number): void {
    if (this.#leases.claimable(run, engine, now) === undefined) return
    this.world.violated(`I7: the store refused ${who} a claim of ${this.ledger.nameOf(run)}, which is free`)
  }
}

const tagOf = (exit: Exit.Exit<unknown, unknown>): string | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const failure = Cause.failureOption(exit.cause)
  return Option.isSome(failure) ? tagOfFailure(failure.value) : undefined
}

const tagOfFailure = (failure: unknown): string | undefined =>
  typeof failure === "object" && failure !== null && "_tag" in failure ? String(failure._tag) : undefined
