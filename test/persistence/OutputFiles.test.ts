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

  it.scoped("that are not to be shown stand apart, and are deleted with their run", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder((it) => it)
      const files = makeFiles(folder)
      const path = "/pipeline:p/t:hunter2/a"
      const output = { ...attempt(path), shown: "/pipeline:p/t:***/a" }
      const plain = yield* files.plainFile(output)
      const log = yield* files.logFile(output)
      for (const file of [plain, log]) NodeFs.writeFileSync(file, "x")
      expect(yield* files.logs(runId("R"))).toMatchObject([{ path: "/pipeline:p/t:***/a", file: log, bytes: 1 }])
      // Another path that is shown alike has a folder of its own.
      expect(yield* files.logFile({ ...output, ...attempt("/pipeline:p/t:hunter3/a") })).not.toBe(log)
      const all = NodeFs.readdirSync(folder, { recursive: true, encoding: "utf8" })
      expect(all.filter((name) => name.includes("hunter2"))).toEqual([])
      const texts = all
        .filter((name) => name.endsWith("path"))
        .map((name) => NodeFs.readFileSync(NodePath.join(folder, name), "utf8"))
      expect(new Set(texts)).toEqual(new Set(["/pipeline:p/t:***/a"]))
      yield* files.remove([runId("R")])
      expect([plain, log].filter((file) => NodeFs.existsSync(file))).toEqual([])
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

  it.scoped("name the runs that have any", () =>
    Effect.gen(function* () {
      const files = yield* temporaryFolder(makeFiles)
      expect(yield* files.logged).toEqual([])
      yield* files.logFile(attempt("/one"))
      yield* files.logFile({ ...attempt("/one"), run: runId("a/b%") })
      expect([...(yield* files.logged)].sort()).toEqual(["R", "a/b%"])
      yield* files.remove([runId("a/b%")])
      expect(yield* files.logged).toEqual(["R"])
    })
  )
})

describe("kept outputs", () => {
  const day = 86_400_000
  const place = Effect.gen(function* () {
    const folder = yield* temporaryFolder((it) => it)
    const files = makeFiles(folder)
    const outputs = NodePath.join(folder, "outputs")
    const keep = (text: string) => {
      const source = NodePath.join(folder, "source")
      NodeFs.writeFileSync(source, text)
      return Effect.map(files.keep(source), (file) => NodePath.basename(file))
    }
    const age = (name: string, ms: number) => {
      const at = new Date(Date.now() - ms)
      NodeFs.utimesSync(NodePath.join(outputs, name), at, at)
    }
    const there = () => NodeFs.readdirSync(outputs).sort()
    return { files, outputs, keep, age, there, before: Date.now() - day }
  })

  it.scoped("are listed and discarded only when they were last kept before a time", () =>
    Effect.gen(function* () {
      const { age, before, files, keep, there } = yield* place
      expect(yield* files.kept(before)).toEqual([])
      const [old, again, fresh] = [yield* keep("old"), yield* keep("again"), yield* keep("fresh")]
      age(old, 2 * day)
      age(again, 2 * day)
      yield* keep("again")
      expect(yield* files.kept(before)).toEqual([{ name: old, bytes: 3 }])
      expect(yield* files.discard([old, again, fresh, "gone"], before)).toEqual([{ name: old, bytes: 3 }])
      expect(there()).toEqual([again, fresh].sort())
    })
  )

  it.scoped("that are kept again at the very time when they are discarded are there, or kept a moment later", () =>
    Effect.gen(function* () {
      const { age, before, files, keep, there } = yield* place
      for (let round = 0; round < 50; round++) {
        const name = yield* keep(`round ${round}`)
        age(name, 2 * day)
        yield* Effect.all([keep(`round ${round}`), files.discard([name], before)], { concurrency: "unbounded" })
        expect(there()).toContain(name)
      }
    })
  )

  it.scoped("leave nothing behind of what was interrupted, and lose nothing of it", () =>
    Effect.gen(function* () {
      const { age, before, files, keep, outputs, there } = yield* place
      const [lost, whole] = [yield* keep("moved aside"), yield* keep("whole")]
      NodeFs.renameSync(NodePath.join(outputs, lost), NodePath.join(outputs, `.old-${lost}`))
      NodeFs.copyFileSync(NodePath.join(outputs, whole), NodePath.join(outputs, `.old-${whole}`))
      for (const name of [".new-old", ".new-fresh"]) NodeFs.writeFileSync(NodePath.join(outputs, name), "part")
      age(".new-old", 2 * day)
      expect(yield* files.kept(before)).toEqual([])
      expect(yield* files.discard([], before)).toEqual([])
      expect(there()).toEqual([".new-fresh", ...[lost, whole].sort()])
      expect(NodeFs.readFileSync(NodePath.join(outputs, lost), "utf8")).toBe("moved aside")
    })
  )
})
