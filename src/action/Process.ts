/**
 * Running a program with all that it starts: a process group of its own, output in files, and an end that leaves
 * nothing behind (spec/engine.md, "script"; design.md, "Effect and process traps").
 *
 * Invariants:
 * - P1 Nothing of the program runs before the lifeline knows its group and `started` has succeeded.
 * - P2 When the effect ends, however it ends, the whole group is gone, its output is written, and no descriptor,
 *   timer or listener is left. (A process that moves to a session of its own leaves the group, and is not ours.)
 * - P3 When the engine dies, the lifeline kills the group.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync } from "node:fs"
import type { Writable } from "node:stream"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Redactor } from "../workflow/Redactor.ts"
import type { ProcessIdentity } from "./Action.ts"
import { obstacle } from "./Executable.ts"
import { isFolder } from "./FileKind.ts"
import * as Lifeline from "./Lifeline.ts"
import * as LogFile from "./LogFile.ts"
import { defaultGrace, endGroup, identify } from "./ProcessGroup.ts"

export { killOrphans } from "./ProcessGroup.ts"

/** How long output is awaited after the program's own end, while children of it hold the pipe; ms. */
export const defaultDrainGrace = 1_000
/** The most that either stream may hold, in bytes. */
export const defaultOutputLimit = 1_073_741_824
/** How long the rest in a pipe is awaited after the end of the group, in ms. */
const restWait = 200

/** This process's own environment, for programs that work on its behalf. */
export const ownEnvironment = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))
  )

export interface ProcessOptions {
  /** A file, absolute, and its arguments. */
  readonly command: readonly [file: string, ...args: ReadonlyArray<string>]
  readonly cwd: string
  /** The whole environment; nothing is added. */
  readonly env: Readonly<Record<string, string>>
  /** Default: empty. */
  readonly stdin?: string
  /** The files that the streams go to; replaced. */
  readonly stdout: string
  readonly stderr: string
  /** What is hidden in both. */
  readonly redactor?: Redactor | undefined
  /** Where the standard output goes as it is, beside its file; replaced. */
  readonly plain?: string | undefined
  /** Called with the group's leader before the program begins. */
  readonly started?: (process: ProcessIdentity) => Effect.Effect<void>
  /** Called whenever the program prints something. */
  readonly onOutput?: () => void
  /** Time between TERM and KILL in ms. */
  readonly grace?: number
  /** In ms. */
  readonly drainGrace?: number
  /** In bytes, for each stream. */
  readonly outputLimit?: number
}

export interface ProcessExit {
  /** Null after death by a signal. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** From the program's start to its own end. */
  readonly durationMs: number
  readonly stdout: StreamEnd
  readonly stderr: StreamEnd
}

export interface StreamEnd {
  readonly file: string
  readonly bytes: number
}

/** The program could not be started; nothing of it ran. */
export class ProcessNotStarted extends Schema.TaggedError<ProcessNotStarted>()("ProcessNotStarted", {
  file: Schema.String,
  reason: Schema.Literal(
    "NotFound",
    "NotAFile",
    "NotExecutable",
    "BadInterpreter",
    "TooLarge",
    "WorkingDirectory",
    "System"
  ),
  detail: Schema.String
}) {
  override get message() {
    return `cannot run ${this.file}: ${this.detail}`
  }
}

/** The program printed more than it may, or its output could not be written; it was ended. */
export class ProcessOutputLost extends Schema.TaggedError<ProcessOutputLost>()("ProcessOutputLost", {
  stream: Schema.Literal("stdout", "stderr"),
  file: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `the ${this.stream} of the process was lost: ${this.detail}`
  }
}

export type ProcessError = ProcessNotStarted | ProcessOutputLost

/**
 * Runs a program to its end. Interruption ends the group: TERM, then KILL after `grace`. Children that outlive the
 * program have `drainGrace` to finish their output and are ended in the same way.
 */
