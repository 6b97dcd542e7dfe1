/**
 * What spec/engine.md lets become of a `.wf` program whose actions, scripts, gates and items are scripted: the set of its
 * allowed ends. An interpreter over the definition in virtual time; it shares nothing with the engine but the
 * definition's type and the script's.
 *
 * An end is lines of text: for each run, step and item how it ended, and of completed and failed steps when, and after how
 * many attempts. A run is named by the step that called it, and `#n` for the n-th one there, or the item.
 */
import type { TestProgram } from "../../src/testing/TestProgram.ts"
import type * as Wf from "../../src/workflow/Definition.ts"
import { comesTo, type End, endsOf, type Story } from "./Ends.ts"
import * as Words from "./ModelWords.ts"
import { Cut, each, type Process, shielded, type Timeline, valueOf } from "./Timeline.ts"

/** A program, and when its run is cancelled, ms after it started. */
export interface Case {
  readonly program: TestProgram
  readonly cancelAfter?: number
}

/** Every end that is allowed, the likely ones first; one may come more than once. */
export const allowedEnds = (it: Case): Generator<End> => endsOf(storyOf(it))

/** Whether an end is allowed. */
export const allows = (it: Case, end: End): boolean => comesTo(storyOf(it), end)

interface World {
  readonly program: TestProgram
  readonly time: Timeline
  readonly say: (line: string) => void
}

type Ended = "completed" | "failed" | "timed_out" | "skipped"

/** Where a node stands, and what it sees. */
interface Place {
  readonly path: string
  readonly seen: Map<string, Words.Result>
  /** Its record is written before it begins. */
  readonly isListed?: boolean
}

const storyOf = ({ cancelAfter = Infinity, program }: Case): Story =>
  function* (time, say) {
    const timeout = program.options.settings?.runTimeout ?? Infinity
    const run = time.spawn(new Run({ program, time, say }, program.definition, "", program.options.inputs ?? {}).main())
    yield* time.anyOf([run], Math.min(cancelAfter, timeout))
    yield* time.cutAll([run], time.isBefore(timeout, cancelAfter) ? "timeout" : "cancelled")
  }

class Run {
  readonly #seen = new Map<string, Words.Result>()
  /** Results of the completed steps of the body, in order, those of called workflows included. */
  readonly results: Array<readonly [string, Words.Result]> = []
  #isFailed = false
  #isOver = false
  #isAlways = false

  constructor(
    private readonly world: World,
    private readonly definition: Wf.WorkflowDefinition,
    private readonly name: string,
    private readonly inputs: Wf.Texts,
    private readonly item?: string
  ) {}

  *main(): Process<"completed" | "failed" | "cancelled"> {
    const { always, body } = this.definition
    let cut: Cut | undefined
    try {
      yield* this.#block(body, { path: "", seen: this.#seen })
      yield* this.#gap()
    } catch (thrown) {
      cut = Cut.of(thrown)
    }
    const isFailed = this.#isFailed || cut?.reason === "timeout"
    this.#isAlways = true
    this.#isOver = false
    yield* shielded(this.#block(always, { path: "/@always", seen: this.#seen }))
    const status = cut?.reason === "cancelled" ? "cancelled" : isFailed ? "failed" : "completed"
    this.world.say(`run ${this.name} ${status}`)
    return status
  }

  *#block(nodes: ReadonlyArray<Wf.Node>, place: Place): Process<void> {
    for (const { node, path } of Words.placed(nodes, place.path)) {
      if (this.#isOver) return
      yield* this.#node(node, { ...place, path })
    }
  }

  *#node(node: Wf.Node, at: Place): Process<void> {
    switch (node._tag) {
      case "Call":
      case "Script":
        return this.#after(yield* this.#settled(node, yield* this.#call(node, at), at))
      case "CallWorkflow":
        return this.#after(yield* this.#settled(node, yield* this.#callWorkflow(node, at), at))
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
        return this.#after(yield* this.#step(at, () => this.#qualityGate(node, at)), true)
      case "Foreach":
      case "Pipeline":
        return this.#after(yield* this.#step(at, () => this.#fanOut(node, at)))
    }
  }

