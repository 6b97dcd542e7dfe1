/**
 * The processes of a torture: each in a place of its own, where it is killed at random moments and started again.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { readdirSync, readlinkSync } from "node:fs"

export interface PlaceOptions {
  readonly name: string
  /** Program and arguments of `node`. */
  readonly args: ReadonlyArray<string>
  readonly cwd: string
}

/** One process after the other; one that ends by itself is a problem. */
export class Place {
  readonly problems: Array<string> = []
  kills = 0
  #child: ChildProcess | undefined
  #closed: Promise<void> = Promise.resolve()
  #stderr = ""
  #isEnding = false

  constructor(private readonly options: PlaceOptions) {}

  start(): void {
    const { args, cwd, name } = this.options
    const child = spawn(process.execPath, args, { cwd, stdio: ["ignore", "ignore", "pipe"] })
    this.#child = child
    this.#stderr = ""
    this.#isEnding = false
    child.stderr.on("data", (chunk) => {
      this.#stderr += String(chunk)
    })
    this.#closed = new Promise((resolve) =>
      child.once("close", (code, signal) => {
        // One that has only begun to start does not heed TERM yet: it ends by it.
        const isWanted = signal !== null || code === 0
        if (!isWanted || !this.#isEnding)
          this.problems.push(`${name} ended with ${code ?? signal}: ${this.#stderr.trim()}`)
        resolve()
      })
    )
  }

  /** Whether it is (still) there. */
  get isAlive(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null
  }

  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    if (signal === "SIGKILL") this.kills += 1
    this.#isEnding = true
    this.#child?.kill(signal)
    await this.#closed
  }
}

/** The processes that work in a folder. */
export const processesIn = (folder: string): ReadonlyArray<number> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => workingDirectory(pid) === folder)

const workingDirectory = (pid: number): string | undefined => {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    // It has ended, or is a process of the kernel.
    return undefined
  }
}
