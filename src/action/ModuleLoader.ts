/**
 * Loading a project's TypeScript and JavaScript files by jiti, which is itself loaded when the first is wanted.
 */
import { pathToFileURL } from "node:url"
import * as Effect from "effect/Effect"

export interface ModuleOptions {
  /** Where packages come from that the project need not have installed (`millrace`, `effect`): name → folder or file. */
  readonly moduleAliases?: Readonly<Record<string, string>>
  /** Modules that are the program's own: name → its exports. Asked for when the first file is loaded. */
  readonly virtualModules?: () => Promise<Readonly<Record<string, unknown>>>
  /** Whether a file that another loader of this process has loaded is read again; default false. */
  readonly reload?: boolean
}

/** Loads a file's default export; each file once in the life of the loader, a file that failed to load again. */
export interface ModuleLoader {
  readonly load: (file: string) => Effect.Effect<unknown, ModuleNotLoaded>
}

/** The file cannot be loaded, or throws while it is. */
export interface ModuleNotLoaded {
  readonly file: string
  readonly cause: unknown
}

export const makeLoader = (options: ModuleOptions): ModuleLoader => {
  const loaded = new Map<string, Promise<unknown>>()
  const load = (file: string): Promise<unknown> => {
    const before = loaded.get(file)
    if (before !== undefined) return before
    const loading = importDefault(file, options)
    loaded.set(file, loading)
    loading.catch(() => loaded.delete(file))
    return loading
  }
  return { load: (file) => Effect.tryPromise({ try: () => load(file), catch: (cause) => ({ file, cause }) }) }
}

const importDefault = async (file: string, options: ModuleOptions): Promise<unknown> => {
  const [{ createJiti }, virtualModules] = await Promise.all([import("jiti"), options.virtualModules?.()])
  const jiti = createJiti(pathToFileURL(file).href, {
    alias: { ...options.moduleAliases },
    virtualModules: { ...virtualModules },
    moduleCache: options.reload !== true
  })
  const loaded: unknown = await jiti.import(file)
  return defaultExport(loaded)
}

/** A CommonJS file's exports are its default export. */
const defaultExport = (loaded: unknown): unknown => {
  if (typeof loaded === "function") return loaded
  return typeof loaded === "object" && loaded !== null && "default" in loaded ? loaded.default : undefined
}
