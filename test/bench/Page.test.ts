/**
 * docs/performance.md is written by two programs, a section each.
 */
import { expect, it } from "vitest"
import { withSection } from "../../bench/Page.ts"

it("a program writes its section anew and leaves the other's as it is", () => {
  const first = withSection(withSection("", "bench", "## One\n\nold\n"), "bench:peers", "## Two\n\nkept\n")
  const second = withSection(first, "bench", "## One\n\nnew\n")
  expect(second).toBe(first.replace("old", "new"))
  expect(second).toContain("kept")
})

it("the sections stand in one order, whichever was written first", () => {
  const page = withSection(withSection("", "bench:peers", "## Two"), "bench", "## One")
  expect(page).toBe(withSection(withSection("", "bench", "## One"), "bench:peers", "## Two"))
  expect(page.indexOf("## One")).toBeLessThan(page.indexOf("## Two"))
})

it("a section written twice is there once", () => {
  const page = withSection("", "bench", "## One")
  expect(withSection(page, "bench", "## One")).toBe(page)
})

it("what is written by hand stays, between the two", () => {
  const hand = "<!-- written by hand -->\n\n## Why\n\n<!-- end of by hand -->"
  const page = withSection(withSection(hand, "bench:peers", "## Two"), "bench", "## One")
  expect(page).toContain(hand)
  expect(page.indexOf("## One")).toBeLessThan(page.indexOf("## Why"))
  expect(page.indexOf("## Why")).toBeLessThan(page.indexOf("## Two"))
})
