import { spawn } from "node:child_process"
import { existsSync, readFileSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import { build } from "esbuild"
import type { ProcessIdentity } from "../../src/action/Action.ts"
import * as LogFile from "../../src/action/LogFile.ts"
import { type ProcessOptions, run } from "../../src/action/Process.ts"
import { hasLivingMember, identify, killOrphans } from "../../src/action/ProcessGroup.ts"
import { childrenOf, eventually, groupMembers, processesWith, temporaryFolder, write, writeScript } from "./support.ts"

const environment: Record<string, string> = { PATH: process.env["PATH"] ?? "" }

/** A text that no other process of the machine has on its command line. */
const unique = `millrace-test-${process.pid}`
let counter = 0
const marker = () => `${unique}-${++counter}`

const shell = (folder: string, command: string, overrides: Partial<ProcessOptions> = {}): ProcessOptions => ({
  command: ["/bin/sh", "-c", command],
  cwd: folder,
  env: environment,
  stdout: join(folder, "stdout.log"),
  stderr: join(folder, "stderr.log"),
  ...overrides
})

const read = (folder: string, file: string) => {
  const path = join(folder, file)
  return existsSync(path) ? readFileSync(path, "utf8") : undefined
}

const output = (folder: string) => ({ stdout: read(folder, "stdout.log"), stderr: read(folder, "stderr.log") })

const openDescriptors = () => readdirSync("/proc/self/fd").length

afterAll(() => {
  expect(processesWith(unique)).toEqual([])
})

describe("Process", () => {
  it.scopedLive("gives exit code, output and what was printed to each stream", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const exit = yield* run(shell(folder, "echo out; echo err >&2; exit 3"))
      expect(exit).toMatchObject({ code: 3, signal: null, stdout: { bytes: 4 }, stderr: { bytes: 4 } })
      expect(output(folder)).toEqual({ stdout: "out\n", stderr: "err\n" })
    })
  )

  it.scopedLive("tells death by a signal from an exit code that looks like one", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      expect(yield* run(shell(folder, "kill -9 $$"))).toMatchObject({ code: null, signal: "SIGKILL" })
      expect(yield* run(shell(folder, "exit 137"))).toMatchObject({ code: 137, signal: null })
      expect(yield* run(shell(folder, "exit 127"))).toMatchObject({ code: 127, signal: null })
    })
  )

  it.scopedLive("lets a program open its streams by name", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const command = "cat /dev/stdin > /dev/stdout; echo one > /dev/stderr; echo two > /dev/stderr"
      const exit = yield* run(shell(folder, command, { stdin: "given" }))
      expect(exit.code).toBe(0)
      expect(output(folder)).toEqual({ stdout: "given", stderr: "one\ntwo\n" })
    })
  )

  it.scopedLive("hands on variables that a shell could not name itself, and nothing that was not given", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const env = { ...environment, "my-var": "a b", "x.y": "$(id)\n'\"", PLAIN: "ä" }
      yield* run(shell(folder, "", { command: ["/usr/bin/env", "-0"], env }))
      const entries = (output(folder).stdout ?? "").split("\0").slice(0, -1)
      expect(entries.filter((entry) => !entry.startsWith("PWD="))).toEqual(
        expect.arrayContaining(["my-var=a b", "x.y=$(id)\n'\"", "PLAIN=ä"])
      )
      expect(entries.length).toBeLessThanOrEqual(Object.keys(env).length + 1)
    })
  )

  it.scopedLive("reads no input where none is given, and survives a program that reads none", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      expect((yield* run(shell(folder, "cat"))).code).toBe(0)
      const large = "x".repeat(1_000_000)
      expect((yield* run(shell(folder, "exit 0", { stdin: large }))).code).toBe(0)
      expect((yield* run(shell(folder, "wc -c", { stdin: large }))).code).toBe(0)
      expect(output(folder).stdout?.trim()).toBe("1000000")
    })
  )

  it.scopedLive("takes 100 MB of output without holding it", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const exit = yield* run(shell(folder, "head -c 100000000 /dev/zero; echo end"))
      expect(exit).toMatchObject({ code: 0, stdout: { bytes: 100_000_004 } })
      expect(yield* LogFile.readEnd(exit.stdout.file, 4)).toEqual({ text: "end\n", whole: false })
    })
  )

  it.scopedLive("ends a program that prints more than it may", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const failed = yield* Effect.flip(run(shell(folder, "yes", { outputLimit: 100_000 })))
      expect(failed.message).toBe("the stdout of the process was lost: more than 100000 bytes were printed")
    })
  )

  it.scopedLive("ends a program whose output cannot be written", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const stdout = join(folder, "missing", "stdout.log")
      const failed = yield* Effect.flip(run(shell(folder, "echo hi; sleep 30", { stdout })))
      expect(failed._tag).toBe("ProcessOutputLost")
      expect(failed.message).toContain("ENOENT")
    })
  )

  it.scopedLive("ends the whole group on interruption", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const name = marker()
      const script = writeScript(folder, name, "#!/bin/sh\nsleep 30 &\n(sleep 31; true) &\necho up\nwait\n")
      const fiber = yield* Effect.fork(run(shell(folder, "", { command: [script] })))
      yield* eventually(() => output(folder).stdout === "up\n")
      const [pid = 0] = processesWith(name)
      const begin = performance.now()
      yield* Fiber.interrupt(fiber)
      expect(performance.now() - begin).toBeLessThan(1_000)
      expect(hasLivingMember(pid)).toBe(false)
    })
  )

  it.scopedLive("kills a program that ignores TERM after the grace period, with its children", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const name = marker()
      const command = `trap '' TERM; : ${name}; echo up; while :; do sleep 0.05; done`
      const fiber = yield* Effect.fork(run(shell(folder, command, { grace: 150 })))
      yield* eventually(() => output(folder).stdout === "up\n")
      const begin = performance.now()
      yield* Fiber.interrupt(fiber)
      const took = performance.now() - begin
      expect(took).toBeGreaterThanOrEqual(149)
      expect(took).toBeLessThan(2_000)
      expect(processesWith(name)).toEqual([])
    })
  )

  it.scopedLive("lets a program clean up on TERM, and keeps what it prints then", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const command = "trap 'sleep 0.1; echo clean; exit 0' TERM; echo up; while :; do sleep 0.02; done"
      const fiber = yield* Effect.fork(run(shell(folder, command)))
      yield* eventually(() => output(folder).stdout === "up\n")
      yield* Fiber.interrupt(fiber)
      expect(output(folder).stdout).toBe("up\nclean\n")
    })
  )

  it.scopedLive("ends children that outlive the program, whether or not they hold its output", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const name = marker()
      const script = writeScript(folder, name, "#!/bin/sh\nsleep 30\n")
      const begin = performance.now()
      const holding = yield* run(shell(folder, `${script} & echo hi`, { drainGrace: 100 }))
      const silent = yield* run(shell(folder, `${script} >/dev/null 2>&1 & echo hi`, { drainGrace: 100 }))
      expect([holding.code, silent.code]).toEqual([0, 0])
      expect(performance.now() - begin).toBeLessThan(2_000)
      expect(processesWith(name)).toEqual([])
    })
  )

  it.scopedLive("waits for the output of children that end soon", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      yield* run(shell(folder, "(sleep 0.1; echo late) & echo hi"))
      expect(output(folder).stdout).toBe("hi\nlate\n")
    })
  )

  it.scopedLive("is not held by a process that left the group with its output", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const name = marker()
      const script = writeScript(folder, name, "#!/bin/sh\nsleep 30\n")
      const exit = yield* run(shell(folder, `setsid ${script} & echo hi`, { drainGrace: 50 }))
      expect(exit.code).toBe(0)
      for (const pid of processesWith(name)) process.kill(-pid, "SIGKILL")
      expect(yield* eventually(() => processesWith(name).length === 0)).toBe(true)
    })
  )

  it.scopedLive("records the group before the program begins", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      let recorded: ProcessIdentity | undefined
      let begun = false
      const started = (identity: ProcessIdentity) =>
        Effect.sync(() => {
          recorded = identity
        }).pipe(
          Effect.zipRight(Effect.sleep(30)),
          Effect.tap(() =>
            Effect.sync(() => {
              begun = existsSync(join(folder, "begun"))
            })
          )
        )
      yield* run(shell(folder, "echo $$; : > begun", { started }))
      expect(begun).toBe(false)
      expect(output(folder).stdout).toBe(`${recorded?.pid}\n`)
      expect(recorded?.startTime).toMatch(/^\d+$/)
      expect(recorded?.boot).toMatch(/^[0-9a-f-]{36}$/)
    })
  )

  it.scopedLive("leaves no descriptor and no lifeline behind", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      yield* run(shell(folder, "echo warm", { stdin: "x" }))
      const before = { descriptors: openDescriptors(), children: childrenOf(process.pid) }
      yield* Effect.all(
        Array.from({ length: 8 }, (_, n) =>
          run(
            shell(folder, "echo hi", { stdin: "x", stdout: join(folder, `${n}.out`), stderr: join(folder, `${n}.err`) })
          )
        ),
        { concurrency: 4 }
      )
      yield* Effect.either(run(shell(folder, "x".repeat(200_000))))
      expect(openDescriptors()).toBeLessThanOrEqual(before.descriptors)
      expect(childrenOf(process.pid)).toEqual(before.children)
    })
  )

  it.scopedLive("says why a program cannot be started", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const failure = (file: string) =>
        run(shell(folder, "", { command: [file] })).pipe(
          Effect.either,
          Effect.map((result) =>
            Either.isLeft(result) && result.left._tag === "ProcessNotStarted"
              ? `${result.left.reason}: ${result.left.detail.replaceAll(folder, "")}`
              : "it ran"
          )
        )
      const cases = [
        [join(folder, "missing"), "NotFound: there is no such file"],
        [folder, "NotAFile: it is not a file"],
        [write(folder, "plain", "#!/bin/sh\n"), "NotExecutable: it is not executable; run: chmod +x /plain"],
        [
          writeScript(folder, "nowhere", "#!/nowhere/sh\n"),
          "BadInterpreter: its interpreter /nowhere/sh is missing or not executable"
        ],
        [
          writeScript(folder, "windows", "#!/bin/sh\r\necho\r\n"),
          "BadInterpreter: its first line ends with a carriage return; save it with Unix lines"
        ],
        [writeScript(folder, "binary", "\0\u0001\u0002"), "BadInterpreter: it is neither a program nor a script"],
        [writeScript(folder, "bare", "exit 0\n"), "it ran"]
      ] as const
      for (const [file, expected] of cases) expect(yield* failure(file)).toBe(expected)
    })
  )

  it.scopedLive("says when arguments or a working directory are of no use", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const large = yield* Effect.flip(run(shell(folder, "x".repeat(200_000))))
      expect(large.message).toBe("cannot run /bin/sh: its arguments and environment are too large")
      const lost = yield* Effect.flip(run(shell(folder, "true", { cwd: join(folder, "gone") })))
      expect(lost.message).toContain("gone is not a directory")
      const nul = yield* Effect.flip(run(shell(folder, "echo a\0b")))
      expect(nul._tag).toBe("ProcessNotStarted")
    })
  )
})

