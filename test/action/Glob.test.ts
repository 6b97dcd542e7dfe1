import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as fc from "fast-check"
import * as Glob from "../../src/action/Glob.ts"

const matches = (pattern: string, path: string, hidden = false): boolean => {
  const glob = Either.getOrThrow(Glob.compile(pattern))
  const end = path.split("/").reduce((progress, name) => Glob.advance(glob, progress, name, hidden), Glob.start(glob))
  return Glob.isMatch(glob, end)
}

const problem = (pattern: string) => Either.getOrThrow(Either.flip(Glob.compile(pattern)))

describe("a pattern of paths", () => {
  it("matches names by wildcards, classes and alternatives", () => {
    const matching: ReadonlyArray<readonly [string, string]> = [
      ["a.ts", "a.ts"],
      ["./src//a.ts", "src/a.ts"],
      ["*.ts", "a.ts"],
      ["*", "ü"],
      ["?.ts", "😀.ts"],
      ["[a-c]x", "bx"],
      ["[!a-c]x", "dx"],
      ["[]]", "]"],
      ["[a-]", "-"],
      ["*.{ts,js}", "a.js"],
      ["{src,test/{a,b}}/*.ts", "test/b/x.ts"],
      ["a*b*c", "aXbbYbc"],
      ["\\*\\{", "*{"],
      [".*", ".env"]
    ]
    for (const [pattern, path] of matching) expect([pattern, matches(pattern, path)]).toEqual([pattern, true])
    const others: ReadonlyArray<readonly [string, string]> = [
      ["*.ts", "src/a.ts"],
      ["*.ts", "a.tsx"],
      ["?", ""],
      ["[a-c]x", "dx"],
      ["*", ".env"],
      ["?env", ".env"],
      ["[.]env", ".env"],
      ["a", "A"]
    ]
    for (const [pattern, path] of others) expect([pattern, matches(pattern, path)]).toEqual([pattern, false])
  })

  it("goes through any folders with two stars, but not into hidden ones and node_modules", () => {
    expect(matches("**/*.ts", "a.ts")).toBe(true)
    expect(matches("**/*.ts", "a/b/c.ts")).toBe(true)
    expect(matches("src/**", "src/a/b")).toBe(true)
    expect(matches("a/**/b/**/c", "a/b/x/y/c")).toBe(true)
    expect(matches("**/*.ts", ".git/a.ts")).toBe(false)
    expect(matches("**/*.js", "a/node_modules/x.js")).toBe(false)
    expect(matches("**/node_modules/*.js", "a/node_modules/x.js")).toBe(true)
    expect(matches("**/*.ts", ".git/.a.ts", true)).toBe(true)
  })

  it("says what is wrong with it", () => {
    expect(problem("/etc/*")).toBe("the pattern '/etc/*' is absolute; write it relative")
    expect(problem("a/../b")).toBe("the pattern 'a/../b' leads out with '..'")
    expect(problem("")).toBe("a pattern is empty")
    expect(problem("{a,b")).toBe("the pattern '{a,b' has a `{` without `}`")
    expect(problem("[a")).toBe("the pattern '[a' has a `[` without `]`")
    expect(problem("{a,b}".repeat(9))).toContain("more than 256 patterns")
  })

  it("matches every path that is written without wildcards, and takes no long time", () => {
    const name = fc
      .string({ minLength: 1, maxLength: 8 })
      .filter((text) => !/[/\0]/.test(text) && text !== "." && text !== "..")
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 4 }), (names) => {
        const pattern = names.map((text) => Array.from(text, (character) => `\\${character}`).join("")).join("/")
        return matches(pattern, names.join("/"))
      })
    )
    expect(matches("*a".repeat(50), "a".repeat(5_000) + "b")).toBe(false)
  })
})
