import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import { parseAgent } from "../../src/action/AgentFile.ts"

const agent = (text: string) => Either.getOrThrow(parseAgent(text))
const problems = (text: string) => Either.getOrThrow(Either.flip(parseAgent(text)))

describe("an agent's file", () => {
  it("is a prompt, with or without a frontmatter", () => {
    expect(agent("Look.\n")).toEqual({ role: "reviewer", canCommit: false, model: undefined, body: "Look.\n" })
    expect(agent("---\r\nrole: actor\r\ncan_commit: true\r\nmodel: big\r\n---\r\nDo it.\r\n")).toEqual({
      role: "actor",
      canCommit: true,
      model: "big",
      body: "Do it.\r\n"
    })
    expect(agent("---\n---\nx").body).toBe("x")
    expect(agent("---\nrole: reviewer\n---").body).toBe("")
  })

  it("may have the keys of other tools", () => {
    const text = "---\nname: x\ntools: Read, Grep\nmodel: inherit\ncolor: red\n---\nLook.\n---\nnot a frontmatter\n"
    expect(agent(text)).toMatchObject({ model: undefined, body: "Look.\n---\nnot a frontmatter\n" })
  })

  it("is refused with all that is wrong in its frontmatter", () => {
    expect(problems("---\nrole: acter\ncan_commit: yes please\nmodel: 3\n---\n")).toEqual([
      "`role` is actor or reviewer; did you mean `actor`?",
      "`can_commit` is true or false",
      "`model` is a text"
    ])
    expect(problems("---\ncan_commit: true\n---\n")).toEqual(["`can_commit: true` needs `role: actor`"])
    expect(problems("---\nrole: actor\n")).toEqual(["its frontmatter has no closing line `---`"])
    expect(problems("---\n- a\n---\n")).toEqual(["its frontmatter is a list, not a map of keys"])
    expect(problems("---\na: b: c\n---\n")[0]).toMatch(/^its frontmatter is no valid YAML: /)
  })
})
