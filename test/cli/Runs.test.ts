/**
 * Lists of runs: what is chosen, in which pages, and that a secret is not found.
 */
import { describe, expect, it, vi } from "@effect/vitest"
import Database from "better-sqlite3"
import { type Place, place, runIn } from "./support.ts"

const wf = `workflow w {
  inputs {
    who default = "you"
    token secret = true default = "hush-hush"
  }
  script greet { run = "test {{who}} != nobody" }
}`

const runAll = async (at: Place, ...inputs: ReadonlyArray<ReadonlyArray<string>>): Promise<ReadonlyArray<string>> => {
  const ids: Array<string> = []
  for (const given of inputs) {
    const words = given.flatMap((input) => ["--input", input])
    ids.push(runIn((await at.run(["run", "w.wf", ...words])).stdout))
  }
  return ids
}

/** The ids in the table, in order. */
const listed = async (at: Place, ...args: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const { code, stderr, stdout } = await at.run(["runs", ...args])
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  return [...stdout.matchAll(/^[0-9A-Z]{26}/gm)].map(([id]) => id)
}

/** Makes a run older. */
const backdate = (at: Place, run: string, time: string): void => {
  const database = new Database(at.path("millrace.db"))
  database.prepare("UPDATE runs SET created_at = ? WHERE id = ?").run(Date.parse(time), run)
  database.close()
}

