/**
 * Hears of everything that a simulation's engines and stores do, and holds it against the rules: ownership, records,
 * effects. What breaks one is reported to the world, which stops.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type { EngineEvent } from "../../engine/Events.ts"
import { apply, type Change, counts, emptyJournal, type RunJournal } from "../../persistence/Journal.ts"
import type { Commit } from "../../persistence/Persistence.ts"
import { isTerminal } from "../../persistence/Records.ts"
import type { Execution } from "../TestProgram.ts"
import { EffectRules } from "./EffectRules.ts"
import { type KnownRun, Ledger } from "./Ledger.ts"
import type { Write } from "./ObservedStore.ts"
import { Ownership } from "./Ownership.ts"
import { RecordRules } from "./RecordRules.ts"
import type { SimulatedEngine } from "./SimulatedEngine.ts"
import type { Tally } from "./Tally.ts"
import type { World } from "./World.ts"

export interface JudgeOptions {
  readonly world: World
  readonly tally: Tally
  readonly hasAlways: (run: KnownRun) => boolean
  /** Told when the store has taken rows of a run. */
  readonly changed: (run: KnownRun, changes: ReadonlyArray<Change>) => void
}

export class Judge {
  readonly ledger = new Ledger()
  readonly #ownership: Ownership
  readonly #records: RecordRules
  readonly #effects: EffectRules

  constructor(private readonly options: JudgeOptions) {
    const { hasAlways, tally, world } = options
    this.#ownership = new Ownership(world, this.ledger, tally)
    this.#records = new RecordRules(world, this.ledger, tally, hasAlways)
    this.#effects = new EffectRules(world, this.ledger, this.#ownership, tally)
  }

  /** `who` wrote; `engine` is its id, if it is one. */
  wrote(who: string, engine: string, write: Write): void {
    this.#note(who, write)
    if (write._tag === "Create" && Exit.isSuccess(write.exit)) {
      this.options.tally.add("run started")
      this.ledger.create(write.run)
    }
    if (write._tag === "CreateWith" && Exit.isSuccess(write.exit)) {
      const { changes, run } = write
      this.options.tally.add("run started")
      this.ledger.create(run)
      this.#committed({ run: run.id, generation: run.generation, expectedSeq: run.seq, changes })
    }
    if (write._tag === "Commit" && Exit.isSuccess(write.exit)) this.#committed(write.commit)
    if (write._tag === "Reopen" && Exit.isSuccess(write.exit)) this.#reopened(write)
    if (write._tag === "Send" && Exit.isSuccess(write.exit)) {
      const known = this.ledger.get(write.run)
      if (known !== undefined) this.ledger.sent(known, write.exit.value.id, write.message)
    }
    if (write._tag === "Release" && Exit.isSuccess(write.exit) && write.exit.value) this.options.tally.add("run let go")
    this.#ownership.wrote(who, engine, write)
  }

  /** The engine that owns a run, by the lease model. */
  ownerOf(run: string): string | undefined {
    return this.#ownership.ownerOf(run)
  }

  began(engine: SimulatedEngine, execution: Execution): void {
    this.#effects.began(engine, execution)
  }

  ended(engine: SimulatedEngine, execution: Execution): void {
    this.#effects.ended(engine, execution)
  }

  published(engine: SimulatedEngine, event: EngineEvent): void {
    this.#effects.published(engine, event)
  }

