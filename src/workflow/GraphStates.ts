/**
 * A run laid over the graph of its workflow: which box has which state. Boxes stand for all rounds of a loop and all
 * items of a pipeline; of rounds the last one counts, of items the one that needs most attention.
 */
import { boxes, type Graph } from "./Graph.ts"

/** As steps are recorded (spec/engine.md, "Records"). */
export const graphStatuses = [
  "running",
  "waiting",
  "failed",
  "timed_out",
  "cancelled",
  "pending",
  "completed",
  "skipped"
] as const
export type GraphStatus = (typeof graphStatuses)[number]

export interface GraphState {
  readonly status: GraphStatus
  /** `round 3`, `12 items`. */
  readonly note?: string
}

/** `timed out, round 3`. */
export const stateText = ({ note, status }: GraphState): string =>
  note === undefined ? statusText(status) : `${statusText(status)}, ${note}`

export const statusText = (status: GraphStatus): string => status.replace("_", " ")

/** By the path of a box. */
export type GraphStates = ReadonlyMap<string, GraphState>

/** What is looked at of a step's record. */
export interface StepState {
  /** As recorded: with the rounds of loops (`/@2`) and the items of pipelines. */
  readonly path: string
  readonly status: string
  /** Of the condition of an `if` or `unless`: whether its steps run; if not, the block is shown as skipped. */
  readonly taken?: boolean
}

/** The states of a graph's boxes; steps that no box stands for are left out. */
export const statesOf = (graph: Graph, steps: Iterable<StepState>): GraphStates => {
  const places = placesOf(graph)
  const found = new Map<string, Found>()
  for (const { path, status: recorded, taken } of steps) {
    const status = taken === false ? "skipped" : recorded
    const place = isStatus(status) ? placeOf(places, path) : undefined
    if (place === undefined || !isStatus(status)) continue
    const before = found.get(place.path)
    found.set(place.path, before === undefined ? first(place, status) : merge(before, place, status))
  }
  return new Map([...found].map(([path, { items, rounds, status }]) => [path, { status, ...note(items, rounds) }]))
}

const isStatus = (text: string): text is GraphStatus => graphStatuses.some((status) => status === text)

interface Places {
  readonly all: ReadonlySet<string>
  readonly pipelines: ReadonlyArray<string>
}

const placesOf = (graph: Graph): Places => {
  const all = boxes(graph)
  const pipelines = all.filter((box) => box._tag === "Container" && box.kind === "pipeline")
  return { all: new Set(all.map(({ path }) => path)), pipelines: pipelines.map(({ path }) => path) }
}

interface PlaceInGraph {
  readonly path: string
  /** The round of each loop around it, the outermost first. */
  readonly rounds: ReadonlyArray<number>
  readonly isItem: boolean
}

const round = /^@[0-9]+$/

const placeOf = ({ all, pipelines }: Places, recorded: string): PlaceInGraph | undefined => {
  const segments = recorded.split("/")
  // Whether a loop goes on is recorded for each round; it says nothing of the loop as a whole.
  if (round.test(segments.at(-1) ?? "")) return undefined
  const rounds = segments.filter((segment) => round.test(segment)).map((segment) => Number(segment.slice(1)))
  const path = segments.filter((segment) => !round.test(segment)).join("/")
  if (all.has(path)) return { path, rounds, isItem: false }
  const pipeline = pipelines.find((candidate) => path.startsWith(`${candidate}/`))
  if (pipeline === undefined) return undefined
  const item = path.indexOf("/", pipeline.length + 1)
  const inPipeline = item === -1 ? undefined : pipeline + path.slice(item)
  return inPipeline !== undefined && all.has(inPipeline) ? { path: inPipeline, rounds, isItem: true } : undefined
}

interface Found {
  readonly status: GraphStatus
  readonly rounds: ReadonlyArray<number>
  readonly items: number
}

const first = ({ isItem, rounds }: PlaceInGraph, status: GraphStatus): Found => ({
  status,
  rounds,
  items: isItem ? 1 : 0
})

const merge = (before: Found, place: PlaceInGraph, status: GraphStatus): Found => {
  const order = compareRounds(place.rounds, before.rounds)
  if (order > 0) return first(place, status)
  if (order < 0) return before
  const worse = graphStatuses.indexOf(status) < graphStatuses.indexOf(before.status) ? status : before.status
  return { status: worse, rounds: before.rounds, items: before.items + (place.isItem ? 1 : 0) }
}

const compareRounds = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): number => {
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

const note = (items: number, rounds: ReadonlyArray<number>): Pick<GraphState, "note"> => {
  const parts = [
    ...(rounds.length > 0 ? [`round ${rounds.join(".")}`] : []),
    ...(items > 0 ? [`${items} ${items === 1 ? "item" : "items"}`] : [])
  ]
  return parts.length === 0 ? {} : { note: parts.join(", ") }
}
