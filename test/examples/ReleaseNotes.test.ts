import { describe, expect, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { outline, type Place, place, runIn, show } from "../cli/support.ts"

const workflow = join(import.meta.dirname, "../../examples/release-notes/release-notes.wf")

const git = (at: Place, ...args: ReadonlyArray<string>): string =>
  execFileSync(
    "git",
    ["-c", "user.name=Ana", "-c", "user.email=ana@example.org", "-c", "commit.gpgsign=false", ...args],
    {
      cwd: at.folder,
      encoding: "utf8",
      stdio: "pipe"
    }
  )

/** A repository in which each message is a commit that changes the file of its name. */
const repository = (commits: ReadonlyArray<readonly [file: string, message: string]>): Place => {
  const at = place()
  git(at, "init", "--quiet", "--initial-branch=main")
  for (const [file, message] of commits) {
    at.write(file, message)
    git(at, "add", ".")
    git(at, "commit", "--quiet", "--message", message)
  }
  return at
}

const commits = [
  ["README.md", "start the project"],
  ["src/a.ts", "feat: add the first thing"],
  ["src/b.ts", 'fix: repair `$(touch ran)` and "quotes"'],
  ["docs/a.md", "document what there is"],
  ["src/a.ts", "feat!: name things anew"]
] as const

const release = (at: Place, ...more: ReadonlyArray<string>): ReadonlyArray<string> => [
  "run",
  workflow,
  "--db",
  at.path("runs.db"),
  ...more
]

describe("the example release-notes", () => {
  it("writes the notes of another repository, from its last tag on", async () => {
    const at = repository(commits)
    git(at, "tag", "v1", "HEAD~3")
    const { code, stdout, stderr } = await at.run(release(at, "--yes", "--input", "output=out/NOTES.md"))
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    const notes = readFileSync(at.path("out/NOTES.md"), "utf8")
    expect(notes).toContain("# Release notes, since v1\n")
    expect(notes).toContain("## Breaking changes\n\n- feat!: name things anew\n")
    expect(notes).toContain("## docs\n\n**Documentation**\n\n- document what there is (")
    expect(notes).toContain('repair \\`$(touch ran)\\` and "quotes"')
    expect(notes).not.toContain("start the project")
    expect(existsSync(at.path("ran"))).toBe(false)
    const shown = await show(at, runIn(stdout), "--db", "runs.db")
    expect(outline(shown)).toMatchInlineSnapshot(`
      [
        "/collect completed",
        "/foreach:areas completed",
        "/parallel/check-subjects completed",
        "/parallel/check-worktree completed",
        "/parallel/check-signatures completed",
        "/draft-notes completed",
        "/quality_gate completed",
        "/if:draft-notes.has_breaking_changes/warn-breaking completed",
        "/human_approval completed",
        "/publish completed",
        "/@always/clean-up completed",
      ]
    `)
    expect(shown.items.map(({ id, status }) => `${id} ${status}`).sort()).toEqual(["docs completed", "src completed"])
  })

  it("works where there is but one commit, and takes a repository and a ref as inputs", async () => {
    const at = repository([["README.md", "start"]])
    const one = await at.run(release(at, "--yes"))
    expect({ code: one.code, stderr: one.stderr }).toEqual({ code: 0, stderr: "" })
    expect(readFileSync(at.path("RELEASE_NOTES.md"), "utf8")).toContain("start")
    const other = repository(commits)
    const inputs = ["--input", `repository=${other.folder}`, "--input", "since=HEAD~1", "--input", "output=other.md"]
    expect((await at.run(release(at, "--yes", ...inputs))).code).toBe(0)
    const notes = readFileSync(at.path("other.md"), "utf8")
    expect(notes).toContain("name things anew")
    expect(notes).not.toContain("document what there is")
    const unknown = await at.run(release(at, "--yes", "--input", "since=nosuch"))
    expect(unknown.code).toBe(1)
    expect(unknown.stdout).toContain("has no ref 'nosuch'")
  })

  it("fails its quality gate where there is nothing to tell, and cleans up", async () => {
    const at = repository(commits)
    const { code, stdout } = await at.run(release(at, "--yes", "--input", "since=HEAD"))
    expect(code).toBe(1)
    expect(stdout).toContain("confidence 0, threshold 60")
    expect(existsSync(at.path("RELEASE_NOTES.md"))).toBe(false)
    expect(readdirSync(tmpdir())).not.toContain(`release-notes-${runIn(stdout)}`)
  })

  it("waits to be accepted, and is", async () => {
    const at = repository(commits)
    const waiting = await at.run(release(at))
    expect(waiting.code).toBe(3)
    expect(existsSync(at.path("RELEASE_NOTES.md"))).toBe(false)
    const accepted = await at.run(["approve", runIn(waiting.stdout), "--feedback", "well said", "--db", "runs.db"])
    expect(accepted.code).toBe(0)
    expect(readFileSync(at.path("RELEASE_NOTES.md"), "utf8")).toContain("> well said")
  })

  it.each(["/collect: started", "describe-area: started", "/parallel/check-worktree: started", "/publish: started"])(
    "killed at %s it goes on at once with resume",
    async (moment) => {
      const at = repository(commits)
      const running = at.start(release(at, "--yes"))
      const run = runIn(await running.prints(moment))
      running.process.kill("SIGKILL")
      await running.ended
      const resumed = await at.run(["resume", run, "--db", "runs.db"])
      expect({ code: resumed.code, stderr: resumed.stderr }).toEqual({ code: 0, stderr: "" })
      expect(readFileSync(at.path("RELEASE_NOTES.md"), "utf8")).toContain("# Release notes, up to ")
      expect(readdirSync(tmpdir())).not.toContain(`release-notes-${run}`)
    }
  )
})
