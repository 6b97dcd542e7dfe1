/**
 * Output files in a folder: `outputs/<sha256>` and `logs/<run>/<path>/<epoch>.<attempt>.<stream>`.
 *
 * A name that is durable names a whole file: content is written and synced under a temporary name, renamed, and the
 * folder synced, before anyone learns of it.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Crypto from "node:crypto"
import * as NodeFs from "node:fs/promises"
import * as NodeOs from "node:os"
import * as NodePath from "node:path"
import type { AttemptLog } from "./OutputStore.ts"
import { OutputStore } from "./OutputStore.ts"
import { fileError } from "./FileError.ts"
import type { PersistenceError } from "./Persistence.ts"
import type { StepPath } from "./Records.ts"

type OutputService = typeof OutputStore.Service

const attempted = <A>(body: () => Promise<A>): Effect.Effect<A, PersistenceError> =>
  Effect.tryPromise({ try: body, catch: (cause) => fileError(cause) })

/** In a folder of its own that is deleted with the scope; for the memory store. */
export const layerTemporary: Layer.Layer<OutputStore, PersistenceError> = Layer.scoped(
  OutputStore,
  Effect.flatMap(
    Effect.acquireRelease(
      attempted(() => NodeFs.mkdtemp(NodePath.join(NodeOs.tmpdir(), "millrace-"))),
      (folder) => Effect.promise(() => NodeFs.rm(folder, { recursive: true, force: true }))
    ),
    (folder) => Effect.succeed(makeFiles(folder))
  )
)

/** Subfolders are created when first used. */
export const makeFiles = (folder: string): OutputService => {
  const outputs = NodePath.join(folder, "outputs")
  const logs = NodePath.join(folder, "logs")
  return OutputStore.of({
    keep: (file) => attempted(() => keep(outputs, file)),
    logFile: (options) => attempted(() => logFile(logs, options)),
    logs: (run) => attempted(() => listLogs(NodePath.join(logs, segment(run)))),
    remove: (runs) =>
      attempted(async () => {
        for (const run of runs) await NodeFs.rm(NodePath.join(logs, segment(run)), { recursive: true, force: true })
      })
  })
}

const keep = async (outputs: string, file: string): Promise<string> => {
  await makeFolder(outputs)
  const temporary = NodePath.join(outputs, `.new-${Crypto.randomUUID()}`)
  try {
    await NodeFs.copyFile(file, temporary)
    await NodeFs.chmod(temporary, 0o600)
    const kept = NodePath.join(outputs, await hashOf(temporary))
    await sync(temporary)
    await NodeFs.rename(temporary, kept)
    await sync(outputs)
    return kept
  } finally {
    await NodeFs.rm(temporary, { force: true })
  }
}

const hashOf = async (file: string): Promise<string> => {
  const hash = Crypto.createHash("sha256")
  const handle = await NodeFs.open(file)
  try {
    for await (const chunk of handle.createReadStream({ autoClose: false })) hash.update(chunk)
  } finally {
    await handle.close()
  }
  return hash.digest("hex")
}

/** Makes a file's content, or the names in a folder, survive a loss of power. */
const sync = async (path: string): Promise<void> => {
  const handle = await NodeFs.open(path)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const makeFolder = async (folder: string): Promise<void> => {
  const created = await NodeFs.mkdir(folder, { recursive: true, mode: 0o700 })
  if (created === undefined) return
  for (let parent = folder; parent.length >= created.length; parent = NodePath.dirname(parent)) {
    await sync(NodePath.dirname(parent))
  }
}

const logFile = async (logs: string, options: Parameters<OutputService["logFile"]>[0]): Promise<string> => {
  const name = segment(options.path)
  const folder = NodePath.join(logs, segment(options.run), name)
  await makeFolder(folder)
  if (name.startsWith(hashed)) await NodeFs.writeFile(NodePath.join(folder, pathFile), options.path)
  const file = NodePath.join(folder, `${options.epoch}.${options.attempt}.${options.stream}`)
  await NodeFs.rm(file, { force: true })
  return file
}

const listLogs = async (folder: string): Promise<ReadonlyArray<AttemptLog>> => {
  const steps = await namesIn(folder)
  const logs = await Promise.all(steps.map((name) => logsOf(NodePath.join(folder, name), name)))
  return logs.flat().sort(byAttempt)
}

const logsOf = async (folder: string, name: string): Promise<ReadonlyArray<AttemptLog>> => {
  const text = name.startsWith(hashed) ? await NodeFs.readFile(NodePath.join(folder, pathFile), "utf8") : decode(name)
  // SAFETY: the name was made from a step's path.
  const path = text as StepPath
  const files = (await namesIn(folder)).map((file) => ({ file, match: /^(\d+)\.(\d+)\.(stdout|stderr)$/.exec(file) }))
  return Promise.all(
    files.flatMap(({ file: fileName, match }) => {
      if (match === null) return []
      const file = NodePath.join(folder, fileName)
      const stream = match[3] === "stdout" ? "stdout" : "stderr"
      const log = { path, epoch: Number(match[1]), attempt: Number(match[2]), stream, file } as const
      return [NodeFs.stat(file).then(({ size }) => ({ ...log, bytes: size }))]
    })
  )
}

const byAttempt = (a: AttemptLog, b: AttemptLog): number =>
  compare(a.path, b.path) || a.epoch - b.epoch || a.attempt - b.attempt || -compare(a.stream, b.stream)

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const namesIn = async (folder: string): Promise<ReadonlyArray<string>> => {
  try {
    return await NodeFs.readdir(folder)
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return []
    throw cause
  }
}

/** A path or id as one name: file systems take 255 bytes, so a long one is a hash, and the folder holds its text. */
const segment = (text: string): string => {
  const encoded = Array.from(Buffer.from(text), encodeByte).join("")
  if (encoded.length <= 200) return encoded === "" ? "%" : encoded
  return hashed + Crypto.createHash("sha256").update(text).digest("hex")
}

/** No encoded name starts so. */
const hashed = "%sha256-"
const pathFile = "path"

const encodeByte = (byte: number): string => {
  const character = String.fromCharCode(byte)
  return /[A-Za-z0-9_-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`
}

const decode = (name: string): string =>
  name === "%"
    ? ""
    : Buffer.from(
        name.replace(/%(..)/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))),
        "latin1"
      ).toString()

const codeOf = (cause: unknown): string | undefined =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : undefined
