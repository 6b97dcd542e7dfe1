/**
 * Output files in a folder: `outputs/<sha256>`, `logs/<run>/<path>/<epoch>.<attempt>.<stream>`, and the same below
 * `plain/` for what is not to be shown.
 *
 * A name that is durable names a whole file: content is written and synced under a temporary name, renamed, and the
 * folder synced, before anyone learns of it. A name is given up in the same way: the file is moved aside first, looked
 * at once more, and put back if somebody kept the same content again in between.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Crypto from "node:crypto"
import type { Stats } from "node:fs"
import * as NodeFs from "node:fs/promises"
import * as NodeOs from "node:os"
import * as NodePath from "node:path"
import type { AttemptLog, AttemptOutput, KeptOutput } from "./OutputStore.ts"
import { OutputStore } from "./OutputStore.ts"
import { fileError } from "./FileError.ts"
import type { PersistenceError } from "./Persistence.ts"
import type { RunId, StepPath } from "./Records.ts"

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
  const plain = NodePath.join(folder, "plain")
  return OutputStore.of({
    keep: (file) => attempted(() => keep(outputs, file)),
    logFile: (output) => attempted(() => outputFile(logs, output, output.stream)),
    plainFile: (output) => attempted(() => outputFile(plain, output, "stdout")),
    logs: (run) => attempted(() => listLogs(NodePath.join(logs, segment(run)))),
    remove: (runs) =>
      attempted(async () => {
        for (const run of runs) {
          // The logs last: as long as they are there, a prune that was interrupted finds the run again.
          for (const tree of [plain, logs]) {
            await NodeFs.rm(NodePath.join(tree, segment(run)), { recursive: true, force: true })
          }
        }
      }),
    logged: attempted(() => loggedRuns(logs)),
    kept: (before) => attempted(() => keptBefore(outputs, before)),
    discard: (names, before) => attempted(() => discard(outputs, names, before))
  })
}

const keep = async (outputs: string, file: string): Promise<string> => {
  await makeFolder(outputs)
  const temporary = NodePath.join(outputs, incoming + Crypto.randomUUID())
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

/** What is on its way in, and on its way out. */
const incoming = ".new-"
const outgoing = ".old-"

const keptBefore = async (outputs: string, before: number): Promise<ReadonlyArray<KeptOutput>> => {
  const found: Array<KeptOutput> = []
  for (const name of await namesIn(outputs)) {
    if (name.startsWith(".")) continue
    const stat = await statOf(NodePath.join(outputs, name))
    if (stat !== undefined && stat.mtimeMs < before) found.push({ name, bytes: stat.size })
  }
  return found
}

const discard = async (
  outputs: string,
  names: ReadonlyArray<string>,
  before: number
): Promise<ReadonlyArray<KeptOutput>> => {
  await tidy(outputs, before)
  const discarded: Array<KeptOutput> = []
  for (const name of names) {
    const bytes = await discardOne(outputs, name, before)
    if (bytes !== undefined) discarded.push({ name, bytes })
  }
  return discarded
}

/** Its size; undefined if it stays, or was gone. */
const discardOne = async (outputs: string, name: string, before: number): Promise<number | undefined> => {
  const aside = NodePath.join(outputs, outgoing + name)
  if (!(await unlessMissing(NodeFs.rename(NodePath.join(outputs, name), aside)))) return undefined
  const { mtimeMs, size } = await NodeFs.stat(aside)
  if (mtimeMs >= before) {
    await putBack(outputs, name)
    return undefined
  }
  await NodeFs.rm(aside, { force: true })
  return size
}

/** What an interrupted `keep` left is deleted; what an interrupted `discard` left is put back, to be judged anew. */
const tidy = async (outputs: string, before: number): Promise<void> => {
  for (const name of await namesIn(outputs)) {
    const file = NodePath.join(outputs, name)
    if (name.startsWith(outgoing)) await putBack(outputs, name.slice(outgoing.length))
    if (!name.startsWith(incoming)) continue
    const stat = await statOf(file)
    if (stat !== undefined && stat.mtimeMs < before) await NodeFs.rm(file, { force: true })
  }
}

/** Unless the same content has been kept in the meantime. */
const putBack = async (outputs: string, name: string): Promise<void> => {
  const aside = NodePath.join(outputs, outgoing + name)
  try {
    await NodeFs.link(aside, NodePath.join(outputs, name))
  } catch (cause) {
    if (codeOf(cause) !== "EEXIST" && codeOf(cause) !== "ENOENT") throw cause
  }
  await NodeFs.rm(aside, { force: true })
}

const statOf = async (file: string): Promise<Stats | undefined> => {
  try {
    return await NodeFs.stat(file)
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined
    throw cause
  }
}

/** Whether the file was there. */
const unlessMissing = async (operation: Promise<void>): Promise<boolean> => {
  try {
    await operation
    return true
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return false
    throw cause
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

const outputFile = async (tree: string, output: AttemptOutput, stream: string): Promise<string> => {
  const { attempt, epoch, path, run, shown = path } = output
  const name = shown === path ? segment(path) : hashOfText(path)
  const folder = NodePath.join(tree, segment(run), name)
  await makeFolder(folder)
  if (name.startsWith(hashed)) await NodeFs.writeFile(NodePath.join(folder, pathFile), shown)
  const file = NodePath.join(folder, `${epoch}.${attempt}.${stream}`)
  await NodeFs.rm(file, { force: true })
  return file
}

/** An id so long that its folder is named by a hash is none of ours. */
const loggedRuns = async (logs: string): Promise<ReadonlyArray<RunId>> => {
  const names = (await namesIn(logs)).filter((name) => !name.startsWith(hashed))
  // SAFETY: the names were made from ids of runs.
  return names.map((name) => decode(name) as RunId)
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

/**
 * A path or id as one name: file systems take 255 bytes, so a long one is a hash, and the folder holds its text. A path
 * that holds a secret is a hash as well, beside the path as it may be shown.
 */
const segment = (text: string): string => {
  const encoded = Array.from(Buffer.from(text), encodeByte).join("")
  if (encoded.length <= 200) return encoded === "" ? "%" : encoded
  return hashOfText(text)
}

const hashOfText = (text: string): string => hashed + Crypto.createHash("sha256").update(text).digest("hex")

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
