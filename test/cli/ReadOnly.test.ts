/**
 * Databases that cannot be written: questions are answered, everything else says what to do.
 */
import { describe, expect, it, vi } from "@effect/vitest"
import { execFileSync, spawnSync } from "node:child_process"
import { chmodSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { onTestFinished } from "vitest"
import { mayMount } from "../persistence/support.ts"
import { boundCommand, type Ended, type Place, place, protect, runIn } from "./support.ts"

vi.setConfig({ testTimeout: 120_000 })

const wf = {
  "w.wf": 'workflow w { script s { run = "echo hello; touch ran" } gate human_approval { prompt = "?" } }'
}

/** A run that waits, in `data/d.db`. */
const waiting = async (): Promise<{ readonly at: Place; readonly run: string }> => {
  const at = place(wf)
  const { stdout } = await at.run(["run", "w.wf", "--db", "data/d.db"])
  rmSync(at.path("ran"))
  return { at, run: runIn(stdout) }
}

const bound = (at: Place, args: ReadonlyArray<string>): Promise<Ended> => at.run([], { command: boundCommand(args) })

const db = ["--db", "data/d.db"]

const questions = (run: string): ReadonlyArray<ReadonlyArray<string>> => [
  ["runs", "--json", ...db],
  ["show", run, "--json", ...db],
  ["logs", run, ...db],
  ["graph", "--run", run, ...db],
  ["prune", "--keep", "0", "--dry-run", ...db]
]

const answers = async (at: Place, run: string): Promise<ReadonlyArray<Ended>> => {
  const all: Array<Ended> = []
  for (const question of questions(run)) all.push(await bound(at, question))
  return all
}

/** Name, mode and content of all files below a folder. */
const contentOf = (folder: string): ReadonlyArray<readonly [string, string]> =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .sort()
    .flatMap((name) => {
      const path = join(folder, name)
      return statSync(path).isDirectory() ? [] : [[name, readFileSync(path).toString("base64")] as const]
    })

const expectAnswers = (given: ReadonlyArray<Ended>, run: string): void => {
  const [runs, show, logs, graph, prune] = given
  for (const { code, stderr } of given) expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  expect(runs?.stdout).toContain(`"id": "${run}"`)
  expect(JSON.parse(show?.stdout ?? "")).toMatchObject({
    run: { status: "waiting" },
    steps: [{ context: "hello\n" }, {}]
  })
  expect(logs?.stdout).toContain("hello\n")
  expect(graph?.stdout).toContain("flowchart")
  expect(prune?.stdout).toBe("no run would be deleted\n")
}

describe("a database whose file and folder may not be written", () => {
  it("answers questions as ever, and is left as it is", async () => {
    const { at, run } = await waiting()
    const before = contentOf(at.path("data"))
    protect(at.path("data"), { file: 0o444, folder: 0o555 })
    expectAnswers(await answers(at, run), run)
    expect(contentOf(at.path("data"))).toEqual(before)
  })

  it("refuses what has to write, with what to do, and does nothing of it", async () => {
    const { at, run } = await waiting()
    const before = contentOf(at.path("data"))
    protect(at.path("data"), { file: 0o444, folder: 0o555 })
    const commands = [
      ["run", "w.wf"],
      ["resume", run],
      ["cancel", run],
      ["approve", run],
      ["reject", run],
      ["prune", "--keep", "0"]
    ]
    for (const command of commands) {
      const { code, stderr, stdout } = await bound(at, [...command, ...db])
      expect({ command, code, stdout }).toEqual({ command, code: 1, stdout: "" })
      expect(stderr.replaceAll(at.folder, "HERE")).toBe(
        "error: HERE/data cannot be written: it is read-only, or not yours (EACCES)\n" +
          "help: `runs`, `show`, `logs` and `graph --run` read it as it is; to go on with its runs, make the file and its " +
          "folder writable, or copy it, with the folder `…-files` beside it, and name the copy with `--db FILE`\n"
      )
    }
    expect(contentOf(at.path("data"))).toEqual(before)
    expect(readdirSync(at.folder)).not.toContain("ran")
  })

  it("has what only its log holds, with the log's index and without", async () => {
    const at = place({ "w.wf": 'workflow w { script s { run = "echo hello" } script t { run = "sleep 60" } }' })
    const running = at.start(["run", "w.wf", ...db])
    const run = runIn(await running.prints("/t: started"))
    running.process.kill("SIGKILL")
    await running.ended
    const folder = at.path("data")
    expect(readdirSync(folder)).toEqual(expect.arrayContaining(["d.db-shm", "d.db-wal"]))
    for (const index of ["there", "gone"]) {
      if (index === "gone") rmSync(join(folder, "d.db-shm"))
      for (const [path, mode] of [
        [folder, 0o555],
        [join(folder, "d.db"), 0o444]
      ] as const)
        chmodSync(path, mode)
      const { code, stderr, stdout } = await bound(at, ["show", run, ...db])
      chmodSync(folder, 0o755)
      expect({ index, code, stderr }).toEqual({ index, code: 0, stderr: "" })
      expect(stdout).toMatch(/\/s {2}completed[^]*\/t {2}running/)
    }
  })

  it("is not made where no file can be, with what to do", async () => {
    const at = place(wf)
    at.write("data/other", "")
    protect(at.path("data"), { file: 0o444, folder: 0o555 })
    const { code, stderr } = await bound(at, ["run", "w.wf", "--db", "data/deep/new.db"])
    expect(code).toBe(1)
    expect(stderr.replaceAll(at.folder, "HERE")).toMatchInlineSnapshot(`
      "error: HERE/data cannot be written: it is read-only, or not yours (EACCES)
      help: \`--db FILE\` puts the database elsewhere
      "
    `)
    expect((await bound(at, ["runs", ...db])).stderr).toContain("there is no database data/d.db")
  })
})

describe("a database file", () => {
  it("that is read-only in a folder that is not answers questions, and is not written", async () => {
    const { at, run } = await waiting()
    chmodSync(at.path("data/d.db"), 0o444)
    const before = readFileSync(at.path("data/d.db"))
    expectAnswers(await answers(at, run), run)
    const { code, stderr } = await bound(at, ["cancel", run, ...db])
    expect(code).toBe(1)
    expect(stderr).toContain(
      "d.db cannot be written: it is read-only, or not yours (EACCES)\nhelp: `runs`, `show`, `logs` and `graph --run` read it as it is; to go on with its runs, make the file and its folder writable, or copy it, with the folder `…-files` beside it, and name the copy with `--db FILE`\n"
    )
    expect(readFileSync(at.path("data/d.db")).equals(before)).toBe(true)
  })

  it("that may not even be read is refused by every command", async () => {
    const { at, run } = await waiting()
    chmodSync(at.path("data/d.db"), 0o000)
    for (const question of questions(run)) {
      const { code, stderr, stdout } = await bound(at, question)
      expect({ question, code, stdout }).toEqual({ question, code: 1, stdout: "" })
      expect(stderr.replaceAll(at.folder, "HERE")).toBe(
        "error: HERE/data/d.db cannot be read: it is not yours (EACCES)\n"
      )
    }
  })
})

const needsMount = mayMount ? "" : " (skipped: needs the right to mount; the tests above need none)"

describe.skipIf(!mayMount)("a database on a file system that is mounted read-only", () => {
  it(`answers questions, also to root, and refuses to be written${needsMount}`, async () => {
    const { at, run } = await waiting()
    const folder = at.path("data")
    execFileSync("mount", ["--bind", folder, folder])
    onTestFinished(() => void spawnSync("umount", ["--lazy", folder]))
    execFileSync("mount", ["-o", "remount,bind,ro", folder])
    const all: Array<Ended> = []
    for (const question of questions(run)) all.push(await at.run(question))
    expectAnswers(all, run)
    const { code, stderr } = await at.run(["approve", run, ...db])
    expect(code).toBe(1)
    expect(stderr).toContain("/data cannot be written: it is read-only, or not yours (EROFS)\nhelp: `runs`, ")
  })
})