describe("the lifeline", () => {
  it.scopedLive("kills the group within a second of the engine's death", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const name = marker()
      writeScript(folder, name, "#!/bin/sh\ntrap '' TERM HUP INT\nsleep 60 &\necho up\nwhile :; do sleep 1; done\n")
      const entry = write(
        folder,
        "entry.ts",
        `import { run } from ${JSON.stringify(join(import.meta.dirname, "../../src/action/Process.ts"))}
        import * as Effect from "effect/Effect"
        const folder = ${JSON.stringify(folder)}
        Effect.runFork(run({
          command: [folder + "/${name}"], cwd: folder, env: process.env,
          stdout: folder + "/stdout.log", stderr: folder + "/stderr.log"
        }))`
      )
      const outfile = join(folder, "entry.mjs")
      yield* Effect.promise(() =>
        build({
          entryPoints: [entry],
          outfile,
          bundle: true,
          platform: "node",
          format: "esm",
          logLevel: "error",
          nodePaths: [join(import.meta.dirname, "../../node_modules")]
        })
      )
      const engine = yield* Effect.acquireRelease(
        Effect.sync(() => spawn(process.execPath, [outfile], { stdio: "ignore" })),
        (started) => Effect.sync(() => started.kill("SIGKILL"))
      )
      const up = yield* eventually(() => output(folder).stdout === "up\n")
      expect(up).toBe(true)
      const [pid = 0] = processesWith(name).filter((found) => found !== engine.pid)
      expect(hasLivingMember(pid)).toBe(true)
      engine.kill("SIGKILL")
      expect(yield* eventually(() => processesWith(folder).length === 0 && !hasLivingMember(pid), 1_000)).toBe(true)
    })
  )
})

