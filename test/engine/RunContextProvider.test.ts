import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { RunContextProvider } from "../../src/action/Resolvers.ts"
import { action, layerOf, runToEnd } from "./TestEngine.ts"

const seen: Array<string | undefined> = []
const world = {
  actions: {
    a: action((call) => {
      seen.push(call.variables["team"], call.workingDirectory)
      return { structuredOutput: { team: "the step's" } }
    }),
    b: action((call) => {
      seen.push(call.variables["team"])
      return {}
    })
  }
}

const injected = Layer.succeed(RunContextProvider, {
  contextOf: (workflow: string) =>
    Effect.succeed({ values: { team: `injected for ${workflow}` }, workingDirectory: "/tmp" })
})

describe("the run context that a host provides", () => {
  it.live(
    "gives variables that win over inputs and outputs, and the working directory, and is kept in the record",
    () =>
      Effect.gen(function* () {
        const { run } = yield* runToEnd(`workflow w { inputs { team default = "an input" } call a call b }`)
        expect(seen).toEqual(["injected for w", "/tmp", "injected for w"])
        expect(run.settings).toMatchObject({ values: { team: "injected for w" }, workingDirectory: "/tmp" })
      }).pipe(Effect.provide(layerOf(world).pipe(Layer.provide(injected))))
  )
})
