/** The example of an approval: a typed answer from another process, over a killed one. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { SqlitePersistence } from "millrace/sqlite"
import { join } from "node:path"
import { Expense } from "../../examples/approval/Expense.ts"
import { place } from "../cli/support.ts"
import { startProcess } from "../engine/durability/EngineProcess.ts"

const main = join(import.meta.dirname, "../../examples/approval/main.ts")

/** Waits until an expense waits for its decision. */
const waiting = (filename: string, id: string) =>
  Expense.client
    .poll({ idempotencyKey: id })
    .pipe(
      Effect.repeat({ until: (state) => Option.isSome(state) && state.value._tag === "Waiting" }),
      Effect.provide(SqlitePersistence.layer({ filename }))
    )

const printed = (...args: ReadonlyArray<string>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const program = yield* startProcess(main, ...args)
      expect(yield* program.exit).toBe(0)
      return program.printed()
    })
  )

describe("the example of an approval", { timeout: 120_000 }, () => {
  it.live("refuses an answer that does not fit, and pays what was approved while nothing ran", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const file = place().path("expenses.db")
        const submit = [file, "submit", "e-1", "ann", "5000"] as const
        const killed = yield* startProcess(main, ...submit)
        yield* waiting(file, "e-1")
        killed.kill("SIGKILL")
        yield* killed.exit
        expect(yield* printed(file, "approve", "e-1", "K12", "5000")).toContain("costCenter")
        expect(yield* printed(file, "approve", "e-1", "K123", "4500")).toBe("decided\n")
        expect(yield* printed(...submit)).toContain("\nK123 pays 4500 to ann at once\n")
        expect(yield* printed(...submit)).toBe("K123 pays 4500 to ann at once\n")
      })
    )
  )

  it.live("tells the reason of a no to the process that waits", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const file = place().path("expenses.db")
        const program = yield* startProcess(main, file, "submit", "e-2", "ben", "100")
        yield* waiting(file, "e-2")
        expect(yield* printed(file, "reject", "e-2", "no receipt")).toBe("decided\n")
        expect(yield* program.said("refused:")).toBe("no receipt")
        expect(yield* program.exit).toBe(0)
      })
    )
  )
})
