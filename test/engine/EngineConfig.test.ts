import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { defaults, EngineConfig, type EngineSettings } from "../../src/engine/EngineConfig.ts"

const settingsOf = (settings: Partial<EngineSettings>) =>
  Effect.runSync(Effect.provide(EngineConfig, EngineConfig.layerWith(settings)))

describe("the settings of an engine", () => {
  it("are the usual ones where they are not given, and a short lease is renewed in time", () => {
    expect(settingsOf({})).toEqual(defaults)
    expect(settingsOf({ leaseTtl: 3_000, maxFanOut: Number.POSITIVE_INFINITY })).toMatchObject({ leaseRefresh: 1_000 })
  })

  const refused: ReadonlyArray<readonly [settings: Record<string, unknown>, message: string]> = [
    [{ leaseTtl: 0 }, "EngineConfig: `leaseTtl: 0`: it has to be a number of at least 1"],
    [{ maxJournalRows: Number.NaN }, "EngineConfig: `maxJournalRows: NaN`: it has to be a number of at least 1"],
    [{ linger: -1 }, "EngineConfig: `linger: -1`: it has to be a number of at least 0"],
    [{ stepTimeout: "1 hour" }, "EngineConfig: `stepTimeout: 1 hour`: it has to be a number of at least 0"],
    [{ watchdog: 1 }, "EngineConfig: `watchdog: 1`: it is true or false"],
    [{ maxResidents: 5 }, "EngineConfig: `maxResidents: 5`: there is no such setting"]
  ]

  for (const [settings, message] of refused) {
    it(`cannot be ${JSON.stringify(settings)}`, () => {
      expect(() => settingsOf(settings)).toThrow(new RangeError(message))
    })
  }
})
