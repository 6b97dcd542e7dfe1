/**
 * A store that tells what was written to it, and what it answered, at the moment of the write.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { Change } from "../../persistence/Journal.ts"
import type {
  Claim,
  ClaimOptions,
  ClaimReadyOptions,
  Commit,
  LeaseLost,
  PersistenceError,
  PersistenceService,
  RunAlreadyOwned,
  SeqConflict
} from "../../persistence/Persistence.ts"
import { Persistence } from "../../persistence/Persistence.ts"
import type { EngineId, EngineRecord, InboxMessage, InboxRow, RunId, RunRecord } from "../../persistence/Records.ts"

type Release = Parameters<PersistenceService["release"]>[0]
type Reopen = Parameters<PersistenceService["reopen"]>[0]

/** A write with the answer of the store. */
export type Write =
  | {
      readonly _tag: "Commit"
      readonly commit: Commit
      readonly exit: Exit.Exit<void, LeaseLost | SeqConflict | PersistenceError>
    }
  | { readonly _tag: "Create"; readonly run: RunRecord; readonly exit: Exit.Exit<void, unknown> }
  | {
      readonly _tag: "CreateWith"
      readonly run: RunRecord
      readonly changes: ReadonlyArray<Change>
      readonly exit: Exit.Exit<void, unknown>
    }
  | { readonly _tag: "Renew"; readonly engine: EngineRecord; readonly exit: Exit.Exit<void, unknown> }
  | {
      readonly _tag: "Expire"
      readonly engine: EngineId
      readonly leaseUntil: number
      readonly exit: Exit.Exit<void, unknown>
    }
  | {
      readonly _tag: "Claim"
      readonly run: RunId
      readonly options: ClaimOptions
      readonly exit: Exit.Exit<Claim, RunAlreadyOwned | { readonly _tag: string }>
    }
  | {
      readonly _tag: "ClaimReady"
      readonly options: ClaimReadyOptions
      readonly exit: Exit.Exit<ReadonlyArray<Claim>, unknown>
    }
  | {
      readonly _tag: "Release"
      readonly release: Release
      readonly exit: Exit.Exit<boolean, LeaseLost | PersistenceError>
    }
  | { readonly _tag: "Reopen"; readonly reopen: Reopen; readonly exit: Exit.Exit<Claim, unknown> }
  | {
      readonly _tag: "Send"
      readonly run: RunId
      readonly message: InboxMessage
      readonly exit: Exit.Exit<InboxRow, unknown>
    }

/** For a store that answers at once, as one in memory does. */
export const observed = (store: PersistenceService, wrote: (write: Write) => void): PersistenceService => {
  const tell = <A, E>(effect: Effect.Effect<A, E>, write: (exit: Exit.Exit<A, E>) => Write): Effect.Effect<A, E> =>
    // At once: no fiber gives way, and no process dies, between the write and the word of it.
    Effect.suspend(() => {
      const exit = Effect.runSyncExit(effect)
      wrote(write(exit))
      return exit
    })
  return Persistence.of({
    ...store,
    commit: (commit) => tell(store.commit(commit), (exit) => ({ _tag: "Commit", commit, exit })),
    create: (run) => tell(store.create(run), (exit) => ({ _tag: "Create", run, exit })),
    createWith: (run, changes) =>
      tell(store.createWith(run, changes), (exit) => ({ _tag: "CreateWith", run, changes, exit })),
    renewEngine: (engine) => tell(store.renewEngine(engine), (exit) => ({ _tag: "Renew", engine, exit })),
    expireEngine: (engine, leaseUntil) =>
      tell(store.expireEngine(engine, leaseUntil), (exit) => ({ _tag: "Expire", engine, leaseUntil, exit })),
    claim: (run, options) => tell(store.claim(run, options), (exit) => ({ _tag: "Claim", run, options, exit })),
    claimReady: (options) => tell(store.claimReady(options), (exit) => ({ _tag: "ClaimReady", options, exit })),
    release: (release) => tell(store.release(release), (exit) => ({ _tag: "Release", release, exit })),
    reopen: (reopen) => tell(store.reopen(reopen), (exit) => ({ _tag: "Reopen", reopen, exit })),
    send: (run, message, now) => tell(store.send(run, message, now), (exit) => ({ _tag: "Send", run, message, exit }))
  })
}
