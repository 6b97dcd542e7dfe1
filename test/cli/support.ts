/**
 * Runs the real program, as a user would: `node dist/cli/bin.js`, in folders of its own.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { inject, onTestFinished } from "vitest"

export const bin = join(import.meta.dirname, "../../dist/cli/bin.js")

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly process: ChildProcess
  readonly ended: Promise<Ended>
  /** Resolves with all of stdout so far once it holds this text. */
  readonly prints: (text: string) => Promise<string>
  /** Types on its standard input, which `keepInput` has kept open. */
  readonly type: (text: string) => void
}

export interface StartOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  readonly keepInput?: boolean
  /** In place of `node dist/cli/bin.js ARGS`. */
  readonly command?: readonly [string, ...ReadonlyArray<string>]
}

/** What a test must not inherit: the terminal's wishes, and how npm started it. */
const { FORCE_COLOR: _color, NO_COLOR: _plain, npm_lifecycle_event: _event, INIT_CWD: _cwd, ...inherited } = process.env

export const start = (args: ReadonlyArray<string>, options: StartOptions): Running => {
  const failure = inject("buildFailure")
  if (failure !== "") throw new Error(`the program cannot be built: ${failure}`)
  const [file, ...rest] = options.command ?? [process.execPath, bin, ...args]
  const child = spawn(file, rest, {
    cwd: options.cwd,
    env: { ...inherited, NO_COLOR: "1", ...options.env },
    stdio: ["pipe", "pipe", "pipe"]
  })
  let stdout = ""
  let stderr = ""
  const waiting = new Set<{ readonly text: string; readonly done: (stdout: string) => void }>()
  const look = () => {
    for (const wait of waiting) {
      if (!stdout.includes(wait.text)) continue
      waiting.delete(wait)
      wait.done(stdout)
    }
  }
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text
    look()
  })
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text
  })
  // A program that ends without reading its input breaks the pipe.
  child.stdin.on("error", () => undefined)
  if (options.keepInput !== true) child.stdin.end(options.input ?? "")
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  const prints = (text: string) =>
    new Promise<string>((resolve, reject) => {
      waiting.add({ text, done: resolve })
      ended.then(() => reject(new Error(`ended without printing ${JSON.stringify(text)}:\n${stdout}\n${stderr}`)))
      look()
    })
  onTestFinished(() => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL")
  })
  return { process: child, ended, prints, type: (text) => void child.stdin.write(text) }
}

export interface Place {
  readonly folder: string
  /** The folder without links. */
  readonly real: string
  readonly path: (name: string) => string
  /** Writes a file; a name that ends in `!` is made executable. */
  readonly write: (name: string, text: string | Uint8Array) => string
  readonly remove: (name: string) => void
  readonly rename: (name: string, other: string) => void
  readonly start: (args: ReadonlyArray<string>, options?: Omit<StartOptions, "cwd">) => Running
  readonly run: (args: ReadonlyArray<string>, options?: Omit<StartOptions, "cwd">) => Promise<Ended>
  /** Runs the program in a real pseudo-terminal; `type` sends what a user would. Behind it stands `exit CODE`. */
  readonly onTerminal: (args: ReadonlyArray<string>, options?: TerminalOptions) => Running
}

export interface TerminalOptions {
  readonly columns?: number
  readonly rows?: number
  readonly env?: Readonly<Record<string, string>>
  /** What stands behind the program's words: `< /dev/null`. */
  readonly redirected?: string
}

