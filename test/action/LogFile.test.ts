import { readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { readEnd, readHead, readTrimmedTail } from "../../src/action/LogFile.ts"
import { ownEnvironment, run } from "../../src/action/Process.ts"
import { redactorOf } from "../../src/workflow/Redactor.ts"
import { temporaryFolder, write } from "./support.ts"

describe("a log file", () => {
  it.scoped("gives the first and last characters of any text", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryFolder, "log")
      const text = fc.string({ unit: fc.constantFrom("a", "ä", "€", "😀", " ", "\n"), maxLength: 30 })
      for (const [sample, count] of fc.sample(fc.tuple(text, fc.integer({ min: 0, max: 20 })), {
        numRuns: 200,
        seed: 3
      })) {
        writeFileSync(file, sample)
        const points = Array.from(sample)
        const head = yield* readHead(file, count)
        expect(head).toEqual({ text: points.slice(0, count).join(""), whole: points.length <= count })
        const trimmed = Array.from(sample.trim())
        const tail = trimmed.filter((_, index) => index >= trimmed.length - count)
        expect(yield* readTrimmedTail(file, count)).toBe(tail.join(""))
      }
    })
  )

  it.scoped("gives the end of a large text from a whole character on", () =>
    Effect.gen(function* () {
      const file = write(yield* temporaryFolder, "log", "😀😀x")
      expect(yield* readEnd(file, 6)).toEqual({ text: "😀x".slice(0, 3), whole: false })
      expect(yield* readEnd(file, 3)).toEqual({ text: "x", whole: false })
      expect(yield* readEnd(file, 9)).toEqual({ text: "😀😀x", whole: true })
      expect(yield* Effect.flip(readEnd(`${file}.gone`, 9))).toBeInstanceOf(Error)
    })
  )
})

describe("the output of a process", () => {
  const printed = (script: string) =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const file = (name: string) => join(folder, name)
      const files = { stdout: file("out"), stderr: file("err"), plain: file("plain") }
      const redactor = redactorOf(["hunter2-long"])
      const options = {
        command: ["/bin/sh", "-c", script],
        cwd: folder,
        env: ownEnvironment(),
        redactor,
        ...files
      } as const
      const exit = yield* run(options)
      const text = (name: string) => readFileSync(name, "utf8")
      return { exit, stdout: text(files.stdout), stderr: text(files.stderr), plain: text(files.plain), files }
    })

  it.scopedLive("is kept without secrets, though they come in parts, and as it is in a file of its own", () =>
    Effect.gen(function* () {
      const script = "printf 'a hunter2-lo'; sleep 0.1; printf 'ng b hunter2'; printf 'x hunter2-long' >&2"
      const { exit, files, plain, stderr, stdout } = yield* printed(script)
      expect([stdout, stderr, plain]).toEqual(["a *** b hunter2", "x ***", "a hunter2-long b hunter2"])
      expect(exit.stdout.bytes).toBe(24)
      expect(statSync(files.plain).mode & 0o777).toBe(0o600)
    })
  )

  it.scopedLive("is kept whole when it is large", () =>
    Effect.gen(function* () {
      const line = "0123456789 hunter2-long "
      const { plain, stdout } = yield* printed(`i=0; while [ $i -lt 20000 ]; do echo '${line}'; i=$((i + 1)); done`)
      expect(plain).toBe(`${line}\n`.repeat(20_000))
      expect(stdout).toBe("0123456789 *** \n".repeat(20_000))
    })
  )
})