  #committed(commit: Commit): void {
    const known = this.ledger.get(commit.run)
    if (known === undefined) return this.options.world.violated(`a commit to ${commit.run}, which was never created`)
    if (isRepeated(known.journal, commit.changes)) return
    this.#records.before(known, commit)
    this.ledger.apply(known, commit.changes)
    if (counts(commit.changes)) this.ledger.patch(known, { seq: commit.expectedSeq + 1 })
    this.#records.after(known, commit.changes)
    for (const change of commit.changes) this.#count(known, change)
    this.options.changed(known, commit.changes)
  }

  #reopened({ reopen }: Extract<Write, { readonly _tag: "Reopen" }>): void {
    const known = this.ledger.get(reopen.run)
    if (known === undefined) return this.options.world.violated(`${reopen.run} was reopened, and never created`)
    this.ledger.apply(known, reopen.changes)
    this.ledger.patch(known, { seq: reopen.expectedSeq + 1 })
    this.options.changed(known, reopen.changes)
  }

  #count(known: KnownRun, change: Change): void {
    const { tally } = this.options
    if (change._tag === "Create") tally.add("child run started")
    if (change._tag !== "Step") return
    const { step } = change
    const last = step.attempts.at(-1)
    if (last?.outcome === "running" && step.attempts.at(-2)?.outcome === "lost") tally.add("attempt lost")
    if (!isTerminal(step.status)) return
    if (step.status === "completed") this.#effects.completed(known, step)
    if (step.kind === "gate" && (step.status === "timed_out" || step.error === "gate timed out")) {
      tally.add("gate timed out")
    } else if (last?.outcome === "timed_out") tally.add("step timed out")
  }

  #note(who: string, write: Write): void {
    const text = describe(this.ledger, write)
    if (text !== undefined) this.options.world.note(who, text)
  }
}

const describe = (ledger: Ledger, write: Write): string | undefined => {
  const answer = refusalOf(write.exit)
  switch (write._tag) {
    case "Commit": {
      const { changes, expectedSeq, generation, run } = write.commit
      const what = changes.map((change) => describeChange(ledger, change)).join(", ")
      return `commits ${ledger.nameOf(run)} #${expectedSeq + 1} as ${generation} [${what}]${answer}`
    }
    case "Create":
      return `creates a run of ${write.run.workflow}${answer}`
    case "CreateWith": {
      const what = write.changes.map((change) => describeChange(ledger, change)).join(", ")
      return `creates a run of ${write.run.workflow} [${what}]${answer}`
    }
    case "Renew":
      return `renews until ${write.engine.leaseUntil}${answer}`
    case "Expire":
      return `ends a lease${answer}`
    case "Claim":
      return `claims ${ledger.nameOf(write.run)}${answer}`
    case "ClaimReady": {
      const claims = Exit.isSuccess(write.exit) ? write.exit.value : []
      const claimed = claims.map(({ generation, run }) => `${ledger.nameOf(run)} as ${generation}`)
      return claims.length === 0 ? undefined : `claims what is ready: ${claimed.join(", ")}`
    }
    case "Release": {
      const isReleased = Exit.isSuccess(write.exit) && write.exit.value
      return `releases ${ledger.nameOf(write.release.run)}${isReleased ? "" : ": not done"}${answer}`
    }
    case "Reopen":
      return `reopens ${ledger.nameOf(write.reopen.run)}${answer}`
    case "Send":
      return `sends ${write.message._tag} to ${ledger.nameOf(write.run)}${answer}`
  }
}

const refusalOf = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isSuccess(exit) ? "" : `: refused, ${String(Cause.squash(exit.cause))}`

const describeChange = (ledger: Ledger, change: Change): string => {
  switch (change._tag) {
    case "Step":
      return `${change.step.path} ${change.step.status}`
    case "Item":
      return `${change.item.path} ${change.item.key} ${change.item.status}`
    case "Run":
      return `run ${change.patch.status ?? "patched"}`
    case "Consume":
      return `consumes ${change.ids.join(" ")}`
    case "Create":
      return `creates ${change.run.workflow}`
    case "Continue":
      return `continues as a new run of ${change.run.workflow}`
    case "Notify":
      return `tells ${ledger.nameOf(change.run)} ${change.message._tag}`
  }
}

/** A commit that does not count, sent again since its answer was lost: all that it puts is there. */
const isRepeated = (journal: RunJournal, changes: ReadonlyArray<Change>): boolean => {
  if (changes.length === 0 || counts(changes)) return false
  const put = emptyJournal(journal.run)
  for (const change of changes) apply(put, change)
  return (
    [...put.steps].every(([key, step]) => journal.steps.get(key) === step) &&
    [...put.items].every(([path, items]) =>
      [...items].every(([key, item]) => journal.items.get(path)?.get(key) === item)
    )
  )
}
