import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, inject, it } from "vitest"
import * as Effect from "effect/Effect"
import { temporaryFolder, write, writeScript } from "../action/support.ts"

const root = join(import.meta.dirname, "../..")

interface Block {
  /** The file that the line above it names. */
  readonly file: string | undefined
  readonly language: string
  readonly text: string
}

const blocksOf = (markdown: string): ReadonlyArray<Block> =>
  [...markdown.matchAll(/(?:^`([^`\n]+)`:\n\n)?^```(\w*)\n([\s\S]*?)^```$/gm)].map(
    ([, file, language = "", text = ""]) => ({
      file,
      language,
      text
    })
  )

/** Writes the files of a guide and runs its commands, in the order of the page; what they print. */
const follow = (guide: string, folder: string): string => {
  writeScript(
    folder,
    ".bin/millrace",
    `#!/bin/sh\nexec "${process.execPath}" "${join(root, "dist/cli/bin.js")}" "$@"\n`
  )
  const env = { ...process.env, PATH: `${join(folder, ".bin")}:${process.env["PATH"] ?? ""}`, NO_COLOR: "1" }
  let printed = ""
  for (const { file, language, text } of blocksOf(readFileSync(join(root, "docs", guide), "utf8"))) {
    if (file !== undefined) write(folder, file, text)
    else if (language === "sh") {
      const { status, stderr, stdout } = spawnSync("sh", ["-e", "-c", text], { cwd: folder, env, encoding: "utf8" })
      printed += stdout
      if (status !== 0) throw new Error(`exit ${status}:\n${text}\n${stdout}\n${stderr}`)
    }
  }
  return printed
}

describe("the guide on agents", () => {
  it("works as it is written", async () => {
    expect(inject("buildFailure")).toBe("")
    const printed = await Effect.runPromise(
      Effect.scoped(Effect.map(temporaryFolder, (folder) => follow("agents.md", folder)))
    )
    expect(printed).toContain("Review the changes on topic.")
    expect(printed).toContain("Be brief.")
  })
})
