/**
 * What spec/engine.md lets become of a `.wf` program whose actions, gates and items are scripted: the set of its allowed
 * ends. An interpreter over the definition in virtual time; it shares nothing with the engine but the definition's type
 * and the script's.
 *
 * An end is lines of text: for each run, step and item how it ended, and of completed and failed steps when, and after how many
 * attempts. A run is named by the step that called it, and `#n` for the n-th one there, or the item.
 */
import type { ScriptedAction, TestProgram } from "../../src/testing/TestProgram.ts"
import type {
  BranchCall,
  CallNode,
  CallWorkflowNode,
  Condition,
  DoWhileNode,
  ForeachNode,
  GateNode,
  Node,
  ParallelNode,
  PipelineNode,
  QualityGateNode,
  Texts,
  WhileNode,
  WorkflowDefinition
} from "../../src/workflow/Definition.ts"
import { type FanOut, fanOut } from "./ModelFanOut.ts"
import {
  actionName,
  fieldOf,
  hasFailed,
  type Item,
  itemsOf,
  keysOf,
  nothing,
  type Result,
  resultOf
} from "./ModelWords.ts"
import { allOrders, type Choose, Cut, type Process, shielded, Timeline, valueOf } from "./Timeline.ts"

export type End = ReadonlyArray<string>

/** A program, and when its run is cancelled, ms after it started. */
export interface Case {
  readonly program: TestProgram
  readonly cancelAfter?: number
}

/** Every end that is allowed, the likely ones first; one may come more than once. */
export const allowedEnds = (it: Case): Generator<End> => allOrders((choose) => new Play(it, choose, undefined).end())

/** Whether an end is allowed: only what may come to it is played. */
export const allows = (it: Case, end: End): boolean => {
  const lines = new Set(end)
  for (const found of allOrders((choose) => attempt(new Play(it, choose, lines)))) {
    if (found?.join("\n") === end.join("\n")) return true
  }
  return false
}

/** Thrown at the first line that is not in the end that is looked for. */
const elsewhere = new Error("this play comes to another end")

const attempt = (play: Play): End | undefined => {
  try {
    return play.end()
  } catch (thrown) {
    if (thrown === elsewhere) return undefined
    throw thrown
  }
}

type RunStatus = "completed" | "failed" | "cancelled"
type Ended = "completed" | "failed" | "timed_out" | "skipped"
type Options = Pick<CallNode, "retries" | "retryDelay" | "backoff" | "maxDelay" | "timeout" | "onFail">

/** Where a node stands, and what it sees. */
interface Place {
  readonly path: string
  readonly seen: Map<string, Result>
  /** Ends of steps may cut off what goes on beside them. */
  readonly isOpen: boolean
}

/** One play of a program, with one choice of what comes first. */
class Play {
  readonly time: Timeline
  readonly #lines: Array<string> = []

  constructor(
    readonly it: Case,
    choose: Choose,
    private readonly sought: ReadonlySet<string> | undefined
  ) {
    this.time = new Timeline(choose)
  }

  end(): End {
    const { program, cancelAfter } = this.it
    const run = new Run(this, program.definition, "", program.options.inputs ?? {}, undefined, false)
    this.time.play(this.#until(run, cancelAfter, program.options.settings?.runTimeout ?? undefined))
    return this.#lines.sort()
  }

  say(line: string): void {
    if (this.sought?.has(line) === false) throw elsewhere
    this.#lines.push(line)
  }

  *#until(run: Run, cancelAfter = Infinity, timeout = Infinity): Process<void> {
    const task = this.time.spawn(run.main())
    const until = Math.min(cancelAfter, timeout)
    yield* this.time.anyOf([task], until === Infinity ? undefined : until)
    yield* this.time.cutAll([task], until === timeout ? "timeout" : "cancelled")
  }
}

class Run {
  readonly #seen = new Map<string, Result>()
  /** Results of the completed steps of the body, in order, those of called workflows included. */
  readonly results: Array<readonly [string, Result]> = []
  #last = nothing
  #isFailed = false
  #isOver = false
  #isAlways = false

  constructor(
    private readonly play: Play,
    private readonly definition: WorkflowDefinition,
    private readonly name: string,
    private readonly inputs: Readonly<Record<string, string>>,
    private readonly item: string | undefined,
    readonly isOpen: boolean
  ) {}

