/**
 * What the tests of actions share: a folder of their own, a call as the engine would hand it over, and a look at the
 * machine's processes.
 */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import * as Effect from "effect/Effect"
import type { ActionCall, ProcessIdentity } from "../../src/action/Action.ts"
import type { RunId, StepPath } from "../../src/persistence/Records.ts"

/** A folder that is removed with its scope. */
export const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => realpathSync(mkdtempSync(join(tmpdir(), "millrace-test-")))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** Writes a file below a folder, its parents included. */
export const write = (folder: string, path: string, text: string, mode = 0o644): string => {
  const file = join(folder, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  chmodSync(file, mode)
  return file
}

export const writeScript = (folder: string, path: string, text: string): string => write(folder, path, text, 0o755)

export interface Recorded {
  readonly warnings: Array<string>
  readonly heartbeats: Array<unknown>
  readonly processes: Array<ProcessIdentity>
  abandoned: number
}

/** A call with its defaults, and what the action told the engine. */
export const makeCall = (
  folder: string,
  overrides: Partial<ActionCall> = {}
): { readonly call: ActionCall; readonly recorded: Recorded } => {
  const recorded: Recorded = { warnings: [], heartbeats: [], processes: [], abandoned: 0 }
  const call: ActionCall = {
    name: "act",
    ref: { _tag: "Name", name: "act" },
    workflow: "flow",
    // SAFETY: brands of texts; these are such texts.
    run: "01J0000000000000000000RUN0" as RunId,
    path: "/act" as StepPath,
    stepId: "01J000000000000000000STEP0",
    attempt: 1,
    idempotencyKey: "key",
    variables: {},
    snippets: [],
    schema: undefined,
    dryRun: false,
    gateFeedback: undefined,
    model: undefined,
    identity: undefined,
    pluginDirs: [],
    maxTurns: undefined,
    retriesLeft: 0,
    retryError: undefined,
    workingDirectory: folder,
    target: undefined,
    lastHeartbeat: undefined,
    heartbeat: (details) => Effect.sync(() => void recorded.heartbeats.push(details)),
    logFile: (stream) => Effect.succeed(join(folder, `${stream}.log`)),
    plainFile: Effect.succeed(join(folder, "stdout.plain")),
    processStarted: (process) => Effect.sync(() => void recorded.processes.push(process)),
    warn: (message) => Effect.sync(() => void recorded.warnings.push(message)),
    interruptGrace: Effect.succeed(100),
    abandoned: Effect.sync(() => void recorded.abandoned++),
    ...overrides
  }
  return { call, recorded }
}

/** The pids of living processes whose command line holds the text; zombies have none. */
export const processesWith = (text: string): ReadonlyArray<number> => processesThat("cmdline", text)

/** The same of their environment as they were started with it, which what they start inherits. */
export const processesMarked = (variable: string): ReadonlyArray<number> => processesThat("environ", variable)

const processesThat = (file: "cmdline" | "environ", text: string): ReadonlyArray<number> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => tell(name, file).includes(text))
    .map(Number)

/** Arguments or variables of a process, with blanks between them. */
const tell = (pid: string, file: "cmdline" | "environ"): string => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8").replaceAll("\0", " ")
  } catch {
    // Ended meanwhile.
    return ""
  }
}

/**
 * Waits until a condition holds, up to a limit in ms; whether it did. For what other processes do,
 * which must not have to wait for the looking: nine tenths of the time are theirs.
 */
export const eventually = (condition: () => boolean, limit = 5_000): Effect.Effect<boolean> =>
  Effect.async((resume) => {
    const end = performance.now() + limit
    const look = () => {
      const began = performance.now()
      const holds = condition()
      const now = performance.now()
      if (holds || now > end) resume(Effect.succeed(holds))
      else timer = setTimeout(look, Math.max(5, (now - began) * 9))
    }
    let timer: NodeJS.Timeout | undefined
    look()
    return Effect.sync(() => clearTimeout(timer))
  })

/** How many processes a group has. */
export const groupMembers = (group: number): number =>
  readdirSync("/proc").filter((name) => statField(name, 2) === group).length

/** The pids of a process's children, zombies included. */
export const childrenOf = (parent: number): ReadonlyArray<number> =>
  readdirSync("/proc")
    .filter((name) => statField(name, 1) === parent)
    .map(Number)

/** A field of `/proc/PID/stat`, counted behind the program's name: 0 is the state. */
const statField = (pid: string, index: number): number | undefined => {
  if (!/^\d+$/.test(pid)) return undefined
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[index])
  } catch {
    // Ended meanwhile.
    return undefined
  }
}
