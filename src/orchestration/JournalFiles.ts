/**
 * Journals as files. A file under a journal's name is always whole: it is written and synced under another name first.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Crypto from "node:crypto"
import * as NodeFs from "node:fs/promises"
import * as NodePath from "node:path"
import { fileError } from "../persistence/FileError.ts"
import type { PersistenceError } from "../persistence/Persistence.ts"
import { encodeKey } from "../workflow/StepNames.ts"
import type { JournalStoreService } from "./JournalStore.ts"

/** What has begun is finished: no file stays open. */
const attempted = <A>(body: () => Promise<A>): Effect.Effect<A, PersistenceError> =>
  Effect.uninterruptible(Effect.tryPromise({ try: body, catch: fileError }))

export const makeFiles = (folder: string): JournalStoreService => ({
  load: (workflowId) => attempted(() => load(NodePath.join(folder, fileName(workflowId)))),
  save: (workflowId, journal) => attempted(() => save(folder, fileName(workflowId), journal)),
  remove: (workflowId) => attempted(() => remove(folder, fileName(workflowId)))
})

/** A part to read, and a hash that tells any two apart, also where the file system ignores case. */
const fileName = (workflowId: string): string => {
  const hash = Crypto.createHash("sha256").update(workflowId, "utf16le").digest("hex")
  return `${encodeKey(workflowId).slice(0, 80)}-${hash}.json`
}

const load = async (file: string): Promise<Option.Option<string>> => {
  try {
    return Option.some(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await NodeFs.readFile(file)))
  } catch (cause) {
    if (isMissing(cause)) return Option.none()
    throw cause
  }
}

const save = async (folder: string, name: string, journal: string): Promise<void> => {
  await makeFolder(folder)
  const temporary = NodePath.join(folder, `${name}.${Crypto.randomUUID()}`)
  try {
    await write(temporary, journal)
    await NodeFs.rename(temporary, NodePath.join(folder, name))
    await sync(folder)
  } finally {
    await NodeFs.rm(temporary, { force: true })
  }
}

const write = async (file: string, text: string): Promise<void> => {
  const handle = await NodeFs.open(file, "wx", 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** With what a process that died while writing left behind. */
const remove = async (folder: string, name: string): Promise<void> => {
  const names = await NodeFs.readdir(folder).catch((cause: unknown) => {
    if (isMissing(cause)) return []
    throw cause
  })
  const own = names.filter((other) => other.startsWith(name))
  for (const file of own) await NodeFs.rm(NodePath.join(folder, file), { force: true })
  if (own.length > 0) await sync(folder)
}

const makeFolder = async (folder: string): Promise<void> => {
  const created = await NodeFs.mkdir(folder, { recursive: true, mode: 0o700 })
  if (created === undefined) return
  for (let parent = NodePath.resolve(folder); parent.length >= created.length; parent = NodePath.dirname(parent)) {
    await sync(NodePath.dirname(parent))
  }
}

/** Makes the names in a folder survive a loss of power. */
const sync = async (folder: string): Promise<void> => {
  const handle = await NodeFs.open(folder)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const isMissing = (cause: unknown): boolean => cause instanceof Error && "code" in cause && cause.code === "ENOENT"