  *main(): Process<RunStatus> {
    const { body, always } = this.definition
    let cut: Cut | undefined
    try {
      yield* this.#block(body, { path: "", seen: this.#seen, isOpen: this.isOpen })
      yield* this.#gap(this)
    } catch (thrown) {
      if (!(thrown instanceof Cut)) throw thrown
      cut = thrown
    }
    const isFailed = this.#isFailed || cut?.reason === "timeout"
    this.#isAlways = true
    this.#isOver = false
    yield* shielded(this.#block(always, { path: "/@always", seen: this.#seen, isOpen: this.isOpen }))
    const status = cut?.reason === "cancelled" ? "cancelled" : isFailed ? "failed" : "completed"
    this.play.say(`run ${this.name} ${status}`)
    return status
  }

  get #time(): Timeline {
    return this.play.time
  }

  *#block(nodes: ReadonlyArray<Node>, place: Place): Process<void> {
    const keys = keysOf(nodes)
    for (const [index, node] of nodes.entries()) {
      if (this.#isOver) return
      yield* this.#node(node, { ...place, path: `${place.path}/${keys[index]}` })
    }
  }

  *#node(node: Node, at: Place): Process<void> {
    switch (node._tag) {
      case "Call":
        return yield* this.#callNode(node, at)
      case "CallWorkflow":
        return this.#after(yield* this.#callWorkflow(node, at))
      case "If":
      case "Unless":
        if (this.#isMet(node.condition, at) === (node._tag === "If")) yield* this.#block(node.body, at)
        return
      case "Do":
      case "Always":
        return yield* this.#block(node.body, at)
      case "While":
      case "DoWhile":
        return yield* this.#loop(node, at)
      case "Parallel":
        return yield* this.#parallel(node, at)
      case "Gate":
        return yield* this.#gate(node, at)
      case "QualityGate":
        return yield* this.#qualityGate(node, at)
      case "Foreach":
        return this.#after(yield* this.#step(at, () => this.#foreach(node, at)))
      case "Pipeline":
        return this.#after(yield* this.#step(at, () => this.#pipeline(node, at)))
      case "Script":
        throw new Error("the model has no processes")
    }
  }

  /** fail_fast, run-wide; `ends`: a failure that ends the body either way. */
  #after(status: Ended, ends = this.play.it.program.options.settings?.failFast ?? true): void {
    if (this.#isAlways || status === "completed" || status === "skipped") return
    this.#isFailed = true
    this.#isOver = ends
  }