  /** fail_fast, run-wide; `ends`: a failure that ends the body either way. */
  #after(status: Ended, ends = this.world.program.options.settings?.failFast ?? true): void {
    if (this.#isAlways || !Words.hasFailed(status)) return
    this.#isFailed = true
    this.#isOver = ends
  }

  #isMet(condition: Wf.Condition, { seen }: Place): boolean {
    if (condition._tag === "Input") return this.inputs[condition.name]?.toLowerCase() === "true"
    return seen.get(condition.step)?.markers.includes(condition.marker) ?? false
  }

  /** Between the end of something and the beginning of the next thing no time passes, but it may be cut off. */
  #gap(): Process<void> {
    return this.world.time.sleep(0)
  }

  /** A step: its line says how it ended, or that it was cut off. `tries`: the attempts that ended by themselves. */
  *#step(at: Place, work: (tries: Array<Ended>) => Process<Ended>): Process<Ended> {
    const tries: Array<Ended> = []
    if (at.isListed !== true) yield* this.#gap()
    try {
      const status = yield* work(tries)
      this.#line(at, `${status} ${tries.length} @${this.world.time.now}`)
      return status
    } catch (thrown) {
      const cut = Cut.of(thrown)
      this.#line(at, `cancelled ${tries.length}`)
      throw cut
    }
  }

  #line({ path }: Place, what: string): void {
    this.world.say(`step ${this.name}${path} ${what}`)
  }

  /** What a step shows; undefined: it did not complete. */
  #show({ seen }: Place, names: ReadonlyArray<string>, result: Words.Result | undefined): void {
    for (const name of names) seen.set(name, result ?? Words.nothing)
    if (result === undefined || seen !== this.#seen || this.#isAlways) return
    for (const name of names) this.results.push([name, result])
  }

  /** A call with an `if` that is not met. */
  #isSkipped({ if: condition }: Wf.BranchCall, at: Place): boolean {
    const isSkipped = condition !== undefined && !this.#isMet(condition, at)
    if (isSkipped) this.#line(at, `skipped 0 @${this.world.time.now}`)
    return isSkipped
  }

  // ---- calls, scripts and workflows that are called

  *#call(node: Wf.CallNode | Wf.ScriptNode, at: Place, item = this.item): Process<Ended> {
    const name = Words.keyOf(node)
    const action = this.world.program.actions[name] ?? {}
    const status = yield* this.#tried(node, at, (n) => {
      const { isFailing, takes } = Words.attemptOf(action, n, item)
      const limit = Math.min(node.timeout ?? 43_200_000, Words.silence(action, node))
      return this.#first(takes, isFailing ? "failed" : "completed", limit, "timed_out")
    })
    this.#show(at, [name], status === "completed" ? Words.resultOf(action, at.path) : undefined)
    return status
  }

  #tried(options: Words.Options, at: Place, attempt: (n: number) => Process<Ended>): Process<Ended> {
    const { retries = 0, onFail } = options
    const { time } = this.world
    return this.#step(at, function* (tries) {
      for (let n = 1; ; n++) {
        const status = yield* attempt(n)
        tries.push(status)
        if (status === "completed") return status
        if (n > retries) return onFail?._tag === "Continue" ? "skipped" : status
        yield* time.sleep(Words.pauseAfter(options, n))
      }
    })
  }

  /** What comes first. */
  *#first(ms: number, end: Ended, limit: number, late: Ended): Process<Ended> {
    const isInTime = this.world.time.isBefore(ms, limit)
    yield* this.world.time.sleep(Math.min(ms, limit))
    return isInTime ? end : late
  }

  /** With the action that follows a failure for good: its own failure is only logged. */
  *#settled({ onFail }: Words.Options, status: Ended, { path, seen }: Place): Process<Ended> {
    if (Words.hasFailed(status) && onFail?._tag === "Name") {
      yield* this.#call({ _tag: "Call", action: onFail }, { seen, path: `${path}/on_fail` })
    }
    return status
  }

  *#callWorkflow(node: Wf.CallWorkflowNode, at: Place): Process<Ended> {
    const children: Array<Run> = []
    const status = yield* this.#tried(node, at, (n) => {
      const child = this.#child(node, `${at.path}#${n} `)
      children.push(child)
      return this.#waited(child, node.timeout)
    })
    const results = status === "completed" ? children.at(-1)?.results : undefined
    for (const [name, result] of results ?? []) this.#show(at, [name], result)
    const [, last] = results?.at(-1) ?? ["", Words.nothing]
    this.#show(at, [node.workflow, Words.keyOf(node)], results && { ...last, structured: null })
    return status
  }

  /** An attempt whose time was up has timed out, however its child ends, and though its run is cancelled before that. */
  *#waited(child: Run, timeout = Infinity): Process<Ended> {
    const { time } = this.world
    const task = time.spawn(child.main())
    yield* time.anyOf([task], time.now + timeout)
    const isLate = task.end === undefined
    try {
      yield* time.cutAll([task], "cancelled")
    } catch (thrown) {
      time.defer(Cut.of(thrown))
    }
    return isLate ? "timed_out" : valueOf(task) === "completed" ? "completed" : "failed"
  }

  #child({ inputs = {}, workflow }: Wf.CallWorkflowNode | Wf.ForeachNode, place: string, item?: string): Run {
    const definition = this.world.program.workflows.find(({ name }) => name === workflow)
    if (definition === undefined) throw new Error(`the model has no workflow ${workflow}`)
    return new Run(this.world, definition, `${this.name}${place}`, Words.substituted(inputs, this.inputs), item)
  }

  // ---- gates

  *#gate({ prompt = "", timeout = 86_400_000, onTimeout = "fail" }: Wf.GateNode, at: Place): Process<void> {
    const { after = Infinity, approved = false } = this.world.program.answers[prompt] ?? {}
    const late = onTimeout === "continue" ? "timed_out" : "failed"
    const status = yield* this.#step(at, () => this.#first(after, approved ? "completed" : "failed", timeout, late))
    this.#after(status === "failed" ? "failed" : "completed", true)
  }

  #qualityGate({ onFail, source, threshold }: Wf.QualityGateNode, { seen }: Place): Process<Ended> {
    const found = seen.get(source)
    const passes = found !== undefined && (Words.confidenceOf(found) >= threshold || onFail === "continue")
    return this.#first(0, passes ? "completed" : "failed", Infinity, "failed")
  }

  // ---- blocks

  *#loop(node: Wf.WhileNode | Wf.DoWhileNode, at: Place): Process<void> {
    const isMet = () => this.#isMet(node.condition, at)
    const rounds: Array<string> = []
    if (node._tag === "While" && !isMet()) return
    for (let i = 1; i <= node.maxIterations; i++) {
      yield* this.#block(node.body, { ...at, path: `${at.path}/@${i}` })
      if (this.#isOver || !isMet()) return
      rounds.push([...(at.seen.get(node.condition.step)?.markers ?? [])].sort().join())
      const last = rounds.slice(-(node.stuckAfter ?? Infinity))
      const isStuck = last.length === node.stuckAfter && new Set(last).size === 1
      if (isStuck && i < node.maxIterations) return this.#after("failed", true)
    }
    if (node.onMaxIter !== "continue") this.#after("failed", true)
  }

  *#parallel(node: Wf.ParallelNode, at: Place): Process<void> {
    const { calls, failFast = true, maxParallel: limit = calls.length, minSuccess = calls.length } = node
    const { time } = this.world
    const lanes = Words.placed(calls, at.path).map(({ node: call, path }): Lane => {
      const own = { path, seen: new Map(at.seen), isListed: true }
      return { call, at: own, status: this.#isSkipped(call, own) ? "unmet" : undefined }
    })
    const waiting = lanes.filter(({ status }) => status === undefined)
    const stops = (status: string) => failFast && Words.hasFailed(status)
    try {
      yield* time.pool({ limit, next: each(waiting, (it) => this.#lane(it, failFast)), isOpen: failFast, stops })
    } finally {
      for (const lane of waiting) this.#line(lane.at, "cancelled 0")
    }
    const failed = lanes.filter(({ status }) => failFast && Words.hasFailed(status))
    const action = ({ at: { path }, call }: Lane) => this.#settled(call, "failed", { ...at, path })
    yield* time.pool({ limit, next: each(failed, action) })
    for (const lane of lanes.filter(({ status }) => status !== "unmet")) {
      const name = Words.keyOf(lane.call)
      this.#show(at, [name], lane.status === "completed" ? lane.at.seen.get(name) : undefined)
    }
    const succeeded = lanes.filter(({ status }) => status !== undefined && !Words.hasFailed(status))
    if (succeeded.length < minSuccess) this.#after("failed")
  }

  *#lane(lane: Lane, failFast: boolean): Process<string> {
    const status = yield* this.#call(lane.call, lane.at)
    lane.status = status
    return failFast ? status : yield* this.#settled(lane.call, status, lane.at)
  }

  // ---- items

  /** Which items may start when, and what the failure of one means for the others. */
  *#fanOut(node: Wf.ForeachNode | Wf.PipelineNode, at: Place): Process<Ended> {
    const items = Words.itemsOf(node, at.seen)
    if (items === undefined) return "failed"
    const { maxParallel, onChildFail = "continue" } = node
    const started = new Set<string>()
    const ends = new Map<string, string>()
    const work = (id: string) => this.#item(node, id, at)
    const one = function* (id: string): Process<string> {
      started.add(id)
      const end = yield* work(id)
      const skipped = end === "failed" && onChildFail === "skip_dependents" ? Words.dependentsOf(items, id) : []
      for (const it of skipped) ends.set(it, "skipped")
      ends.set(id, end)
      return end
    }
    const next = () => {
      const isFree = ({ blockers }: Words.Item) => blockers.every((id) => ends.has(id))
      const open = items.filter((item) => !started.has(item.id) && !ends.has(item.id) && isFree(item))
      const item = open[Words.isOrdered(node) ? this.world.time.among(open.length) : 0]
      return item && one(item.id)
    }
    const stops = (end: string) => end === "failed" && onChildFail === "halt"
    const endOf = (id: string) => ends.get(id) ?? (started.has(id) ? "cancelled" : "pending")
    try {
      yield* this.#gap()
      const limit = Math.max(1, maxParallel)
      yield* this.world.time.pool({ limit, next, isOpen: onChildFail !== "continue", stops })
    } finally {
      for (const { id } of items) this.#line(at, `[${id}] ${endOf(id)}`)
    }
    return [...ends.values()].includes("failed") ? "failed" : "completed"
  }

  #item(node: Wf.ForeachNode | Wf.PipelineNode, id: string, { path, seen }: Place): Process<string> {
    if (node._tag === "Foreach") return this.#child(node, `${path}[${id}] `, id).main()
    return this.#chain(node.calls, id, { path: `${path}/item:${id}`, seen: new Map(seen) })
  }

  *#chain(calls: ReadonlyArray<Wf.BranchCall>, item: string, place: Place): Process<string> {
    for (const { node, path } of Words.placed(calls, place.path)) {
      const at = { ...place, path }
      if (this.#isSkipped(node, at)) continue
      const status = yield* this.#settled(node, yield* this.#call(node, at, item), at)
      if (Words.hasFailed(status)) return "failed"
    }
    return "completed"
  }
}

/** A branch of a parallel block; `unmet`: its `if` is not. */
interface Lane {
  readonly call: Wf.BranchCall
  readonly at: Place
  status: Ended | "unmet" | undefined
}
