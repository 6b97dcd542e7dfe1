import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Crypto from "node:crypto"
import * as NodeFs from "node:fs"
import * as NodePath from "node:path"
import { makeFiles } from "../../src/persistence/OutputFiles.ts"
import { runId, stepPath } from "../../src/testing/SampleRecords.ts"
import { temporaryFolder } from "./support.ts"

const attempt = (path: string, values: { epoch?: number; attempt?: number; stream?: "stdout" | "stderr" } = {}) => ({
  run: runId("R"),
  path: stepPath(path),
  epoch: 1,
  attempt: 1,
  stream: "stdout" as const,
  ...values
})

describe("output files", () => {
  it.scoped("are kept under the hash of their content, once", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder((it) => it)
      const files = makeFiles(NodePath.join(folder, "files"))
      const source = NodePath.join(folder, "source")
      const content = Crypto.randomBytes(300_000)
      NodeFs.writeFileSync(source, content)
      const [one, two] = yield* Effect.all([files.keep(source), files.keep(source)], { concurrency: "unbounded" })
      const hash = Crypto.createHash("sha256").update(content).digest("hex")
      expect(one).toBe(NodePath.join(folder, "files", "outputs", hash))
      expect(two).toBe(one)
      expect(NodeFs.readFileSync(one).equals(content)).toBe(true)
      expect(NodeFs.statSync(one).mode & 0o777).toBe(0o600)
      expect(NodeFs.readdirSync(NodePath.dirname(one))).toEqual([hash])
      expect((yield* Effect.flip(files.keep(NodePath.join(folder, "none"))))._tag).toBe("PersistenceError")
    })
  )

  it.scoped("of attempts are listed by path, epoch, attempt and stream, whatever the path", () =>
    Effect.gen(function* () {
      const files = yield* temporaryFolder(makeFiles)
      const long = `/${"a~b@c%20/".repeat(60)}end`
      const wanted = [
        attempt("/../../etc/passwd"),
        attempt("/.", { attempt: 2 }),
        attempt("/ключ:%2F", { epoch: 2, stream: "stderr" }),
        attempt(long),
        attempt("/build", { attempt: 10 }),
        attempt("/build", { attempt: 9 }),
        attempt("/build", { attempt: 9, stream: "stderr" }),
        attempt("")
      ]
      for (const options of wanted) {
        const file = yield* files.logFile(options)
        NodeFs.writeFileSync(file, options.path)
      }
      const logs = yield* files.logs(runId("R"))
      const names = logs.map((log) => [log.path, log.epoch, log.attempt, log.stream, log.bytes])
      const sorted = wanted
        .toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0) || a.attempt - b.attempt)
        .map((it) => [it.path, it.epoch, it.attempt, it.stream, Buffer.byteLength(it.path)])
      expect(names).toEqual(sorted)
      for (const log of logs) expect(NodeFs.readFileSync(log.file, "utf8")).toBe(log.path)
    })
  )

  it.scoped("of a lost attempt are replaced, and deleted with their run", () =>
    Effect.gen(function* () {
      const files = yield* temporaryFolder(makeFiles)
      const file = yield* files.logFile(attempt("/one"))
      NodeFs.writeFileSync(file, "lost")
      expect(yield* files.logFile(attempt("/one"))).toBe(file)
      expect(NodeFs.existsSync(file)).toBe(false)
      NodeFs.writeFileSync(file, "again")
      yield* files.logFile({ ...attempt("/one"), run: runId("S") })
      yield* files.remove([runId("R"), runId(".."), runId("none")])
      expect(NodeFs.existsSync(file)).toBe(false)
      expect(yield* files.logs(runId("R"))).toEqual([])
      expect(NodeFs.existsSync(NodePath.join(file, "../../../S"))).toBe(true)
    })
  )
})
