import { mkdirSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { fileItems } from "../../src/action/FileItems.ts"
import type { ItemProvider, ItemRequest } from "../../src/action/ItemProvider.ts"
import { lineItems } from "../../src/action/LineItems.ts"
import { runItems, runItemsInfo } from "../../src/action/RunItems.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import { runRecord } from "../../src/testing/SampleRecords.ts"
import type { Value } from "../../src/workflow/Definition.ts"
import { temporaryFolder, write } from "./support.ts"

type Values = Readonly<Record<string, Value>>

const request = (scope: Values, overrides: Partial<ItemRequest> = {}): ItemRequest => ({
  name: "each",
  scope,
  filter: {},
  ordered: false,
  workingDirectory: "/",
  output: () => undefined,
  variables: {},
  ...overrides
})

const ids = (provider: ItemProvider, given: ItemRequest) =>
  Effect.map(Effect.scoped(provider.items(given)), ({ items }) => items.map(({ id }) => id))

const message = (provider: ItemProvider, given: ItemRequest) =>
  Effect.map(Effect.flip(Effect.scoped(provider.items(given))), (failed) => failed.message)

describe("the provider files", () => {
  it.scoped("gives the files that match, sorted, with their parts", () =>
    Effect.gen(function* () {
      const workingDirectory = yield* temporaryFolder
      for (const path of [
        "b.ts",
        "a.ts",
        "src/x.test.ts",
        "src/deep/y.ts",
        "node_modules/z.ts",
        ".hidden/h.ts",
        "n.md"
      ]) {
        write(workingDirectory, path, "")
      }
      mkdirSync(join(workingDirectory, "folder.ts"))
      symlinkSync(join(workingDirectory, "a.ts"), join(workingDirectory, "link.ts"))
      symlinkSync(join(workingDirectory, "src"), join(workingDirectory, "linked"))
      symlinkSync(join(workingDirectory, "gone"), join(workingDirectory, "lost.ts"))
      const found = (scope: Values) => ids(fileItems, request(scope, { workingDirectory }))
      expect(yield* found({ glob: "**/*.ts" })).toEqual(["a.ts", "b.ts", "link.ts", "src/deep/y.ts", "src/x.test.ts"])
      expect(yield* found({ glob: ["*.ts", "n.*"], ignore: "{b,link}.ts" })).toEqual(["a.ts", "n.md"])
      expect(yield* found({ glob: "**", ignore: ["src", "*"] })).toEqual([])
      expect(yield* found({ glob: "src/**/*.ts", ignore: "**/deep" })).toEqual(["src/x.test.ts"])
      expect(yield* found({ glob: ".hidden/*" })).toEqual([".hidden/h.ts"])
      const { items } = yield* fileItems.items(request({ glob: "src/*.ts" }, { workingDirectory }))
      expect(items).toEqual([
        {
          type: "file",
          id: "src/x.test.ts",
          ref: "src/x.test.ts",
          context: { path: "src/x.test.ts", name: "x.test.ts", dir: "src", stem: "x.test", extension: "ts" }
        }
      ])
    })
  )

  it.scoped("fails where there is no folder", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const text = yield* message(fileItems, request({ glob: "*" }, { workingDirectory: join(folder, "gone") }))
      expect(text).toMatch(/^cannot read the folder \.\/: ENOENT/)
    })
  )

  it("says what is wrong with its scope before anything runs", () => {
    const errors = (scope: Values, filter: Values = {}) => fileItems.check?.(scope, filter).errors
    expect(errors({ glob: "*" })).toEqual([])
    expect(errors({})).toEqual(['the scope needs `glob = "src/**/*.ts"`'])
    expect(errors({ glbo: "*" }, { x: "y" })).toEqual([
      "unknown key 'glbo' in the scope; did you mean 'glob'?",
      "unknown key 'x' in the filter; the provider 'files' has none"
    ])
    expect(errors({ glob: ["*", ""], ignore: "[" })).toEqual([
      "the scope's `glob` must be a text or a list of texts",
      "the pattern '[' has a `[` without `]`"
    ])
  })
})

