/**
 * A store whose process dies, or whose answer is lost, at the n-th write: for every n, a run must come out the same.
 *
 * A process that died is one whose operations never come back. Abandon what runs on it, and go on with another engine
 * on the store below.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { PersistenceService } from "../persistence/Persistence.ts"
import { Persistence, PersistenceError } from "../persistence/Persistence.ts"

export type WriteName =
  | "commit"
  | "create"
  | "createTree"
  | "renewEngine"
  | "expireEngine"
  | "claim"
  | "claimReady"
  | "release"
  | "reopen"
  | "send"
  | "setDismissed"
  | "storeDefinition"
  | "prune"
  | "pruneDefinitions"

export interface CrashPoint {
  /** Which write, from 1. */
  readonly at: number
  /**
   * - `before`: the process dies, the write is not applied;
   * - `after`: the write is applied, the process dies before it learns so;
   * - `refused`: not applied; the caller gets an error that may clear, and the process goes on;
   * - `unanswered`: applied; the caller gets that error all the same, and the process goes on.
   */
  readonly moment: "before" | "after" | "refused" | "unanswered"
  /** What becomes of the operations of a dead process: they never return, or they all fail. `halt` by default. */
  readonly onceDead?: "halt" | "fail"
  /** Only these writes count; all by default. */
  readonly only?: ReadonlyArray<WriteName>
}

export interface Crashing {
  readonly service: PersistenceService
  /** Writes so far that count. */
  readonly writes: () => number
  /** Whether the crash point was reached. */
  readonly reached: () => boolean
  /** Returns when it is. */
  readonly crash: Effect.Effect<void>
}

/** Without a crash point it only counts. */
export const crashing = (persistence: PersistenceService, point?: CrashPoint): Crashing => {
  const process = new CrashingProcess(point)
  return {
    service: intercept(persistence, process),
    writes: () => process.writes,
    reached: () => process.reached,
    crash: Deferred.await(process.crash)
  }
}

/** Does not come back; `Effect.never` would also keep Node alive. */
export const halted: Effect.Effect<never> = Effect.async<never>(() => undefined)

/** The writes by which an engine says something about a run. */
export const runWrites = ["commit", "create", "createTree", "claim", "release", "reopen"] as const

class CrashingProcess {
  writes = 0
  reached = false
  readonly crash = Deferred.unsafeMake<void>(FiberId.none)
  private dead = false

  constructor(private readonly point: CrashPoint | undefined) {}

  readonly write = <A, E>(name: WriteName, effect: Effect.Effect<A, E>): Effect.Effect<A, E | PersistenceError> =>
    Effect.suspend(() => {
      if (this.dead) return this.gone
      const { point } = this
      if (point?.only?.includes(name) === false) return this.read(effect)
      this.writes += 1
      return point === undefined || this.writes !== point.at ? this.read(effect) : this.crashAt(point.moment, effect)
    })

  /** An operation that was under way when the process died does not come back either. */
  readonly read = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | PersistenceError> =>
    Effect.suspend(() => (this.dead ? this.gone : this.unlessDead(effect)))

  private unlessDead<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | PersistenceError> {
    return Effect.flatMap(
      Effect.exit(effect),
      (exit): Effect.Effect<A, E | PersistenceError> => (this.dead ? this.gone : exit)
    )
  }

  private crashAt<A, E>(moment: CrashPoint["moment"], effect: Effect.Effect<A, E>) {
    this.reached = true
    const announce = Effect.sync(() => Deferred.unsafeDone(this.crash, Effect.void))
    const die = Effect.suspend(() => {
      this.dead = true
      return Effect.zipRight(announce, this.gone)
    })
    const lose = Effect.zipRight(announce, Effect.fail(lost))
    switch (moment) {
      case "before":
        return die
      case "after":
        return Effect.zipRight(Effect.exit(effect), die)
      case "refused":
        return lose
      case "unanswered":
        return Effect.zipRight(Effect.exit(effect), lose)
    }
  }

  private get gone(): Effect.Effect<never, PersistenceError> {
    return this.point?.onceDead === "fail" ? Effect.fail(died) : halted
  }
}

const lost = new PersistenceError({ reason: "Io", message: "the answer of the store was lost" })
const died = new PersistenceError({ reason: "Io", message: "the process of the store has died" })

/** What happens around each operation of a store. */
export interface Interceptor {
  readonly write: <A, E>(name: WriteName, effect: Effect.Effect<A, E>) => Effect.Effect<A, E | PersistenceError>
  readonly read: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E | PersistenceError>
}

/** A store whose operations pass through an interceptor. */
export const intercept = (store: PersistenceService, { write, read }: Interceptor): PersistenceService =>
  Persistence.of({
    commit: (commit) => write("commit", store.commit(commit)),
    create: (run) => write("create", store.create(run)),
    createWith: (run, changes) => write("create", store.createWith(run, changes)),
    createTree: (runs) => write("createTree", store.createTree(runs)),
    renewEngine: (engine) => write("renewEngine", store.renewEngine(engine)),
    expireEngine: (engine, leaseUntil) => write("expireEngine", store.expireEngine(engine, leaseUntil)),
    claim: (run, options) => write("claim", store.claim(run, options)),
    claimReady: (options) => write("claimReady", store.claimReady(options)),
    release: (options) => write("release", store.release(options)),
    reopen: (options) => write("reopen", store.reopen(options)),
    send: (run, message, now) => write("send", store.send(run, message, now)),
    setDismissed: (run, dismissed) => write("setDismissed", store.setDismissed(run, dismissed)),
    storeDefinition: (definition, now) => write("storeDefinition", store.storeDefinition(definition, now)),
    prune: (options) => write("prune", store.prune(options)),
    pruneDefinitions: (options) => write("pruneDefinitions", store.pruneDefinitions(options)),
    get: (run) => read(store.get(run)),
    find: (prefix) => read(store.find(prefix)),
    findByKey: (workflow, key) => read(store.findByKey(workflow, key)),
    load: (run) => read(store.load(run)),
    steps: (run) => read(store.steps(run)),
    items: (run) => read(store.items(run)),
    list: (filter) => read(store.list(filter)),
    inbox: (engine, after) => read(store.inbox(engine, after)),
    engines: read(store.engines),
    definition: (key) => read(store.definition(key)),
    known: (runs) => read(store.known(runs)),
    namedOutputs: (names) => read(store.namedOutputs(names)),
    claimable: (options) => read(store.claimable(options)),
    nextReadyAt: (after) => read(store.nextReadyAt(after)),
    changes: store.changes
  })
