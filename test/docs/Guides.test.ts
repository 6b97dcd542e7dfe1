/** Every command of every guide is typed, and prints what the guide says. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { describe, expect, inject, it, onTestFinished } from "vitest"
import { eventually } from "../action/support.ts"
import { place } from "../cli/support.ts"
import { copyExample } from "../examples/copy.ts"
import { Reader } from "./Guide.ts"

const root = join(import.meta.dirname, "../..")
const guides = readdirSync(join(root, "docs/guides")).sort()

const markdownIn = (folder: string): ReadonlyArray<string> =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(folder, name))

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
  await Effect.runPromise(eventually(() => reader.leftovers.length === 0, 60_000))
  expect(reader.leftovers).toEqual([])
}

describe("the guides", { timeout: 300_000 }, () => {
  it.each(guides)("%s works as it is written", (guide) => expectItWorks(`docs/guides/${guide}`))
})

const fence = "```"

describe("a page that is followed", () => {
  const follow = async (...lines: ReadonlyArray<string>): Promise<string> => {
    const at = place()
    const page = at.write("page.md", `${lines.join("\n").replaceAll("'''", fence)}\n`)
    return new Reader(at).follow(page).then(
      () => "",
      (error: Error) => error.message
    )
  }

  it("has to show what its commands print, but for times and lines that it leaves out", async () => {
    const page = [
      "`f`:",
      "",
      "'''",
      "one 12ms",
      "two",
      "three",
      "'''",
      "'''console",
      "$ cat f",
      "one 1.5s",
      "…",
      "three",
      "'''"
    ]
    expect(await follow(...page)).toBe("")
    expect(await follow(...page.map((line) => line.replace("one 1.5s", "eins")))).toContain(
      "not what the page shows:\n$ cat f\none"
    )
    expect(await follow(...page.map((line) => line.replace("…", "zwei")))).toContain("not what the page shows")
    expect(await follow(...page, "'''sh", "test -e g", "'''")).toContain("exit code 1 of:\ntest -e g")
    expect(await follow("'''console", "$ exit 3", "$ echo $?", "3", "'''")).toContain("exit code 3 of:\nexit 3")
    expect(await follow("'''console", "$ echo no; exit 3", "no", "$ echo $?", "3", "'''")).toBe("")
  })

  it("has to show one id for one run, and types the id that the run has", async () => {
    const [there, other, here] = ["1", "2", "3"].map((digit) => digit.repeat(26))
    const page = (second: string) =>
      follow(
        "`f`:",
        "",
        "'''",
        `run ${here}`,
        "'''",
        "'''console",
        "$ cat f",
        `run ${there}`,
        `$ grep -o ${second} f`,
        `${second}`,
        "'''"
      )
    expect(await page(there ?? "")).toBe("")
    expect(await page(other ?? "")).toContain("not what the page shows")
  })
})

describe("the configurations that pages show", () => {
  const pages = ["README.md", ...["", "guides/", "decisions/"].flatMap((folder) => markdownIn(`docs/${folder}`))]
  const configurations = pages.flatMap((page) =>
    [...readFileSync(join(root, page), "utf8").matchAll(/^```ts\n([\s\S]*?)^```$/gm)]
      .map(([, text = ""]) => text)
      .filter((text) => text.includes("import { defineConfig }"))
      .map((text, index) => ({ page, index, text }))
  )

  it.each(configurations)("are accepted: $page, $index", async ({ text }) => {
    const at = place({ "millrace.config.ts": text })
    expect(await at.run(["list"])).toMatchObject({ code: 0, stderr: "" })
  })
})

describe("the page of the example", { timeout: 300_000 }, () => {
  it("agents works as it is written", () => expectItWorks("examples/agents/README.md", "agents"))
})
