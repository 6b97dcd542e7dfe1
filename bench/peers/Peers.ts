/**
 * Who is measured, how it is used, and what has to be known to read its figures.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import type { Adapter, Work } from "./Adapter.ts"
import { millrace } from "./Millrace.ts"
import type { Kind, PeerWorkload } from "./Workloads.ts"

export interface Peer {
  readonly name: string
  /** In `adapters/`. */
  readonly adapter: string
  /** Their versions are shown. */
  readonly packages: ReadonlyArray<string>
  readonly note: string
  /** Less of a kind of work than the others, and why. */
  readonly reduced?: Partial<Record<Kind, { readonly work: Partial<Work>; readonly why: string }>>
}

/** Beside the others, and what they are held against. */
export const ours = "Millrace"

const long = "it takes so long"

export const peers: ReadonlyArray<Peer> = [
  {
    name: "OpenWorkflow",
    adapter: "openworkflow.mjs",
    packages: ["openworkflow"],
    note:
      "`step.run` in a workflow, and a worker in the same process with as many places as there are runs at once. All runs " +
      "are created before the worker starts, so that it never waits for the first; a worker whose places are taken looks " +
      "again after 50 to 100 ms, which is what its many short runs take. On a Node without `node:sqlite` (before 22.5) its " +
      "backend is given better-sqlite3 in its place. It stops a run after 1,000 steps.",
    reduced: { "one after another": { work: { runs: 20 }, why: "each waits for the worker's next look" } }
  },
  {
    name: "Effect Workflow",
    adapter: "effect.mjs",
    packages: ["@effect/workflow", "@effect/cluster", "@effect/sql-sqlite-node"],
    note: "An `Activity` a step, on the cluster's `SingleRunner` with its messages and its runner in SQLite.",
    reduced: {
      sequential: { work: { steps: 300 }, why: long },
      together: { work: { steps: 20 }, why: long },
      "one after another": { work: { runs: 200 }, why: long },
      "at once": { work: { runs: 200 }, why: long }
    }
  },
  {
    name: "LangGraph",
    adapter: "langgraph.mjs",
    packages: ["@langchain/langgraph", "@langchain/langgraph-checkpoint-sqlite"],
    note:
      'A `task` a step in an `entrypoint`, `durability: "sync"`; a graph with a node a step takes longer. What a task ' +
      "returned is written while the next one begins: a step's commit is not waited for before what follows it, as the " +
      "others do."
  },
  {
    name: "Mastra",
    adapter: "mastra.mjs",
    packages: ["@mastra/core", "@mastra/libsql"],
    note:
      "`createStep` with `.then` and `.parallel`, storage `LibSQLStore` on a file. It has no setting for `synchronous` and " +
      "sets NORMAL itself on one connection: here it is set on each of the pool's. The snapshot of a run is written whole " +
      "with each step: what a step takes grows with their number. Its packages ask for Node 22.13, and run on 20 as well.",
    reduced: {
      sequential: { work: { steps: 300 }, why: "a step would take longer with more" },
      together: { work: { steps: 20 }, why: "a step would take longer with more" }
    }
  }
]

/** What a peer does of a workload. */
export const workOf = (peer: Peer | undefined, { kind, work }: PeerWorkload): { work: Work; why?: string } => {
  const reduced = peer?.reduced?.[kind]
  if (reduced === undefined) return { work }
  const less = (key: "runs" | "steps") => Math.min(work[key], reduced.work[key] ?? work[key])
  const smaller = { ...work, runs: less("runs"), steps: less("steps") }
  return smaller.runs === work.runs && smaller.steps === work.steps ? { work } : { work: smaller, why: reduced.why }
}

const folder = (root: string): string => join(root, "bench", "peers")

export const adapterOf = async (name: string, root: string): Promise<Adapter> => {
  if (name === ours) return millrace
  const peer = peers.find((it) => it.name === name)
  if (peer === undefined) throw new Error(`nobody is called '${name}'`)
  // SAFETY: the modules in `adapters/` are adapters; they are plain JavaScript, as their packages need not be there.
  return (await import(pathToFileURL(join(folder(root), "adapters", peer.adapter)).href)) as Adapter
}

/** Names and versions of a peer's packages, as installed. */
export const versions = ({ packages }: Peer, root: string): string =>
  packages
    .map((name) => {
      const text = readFileSync(join(folder(root), "node_modules", name, "package.json"), "utf8")
      // SAFETY: every installed package has a version.
      return `${name} ${(JSON.parse(text) as { readonly version: string }).version}`
    })
    .join(", ")