/** Copies of a run with ids that are newer than any. */
const addNewer = (at: Place, count: number): void => {
  const database = new Database(at.path("millrace.db"))
  const columns = database
    .prepare<[], { readonly name: string }>("PRAGMA table_info(runs)")
    .all()
    .flatMap(({ name }) => (name === "id" ? [] : [name]))
    .join(", ")
  database
    .prepare(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
       INSERT INTO runs (id, ${columns}) SELECT printf('7%025d', i), ${columns} FROM n, (SELECT * FROM runs LIMIT 1)`
    )
    .run(count)
  database.close()
}

vi.setConfig({ testTimeout: 120_000 })

describe("runs", () => {
  it("are listed page by page, and each page says how to see the next", async () => {
    const at = place({ "w.wf": wf })
    const ids = await runAll(at, ["who=one"], ["who=two"], ["who=nobody"], ["who=it's three"])
    const [one = "", two = "", three = "", four = ""] = ids
    const first = await at.run(["runs", "--limit", "2"])
    expect(first.stdout.split("\n").slice(-2)).toEqual([`more: millrace runs --limit 2 --before ${three}`, ""])
    expect(await listed(at, "--limit", "2", "--before", three)).toEqual([two, one])
    const last = await at.run(["runs", "--limit", "2", "--before", three])
    expect(last.stdout).not.toContain("more:")
    expect((await at.run(["runs", "--before", one])).stdout).toBe("no runs\n")
    expect(await listed(at, "--limit", "4")).toEqual([four, three, two, one])

    const json = await at.run([
      "runs",
      "--limit=1",
      "--text",
      "it's",
      "--status",
      "completed",
      "--since",
      "1d",
      "--json"
    ])
    expect(json.stderr).toBe("")
    expect(JSON.parse(json.stdout)).toMatchObject([{ id: four, inputs: { token: "***" } }])
    const more = await at.run([
      "runs",
      "--limit=1",
      "--status",
      "completed",
      "--since",
      "1d",
      "--db",
      "millrace.db",
      "--json"
    ])
    const words = `--status completed --since 1d --limit 1 --before ${four} --db millrace.db --json`
    expect(more.stderr).toBe(`more: millrace runs ${words}\n`)
    const next = await at.run(["runs", ...words.split(" ")])
    expect(JSON.parse(next.stdout)).toMatchObject([{ id: two }])
  })

  it("go on from a run that has been deleted meanwhile, and not from one that never was", async () => {
    const at = place({ "w.wf": wf })
    const [one = "", two = "", three = ""] = await runAll(at, [], [], [])
    const database = new Database(at.path("millrace.db"))
    database.prepare("DELETE FROM runs WHERE id = ?").run(two)
    database.close()
    expect(await listed(at, "--before", two)).toEqual([one])
    expect(await listed(at, "--before", three.toLowerCase())).toEqual([one])
    const { code, stderr } = await at.run(["runs", "--before", "zz"])
    expect(code).toBe(2)
    expect(stderr).toBe("error: there is no run 'zz'\nhelp: `millrace runs` lists them\n")
  })

  it("that begin alike are told apart, however many newer ones there are", async () => {
    const at = place({ "w.wf": wf })
    await runAll(at, [], [])
    // Only the newest 1000 were looked through: the message was that there is no such run.
    addNewer(at, 1_001)
    const { code, stderr } = await at.run(["show", "01"])
    expect(code).toBe(2)
    expect(stderr).toContain("error: 2 runs begin with '01'")
    expect((await at.run(["cancel", ""])).stderr).toContain("there is no run ''")
  })

  it("are chosen by status, workflow, time and what their inputs say", async () => {
    const at = place({ "w.wf": wf })
    const [one = "", two = "", three = ""] = await runAll(at, ['who="50%" off\\'], ["who=nobody"], ["who=5 Off"])
    backdate(at, one, "2026-11-01T10:00:00Z")
    backdate(at, two, "2026-11-01T12:00:00Z")
    expect(await listed(at, "--status", "failed")).toEqual([two])
    const statuses = ["--status", "failed", "--status", "completed", "--status", "failed"]
    expect(await listed(at, ...statuses)).toEqual([three, two, one])
    expect(await listed(at, "--workflow", "w", "--status", "completed", "--text", "OFF")).toEqual([three, one])
    expect(await listed(at, "--workflow", "x")).toEqual([])
    expect(await listed(at, "--text", '"50%" off\\')).toEqual([one])
    for (const text of ["who", "0% o"]) expect(await listed(at, "--text", text)).toEqual([])
    expect(await listed(at, "--since", "2026-11-01 12:00")).toEqual([three, two])
    expect(await listed(at, "--since", "1h")).toEqual([three])
  })
})

describe("a secret input", () => {
  it("is not found by its text, nor by what is shown in its place", async () => {
    const at = place({ "w.wf": wf })
    const plainly = ["who=hush-hush", "token=another"]
    const [plain = "", hushed = "", both = ""] = await runAll(
      at,
      plainly,
      ["token=very hush-hush"],
      ["who=so hush-hush"]
    )
    expect(await listed(at, "--text", "hush")).toEqual([plain])
    // What holds the secret is no more to be found than the secret.
    for (const text of ["so", "*"]) expect([both, await listed(at, "--text", text)]).toEqual([both, []])
    for (const text of ["very", "**", "very hush-hush"]) expect(await listed(at, "--text", text)).toEqual([])
    expect(await listed(at, "--text", "you")).toEqual([hushed])
  })

  it("of a run that began before records said what is secret is told by its definition; without it no input is found", async () => {
    const at = place({ "w.wf": wf })
    await runAll(at, ["token=very hush-hush"])
    const database = new Database(at.path("millrace.db"))
    database.exec("UPDATE runs SET settings = json_remove(settings, '$.secrets')")
    expect(await listed(at, "--text", "very")).toEqual([])
    expect(await listed(at, "--text", "you")).toHaveLength(1)
    const shown = await at.run(["runs", "--json"])
    expect(JSON.parse(shown.stdout)).toMatchObject([{ inputs: { token: "***", who: "you" } }])
    database.exec("DELETE FROM definitions")
    database.close()
    for (const text of ["very", "you"]) expect(await listed(at, "--text", text)).toEqual([])
  })

  it("does not keep a page from being filled with runs behind those that hold it", async () => {
    const at = place({ "w.wf": wf })
    const [run = ""] = await runAll(at, ["who=needle"])
    const database = new Database(at.path("millrace.db"))
    const columns = database.prepare("SELECT name FROM pragma_table_info('runs')").pluck().all().map(String)
    const values = columns.map((name) => (name === "id" ? "?" : name === "inputs" ? "?" : name))
    const copy = database.prepare(`INSERT INTO runs SELECT ${values.join(", ")} FROM runs WHERE id = ?`)
    const secret = JSON.stringify({ who: "you", token: "needle" })
    database.transaction(() => {
      for (let n = 0; n < 450; n++) copy.run(`7ZZZZZZZZZZZZZZZZZZZZZZ${String(n).padStart(3, "0")}`, secret, run)
    })()
    database.close()
    expect(await listed(at, "--text", "needle", "--limit", "1")).toEqual([run])
  })
})
