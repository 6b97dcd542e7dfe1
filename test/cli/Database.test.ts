import { describe, expect, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { place } from "./support.ts"

const wf = { "w.wf": 'workflow w { script s { run = "touch ran" } }' }

describe("a database", () => {
  it("that is not there is not made by a command that only looks", async () => {
    const at = place(wf)
    for (const args of [["runs"], ["show", "x"], ["logs", "x"], ["resume", "x"], ["cancel", "x"], ["approve", "x"]]) {
      const { code, stderr } = await at.run(args)
      expect({ args, code }).toEqual({ args, code: 1 })
      expect(stderr).toBe(
        "error: there is no database millrace.db\nhelp: `--db FILE` names one, `--home DIR` the folder that holds it\n"
      )
    }
    expect(existsSync(at.path("millrace.db"))).toBe(false)
  })

  it("that is none is refused and left as it is", async () => {
    const at = place({
      ...wf,
      "text.db": "this is no database, though it is long enough to be taken for one".repeat(20)
    })
    const before = readFileSync(at.path("text.db"))
    const { code, stdout, stderr } = await at.run(["run", "w.wf", "--db", "text.db"])
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
    expect(stderr).toMatch(/^error: .*text\.db.*not a database\n$/)
    expect(readFileSync(at.path("text.db"))).toEqual(before)
    expect(existsSync(at.path("ran"))).toBe(false)
  })

  it("that is a folder, or has no name, is refused with what to write", async () => {
    const at = place({ ...wf, "data/keep": "" })
    const commands = [
      ["run", "w.wf"],
      ["run", "w.wf", "--detach"],
      ["work", "--once"],
      ["runs"],
      ["show", "x"],
      ["resume", "x"],
      ["prune", "--older-than", "1d"]
    ]
    for (const args of commands) {
      const folder = await at.run([...args, "--db", "data"])
      expect({ args, ...folder }).toMatchObject({
        args,
        code: 2,
        stdout: "",
        stderr: "error: the database data is a folder, not a file\nhelp: `--db data/millrace.db` names a file in it\n"
      })
      const empty = await at.run([...args, "--db="])
      expect({ args, ...empty }).toMatchObject({
        args,
        code: 2,
        stdout: "",
        stderr: "error: --db needs a file, not ''\nhelp: `--db FILE` names one, `--home DIR` the folder that holds it\n"
      })
    }
    expect(existsSync(at.path("ran"))).toBe(false)
    expect(readdirSync(at.path("data"))).toEqual(["keep"])
    expect(readdirSync(at.folder).toSorted()).toEqual(["data", "w.wf"])
  })

  it("of another program is refused and left as it is", async () => {
    const at = place(wf)
    const other = new Database(at.path("other.db"))
    other.exec("CREATE TABLE theirs (x)")
    other.close()
    const { code, stderr } = await at.run(["run", "w.wf", "--db", "other.db"])
    expect(code).toBe(1)
    expect(stderr).toContain("other.db is a SQLite database of another program")
  })

  it("of a newer version is refused with both versions", async () => {
    const at = place(wf)
    await at.run(["run", "w.wf", "--db", "d.db"])
    const newer = new Database(at.path("d.db"))
    newer.pragma("user_version = 999")
    newer.close()
    const { code, stderr } = await at.run(["runs", "--db", "d.db"])
    expect(code).toBe(1)
    expect(stderr).toContain("999")
  })

  it("that lies below a file is refused", async () => {
    const at = place(wf)
    const { code, stdout, stderr } = await at.run(["run", "w.wf", "--db", "w.wf/d.db"])
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
    expect(stderr).toMatch(/^error: .+\n$/)
  })
})