export const run = (options: ProcessOptions): Effect.Effect<ProcessExit, ProcessError> =>
  Effect.gen(function* () {
    yield* check(options)
    // What the captures count is complete only when the scope is closed and the group is gone.
    const [ended, captures] = yield* Effect.scoped(runInScope(options))
    const lost = yield* Effect.promise(() => firstFault(captures))
    if (lost !== undefined) return yield* lost
    const { stderr, stdout } = captures
    return {
      ...ended,
      stdout: { file: stdout.file, bytes: stdout.bytes() },
      stderr: { file: stderr.file, bytes: stderr.bytes() }
    }
  })

interface Captures {
  readonly stdout: LogFile.Capture
  readonly stderr: LogFile.Capture
}

type OwnEnd = Pick<ProcessExit, "code" | "signal" | "durationMs">

const runInScope = (options: ProcessOptions): Effect.Effect<readonly [OwnEnd, Captures], ProcessError, Scope.Scope> =>
  Effect.gen(function* () {
    const [file] = options.command
    const lifeline = yield* Effect.acquireRelease(
      Effect.tryPromise({ try: () => Lifeline.open(options.stdin), catch: (error) => notStarted(file, error) }),
      (opened) => Effect.promise(() => opened.release())
    )
    const captures = yield* Effect.acquireRelease(
      Effect.sync(() => startCaptures(lifeline, options)),
      (started) => Effect.promise(() => stopCaptures(started))
    )
    const child = yield* Effect.acquireRelease(startGated(options, lifeline), (started) =>
      endGroup(started.pid, options.grace ?? defaultGrace).pipe(
        Effect.zipRight(Effect.promise(() => settledWithin(started.exited, restWait)))
      )
    )
    yield* options.started?.(identify(child.pid)) ?? Effect.void
    const begin = performance.now()
    child.open()
    const [code, signal] = yield* untilExit(child, captures)
    const durationMs = Math.round(performance.now() - begin)
    yield* waitFor(Promise.all([captures.stdout.ended, captures.stderr.ended]), options.drainGrace ?? defaultDrainGrace)
    return [{ code, signal, durationMs }, captures] as const
  })

/** Ends early when output is lost: the program would run for nothing. */
const untilExit = (child: Gated, captures: Captures): Effect.Effect<ExitStatus, ProcessOutputLost> =>
  Effect.async((resume) => {
    const lost = (stream: "stdout" | "stderr") => (fault: LogFile.CaptureFault | undefined) => {
      if (fault !== undefined) resume(Exit.fail(outputLost(stream, captures[stream].file, fault)))
    }
    void captures.stdout.ended.then(lost("stdout"))
    void captures.stderr.ended.then(lost("stderr"))
    void child.exited.then((status) => resume(Exit.succeed(status)))
  })

type ExitStatus = readonly [code: number | null, signal: NodeJS.Signals | null]

/** A process that waits at its gate: it has a group, and runs nothing of the program yet. */
interface Gated {
  readonly pid: number
  /** Lets the program begin. */
  readonly open: () => void
  readonly exited: Promise<ExitStatus>
}

/** The shell that waits at the gate becomes the program: same pid, and the program's own exit code or signal. */
const gate = 'IFS= read -r _ <&3 || exit 1; exec "$@" 3<&-'

/** A shell hands on only variables whose names it could use itself; `env` sets the others. */
const shellName = /^[A-Za-z_][A-Za-z0-9_]*$/

const startGated = (options: ProcessOptions, lifeline: Lifeline.Lifeline): Effect.Effect<Gated, ProcessNotStarted> =>
  Effect.async((resume) => {
    const { stderr, stdin, stdout } = lifeline.descriptors
    const [file] = options.command
    try {
      const child = spawn("/bin/sh", ["-c", gate, file, ...commandLine(options)], {
        cwd: options.cwd,
        detached: true,
        env: options.env,
        stdio: [stdin ?? "ignore", stdout.write, stderr.write, "pipe"]
      })
      child.once("error", (error) => resume(Exit.fail(notStarted(file, error))))
      if (child.pid === undefined) return
      lifeline.guard(child.pid)
      resume(Exit.succeed(gated(child, child.pid)))
    } catch (error) {
      // Node throws some of the kernel's refusals, and emits the others.
      resume(Exit.fail(notStarted(file, error)))
    } finally {
      for (const fd of [stdin, stdout.write, stderr.write]) if (fd !== undefined) closeSync(fd)
    }
  })

