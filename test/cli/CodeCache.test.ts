/** Compiled code that the program keeps between starts: it never changes what the program does. */
import { describe, expect, it } from "vitest"
import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { dirname, join } from "node:path"
import { bin, place } from "./support.ts"

const root = join(import.meta.dirname, "../..")

/** A program of its own, that nothing has been kept of. */
const installed = () => {
  const at = place({ "w.wf": 'workflow w { script hello { run = "true" } }\n' })
  const folder = at.path("program/dist/cli")
  cpSync(dirname(bin), folder, { recursive: true })
  cpSync(join(root, "package.json"), at.path("program/package.json"))
  symlinkSync(join(root, "node_modules"), at.path("program/node_modules"))
  const kept = (where: string) => (existsSync(where) ? readdirSync(where).filter((name) => name.includes(".code")) : [])
  for (const name of kept(folder)) rmSync(join(folder, name))
  const env = { XDG_CACHE_HOME: at.path("cache") }
  const run = (...args: ReadonlyArray<string>) =>
    at.run([], { env, command: [process.execPath, join(folder, "bin.js"), ...args] })
  return { at, folder, run, kept: () => kept(folder), keptByUser: () => kept(at.path("cache/millrace")) }
}

const version = { code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), stderr: "" }

const commandsOf = (file: string): string | undefined =>
  readFileSync(file, "latin1")
    .split("\n", 1)[0]
    ?.replace(/^[0-9a-f]{64} /, "")

describe("code that is kept between starts", () => {
  it("stands beside the program, in one file, to which each command adds its own the first time that it ends well", async () => {
    const { folder, kept, keptByUser, run } = installed()
    expect(await run("validate", "nowhere.wf")).toMatchObject({ code: 2 })
    expect(kept()).toEqual([])
    expect(await run("--version")).toMatchObject(version)
    const [name = ""] = kept()
    expect(name).toContain(`${process.version}-${process.arch}.code`)
    const file = join(folder, name)
    expect(commandsOf(file)).toBe("--version")
    expect(await run("run", "w.wf", "--db", "x.db")).toMatchObject({ code: 0, stderr: "" })
    expect(commandsOf(file)).toBe("--version,run")
    const { mtimeMs, ino } = statSync(file)
    expect(await run("--version")).toMatchObject(version)
    expect(await run("run", "w.wf", "--db", "x.db")).toMatchObject({ code: 0, stderr: "" })
    expect(statSync(file)).toMatchObject({ mtimeMs, ino })
    expect([kept(), keptByUser()]).toEqual([[name], []])
  })

  it("is not used when it is damaged, and made anew", async () => {
    const { folder, kept, run } = installed()
    await run("--version")
    const file = join(folder, kept()[0] ?? "")
    const whole = readFileSync(file)
    const flipped = Buffer.from(whole)
    for (let at = 1_000; at < whole.length; at += 1_000) flipped[at] = (flipped[at] ?? 0) ^ 0xff
    for (const damaged of [flipped, whole.subarray(0, 5_000), Buffer.from("nonsense"), Buffer.alloc(0)]) {
      writeFileSync(file, damaged)
      expect(await run("--version")).toMatchObject(version)
      expect(readFileSync(file).length).toBeGreaterThan(100_000)
    }
  })

  it("is another one for another program, and for other settings of the compiler made anew", async () => {
    const { at, folder, kept, run } = installed()
    await run("--version")
    const [first] = kept()
    const flags = { command: [process.execPath, "--no-opt", join(folder, "bin.js"), "--version"] } as const
    expect(await at.run([], flags)).toMatchObject(version)
    expect(kept()).toEqual([first])
    const main = join(folder, "main.js")
    // Of the same length, which is all that the compiler looks at.
    writeFileSync(main, readFileSync(main, "latin1").replace("there is no command", "there is NO command"), "latin1")
    expect(await run("nothing")).toMatchObject({ code: 2, stderr: expect.stringContaining("there is NO command") })
    expect(await run("--version")).toMatchObject(version)
    expect(kept()).toHaveLength(2)
  })

  it("is kept by the user where the program's folder takes none, and old ones are forgotten", async () => {
    const { at, folder, kept, keptByUser, run } = installed()
    await run("--version")
    const [name = ""] = kept()
    // A folder in its place: nothing can be put there.
    rmSync(join(folder, name))
    mkdirSync(join(folder, name, "full"), { recursive: true })
    const old = at.write("cache/millrace/0123-v18.0.0-x64.code", "of long ago")
    utimesSync(old, 1, 1)
    expect(await run("--version")).toMatchObject(version)
    expect(keptByUser()).toEqual([name])
    expect(kept()).toEqual([name])
    // The same, where that is no folder either.
    rmSync(at.path("cache"), { recursive: true })
    at.write("cache", "a file")
    expect(await run("--version")).toMatchObject(version)
  })

  it.runIf(process.getuid?.() === 0)("is not taken from other users", async () => {
    const { folder, kept, run } = installed()
    await run("--version")
    const file = join(folder, kept()[0] ?? "")
    const mine = statSync(file)
    chownSync(file, 12_345, 12_345)
    expect(await run("--version")).toMatchObject(version)
    expect(statSync(file).uid).toBe(mine.uid)
  })
})
