/**
 * Real workers and a real person on one SQLite file, killed with SIGKILL at random moments, until so many were.
 *
 * First the project's workflows are run undisturbed: what comes of them in the torture has to equal that
 * (spec/engine.md, "Durability" 2), each step has to have been executed as its records say, no process may be left, and
 * the file has to be sound.
 */
import * as Effect from "effect/Effect"
import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { submit } from "../../src/engine/interpreter/NewWorkflowRun.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import { isEnded, type RunId } from "../../src/persistence/Records.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import { readTree, recordDifference, type RunTree } from "../../src/testing/RecordComparison.ts"
import { Seeded } from "../../src/testing/Seeded.ts"
import { integrityCheck } from "../../src/testing/WalPrefix.ts"
import { renderAll } from "../../src/workflow/DiagnosticRenderer.ts"
import { parse } from "../../src/workflow/Parser.ts"
import { checkEffects, readEffects } from "./Effects.ts"
import { Place, processesIn } from "./Processes.ts"
import { ends, writeProject } from "./Project.ts"

export interface TortureOptions {
  readonly kills: number
  readonly seed: number
  /** The command line's program. */
  readonly bin: string
  /** `people.ts`, bundled. */
  readonly people: string
}

export interface TortureReport {
  readonly kills: number
  readonly runs: number
  readonly executions: number
  readonly repeated: number
  readonly problems: ReadonlyArray<string>
}

/** Runs that have not ended, while processes are killed. */
const open = 10
/** How long a process lives at most, ms; it takes some hundreds to start. */
const longestLife = { worker: 2_400, people: 2_000 }
/** Of all runs, when nobody is killed any more; ms. */
const longestEnd = 180_000
/** Problems of a kind that are told. */
const mostTold = 10

const workflows = Object.keys(ends)

export const torture = async (options: TortureOptions): Promise<TortureReport> => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "millrace-torture-")))
  try {
    writeProject(folder)
    const calm = await played(folder, options, "calm.db", 0)
    const rough = await played(folder, options, "rough.db", options.kills)
    const { executions, problems, repeated } = checkEffects(rough.trees, readEffects(text(join(folder, "effects"))))
    const sound = await Effect.runPromise(integrityCheck(join(folder, "rough.db")))
    const left = processesIn(folder)
    return {
      kills: rough.kills,
      runs: rough.trees.length,
      executions,
      repeated,
      problems: [
        ...calm.problems,
        ...rough.problems,
        ...differences(calm.trees, rough.trees).slice(0, mostTold),
        ...problems.slice(0, mostTold),
        ...sound.map((problem) => `integrity_check: ${problem}`),
        ...(left.length === 0 ? [] : [`processes are left: ${left.join(" ")}`])
      ]
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const text = (file: string): string => readFileSync(file, "utf8")

interface Played {
  readonly trees: ReadonlyArray<RunTree>
  readonly kills: number
  readonly problems: ReadonlyArray<string>
}

/** Runs on a database of their own; without kills one of each workflow. */
const played = async (folder: string, options: TortureOptions, db: string, kills: number): Promise<Played> => {
  const store = new Store(folder, join(folder, db))
  const worker = (name: string) =>
    new Place({ name, args: [options.bin, "work", "--db", join(folder, db)], cwd: folder })
  const people = new Place({ name: "people", args: [options.people, join(folder, db)], cwd: folder })
  const workers = [worker("the first worker"), worker("the second worker")]
  const places = [...workers, people]
  const roots: Array<RunId> = []
  try {
    for (const workflow of workflows) roots.push(await store.submit(workflow))
    for (const place of places) place.start()
    if (kills > 0) await disturb(store, roots, { workers, people }, kills, new Seeded(options.seed))
    await store.untilEnded(roots, places)
    await Promise.all(places.map((place) => place.end("SIGTERM")))
    const trees = await Promise.all(roots.map((root) => store.tree(root)))
    return {
      trees,
      kills: places.map((place) => place.kills).reduce((sum, count) => sum + count),
      problems: places.flatMap(({ problems }) => problems)
    }
  } finally {
    for (const place of places.filter(({ isAlive }) => isAlive)) await place.end("SIGKILL")
  }
}

/** Kills processes and starts them again, and starts runs, until there were so many kills. */
const disturb = async (
  store: Store,
  roots: Array<RunId>,
  { people, workers }: { readonly workers: ReadonlyArray<Place>; readonly people: Place },
  kills: number,
  random: Seeded
): Promise<void> => {
  const still = { toKill: kills }
  const haunt = async (place: Place, longest: number) => {
    while (still.toKill > 0) {
      still.toKill -= 1
      await pause(random.between(1, longest))
      await place.end("SIGKILL")
      place.start()
    }
  }
  const feed = async () => {
    while (still.toKill > 0) {
      const ended = await store.ended(roots)
      for (let n = roots.length - ended; n < open; n++) {
        const workflow = workflows[random.between(0, workflows.length - 1)]
        if (workflow !== undefined) roots.push(await store.submit(workflow))
      }
      await pause(200)
    }
  }
  await Promise.all([
    ...workers.map((worker) => haunt(worker, longestLife.worker)),
    haunt(people, longestLife.people),
    feed()
  ])
}

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms))

