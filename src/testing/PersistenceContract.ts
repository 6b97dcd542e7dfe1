/**
 * What every store of runs must do, as tests: one line for a backend, one's own included.
 *
 * @example
 * ```ts
 * import { describe, it } from "vitest"
 * persistenceContract({ describe, it }, "memory", () => MemoryPersistence.layer)
 * ```
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { Persistence } from "../persistence/Persistence.ts"
import type { Case } from "./contract/Case.ts"
import { claimCases } from "./contract/ClaimCases.ts"
import { commitCases } from "./contract/CommitCases.ts"
import { inboxCases } from "./contract/InboxCases.ts"
import { chainCases } from "./contract/ChainCases.ts"
import { pruneCases } from "./contract/PruneCases.ts"
import { queryCases } from "./contract/QueryCases.ts"

/** Those of vitest, of `node:test`, or of any framework that has them. */
export interface TestFramework {
  readonly describe: (name: string, body: () => void) => void
  readonly it: (name: string, body: () => Promise<void>) => void
}

/** Declares the tests. `makeLayer` is called, and its layer built, for each: it must give a store of its own. */
export const persistenceContract = <E>(
  tests: TestFramework,
  name: string,
  makeLayer: () => Layer.Layer<Persistence, E>
): void => {
  const groups: ReadonlyArray<readonly [string, ReadonlyArray<Case>]> = [
    ["commits", commitCases],
    ["chains", chainCases],
    ["claims", claimCases],
    ["inbox", inboxCases],
    ["queries", queryCases],
    ["what is given up", pruneCases]
  ]
  tests.describe(`the contract of Persistence: ${name}`, () => {
    for (const [group, cases] of groups) {
      tests.describe(group, () => {
        for (const { name, body } of cases) {
          tests.it(name, () => Effect.runPromise(Effect.provide(body, makeLayer())))
        }
      })
    }
  })
}