describe("the provider lines", () => {
  it.scoped("gives each line of a file once, without blanks", () =>
    Effect.gen(function* () {
      const workingDirectory = yield* temporaryFolder
      write(workingDirectory, "list.txt", "\ufeffone\r\n\n  two  \none\n")
      const { items } = yield* lineItems.items(request({ file: "list.txt" }, { workingDirectory }))
      expect(items).toEqual([
        { type: "line", id: "one", ref: "one", context: { number: "1" } },
        { type: "line", id: "two", ref: "two", context: { number: "3" } }
      ])
      expect(yield* message(lineItems, request({ file: "gone" }, { workingDirectory }))).toContain("there is no file")
    })
  )

  it.scoped("takes a text, a field of a step's output, or what a step printed", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const file = write(folder, "stdout.log", "long\n")
      const results = { small: { context: "a\nb", outputFile: null }, large: { context: "x", outputFile: file } }
      const overrides: Partial<ItemRequest> = {
        output: (step) => (step === "find" ? { names: "x\ny", count: 2 } : undefined),
        result: (step) => new Map(Object.entries(results)).get(step)
      }
      const found = (scope: Values) => ids(lineItems, request(scope, overrides))
      expect(yield* found({ text: "p\nq" })).toEqual(["p", "q"])
      expect(yield* found({ text: "" })).toEqual([])
      expect(yield* found({ from: "find.names" })).toEqual(["x", "y"])
      expect(yield* found({ from: "small" })).toEqual(["a", "b"])
      expect(yield* found({ from: "large" })).toEqual(["long"])
      expect(yield* message(lineItems, request({ from: "find.count" }, overrides))).toBe(
        "'find.count' is a number, not a text"
      )
      expect(yield* message(lineItems, request({ from: "gone" }))).toBe("there is no step 'gone' with an output")
    })
  )

  it("says what is wrong with its scope before anything runs", () => {
    const errors = (scope: Values) => lineItems.check?.(scope, {}).errors
    expect(errors({ file: "x" })).toEqual([])
    expect(errors({})).toEqual(['the scope needs `file = "path"`, `from = "step"` or `text = "{{name}}"`'])
    expect(errors({ file: "x", text: "y" })).toEqual(["the scope has both `file` and `text`; give one of them"])
    expect(errors({ flie: "x" })).toEqual(["unknown key 'flie' in the scope; did you mean 'file'?"])
    expect(errors({ file: [] })).toEqual(["the scope's `file` must be a text"])
  })
})

describe("the provider workflow_runs", () => {
  it.effect("gives the runs that fit, oldest first, without the run that asks", () =>
    Effect.gen(function* () {
      const persistence = yield* Persistence
      const run = (id: string, values: Parameters<typeof runRecord>[1]) => persistence.create(runRecord(id, values))
      yield* run("01A", { workflow: "build", status: "failed", error: "no", target: "here", title: "Build" })
      yield* run("01B", { workflow: "deploy", status: "completed" })
      yield* run("01C", { workflow: "build", status: "running" })
      yield* run("01D", { workflow: "test", status: "failed", dismissed: true })
      yield* run("01E", { workflow: "test", status: "failed" })
      const provider = runItems(persistence)
      const found = (filter: Values, variables = {}) => ids(provider, request({}, { filter, variables }))
      expect(yield* found({})).toEqual(["01A", "01B", "01C", "01E"])
      expect(yield* found({}, { workflow_run_id: "01C" })).toEqual(["01A", "01B", "01E"])
      expect(yield* found({ status: "failed" })).toEqual(["01A", "01E"])
      expect(yield* found({ name: "build" })).toEqual(["01A", "01C"])
      expect(yield* found({ name: ["build", "deploy"], status: ["completed", "failed"] })).toEqual(["01A", "01B"])
      expect(yield* found({ limit: "2" })).toEqual(["01C", "01E"])
      const { items } = yield* provider.items(request({}, { filter: { name: "build", status: "failed" } }))
      expect(items).toEqual([
        {
          type: "workflow_run",
          id: "01A",
          ref: "build 01A",
          context: { workflow: "build", title: "Build", status: "failed", error: "no", target: "here" }
        }
      ])
    }).pipe(Effect.scoped, Effect.provide(MemoryPersistence.layer))
  )

  it("says what is wrong with its filter before anything runs", () => {
    const errors = (filter: Values, scope: Values = {}) => runItemsInfo.check?.(scope, filter).errors
    expect(errors({})).toEqual([])
    expect(errors({ status: "faild", limit: "0" })).toEqual([
      "there is no status 'faild'; did you mean 'failed'?",
      "the filter's `limit` is a whole number from 1 to 10000, not '0'"
    ])
    expect(errors({ nme: "x" }, { status: "failed" })).toEqual([
      "unknown key 'status' in the scope; the provider 'workflow_runs' has none",
      "unknown key 'nme' in the filter; did you mean 'name'?"
    ])
  })
})