/** How the records of runs differ from those of the same workflow's undisturbed run, and from what its end has to be. */
const differences = (calm: ReadonlyArray<RunTree>, rough: ReadonlyArray<RunTree>): ReadonlyArray<string> => {
  const expected = new Map(calm.map((tree) => [rootOf(tree).workflow, comparable(tree)]))
  return [...calm, ...rough].flatMap((tree) => {
    const { id, status, workflow } = rootOf(tree)
    if (status !== ends[workflow]) return [`${workflow} ${id} ended ${status}: ${rootOf(tree).error ?? ""}`]
    const wanted = expected.get(workflow)
    const difference =
      wanted === undefined ? "its like was never undisturbed" : recordDifference(wanted, comparable(tree))
    return difference === undefined ? [] : [`${workflow} ${id} differs: ${difference}`]
  })
}

/** Whether a process had begun, and was recorded, when its attempt was stopped is a matter of time. */
const comparable = (tree: RunTree): RunTree => ({
  ...tree,
  runs: tree.runs.map(({ items, run, steps }) => ({
    run,
    steps: steps.map((step) => ({
      ...step,
      attempts: step.attempts.map((attempt) =>
        attempt.outcome === "cancelled" || attempt.outcome === "timed_out" ? { ...attempt, process: null } : attempt
      )
    })),
    items
  }))
})

const rootOf = ({ root, runs }: RunTree) => {
  const found = runs.find(({ run }) => run.id === root)
  if (found === undefined) throw new Error(`there is no run ${root}`)
  return found.run
}

/** A database of the project, from this process, which is not killed. */
class Store {
  constructor(
    private readonly folder: string,
    private readonly filename: string
  ) {}

  submit(workflow: string): Promise<RunId> {
    const file = join(this.folder, `${workflow}.wf`)
    const { definition, diagnostics } = parse({ file, text: text(file) })
    const errors = diagnostics.filter(({ severity }) => severity === "error")
    if (definition === undefined || errors.length > 0) throw new Error(renderAll(errors))
    // As `run --detach` records them.
    const values = { millrace_home: this.folder, millrace_workflow: file, millrace_unattended: "false" }
    return this.#use(Effect.orDie(submit(definition, { settings: { workingDirectory: this.folder, values } })))
  }

  tree(root: RunId): Promise<RunTree> {
    return this.#use(Effect.orDie(readTree(root)))
  }

  /** How many of the runs have ended. */
  ended(roots: ReadonlyArray<RunId>): Promise<number> {
    const statuses = Effect.flatMap(Persistence, (store) => Effect.forEach(roots, (root) => store.get(root)))
    return this.#use(Effect.map(Effect.orDie(statuses), (runs) => runs.filter(({ status }) => isEnded(status)).length))
  }

  async untilEnded(roots: ReadonlyArray<RunId>, places: ReadonlyArray<Place>): Promise<void> {
    const limit = performance.now() + longestEnd
    while ((await this.ended(roots)) < roots.length) {
      if (performance.now() > limit) throw new Error(await this.#open(roots))
      const problems = places.flatMap((place) => place.problems)
      if (problems.length > 0) throw new Error(problems.join("\n"))
      await pause(100)
    }
  }

  async #open(roots: ReadonlyArray<RunId>): Promise<string> {
    const trees = await Promise.all(roots.map((root) => this.tree(root)))
    const lines = trees
      .flatMap(({ runs }) => runs)
      .filter(({ run }) => !isEnded(run.status))
      .map(({ run, steps }) => {
        const at = steps.filter(({ status }) => status === "running" || status === "waiting").map(({ path }) => path)
        return `${run.workflow} ${run.id} is ${run.status}, of ${run.owner ?? "nobody"}, at ${at.join(" ")}; ${run.error ?? ""}`
      })
    return ["these runs do not end:", ...lines].join("\n")
  }

  #use<A>(effect: Effect.Effect<A, never, Persistence>): Promise<A> {
    return Effect.runPromise(Effect.orDie(Effect.provide(effect, SqlitePersistence.layer({ filename: this.filename }))))
  }
}
