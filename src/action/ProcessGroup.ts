/**
 * Process groups of the operating system: recognising a process after a restart, and ending a whole group
 * (spec/engine.md, "script"; design.md, "Effect and process traps").
 *
 * A group is named by its leader's pid. Linux does not give that number to another process while the group has
 * members, so a group whose leader is gone can still be ended safely.
 */
import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import * as Effect from "effect/Effect"
import type { ProcessIdentity } from "./Action.ts"

/** How long a group has between TERM and KILL, in ms: less than the 5 s after which the engine abandons an attempt. */
export const defaultGrace = 4_000

/** How long a group is waited for after KILL, in ms: only a process stuck in the kernel takes longer. */
const killWait = 2_000

/** What a process is recognised by; call it while the process cannot have been reaped yet. */
export const identify = (pid: number): ProcessIdentity => ({ pid, startTime: startTime(pid) ?? "", boot: bootId() })

/** Whether this very process still runs. One that ended and that its parent has not reaped does not. */
export const isRunning = ({ pid, startTime: recorded }: Pick<ProcessIdentity, "pid" | "startTime">): boolean => {
  if (process.platform !== "linux") return startTime(pid) === recorded && !isZombie(pid)
  const found = stat(pid)
  // A process whose first thread is dead may have others that die a little later.
  return found !== undefined && found.startTime === recorded && !(isDead(found.state) && found.threads <= 1)
}

/**
 * Where a pid means something: a container has processes of its own, though it may share its name and kernel with
 * others. Empty where that cannot be told.
 */
export const pidSpace = (): string => {
  try {
    return readlinkSync("/proc/self/ns/pid").replace(/\D/g, "")
  } catch {
    // Not on Linux, or hidden.
    return ""
  }
}

/**
 * Ends the process group that `identity` led, if it is still this very one: TERM, then KILL after `grace` ms.
 * Succeeds, when the group is gone, with whether there was one.
 */
export const killOrphans = (identity: ProcessIdentity, grace: number = defaultGrace): Effect.Effect<boolean> =>
  Effect.suspend(() => (isSameGroup(identity) ? Effect.as(endGroup(identity.pid, grace), true) : Effect.succeed(false)))

/** TERM to the group, up to `grace` ms of waiting, then KILL; nothing if the group is gone. Takes no interruption. */
export const endGroup = (group: number, grace: number): Effect.Effect<void> =>
  Effect.uninterruptible(Effect.promise(() => terminate(group, grace)))

const terminate = async (group: number, grace: number): Promise<void> => {
  if (!isAlive(group)) return
  signal(group, "SIGTERM")
  // A stopped process acts on TERM only when it goes on.
  signal(group, "SIGCONT")
  if (await emptied(group, grace)) return
  signal(group, "SIGKILL")
  await emptied(group, killWait)
}

/** Whether the group has no living member before `limit` ms are over. */
const emptied = async (group: number, limit: number): Promise<boolean> => {
  const end = performance.now() + limit
  let pause = 2
  while (isAlive(group)) {
    // Looking through all processes is dear, and needed only where nobody reaps orphans.
    if (pause >= 50 && !hasLivingMember(group)) return true
    const left = end - performance.now()
    if (left <= 0) return !hasLivingMember(group)
    const wait = Math.min(pause, left)
    await new Promise((resolve) => setTimeout(resolve, wait))
    pause = Math.min(pause * 2, 100)
  }
  return true
}

const signal = (group: number, name: NodeJS.Signals): void => {
  try {
    process.kill(-group, name)
  } catch {
    // Gone meanwhile (ESRCH), or only processes of another user are left (EPERM): there is nobody to signal.
  }
}

/** Whether the group has members, dead ones that nobody reaped included. */
const isAlive = (group: number): boolean => {
  try {
    process.kill(-group, 0)
    return true
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

const isSameGroup = ({ boot, pid, startTime: recorded }: ProcessIdentity): boolean => {
  if (!Number.isSafeInteger(pid) || pid <= 1 || boot !== bootId() || !isAlive(pid)) return false
  const current = startTime(pid)
  return current === undefined ? hasLivingMember(pid) : current === recorded
}

interface Stat {
  readonly state: string
  readonly group: number
  readonly session: number
  readonly threads: number
  readonly startTime: string
}

/** The fields of `/proc/PID/stat` behind the program's name, which may hold blanks and parentheses itself. */
const stat = (pid: number | string): Stat | undefined => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1")
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
    const [state = "", , group, session] = fields
    const [threads, startTime = ""] = [fields[17], fields[19]]
    return { state, group: Number(group), session: Number(session), threads: Number(threads), startTime }
  } catch {
    // No such process: it ended, or ended while it was read.
    return undefined
  }
}

/** Where there is no `/proc`. */
const isZombie = (pid: number): boolean => output("ps", ["-o", "stat=", "-p", String(pid)])?.startsWith("Z") ?? true

const isDead = (state: string): boolean => state === "Z" || state === "X"

/**
 * Whether a process of the group still runs. Groups started here lead a session of their own: a member elsewhere
 * belongs to a later use of the number.
 */
export const hasLivingMember = (group: number): boolean => {
  if (process.platform !== "linux") return isAlive(group)
  return readdirSync("/proc").some((name) => {
    if (!/^\d+$/.test(name)) return false
    const found = stat(name)
    return found !== undefined && found.group === group && found.session === group && !isDead(found.state)
  })
}

const startTime = (pid: number): string | undefined =>
  process.platform === "linux" ? stat(pid)?.startTime : output("ps", ["-o", "lstart=", "-p", String(pid)])

let boot: string | undefined

/** What tells this start of the machine from another. */
export const bootId = (): string => {
  boot ??= readBootId()
  return boot
}

const readBootId = (): string => {
  if (process.platform !== "linux") return output("sysctl", ["-n", "kern.boottime"]) ?? "unknown"
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()
  } catch {
    // A container may hide it; then the pid and its start time have to do.
    return "unknown"
  }
}

const output = (command: string, args: ReadonlyArray<string>): string | undefined => {
  try {
    const text = execFileSync(command, args, { encoding: "latin1", stdio: ["ignore", "pipe", "ignore"] }).trim()
    return text === "" ? undefined : text
  } catch {
    // `ps` exits with 1 when there is no such process.
    return undefined
  }
}
