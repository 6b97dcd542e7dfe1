/** Every command of every guide is typed, and prints what the guide says. */
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, inject, it, onTestFinished } from "vitest"
import { place } from "../cli/support.ts"
import { copyExample } from "../examples/copy.ts"
import { Reader } from "./Guide.ts"

const root = join(import.meta.dirname, "../..")
const guides = readdirSync(join(root, "docs/guides")).sort()

const expectItWorks = async (page: string, example?: string): Promise<void> => {
  expect(inject("buildFailure")).toBe("")
  const at = place()
  if (example !== undefined) copyExample(example, at.folder)
  const reader = new Reader(at)
  onTestFinished(() => {
    for (const pid of reader.leftovers) process.kill(pid, "SIGKILL")
  })
  await reader.follow(join(root, page))
  expect(reader.commands).toBeGreaterThan(0)
  expect(reader.leftovers).toEqual([])
}

describe("the guides", { timeout: 300_000 }, () => {
  it.each(guides)("%s works as it is written", (guide) => expectItWorks(`docs/guides/${guide}`))
})

describe("the page of the example", { timeout: 300_000 }, () => {
  it("agents works as it is written", () => expectItWorks("examples/agents/README.md", "agents"))
})