  #isMet(condition: Condition, { seen }: Place): boolean {
    if (condition._tag === "Input") return this.inputs[condition.name]?.toLowerCase() === "true"
    return seen.get(condition.step)?.markers.includes(condition.marker) ?? false
  }

  /** Between the end of something and the beginning of the next thing no time passes, but it may be cut off. */
  *#gap({ isOpen }: { readonly isOpen: boolean }): Process<void> {
    yield* this.#time.sleep(0, isOpen)
  }

  /** A step: its line says how it ended, or that it was cut off. `tries` counts attempts that ended by themselves. */
  *#step(at: Place, work: (tries: Array<number>) => Process<Ended>, isListed = false): Process<Ended> {
    const { path } = at
    const tries: Array<number> = []
    if (!isListed) yield* this.#gap(at)
    try {
      const status = yield* work(tries)
      this.#line(path, `${status} ${tries.length} @${this.#time.now}`)
      return status
    } catch (thrown) {
      if (thrown instanceof Cut) this.#line(path, `cancelled ${tries.length}`)
      throw thrown
    }
  }

  #line(path: string, what: string): void {
    this.play.say(`step ${this.name}${path} ${what}`)
  }

  #complete(place: Place, names: ReadonlyArray<string>, result: Result): void {
    for (const name of names) place.seen.set(name, result)
    if (place.seen !== this.#seen || this.#isAlways) return
    this.#last = result
    for (const name of names) this.results.push([name, result])
  }

  // ---- calls

  *#callNode(node: CallNode, at: Place): Process<void> {
    const status = yield* this.#call(node, at)
    yield* this.#onFail(node, status, at)
    this.#after(status)
  }

  *#call(node: CallNode, at: Place, item = this.item, isListed = false): Process<Ended> {
    const name = actionName(node)
    const action = this.play.it.program.actions[name] ?? {}
    const status = yield* this.#step(
      at,
      (tries) => this.#attempts(node, tries, (n) => this.#attempt(action, n, item, node.timeout, at.isOpen)),
      isListed
    )
    if (status === "completed") this.#complete(at, [name], resultOf(action, at.path))
    else at.seen.set(name, nothing)
    return status
  }

  *#attempts(
    { retries = 0, retryDelay = 0, backoff, maxDelay = 3_600_000, onFail }: Options,
    tries: Array<number>,
    attempt: (n: number) => Process<Ended>
  ): Process<Ended> {
    for (let n = 1; ; n++) {
      const status = yield* attempt(n)
      tries.push(n)
      if (status === "completed") return status
      if (n > retries) return onFail?._tag === "Continue" ? "skipped" : status
      const delay = backoff === "exponential" ? retryDelay * 2 ** (n - 1) : retryDelay
      yield* this.#time.sleep(Math.min(delay, maxDelay))
    }
  }

  *#attempt(action: ScriptedAction, n: number, item = "", timeout = 43_200_000, isOpen = false): Process<Ended> {
    const { delay = 0, failures = 0, hangs = 0, failsFor = [] } = action
    const takes = n <= hangs ? Infinity : delay
    const isLate = takes > timeout || (takes === timeout && this.#time.among(2) === 1)
    yield* this.#time.sleep(Math.min(takes, timeout), isOpen)
    if (isLate) return "timed_out"
    return n <= hangs + failures || failsFor.includes(item) ? "failed" : "completed"
  }

  /** The action that follows a failure for good: its own failure is only logged. */
  *#onFail({ onFail }: Options, status: Ended, at: Place): Process<void> {
    if ((status !== "failed" && status !== "timed_out") || onFail?._tag !== "Name") return
    yield* this.#call({ _tag: "Call", action: onFail }, { ...at, path: `${at.path}/on_fail` })
  }

  // ---- blocks

  *#loop(node: WhileNode | DoWhileNode, at: Place): Process<void> {
    const isMet = () => this.#isMet(node.condition, at)
    const rounds: Array<string> = []
    for (let i = 1; ; i++) {
      if (node._tag === "While" && !isMet()) return
      if (i > node.maxIterations) break
      yield* this.#block(node.body, { ...at, path: `${at.path}/@${i}` })
      if (this.#isOver || !isMet()) return
      if (i === node.maxIterations) break
      rounds.push([...(at.seen.get(node.condition.step)?.markers ?? [])].sort().join())
      const last = rounds.slice(-(node.stuckAfter ?? Infinity))
      if (last.length === node.stuckAfter && new Set(last).size === 1) return this.#after("failed", true)
    }
    if (node.onMaxIter !== "continue") this.#after("failed", true)
  }

  *#parallel(node: ParallelNode, at: Place): Process<void> {
    const { calls, failFast = true, maxParallel = calls.length, minSuccess = calls.length } = node
    const keys = keysOf(calls)
    const lanes = calls.map((call, index) => new Lane(call, `${at.path}/${keys[index]}`))
    const waiting = lanes.filter(({ call }) => call.if === undefined || this.#isMet(call.if, at))
    const unmet = lanes.filter((lane) => !waiting.includes(lane))
    for (const lane of unmet) this.#line(lane.path, `skipped 0 @${this.#time.now}`)
    const isOpen = failFast || at.isOpen
    const before = new Map(at.seen)
    const next = () => {
      const lane = waiting.shift()
      return lane && this.#lane(lane, { path: lane.path, seen: new Map(before), isOpen }, !failFast)
    }
    try {
      yield* this.#time.pool(maxParallel, next, (isFailed) => isFailed && failFast)
    } finally {
      for (const lane of waiting) this.#line(lane.path, "cancelled 0")
    }
    const failed = failFast ? lanes.filter(({ status }) => hasFailed(status)) : []
    const nextAction = () => {
      const lane = failed.shift()
      return lane?.status && this.#onFail(lane.call, lane.status, { ...at, path: lane.path })
    }
    yield* this.#time.pool(maxParallel, nextAction, () => false)
    for (const { call, result } of lanes.filter((lane) => !unmet.includes(lane))) {
      if (result === undefined) at.seen.set(actionName(call), nothing)
      else this.#complete(at, [actionName(call)], result)
    }
    const succeeded = unmet.length + lanes.filter(({ status }) => status === "completed" || status === "skipped").length
    if (succeeded < minSuccess) this.#after("failed")
  }

  *#lane(lane: Lane, at: Place, isAlone: boolean): Process<boolean> {
    lane.status = yield* this.#call(lane.call, at, this.item, true)
    if (lane.status === "completed") lane.result = at.seen.get(actionName(lane.call))
    if (isAlone) yield* this.#onFail(lane.call, lane.status, at)
    return hasFailed(lane.status)
  }

  // ---- gates

  *#gate({ prompt = "", timeout = 86_400_000, onTimeout = "fail" }: GateNode, at: Place): Process<void> {
    const answer = this.play.it.program.answers[prompt]
    const after = answer?.after ?? Infinity
    const isLate = after > timeout || (after === timeout && this.#time.among(2) === 1)
    const answered = answer?.approved === true ? "completed" : "failed"
    const late = onTimeout === "continue" ? "timed_out" : "failed"
    const status = yield* this.#step(at, () => this.#wait(Math.min(after, timeout), isLate ? late : answered, at))
    this.#after(status === "timed_out" ? "completed" : status, true)
  }

  *#wait(ms: number, end: Ended, { isOpen }: Place): Process<Ended> {
    yield* this.#time.sleep(ms, isOpen)
    return end
  }

  *#qualityGate({ source, threshold, onFail }: QualityGateNode, at: Place): Process<void> {
    const found = at.seen.get(source)
    const confidence = Math.trunc(Math.min(100, Math.max(0, Number(fieldOf(found?.structured, "confidence") ?? 0))))
    const passes = found !== undefined && (confidence >= threshold || onFail === "continue")
    const status = yield* this.#step(at, () => this.#wait(0, passes ? "completed" : "failed", at))
    this.#after(status, true)
  }

  // ---- children

  *#callWorkflow(node: CallWorkflowNode, at: Place): Process<Ended> {
    let child: Run | undefined
    const attempt = function* (this: Run, n: number): Process<Ended> {
      child = this.#child(node.workflow, `${at.path}#${n} `, node.inputs, undefined, at.isOpen)
      const task = this.#time.spawn(child.main())
      yield* this.#time.anyOf([task], node.timeout === undefined ? undefined : this.#time.now + node.timeout)
      const isLate = task.end === undefined
      try {
        yield* this.#time.cutAll([task], "cancelled")
      } catch (thrown) {
        if (!(thrown instanceof Cut)) throw thrown
        // The attempt had timed out before.
        this.#time.defer(thrown)
      }
      return isLate ? "timed_out" : valueOf(task) === "completed" ? "completed" : "failed"
    }
    const status = yield* this.#step(at, (tries) => this.#attempts(node, tries, (n) => attempt.call(this, n)))
    const names = [node.workflow, `workflow:${node.workflow}`]
    if (status === "completed" && child !== undefined) {
      for (const [name, result] of child.results) this.#complete(at, [name], result)
      this.#complete(at, names, { ...child.#last, structured: null })
    } else for (const name of names) at.seen.set(name, nothing)
    yield* this.#onFail(node, status, at)
    return status
  }

  #child(workflow: string, place: string, inputs: Texts = {}, item: string | undefined, isOpen: boolean): Run {
    const definition = this.play.it.program.workflows.find(({ name }) => name === workflow)
    if (definition === undefined) throw new Error(`the model has no workflow ${workflow}`)
    const filled = Object.entries(inputs).map(([name, text]): readonly [string, string] => [
      name,
      text.replace(/\{\{(.*?)\}\}/g, (whole, name: string) => this.inputs[name] ?? whole)
    ])
    return new Run(this.play, definition, `${this.name}${place}`, Object.fromEntries(filled), item, isOpen)
  }

  *#foreach(node: ForeachNode, at: Place): Process<Ended> {
    const one = function* (this: Run, { id }: Item, isOpen: boolean): Process<string> {
      return yield* this.#child(node.workflow, `${at.path}[${id}] `, node.inputs, id, isOpen).main()
    }
    return yield* this.#fanOut(node, at, (item, isOpen) => one.call(this, item, isOpen))
  }

  #fanOut(node: ForeachNode | PipelineNode, at: Place, work: FanOut["work"]): Process<"completed" | "failed"> {
    const say = (what: string) => this.#line(at.path, what)
    return fanOut(this.#time, { node, items: itemsOf(node.scope, at.seen), isOpen: at.isOpen, work, say })
  }

  *#pipeline(node: PipelineNode, at: Place): Process<Ended> {
    const keys = keysOf(node.calls)
    const chain = function* (this: Run, { id }: Item, isOpen: boolean): Process<string> {
      const seen = new Map(at.seen)
      for (const [index, call] of node.calls.entries()) {
        const place = { path: `${at.path}/item:${id}/${keys[index]}`, seen, isOpen }
        if (call.if !== undefined && !this.#isMet(call.if, place)) {
          this.#line(place.path, `skipped 0 @${this.#time.now}`)
          continue
        }
        const status = yield* this.#call(call, place, id)
        yield* this.#onFail(call, status, place)
        if (hasFailed(status)) return "failed"
      }
      return "completed"
    }
    return yield* this.#fanOut(node, at, (item, isOpen) => chain.call(this, item, isOpen))
  }
}

class Lane {
  status: Ended | undefined
  result: Result | undefined

  constructor(
    readonly call: BranchCall,
    readonly path: string
  ) {}
}
