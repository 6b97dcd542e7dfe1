/**
 * Compiled code that is kept between starts: without it, most of a start is compiling the program.
 *
 * - K1 What is kept is for one content of the bundle, one version of Node and one kind of machine, and says what it has
 *   to be: V8 trusts what it is given. It refuses by itself what was compiled under other flags.
 * - K2 It holds what commands compiled that ended well; each adds its own the first time.
 * - K3 It is a copy: where it cannot be kept, or is damaged, a start is slower and no worse.
 */
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import Module, { createRequire } from "node:module"
import { basename, dirname, join } from "node:path"
import { Script } from "node:vm"

const ending = ".code"

/** ms */
const oldAfter = 30 * 86_400_000

/** Code as it was compiled, and the commands that it is of. */
interface Kept {
  readonly commands: ReadonlySet<string>
  readonly data: Buffer
}

/** Loads a CommonJS bundle, and keeps what it has compiled when this command has ended well. */
export const loadBundle = (file: string, command: string): unknown => {
  // All of it is ASCII (scripts/build.mjs).
  const source = readFileSync(file, "latin1")
  const name = `${digestOf(source).slice(0, 16)}-${process.version}-${process.arch}${ending}`
  const places = [dirname(file), ...userFolder()].map((folder) => join(folder, name))
  const owners = [process.getuid?.() ?? 0, statSync(file).uid]
  const kept = places.reduce<Kept | undefined>((found, place) => found ?? read(place, owners), undefined)
  const script = new Script(Module.wrap(source), {
    filename: file,
    ...(kept === undefined ? {} : { cachedData: kept.data })
  })
  const known = script.cachedDataRejected === false ? kept?.commands : undefined
  if (known?.has(command) !== true) {
    process.once("exit", (code) => {
      if (code === 0) keep(places, { commands: new Set([...(known ?? []), command]), data: script.createCachedData() })
    })
  }
  const module: { exports: unknown } = { exports: {} }
  // SAFETY: the script is the function around it.
  const run = script.runInThisContext() as (...args: ReadonlyArray<unknown>) => void
  run(module.exports, createRequire(file), module, file, dirname(file))
  return module.exports
}

/** For where the bundle's own folder is not the user's; none where the user has no home. */
const userFolder = (): ReadonlyArray<string> => {
  const { HOME: home, XDG_CACHE_HOME: caches = home && join(home, ".cache") } = process.env
  return caches ? [join(caches, "millrace")] : []
}

/** Only what the user, or whoever installed the program, has left there: it is run. */
const read = (place: string, owners: ReadonlyArray<number>): Kept | undefined => {
  try {
    if (!owners.includes(statSync(place).uid)) return undefined
    const bytes = readFileSync(place)
    const end = bytes.indexOf("\n")
    const [digest, commands = ""] = bytes.toString("latin1", 0, end).split(" ")
    const data = bytes.subarray(end + 1)
    return digest === digestOf(data) ? { commands: new Set(commands.split(",")), data } : undefined
  } catch {
    return undefined
  }
}

/** In the first place that takes it. */
const keep = (places: ReadonlyArray<string>, kept: Kept): void => {
  for (const place of places) if (write(place, kept)) return
}

const write = (place: string, { commands, data }: Kept): boolean => {
  const folder = dirname(place)
  const fresh = join(folder, `${basename(place)}.${process.pid}`)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    writeFileSync(fresh, Buffer.concat([Buffer.from(`${digestOf(data)} ${[...commands].join(",")}\n`), data]))
    renameSync(fresh, place)
    forgetOld(folder)
    return true
  } catch {
    if (existsSync(fresh)) rmSync(fresh)
    return false
  }
}

/** What earlier versions have left. */
const forgetOld = (folder: string): void => {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    const left = name.includes(ending) ? statSync(path, { throwIfNoEntry: false }) : undefined
    if (left !== undefined && Date.now() - left.mtimeMs > oldAfter) rmSync(path, { force: true })
  }
}

const digestOf = (data: Buffer | string): string => createHash("sha256").update(data).digest("hex")
