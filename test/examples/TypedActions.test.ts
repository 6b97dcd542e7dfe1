import { readFileSync, writeFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { Client } from "../../src/index.ts"
import { program, Refund, refunds } from "../../examples/typed-actions/refund.ts"
import { outline, place, runIn, show } from "../cli/support.ts"
import { copyExample } from "./copy.ts"

const example = () => {
  const at = place()
  copyExample("typed-actions", at.folder)
  return at
}

describe("the example of typed actions, on the command line", { timeout: 120_000 }, () => {
  it("pays back at once what is no risk, once for each order", async () => {
    const at = example()
    expect(await at.run(["validate", "--strict"])).toMatchObject({ code: 0 })
    const refund = ["run", "refund", "--input", "order=o-17", "--input", "cents=4200", "--input", "reason=broken"]
    const first = await at.run(refund)
    expect(first).toMatchObject({ code: 0, stderr: "" })
    expect(await at.run(refund)).toMatchObject({ code: 0 })
    expect(readFileSync(at.path("ledger.txt"), "utf8")).toBe("refund of o-17: 4200 cents\n")
    const shown = await show(at, runIn(first.stdout))
    expect(outline(shown)).toEqual(["/assess completed", "/pay-back completed"])
  })

  it("waits for a person with what is risky, then pays back", async () => {
    const at = example()
    const waiting = await at.run(["run", "refund", "--input", "order=o-18", "--input", "cents=90000"])
    const runId = runIn(waiting.stdout)
    const shown = await at.run(["show", runId])
    expect(shown.stdout).toContain("Pay back 90000 cents? order o-18 has a risk of 100")
    expect((await at.run(["approve", runId])).code).toBe(0)
    expect(readFileSync(at.path("ledger.txt"), "utf8")).toBe("refund of o-18: 90000 cents\n")
  })

  it("is told what the file does not give, as its page says", async () => {
    const at = example()
    const file = at.path("workflows/refund.wf")
    writeFileSync(
      file,
      readFileSync(file, "utf8")
        .replace(/^ +cents .*\n/m, "")
        .replace("{{cents}}", "some")
    )
    const { code, stderr, stdout } = await at.run(["validate"])
    expect(code).toBe(2)
    const [, told = "none"] = /^(error\[payload-missing\].*)$/m.exec(readFileSync(at.path("README.md"), "utf8")) ?? []
    expect(`${stdout}${stderr}`).toContain(told)
  })
})

describe("the example of typed actions, as a program", () => {
  it.live("runs the file with a typed payload to a typed success, and answers its gate", () =>
    Effect.gen(function* () {
      const at = place()
      const [database, ledger] = [at.path("refunds.db"), at.path("ledger.txt")]
      expect(yield* program(database, ledger)).toEqual({ receipt: "receipt of o-17" })
      const risky = Effect.gen(function* () {
        const run = yield* Refund.start({ order: "o-18", cents: 90_000 })
        const answered = Client.answer(run, { approved: true })
        // The gate may not have been reached yet.
        yield* Effect.retry(answered, {
          while: ({ _tag }) => _tag === "NotWaiting",
          schedule: Schedule.spaced("20 millis")
        })
        return yield* Refund.await(run)
      })
      expect(yield* Effect.provide(risky, refunds(database, ledger))).toEqual({ receipt: "receipt of o-18" })
      expect(readFileSync(ledger, "utf8")).toBe("refund of o-17: 4200 cents\nrefund of o-18: 90000 cents\n")
    })
  )
})
