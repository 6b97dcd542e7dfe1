import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { ItemProvider } from "../../src/action/ItemProvider.ts"
import { action, runIn } from "./TestEngine.ts"

const p: ItemProvider = {
  ordered: false,
  items: () => Effect.succeed({ items: [{ type: "t", id: "1", ref: "1", context: {} }] })
}

describe("a dry run", () => {
  it.live("is marked, children included; calls are told, scripts are not executed, gates are approved", () =>
    Effect.gen(function* () {
      const told: Array<readonly [string, boolean, string | undefined]> = []
      const a = action(({ path, dryRun, variables }) => {
        told.push([path, dryRun, variables["dry_run"]])
        return { structuredOutput: { confidence: 0 } }
      })
      const end = yield* runIn(
        { actions: { a }, workflows: ['workflow sub { call a script s { run = "exit 1" } }'], providers: { p } },
        `workflow w {
          call a
          script s { run = "exit 1" }
          gate human_approval { }
          gate quality_gate { source = a threshold = 90 }
          call workflow sub
          foreach each { over = p workflow = sub max_parallel = 1 }
        }`,
        { dryRun: true }
      )
      expect(end.run).toMatchObject({ status: "completed", dryRun: true })
      expect(end.outline).toEqual([
        "/a completed",
        "/s completed",
        "/human_approval completed",
        "/quality_gate completed",
        "/workflow:sub completed",
        "/foreach:each completed"
      ])
      expect(end.children.map(({ dryRun }) => dryRun)).toEqual([true, true])
      expect(told).toEqual([
        ["/a", true, "true"],
        ["/a", true, "true"],
        ["/a", true, "true"]
      ])
    })
  )
})
