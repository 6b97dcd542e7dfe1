/**
 * The lifeline of a process group: a small shell beside it that kills the group when the engine is gone.
 *
 * It is a child of the engine and waits at the end of a pipe that only the engine holds: the kernel closes it however
 * the engine dies, `kill -9` included. It leads a session of its own, so that neither Ctrl-C nor the end of the
 * group reaches it; being the engine's child it is reaped also where nobody reaps orphans (a container without init).
 *
 * It also makes the pipes for the group's output. Node's own are sockets, which scripts cannot open by name:
 * `echo oops > /dev/stderr` and `cat /dev/stdin` fail there.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, constants, openSync } from "node:fs"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** The descriptors for a process. Whoever spawns it closes them; of `read` the reader takes care. */
export interface Descriptors {
  readonly stdin: number | undefined
  readonly stdout: Pipe
  readonly stderr: Pipe
}

export interface Pipe {
  readonly read: number
  readonly write: number
}

export interface Lifeline {
  readonly descriptors: Descriptors
  /** From here on the group dies with this process. */
  readonly guard: (group: number) => void
  /** The group is gone: ends the lifeline without a kill. */
  readonly release: () => Promise<void>
}

const script = `
mkfifo -m 600 "$1" "$2" && echo ready || exit
IFS= read -r group || exit 0
IFS= read -r over && exit 0
kill -KILL "-$group"
`

/** The lifeline answers within a few ms; it is given up after this many. */
const readyWait = 10_000
/** How long the end of a lifeline that was told to end is waited for, in ms. */
const endWait = 1_000

/** Starts a lifeline and makes the pipes; a standard input that is given is read from a file nobody else can open. */
export const open = async (stdin: string | undefined): Promise<Lifeline> => {
  const folder = await mkdtemp(join(tmpdir(), "millrace-"))
  try {
    const paths = { stdout: join(folder, "stdout"), stderr: join(folder, "stderr") }
    const watcher = spawn("/bin/sh", ["-c", script, "lifeline", paths.stdout, paths.stderr], {
      cwd: "/",
      detached: true,
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
      stdio: ["pipe", "pipe", "pipe"]
    })
    // Whoever killed the lifeline broke its pipe; the group is then only recognised by its record.
    watcher.stdin.on("error", () => undefined)
    const release = () => end(watcher)
    try {
      await ready(watcher)
      const input = stdin === undefined ? undefined : await openInput(join(folder, "stdin"), stdin)
      const descriptors = openPipes(paths, input)
      return { descriptors, guard: (group) => void watcher.stdin.write(`${group}\n`), release }
    } catch (error) {
      await release()
      throw error
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const openInput = async (file: string, text: string): Promise<number> => {
  await writeFile(file, text, { mode: 0o600 })
  return openSync(file, "r")
}

/** Opens both ends of both pipes, none of them if one fails. */
const openPipes = (
  paths: { readonly stdout: string; readonly stderr: string },
  stdin: number | undefined
): Descriptors => {
  const opened: Array<number> = stdin === undefined ? [] : [stdin]
  const openOne = (path: string, flags: number) => {
    const fd = openSync(path, flags)
    opened.push(fd)
    return fd
  }
  // The reading end first and without blocking: the writing end, which must block, then finds a reader at once.
  const openPipe = (path: string): Pipe => ({
    read: openOne(path, constants.O_RDONLY | constants.O_NONBLOCK),
    write: openOne(path, constants.O_WRONLY)
  })
  try {
    return { stdin, stdout: openPipe(paths.stdout), stderr: openPipe(paths.stderr) }
  } catch (error) {
    for (const fd of opened) closeSync(fd)
    throw error
  }
}

const ready = (watcher: ChildProcess): Promise<void> =>
  new Promise((resolve, reject) => {
    let problem = ""
    const timer = setTimeout(() => reject(new Error("the lifeline does not start")), readyWait)
    const settle = (act: () => void) => {
      clearTimeout(timer)
      act()
    }
    watcher.stderr?.on("data", (chunk: Buffer) => {
      problem += chunk.toString("utf8")
    })
    watcher.stdout?.once("data", () => settle(resolve))
    watcher.once("error", (error) => settle(() => reject(error)))
    watcher.once("close", () => settle(() => reject(new Error(`the lifeline ended: ${problem.trim()}`))))
  })

const end = (watcher: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (watcher.pid === undefined || watcher.exitCode !== null || watcher.signalCode !== null) return resolve()
    const timer = setTimeout(() => watcher.kill("SIGKILL"), endWait)
    watcher.once("exit", () => {
      clearTimeout(timer)
      resolve()
    })
    watcher.stdin?.end("over\n")
  })
