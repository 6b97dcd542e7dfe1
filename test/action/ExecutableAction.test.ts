import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { ActionCall } from "../../src/action/Action.ts"
import { executableAction } from "../../src/action/ExecutableAction.ts"
import { ScriptEnvironment } from "../../src/action/Resolvers.ts"
import { eventually, makeCall, processesWith, temporaryFolder, writeScript } from "./support.ts"

const action = (folder: string, source: string, overrides: Partial<ActionCall> = {}) => {
  const file = writeScript(folder, "actions/act", source)
  const { call, recorded } = makeCall(folder, overrides)
  return { effect: Effect.scoped(executableAction(file)(call)), recorded, file }
}

const block = (json: string) => `echo '<<<FLOW_OUTPUT>>>${json}<<<END_FLOW_OUTPUT>>>'`

describe("an executable action", () => {
  it.scopedLive("gets parameters and context as JSON and gives a flow output", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const variables = { quote: "a \"b\" 'c' $(id)\n{{x}}", empty: "" }
      const source = `#!/bin/sh\ncat > given.json; echo noise\n${block('{"markers": ["m"], "context": "c", "x": "y"}')}\n`
      const { effect } = action(folder, source, { variables, gateFeedback: "go", dryRun: true })
      const output = yield* effect
      expect(output).toMatchObject({ markers: ["m"], context: "c", structuredOutput: { x: "y" } })
      expect(Number(output.metadata?.["duration_ms"])).toBeGreaterThanOrEqual(0)
      const given: unknown = JSON.parse(readFileSync(join(folder, "given.json"), "utf8"))
      expect(given).toMatchObject({
        parameters: variables,
        context: { name: "act", dryRun: true, gateFeedback: "go", attempt: 1, idempotencyKey: "key" }
      })
    })
  )

  it.scopedLive("has no context of its own without a flow output", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const output = yield* action(folder, "#!/bin/sh\necho hello\n").effect
      expect([output.context, output.markers, output.structuredOutput]).toEqual([undefined, undefined, undefined])
    })
  )

  it.scopedLive("leaves markers and context to the call's schema", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const schema = { name: "s", fields: [] }
      const { effect } = action(folder, `${block('{"approved": false, "markers": ["own"]}')}\n`, { schema })
      const output = yield* effect
      expect([output.markers, output.context]).toEqual([undefined, undefined])
      expect(output.structuredOutput).toEqual({ approved: false, markers: ["own"] })
    })
  )

  it.scopedLive("fails with its name, file, exit code and stderr", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const { effect, file } = action(folder, "#!/bin/sh\necho sorry >&2\nexit 7\n")
      expect((yield* Effect.flip(effect)).message).toBe(`action 'act' (${file}): exit code 7: sorry`)
    })
  )

  it.scopedLive("has the provider's variables for its identity", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const { effect } = action(folder, "#!/bin/sh\necho $TOKEN > token\n", { identity: "bot" })
      yield* effect.pipe(
        Effect.provideService(ScriptEnvironment, {
          variables: (identity) => Effect.succeed({ TOKEN: `of ${identity}` })
        })
      )
      expect(readFileSync(join(folder, "token"), "utf8")).toBe("of bot\n")
    })
  )

  it.scopedLive("dies with its children when the attempt is interrupted", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const { effect, recorded } = action(folder, "#!/bin/sh\nsleep 30 &\ntouch started\nwait\n")
      const fiber = yield* Effect.fork(effect)
      expect(yield* eventually(() => existsSync(join(folder, "started")))).toBe(true)
      yield* Fiber.interrupt(fiber)
      expect(processesWith(folder)).toEqual([])
      expect(recorded.processes).toHaveLength(1)
    })
  )
})
