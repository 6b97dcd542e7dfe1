/** What the compiler says where a layer is missing: read from the real compiler, on a small program. */
import { describe, expect, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { onTestFinished } from "vitest"

const root = join(import.meta.dirname, "../..")

/** The compiler's output for a program that imports the package by its name. */
const compile = (name: string, program: string): string => {
  const folder = join(root, "test/types", `.${process.pid}-${name}`)
  mkdirSync(folder)
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, "program.ts"), program)
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ extends: "../../../tsconfig.json", files: ["program.ts"], include: [] })
  )
  const tsc = join(root, "node_modules/typescript/bin/tsc")
  return spawnSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8", cwd: root }).stdout
}

const program = (actions: string): string => `
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Action, Engine, MemoryPersistence, Workflow } from "millrace"

const Charge = Action.make("charge-the-card", { payload: Schema.Number })
const Ship = Action.make("ship-the-parcel", { payload: Schema.Number })
const Order = Workflow.make("order", { payload: Schema.Number })

const order = Order.toLayer((n) =>
  Effect.orDie(Effect.zipRight(Action.call(Charge, n), Action.call(Ship, n)))
)
const charge = Charge.toLayer(() => Effect.void)
const ship = Ship.toLayer(() => Effect.void)

const main = order.pipe(
  Layer.provide(${actions}),
  Layer.provideMerge(Engine.layer),
  Layer.provideMerge(MemoryPersistence.layer)
)
export const done: Promise<void> = Effect.runPromise(Effect.provide(Order.execute(1), main))
export const all = [charge, ship]
`

describe("the page on typed workflows", () => {
  it("compiles as it is written", () => {
    const page = readFileSync(join(root, "docs/typed.md"), "utf8")
    const blocks = [...page.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, text = ""]) => text)
    expect(blocks.length).toBeGreaterThan(8)
    expect(compile("page", blocks.join("\n"))).toBe("")
  }, 120_000)
})

describe("a program that lacks the layer of an action", () => {
  it("does not compile, and the error names the action", () => {
    const output = compile("lacking", program("charge"))
    expect(output).toContain("error TS")
    expect(output).toContain('Handler<"ship-the-parcel"')
    expect(output).not.toContain('Handler<"charge-the-card"')
  }, 120_000)

  it("compiles with it", () => {
    expect(compile("whole", program("Layer.merge(charge, ship)"))).toBe("")
  }, 120_000)
})