const gated = (child: ChildProcess, pid: number): Gated => {
  // SAFETY: the fourth entry of `stdio` is a pipe, which Node opens for writing.
  const door = child.stdio[3] as Writable
  // The process may be dead before its gate opens.
  door.on("error", () => undefined)
  const exited = new Promise<ExitStatus>((resolve) => {
    child.once("exit", (code, signal) => {
      door.destroy()
      resolve([code, signal])
    })
  })
  return { pid, open: () => void door.end("\n"), exited }
}

const commandLine = ({ command, env }: ProcessOptions): ReadonlyArray<string> => {
  const odd = Object.entries(env).filter(([name]) => !shellName.test(name))
  // `env` would take a file with `=` in its path for a variable.
  if (odd.length === 0 || command[0].includes("=")) return command
  return ["/usr/bin/env", ...odd.map(([name, value]) => `${name}=${value}`), ...command]
}

const startCaptures = (lifeline: Lifeline.Lifeline, options: ProcessOptions): Captures => {
  const { onOutput: onData, plain, redactor } = options
  const shared = { limit: options.outputLimit ?? defaultOutputLimit, onData, redactor }
  const { stderr, stdout } = lifeline.descriptors
  return {
    stdout: LogFile.capture(stdout.read, { ...shared, file: options.stdout, plain }),
    stderr: LogFile.capture(stderr.read, { ...shared, file: options.stderr })
  }
}

/** The group is gone: what it left in the pipes is there at once, unless somebody outside holds them open. */
const stopCaptures = async ({ stderr, stdout }: Captures): Promise<void> => {
  await settledWithin(Promise.all([stdout.ended, stderr.ended]), restWait)
  await Promise.all([stdout.stop(), stderr.stop()])
}

const firstFault = async (captures: Captures): Promise<ProcessOutputLost | undefined> => {
  for (const stream of ["stdout", "stderr"] as const) {
    const fault = await captures[stream].ended
    if (fault !== undefined) return outputLost(stream, captures[stream].file, fault)
  }
  return undefined
}

const settledWithin = (promise: Promise<unknown>, limit: number): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, limit)
    void promise.then(() => {
      clearTimeout(timer)
      resolve()
    })
  })

/** Waits for a promise that never fails, at most `limit` ms; may be interrupted. */
const waitFor = (promise: Promise<unknown>, limit: number): Effect.Effect<void> =>
  Effect.async((resume) => {
    const timer = setTimeout(() => resume(Exit.void), limit)
    void promise.then(() => {
      clearTimeout(timer)
      resume(Exit.void)
    })
    return Effect.sync(() => clearTimeout(timer))
  })

const check = ({ command: [file], cwd }: ProcessOptions): Effect.Effect<void, ProcessNotStarted> =>
  Effect.suspend(() => {
    if (!isFolder(cwd)) {
      const detail = `the working directory ${cwd} is not a directory`
      return Effect.fail(new ProcessNotStarted({ file, reason: "WorkingDirectory", detail }))
    }
    const found = obstacle(file)
    return found === undefined ? Effect.void : Effect.fail(new ProcessNotStarted({ file, ...found }))
  })

const notStarted = (file: string, error: unknown): ProcessNotStarted => {
  const code = error instanceof Error && "code" in error ? error.code : undefined
  const detail = error instanceof Error ? error.message : String(error)
  return code === "E2BIG"
    ? new ProcessNotStarted({ file, reason: "TooLarge", detail: "its arguments and environment are too large" })
    : new ProcessNotStarted({ file, reason: "System", detail })
}

const outputLost = (stream: "stdout" | "stderr", file: string, fault: LogFile.CaptureFault): ProcessOutputLost =>
  new ProcessOutputLost({
    stream,
    file,
    detail:
      fault._tag === "TooLarge"
        ? `more than ${fault.limit} bytes were printed`
        : `cannot write ${file}: ${fault.detail}`
  })
