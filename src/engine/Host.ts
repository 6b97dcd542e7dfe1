/**
 * The process that an engine lives in, as other engines recognise it (design.md, "Ownership").
 */
import * as Context from "effect/Context"
import { hostname } from "node:os"
import { identify, isRunning, pidSpace } from "../action/ProcessGroup.ts"
import type { EngineRecord } from "../persistence/Records.ts"

export type Host = Pick<EngineRecord, "host" | "boot" | "pid" | "processStart">

export interface Processes {
  /** The one that this runs in. */
  readonly own: Host
  /** Whether an engine's process is known to be gone; false where this cannot be told. */
  readonly isGone: (engine: Host) => boolean
}

/** The processes of this machine; a simulation has others. */
export class HostProcesses extends Context.Reference<HostProcesses>()("millrace/HostProcesses", {
  defaultValue: (): Processes => {
    const own = currentHost()
    return { own, isGone: (engine) => isGone(engine, own) }
  }
}) {}

let known: Host | undefined

/** The process that this runs in. */
export const currentHost = (): Host => {
  known ??= thisProcess()
  return known
}

const thisProcess = (): Host => {
  const { pid, startTime, boot } = identify(process.pid)
  return { host: machine(), boot, pid, processStart: startTime }
}

/** Two containers on one machine do not see each other's processes, and must not take them for gone. */
const machine = (): string => {
  const space = pidSpace()
  return space === "" ? hostname() : `${hostname()}/${space}`
}

/**
 * Whether an engine's process is known to be gone: it ran on this host since its last boot, and its pid is nobody's,
 * another's or a dead process's. False where this cannot be told.
 */
export const isGone = (engine: Host, here: Host): boolean => {
  if (engine.host !== here.host) return false
  if (engine.boot !== here.boot) return engine.boot !== "" && here.boot !== ""
  if (engine.processStart === "") return false
  return !isRunning({ pid: engine.pid, startTime: engine.processStart })
}
