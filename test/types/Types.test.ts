/** What the compiler says where a layer is missing: read from the real compiler, on a small program. */
import { describe, expect, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { onTestFinished } from "vitest"

const root = join(import.meta.dirname, "../..")

/** The compiler's output for a program that imports the package by its name. */
const compile = (name: string, program: string): Promise<string> => compileAll(name, { "program.ts": program })

/** The same for programs of several files, all of which are looked at. */
const compileAll = (name: string, files: Readonly<Record<string, string>>): Promise<string> => {
  const folder = join(root, "test/types", `.${process.pid}-${name}`)
  mkdirSync(folder)
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text)
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ extends: "../../../tsconfig.json", files: Object.keys(files), include: [] })
  )
  const tsc = join(root, "node_modules/typescript/bin/tsc")
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [tsc, "-p", folder], { cwd: root, stdio: ["ignore", "pipe", "inherit"] })
    let output = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text
    })
    child.on("error", reject)
    child.on("close", () => resolve(output))
  })
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

describe("a page that is a program", () => {
  it.each([
    { page: "typed", blocks: 15 },
    { page: "orchestration", blocks: 6 }
  ])(
    "compiles as it is written: $page",
    async ({ blocks, page }) => {
      const text = readFileSync(join(root, `docs/${page}.md`), "utf8")
      const found = [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, block = ""]) => block)
      expect(found.length).toBeGreaterThanOrEqual(blocks)
      expect(await compile(page, found.join("\n"))).toBe("")
    },
    120_000
  )
})

describe("a program that lacks the layer of an action", () => {
  it("does not compile, and the error names the action", async () => {
    const output = await compile("lacking", program("charge"))
    expect(output).toContain("error TS")
    expect(output).toContain('Handler<"ship-the-parcel"')
    expect(output).not.toContain('Handler<"charge-the-card"')
  }, 120_000)

  it("compiles with it", async () => {
    expect(await compile("whole", program("Layer.merge(charge, ship)"))).toBe("")
  }, 120_000)
})

describe("what a run may fail with", () => {
  it("is shown by its tags, which is what a program catches", async () => {
    const unhandled = program("Layer.merge(charge, ship)").replace(
      "export const all",
      "export const safe: Effect.Effect<void> = Effect.provide(Order.execute(1), main)\nexport const all"
    )
    const output = await compile("unhandled", unhandled)
    expect(output).toContain("WorkflowFailed")
    expect(output).toContain("CompensationFailed")
    expect(output).not.toContain("RunFailed")
  }, 120_000)
})

describe("an example that lacks the layer of one of its actions", () => {
  const filesOf = (example: string): Readonly<Record<string, string>> => {
    const folder = join(root, "examples", example)
    const names = readdirSync(folder).filter((name) => name.endsWith(".ts"))
    return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), "utf8")]))
  }

  /** Each takes one layer away. */
  const lacking = [
    { example: "orders", file: "Program.ts", layer: "Layer.merge(charging, others)", rest: "others", action: "charge" },
    {
      example: "orders",
      file: "Handlers.ts",
      layer: /,\n {2}Recall\.toLayer\([\s\S]*\)\n\)/,
      rest: "\n)",
      action: "recall"
    },
    {
      example: "documents",
      file: "Documents.ts",
      layer: /\n {2}Read\.toLayer\([\s\S]*?\n {2}\),/,
      rest: "",
      action: "read"
    },
    { example: "approval", file: "Expense.ts", layer: "Layer.provide(paying),", rest: "", action: "pay" },
    { example: "http", file: "App.ts", layer: /,\n {2}Refund\.toLayer\(.*/, rest: "", action: "refund" },
    { example: "typed", file: "order.ts", layer: /,\n {2}Ship\.toLayer\(.*/, rest: "", action: "ship" }
  ]

  it.each(lacking)(
    "does not compile, and says which: $action of $example",
    async ({ action, example, file, layer, rest }) => {
      const files = filesOf(example)
      const text = files[file] ?? ""
      const without = text.replace(layer, rest)
      expect(without).not.toBe(text)
      // This one has no program of its own.
      const use =
        'import { program } from "./order.ts"\nimport * as Effect from "effect/Effect"\nvoid Effect.runPromise(program(""))\n'
      const main = example === "typed" ? { "main.ts": use } : {}
      const output = await compileAll(`lacking-${action}`, { ...files, ...main, [file]: without })
      expect(output).toContain("main.ts")
      expect(output).toContain(`Handler<"${action}"`)
    },
    120_000
  )
})
