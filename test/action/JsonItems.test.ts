import { symlinkSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { jsonItems } from "../../src/action/JsonItems.ts"
import type { ItemRequest } from "../../src/action/ItemProvider.ts"
import type { Value } from "../../src/workflow/Definition.ts"
import { temporaryFolder, write } from "./support.ts"

const request = (scope: Readonly<Record<string, Value>>, overrides: Partial<ItemRequest> = {}): ItemRequest => ({
  name: "each",
  scope,
  filter: {},
  ordered: false,
  workingDirectory: "/",
  output: () => undefined,
  variables: {},
  ...overrides
})

const items = (given: ItemRequest) => Effect.scoped(jsonItems.items(given))
const message = (given: ItemRequest) => Effect.map(Effect.flip(items(given)), (failed) => failed.message)

const from = (list: unknown, overrides: Partial<ItemRequest> = {}) =>
  request(
    { from: "collect.areas" },
    { output: (step) => (step === "collect" ? { areas: list } : undefined), ...overrides }
  )

describe("the provider json", () => {
  it.effect("takes texts as items of their own name", () =>
    Effect.gen(function* () {
      expect(yield* items(from(["a", "b"]))).toEqual({
        items: [
          { type: "item", id: "a", ref: "a", context: {} },
          { type: "item", id: "b", ref: "b", context: {} }
        ]
      })
      expect(yield* items(from([]))).toEqual({ items: [] })
    })
  )

  it.effect("takes objects, their other texts as context and their blockers as edges", () =>
    Effect.gen(function* () {
      const list = [
        { id: "a", title: "First", count: 3 },
        { id: 2, ref: "#2", type: "ticket", blocked_by: ["a"], __proto__: "x" }
      ]
      const expected = [
        { type: "item", id: "a", ref: "a", context: { title: "First" } },
        { type: "ticket", id: "2", ref: "#2", context: {} }
      ]
      expect(yield* items(from(list))).toEqual({ items: expected })
      expect(yield* items(from(list, { ordered: true }))).toEqual({
        items: expected,
        edges: [{ blocker: "a", dependent: "2" }]
      })
    })
  )

  it.effect("names every item that is none", () =>
    Effect.gen(function* () {
      expect(yield* message(from([1, {}, "", "ok", { id: "x", blocked_by: "y" }]))).toBe(
        [
          "item 1 of 'areas' in the output of 'collect' is a number, not a text or an object with an id",
          "item 2 of 'areas' in the output of 'collect' has no `id`",
          "item 3 of 'areas' in the output of 'collect' is an empty text",
          "item 5 of 'areas' in the output of 'collect' has a `blocked_by` that is no list of ids"
        ].join("; ")
      )
    })
  )

  it.effect("fails where the field is missing or no list", () =>
    Effect.gen(function* () {
      expect(yield* message(from("a"))).toBe("'areas' in the output of 'collect' is a text, not a list of items")
      expect(yield* message(request({ from: "gone.areas" }))).toBe(
        "'areas' in the output of 'gone' is nothing, not a list of items"
      )
    })
  )

  it.scoped("reads a file below the working directory", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const workingDirectory = join(folder, "work")
      write(workingDirectory, "data/items.json", '\ufeff["a"]')
      write(workingDirectory, "broken.json", "[")
      write(folder, "outside.json", "[]")
      symlinkSync(join(folder, "outside.json"), join(workingDirectory, "link.json"))
      const file = (path: string) => request({ file: path }, { workingDirectory })
      expect((yield* items(file("data/items.json"))).items.map(({ id }) => id)).toEqual(["a"])
      expect(yield* message(file("broken.json"))).toBe("broken.json holds no valid JSON")
      expect(yield* message(file("data"))).toBe("cannot read data: it is not a file")
      expect(yield* message(file("gone.json"))).toBe(`there is no file ${workingDirectory}/gone.json`)
      expect(yield* message(file("../outside.json"))).toContain("'..'")
      expect(yield* message(file("link.json"))).toContain("through a symbolic link")
    })
  )

  it("says what is wrong with a scope and a filter before anything runs", () => {
    const errors = (scope: Readonly<Record<string, Value>>, filter: Readonly<Record<string, Value>> = {}) =>
      jsonItems.check?.(scope, filter).errors
    expect(errors({ from: "a.b" })).toEqual([])
    expect(errors({ file: "a.json" })).toEqual([])
    expect(errors({})).toEqual(['the scope needs `from = "step.field"` or `file = "path"`'])
    expect(errors({ form: "a.b" })).toEqual(["unknown key 'form' in the scope; did you mean 'from'?"])
    expect(errors({ step: "a" })).toEqual(["unknown key 'step' in the scope; it knows `from` and `file`"])
    expect(errors({ from: "a" })).toEqual(['the scope\'s `from` must be written "step.field", not "a"'])
    expect(errors({ from: ["a.b"] })).toEqual(["the scope's `from` must be a text"])
    expect(errors({ from: "a.b", file: "c" })).toEqual(["the scope has both `from` and `file`; give one of them"])
    expect(errors({ from: "a.b" }, { state: "open" })).toEqual([
      "unknown key 'state' in the filter; the provider 'json' has none"
    ])
  })
})