const onTerminal = (
  cwd: string,
  args: ReadonlyArray<string>,
  { columns = 100, env, redirected = "", rows = 20 }: TerminalOptions = {}
): Running => {
  const words = [process.execPath, bin, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ")
  // A Ctrl-C is for the shell as well: without the trap some shells end by it, and say no code.
  const command = `trap : INT; stty rows ${rows} cols ${columns}; ${words} ${redirected}; echo "exit $?"`
  return start([], {
    cwd,
    env: { LC_ALL: "C.UTF-8", TERM: "xterm", ...env },
    keepInput: true,
    command: ["script", "-qec", command, "/dev/null"]
  })
}

/** A folder that is removed after the test. */
export const place = (files: Readonly<Record<string, string | Uint8Array>> = {}): Place => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-cli-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const write = (name: string, text: string | Uint8Array): string => {
    const path = join(folder, name.replace(/!$/, ""))
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
    if (name.endsWith("!")) chmodSync(path, 0o755)
    return path
  }
  for (const [name, text] of Object.entries(files)) write(name, text)
  const started: Place["start"] = (args, options) => start(args, { cwd: folder, ...options })
  return {
    folder,
    real: realpathSync(folder),
    path: (name) => join(folder, name),
    write,
    remove: (name) => rmSync(join(folder, name), { recursive: true }),
    rename: (name, other) => renameSync(join(folder, name), join(folder, other)),
    start: started,
    run: (args, options) => started(args, options).ended,
    onTerminal: (args, options) => onTerminal(folder, args, options)
  }
}

const escapes = new RegExp(`${String.fromCharCode(27)}\\[[0-9?]*[A-Za-z]|\\r`, "g")

/** What a terminal printed, without its colours and movements. */
export const plain = (text: string): string => text.replace(escapes, "")

/** Whether a process lives; one that ended and that nobody reaps does not. */
export const isRunning = (pid: string): boolean => {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", pid.trim()], { encoding: "utf8" })
  return stdout.trim() !== "" && !stdout.trim().startsWith("Z")
}

/** The id in `run 01… of …`. */
export const runIn = (stdout: string): string => {
  const found = /run ([0-9A-Z]{26})/.exec(stdout)?.[1]
  if (found === undefined) throw new Error(`no run in ${JSON.stringify(stdout)}`)
  return found
}

/** What `show --json` prints, as far as tests look at it. */
export interface Shown {
  readonly run: {
    readonly id: string
    readonly status: string
    readonly error: string | null
    readonly inputs: Readonly<Record<string, string>>
    readonly cancelReason: string | null
    readonly startedAt: number | null
    readonly endedAt: number | null
    readonly blockedOn: ReadonlyArray<{ readonly _tag: string; readonly name: string }>
    readonly owner: string | null
    readonly parentRunId: string | null
    readonly forkedFrom: { readonly runId: string; readonly path: string } | null
  }
  readonly steps: ReadonlyArray<{
    readonly path: string
    readonly name: string
    readonly status: string
    readonly error: string | null
    readonly context: string | null
    readonly markers: ReadonlyArray<string>
    readonly structuredOutput: unknown
    readonly attempts: ReadonlyArray<{ readonly number: number; readonly outcome: string }>
    readonly childRunId: string | null
    readonly superseded: boolean
    readonly gate: {
      readonly notifiedAt: number | null
      readonly answer: { readonly by: string | null } | null
    } | null
  }>
  readonly items: ReadonlyArray<{ readonly id: string; readonly status: string; readonly childRunId: string | null }>
}

export const show = async (at: Place, run: string, ...more: ReadonlyArray<string>): Promise<Shown> => {
  const { stdout, stderr } = await at.run(["show", run, "--json", ...more])
  try {
    return JSON.parse(stdout)
  } catch {
    throw new Error(`no JSON: ${stdout}${stderr}`)
  }
}

/** `path status` of the steps. */
export const outline = ({ steps }: Shown): ReadonlyArray<string> =>
  steps.filter(({ superseded }) => !superseded).map(({ path, status }) => `${path} ${status}`)

/** The program bound by permission bits, as it is not for root: root without the rights to override them. */
export const boundCommand = (args: ReadonlyArray<string>): readonly [string, ...ReadonlyArray<string>] => {
  const program = [process.execPath, bin, ...args] as const
  return process.getuid?.() === 0
    ? ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", ...program]
    : program
}

/** Takes the right to write from a folder and all in it, until the test is over. */
export const protect = (folder: string, modes: { readonly file: number; readonly folder: number }): void => {
  const entries = readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => join(folder, name))
  const all = [folder, ...entries].map((path) => ({ path, stat: statSync(path) }))
  // The innermost first: a folder that may not be entered hides what is in it.
  for (const { path, stat } of all.toReversed()) chmodSync(path, stat.isDirectory() ? modes.folder : modes.file)
  onTestFinished(() => {
    for (const { path, stat } of all) chmodSync(path, stat.mode)
  })
}
