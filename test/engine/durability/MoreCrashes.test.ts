import { describe } from "@effect/vitest"
import { onlySeed, seedsOf, stopEverywhere } from "./CrashSeeds.ts"

describe.skipIf(onlySeed !== undefined)(
  "a run that was stopped at any write, and whose store answered or not, ends with the same records",
  () => {
    stopEverywhere(seedsOf(2))
  }
)