describe("killOrphans", () => {
  const orphan = (name: string) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const child = spawn("/bin/sh", ["-c", `: ${name}; sleep 60 & sleep 61`], { detached: true, stdio: "ignore" })
        return { child, identity: identify(child.pid ?? 0) }
      }),
      ({ identity }) => killOrphans(identity)
    )

  it.scopedLive("ends the very group that was recorded", () =>
    Effect.gen(function* () {
      const name = marker()
      const { identity } = yield* orphan(name)
      expect(yield* killOrphans(identity)).toBe(true)
      expect(processesWith(name)).toEqual([])
      expect(yield* killOrphans(identity)).toBe(false)
    })
  )

  it.scopedLive("ends what is left of a group whose leader is gone", () =>
    Effect.gen(function* () {
      const { child, identity } = yield* orphan(marker())
      yield* eventually(() => groupMembers(identity.pid) > 1)
      const ended = new Promise((resolve) => child.once("exit", resolve))
      child.kill("SIGKILL")
      yield* Effect.promise(() => ended)
      expect(hasLivingMember(identity.pid)).toBe(true)
      expect(yield* killOrphans(identity)).toBe(true)
      expect(yield* eventually(() => !hasLivingMember(identity.pid))).toBe(true)
    })
  )

  it.scopedLive("touches no other process that has the same pid", () =>
    Effect.gen(function* () {
      const { identity } = yield* orphan(marker())
      expect(yield* killOrphans({ ...identity, startTime: "1" })).toBe(false)
      expect(yield* killOrphans({ ...identity, boot: "another" })).toBe(false)
      expect(yield* killOrphans({ ...identity, pid: 1 })).toBe(false)
      expect(yield* killOrphans({ ...identity, pid: 0 })).toBe(false)
      expect(hasLivingMember(identity.pid)).toBe(true)
    })
  )
})
