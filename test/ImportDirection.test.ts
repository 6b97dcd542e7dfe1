/**
 * Imports go in one direction (docs/architecture.md). Judged module by module where a folder holds both a contract and
 * its backends.
 */
import { describe, expect, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"

const root = join(import.meta.dirname, "..")

interface Import {
  readonly from: string
  /** A file of ours, relative to the root, or the name of a package. */
  readonly to: string
  /** Leaves nothing to load. */
  readonly isType: boolean
}

const pattern = /^(?:import|export)(\s+type)?\s[^"']*?from\s+"([^"]+)"|^import\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm

const importsOf = (file: string): ReadonlyArray<Import> =>
  [...readFileSync(join(root, file), "utf8").matchAll(pattern)].map(([, type, named, bare, dynamic]) => {
    const target = named ?? bare ?? dynamic ?? ""
    const to = target.startsWith(".") ? relative(root, join(root, dirname(file), target)) : target
    return { from: file, to, isType: type !== undefined }
  })

const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"))
  .map((name) => join("src", name))

const imports = files.flatMap(importsOf)

const contract = ["Records", "Journal", "Persistence", "OutputStore", "FileError", "Redaction", "Ulid"].map(
  (name) => `src/persistence/${name}.ts`
)

/** What each part may import beside itself. */
const allowed = {
  workflow: [],
  contract: ["workflow"],
  action: ["workflow", "contract"],
  engine: ["workflow", "contract", "action"],
  backends: ["workflow", "contract", "action", "engine"],
  program: ["workflow", "contract", "action", "engine"],
  orchestration: ["workflow", "contract", "action", "engine"],
  durable: ["workflow", "contract", "action", "engine", "program", "orchestration"],
  lsp: ["workflow", "contract", "action"],
  testing: ["workflow", "contract", "action", "engine", "backends", "program", "orchestration", "durable"],
  entry: ["workflow", "contract", "action", "engine", "backends", "program", "orchestration", "testing"],
  cli: ["workflow", "contract", "action", "engine", "backends", "program", "orchestration", "lsp", "entry"]
} as const satisfies Readonly<Record<string, ReadonlyArray<string>>>

type Part = keyof typeof allowed

const isPart = (name: string): name is Part => Object.hasOwn(allowed, name)

const partOf = (file: string): Part => {
  const [, folder = ""] = file.split("/")
  if (folder === "persistence") return contract.includes(file) ? "contract" : "backends"
  // The combinators stand on their seam alone; what makes it durable stands on workflows.
  if (/^src\/orchestration\/(Durable|index)\.ts$/.test(file)) return "durable"
  if (folder.endsWith(".ts")) return "entry"
  if (!isPart(folder)) throw new Error(`${file} belongs to no part: say in this test what it may import`)
  return folder
}

/** All that is loaded with a file: our modules, and the packages that they name. */
const loadedWith = (entry: string): ReadonlySet<string> => {
  const loaded = new Set<string>()
  const visit = (file: string) => {
    if (loaded.has(file)) return
    loaded.add(file)
    if (!file.startsWith("src/")) return
    for (const { to, isType } of importsOf(file)) if (!isType) visit(to)
  }
  visit(entry)
  return loaded
}

describe("the modules", () => {
  it("import in one direction only", () => {
    const wrong = imports
      .filter(({ to }) => to.startsWith("src/"))
      .filter(({ from, to }) => {
        const [part, other] = [partOf(from), partOf(to)]
        return part !== other && !allowed[part].some((name) => name === other)
      })
    expect(wrong.map(({ from, to }) => `${from} imports ${to}`)).toEqual([])
  })

  it("import files that exist, and Effect by module", () => {
    const wrong = imports.filter(({ to }) => to === "effect" || (to.startsWith("src/") && !existsSync(join(root, to))))
    expect(wrong).toEqual([])
  })

  it("of the core load no SQL driver and no command line", () => {
    const foreign = [...loadedWith("src/index.ts")].filter(
      (name) => /^(better-sqlite3|@effect\/(sql|cli|platform-node))/.test(name) || name.startsWith("src/cli/")
    )
    expect(foreign).toEqual([])
  })

  it("use only packages that the package depends on", () => {
    const { dependencies, peerDependencies = {} } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
    const known = new Set([...Object.keys(dependencies), ...Object.keys(peerDependencies)])
    const packages = new Set(
      imports
        .filter(({ from, to }) => partOf(from) !== "testing" && !to.startsWith("src/") && !/^(node|virtual):/.test(to))
        .map(({ to }) =>
          to
            .split("/")
            .slice(0, to.startsWith("@") ? 2 : 1)
            .join("/")
        )
    )
    expect([...packages].filter((name) => !known.has(name))).toEqual([])
  })
})
