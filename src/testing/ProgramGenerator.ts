/**
 * Random programs that run, made from a seed: every node kind, with outcomes that do not depend on the schedule, so that a
 * run that was interrupted anywhere and resumed has to end with the same records.
 *
 * What would make an outcome depend on the schedule is left out: of a block that fails fast the other branches end
 * long before or long after the failure; a fan-out that halts or skips takes one item at a time; on_fail actions of parallel
 * branches are not used. A racing program has all of these, steps that end in the same millisecond, and a time limit.
 */
import type {
  BranchCall,
  CallNode,
  Condition,
  ForeachNode,
  GateNode,
  MarkerCondition,
  Node,
  OnChildFail,
  ParallelNode,
  PipelineNode,
  ScriptNode,
  WorkflowDefinition
} from "../workflow/Definition.ts"
import { Seeded } from "./Seeded.ts"
import type { ScriptedAction, ScriptedAnswer, TestProgram } from "./TestProgram.ts"

export interface GeneratorOptions {
  /** Of all names, so that one engine may know several programs. */
  readonly prefix?: string
  /** What ends when, and so with what outcome, may depend on the schedule. */
  readonly racing?: boolean
  /** Nodes of the body, at most; 5. */
  readonly size?: number
  /** Levels of workflows that call each other; 3. */
  readonly depth?: number
}

/** The program of a seed. */
export const generateProgram = (seed: number, options: GeneratorOptions = {}): TestProgram =>
  new Generator(seed, options).program

/** Longer than anything else in a program takes, ms. */
const veryLong = 2_000
/** Few, so that much ends at the same time, ms. */
const racingDelays = [0, 10, 20, 30] as const

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

class Generator {
  readonly #random: Seeded
  readonly #workflows: Array<WorkflowDefinition> = []
  readonly #actions: Record<string, ScriptedAction> = {}
  readonly #answers: Record<string, ScriptedAnswer> = {}
  #count = 0
  /** Steps and the markers that they may give, of the workflow that is being made. */
  #marked: Array<MarkerCondition> = []
  readonly #prefix: string
  readonly #isRacing: boolean
  readonly #size: number
  readonly #maxDepth: number

  constructor(
    private readonly seed: number,
    { depth = 3, prefix = "", racing = false, size = 5 }: GeneratorOptions
  ) {
    this.#random = new Seeded(seed)
    this.#prefix = prefix
    this.#isRacing = racing
    this.#size = size
    this.#maxDepth = depth
  }

  get program(): TestProgram {
    const definition = this.#workflow(`${this.#prefix}main`, 0)
    return {
      name: `${this.#isRacing ? "racing " : ""}seed ${this.seed}`,
      definition,
      workflows: this.#workflows,
      actions: this.#actions,
      answers: this.#answers,
      options: {
        inputs: { flag: this.#random.chance(0.5) ? "true" : "false" },
        settings: { failFast: this.#random.chance(0.6), ...this.#timeLimit() }
      }
    }
  }

  #timeLimit(): { readonly runTimeout?: number } {
    return this.#isRacing && this.#random.chance(0.15) ? { runTimeout: this.#random.pick([20, 50, 75, 150]) } : {}
  }

  #workflow(name: string, depth: number): WorkflowDefinition {
    const outer = this.#marked
    this.#marked = []
    const body = this.#nodes(this.#random.between(Math.min(2, this.#size), depth === 0 ? this.#size : 3), depth, 0)
    const always = this.#random.chance(0.5) ? [this.#call()] : []
    this.#marked = outer
    const flag = { name: "flag", boolean: true, required: false, secret: false }
    return { name, trigger: "manual", targets: [], inputs: [flag], body, always }
  }

  #name(kind: string): string {
    this.#count += 1
    return `${this.#prefix}${kind}${this.#count}`
  }

  #nodes(count: number, depth: number, nesting: number): ReadonlyArray<Node> {
    return Array.from({ length: count }, () => this.#node(depth, nesting)).flat()
  }

  /** One node; some need a step before them that they refer to. */
  #node(depth: number, nesting: number): ReadonlyArray<Node> {
    const draw = this.#random.between(0, 99)
    if (draw < 24) return [this.#call()]
    if (draw < 30) return [this.#script()]
    if (draw < 40) return [this.#parallel()]
    if (draw < 48) return [this.#gate()]
    if (draw < 54) return this.#qualityGate()
    if (draw < 64 && depth < this.#maxDepth - 1) return [this.#callWorkflow(depth)]
    if (draw < 71 && depth < this.#maxDepth - 1) return this.#foreach(depth)
    if (draw < 74) return this.#pipeline()
    if (nesting >= 2) return [this.#call()]
    const body = () => this.#nodes(this.#random.between(1, 2), depth, nesting + 1)
    if (draw < 82) return [{ _tag: this.#random.pick(["If", "Unless"]), condition: this.#condition(), body: body() }]
    if (draw < 90) return this.#loop(depth, nesting)
    // At the top level it would be the workflow's own.
    if (draw < 95 || nesting === 0) return [{ _tag: "Do", body: body() }]
    return [{ _tag: "Always", body: body() }]
  }

  #condition(): Condition {
    const known = this.#marked[this.#random.between(0, Math.max(0, this.#marked.length - 1))]
    return known === undefined || this.#random.chance(0.2) ? { _tag: "Input", name: "flag" } : known
  }

  // ---- calls

  #action(action: ScriptedAction): CallNode {
    return { _tag: "Call", action: { _tag: "Name", name: this.#scripted("a", action) } }
  }

  #scripted(kind: string, action: ScriptedAction): string {
    const name = this.#name(kind)
    this.#actions[name] = action
    for (const marker of action.markers ?? []) this.#marked.push({ _tag: "Marker", step: name, marker })
    return name
  }

  #output(): ScriptedAction {
    const random = this.#random
    const action: Mutable<ScriptedAction> = {}
    if (random.chance(0.5)) action.markers = random.chance(0.5) ? ["good"] : ["good", "bad"]
    if (random.chance(0.4)) action.context = `context ${this.#count}`
    if (random.chance(0.3)) action.structured = { text: `text ${this.#count}`, confidence: random.between(0, 100) }
    if (random.chance(0.3)) action.metadata = { input_tokens: String(random.between(1, 9)), duration_ms: "3" }
    if (this.#isRacing) action.delay = random.pick(racingDelays)
    else if (random.chance(0.4)) action.delay = random.between(1, 40)
    return action
  }

  #call(): CallNode {
    const random = this.#random
    const { retries, script } = this.#attempts()
    const beats = random.chance(0.2) ? this.#beats() : undefined
    const given = { ...this.#output(), ...script }
    const call: Mutable<CallNode> = this.#action(beats === undefined ? given : { ...given, beats: beats.beats })
    if (retries > 0) call.retries = retries
    if (retries > 0 && random.chance(0.5)) call.retryDelay = random.pick([5, 200])
    if (call.retryDelay !== undefined && random.chance(0.3)) call.backoff = "exponential"
    if (call.backoff !== undefined && random.chance(0.5)) call.maxDelay = 300
    if (call.retryDelay !== undefined && random.chance(0.3)) call.jitter = true
    if (beats !== undefined) call.heartbeat = beats.heartbeat
    this.#limit(call, script)
    return call
  }

  #script(): ScriptNode {
    const { retries, script } = this.#attempts()
    const name = this.#scripted("s", { ...this.#output(), ...script })
    const node: Mutable<ScriptNode> = { _tag: "Script", name, run: `echo ${name}` }
    if (retries > 0) node.retries = retries
    this.#limit(node, script)
    return node
  }

  /** How often it is tried again, and what becomes of that. */
  #attempts() {
    const random = this.#random
    const retries = random.chance(0.3) ? random.between(1, 2) : 0
    const failures = random.chance(0.3) ? random.between(1, retries + 1) : 0
    const hangs = failures === 0 && random.chance(0.1) ? 1 : 0
    return { retries, script: { failures, hangs, throws: random.chance(0.1) } }
  }

  /** Progress, which in a racing program may be too slow. */
  #beats(): { readonly beats: NonNullable<ScriptedAction["beats"]>; readonly heartbeat: number } {
    const random = this.#random
    const times = random.between(0, 3)
    if (!this.#isRacing) return { beats: { every: 7, times }, heartbeat: 100 }
    return { beats: { every: random.pick([5, 15]), times }, heartbeat: random.pick([10, 20]) }
  }

  /** What ends an attempt that does not end by itself, and what follows when all have failed. */
  #limit(
    node: Mutable<CallNode> | Mutable<ScriptNode>,
    { failures, hangs }: { failures: number; hangs: number }
  ): void {
    if (hangs > 0) node.timeout = 500
    else if (this.#isRacing && this.#random.chance(0.1)) node.timeout = this.#random.pick([10, 20])
    if (failures + hangs > (node.retries ?? 0) || this.#random.chance(0.2)) this.#addOnFail(node)
  }

  #addOnFail(call: Mutable<CallNode> | Mutable<ScriptNode>): void {
    const random = this.#random
    const isContinued = random.chance(0.5)
    if (isContinued) call.onFail = { _tag: "Continue" }
    else if (random.chance(0.5)) {
      const name = this.#name("fix")
      this.#actions[name] = { failures: random.chance(0.3) ? 1 : 0, context: "fixed" }
      call.onFail = { _tag: "Name", name }
    }
  }

  // ---- parallel

  #parallel(): ParallelNode {
    if (this.#isRacing) return this.#racingParallel()
    const random = this.#random
    const failFast = random.chance(0.5)
    const isFailing = random.chance(0.4)
    const count = random.between(2, 4)
    const failingLane = isFailing ? random.between(0, count - 1) : -1
    const lanes = Array.from({ length: count }, (_, index) => this.#lane(index === failingLane, isFailing && failFast))
    const [first, ...rest] = lanes
    const node: Mutable<ParallelNode> = {
      _tag: "Parallel",
      failFast,
      calls: [first ?? this.#lane(false, false), ...rest]
    }
    if (isFailing && random.chance(0.5)) node.minSuccess = 1
    // More than one at a time would make it a matter of time which branches a failure finds started.
    if (random.chance(0.3)) node.maxParallel = isFailing && failFast ? 1 : 2
    return node
  }

  #racingParallel(): ParallelNode {
    const random = this.#random
    const lane = (): BranchCall => {
      const call: Mutable<BranchCall> = this.#call()
      if (random.chance(0.15)) call.if = this.#condition()
      return call
    }
    const node: Mutable<ParallelNode> = {
      _tag: "Parallel",
      calls: [lane(), ...Array.from({ length: random.between(1, 3) }, lane)]
    }
    if (random.chance(0.3)) node.failFast = false
    if (random.chance(0.3)) node.minSuccess = random.between(0, 2)
    if (random.chance(0.4)) node.maxParallel = random.between(1, 3)
    return node
  }

  /** `isRacing`: beside a branch that fails fast, after a while. */
  #lane(fails: boolean, isRacing: boolean): BranchCall {
    const random = this.#random
    if (fails) return this.#action({ failures: 99, delay: 50 })
    if (isRacing) return this.#action({ ...this.#output(), delay: random.pick([0, veryLong]) })
    const call: Mutable<BranchCall> = this.#action({ ...this.#output(), failures: random.chance(0.2) ? 1 : 0 })
    call.retries = 1
    if (random.chance(0.2)) call.if = this.#condition()
    return call
  }

  // ---- gates

  #gate(): GateNode {
    const random = this.#random
    const prompt = this.#name("gate")
    const node: Mutable<GateNode> = { _tag: "Gate", name: random.pick(["human_approval", "human_review"]), prompt }
    if (random.chance(0.2)) {
      node.timeout = random.pick([30, 5_000])
      node.onTimeout = random.chance(0.7) ? "continue" : "fail"
      return node
    }
    const selections = random.chance(0.3) ? ["one"] : []
    if (selections.length > 0) {
      node.options = {
        _tag: "Fixed",
        entries: [
          { key: "one", text: "The first" },
          { key: "two", text: "Another" }
        ]
      }
    }
    const feedback = `feedback ${prompt}`
    this.#answers[prompt] = { approved: random.chance(0.85), feedback, selections, after: random.pick([0, 10, 300]) }
    return node
  }

  #qualityGate(): ReadonlyArray<Node> {
    const confidence = this.#random.between(0, 100)
    const source = this.#action({ structured: { confidence } })
    const threshold = this.#random.chance(0.7) ? confidence : Math.min(100, confidence + 1)
    const onFail = this.#random.chance(0.7) ? "continue" : "fail"
    return [source, { _tag: "QualityGate", source: nameOf(source), threshold, onFail }]
  }

  // ---- loops

  #loop(depth: number, nesting: number): ReadonlyArray<Node> {
    const random = this.#random
    const rounds = random.between(0, 2)
    const maxIterations = random.pick([1, 3, 3])
    const isEndless = random.chance(0.2)
    const call = this.#action({
      markers: ["again"],
      ...(isEndless ? {} : { markersUntil: rounds }),
      ...(random.chance(0.5) ? { delay: 5 } : {})
    })
    const condition: MarkerCondition = { _tag: "Marker", step: nameOf(call), marker: "again" }
    const body = [call, ...this.#nodes(random.between(0, 1), depth, nesting + 1)]
    const options = { condition, maxIterations, body, onMaxIter: random.chance(0.7) ? "continue" : "fail" } as const
    const stuck = isEndless && random.chance(0.5) ? { stuckAfter: 2 } : {}
    return random.chance(0.5)
      ? [{ _tag: "DoWhile", ...options, ...stuck }]
      : [call, { _tag: "While", ...options, ...stuck }]
  }

  // ---- children

  #child(depth: number): string {
    const name = this.#name("w")
    this.#workflows.push(this.#workflow(name, depth + 1))
    return name
  }

  #callWorkflow(depth: number): Node {
    const random = this.#random
    const workflow = this.#child(depth)
    const retries = random.chance(0.2) ? { retries: 1 } : {}
    const onFail = random.chance(0.3) ? ({ onFail: { _tag: "Continue" } } as const) : {}
    const timeout = this.#isRacing && random.chance(0.3) ? { timeout: random.pick([10, 30, 60]) } : {}
    return {
      _tag: "CallWorkflow",
      workflow,
      inputs: { flag: random.pick(["true", "{{flag}}"]) },
      ...retries,
      ...onFail,
      ...timeout
    }
  }

  /** A step that gives items, and those of them that are to fail. */
  #items(ordered: boolean): { readonly source: CallNode; readonly failing: ReadonlyArray<string> } {
    const random = this.#random
    const ids = ["p", "q", "r", "s"].slice(0, random.between(0, 4))
    const list = ids.map((id, index) => {
      const before = ids.slice(0, index).filter(() => random.chance(0.5))
      return ordered ? { id, blocked_by: before } : { id, note: `note ${id}` }
    })
    return { source: this.#action({ structured: { list } }), failing: ids.filter(() => random.chance(0.3)) }
  }

  #pipeline(): ReadonlyArray<Node> {
    const random = this.#random
    const { failing, source } = this.#items(false)
    const onChildFail = random.pick<"continue" | "halt">(["continue", "halt"])
    const first = this.#action({ ...this.#output(), failsFor: random.chance(0.5) ? failing : [] })
    const rest = Array.from({ length: random.between(0, 2) }, (): BranchCall => {
      const call = this.#action({ ...this.#output(), failsFor: random.chance(0.3) ? failing : [] })
      return random.chance(0.3) ? { ...call, if: { _tag: "Marker", step: nameOf(first), marker: "good" } } : call
    })
    const node: PipelineNode = {
      _tag: "Pipeline",
      name: this.#name("pipe"),
      over: "json",
      scope: { from: `${nameOf(source)}.list` },
      // Side by side it would be a matter of time in which order the chains' steps come into the journal.
      maxParallel: this.#isRacing ? random.between(1, 3) : 1,
      onChildFail,
      calls: [first, ...rest]
    }
    return [source, node]
  }

  #foreach(depth: number): ReadonlyArray<Node> {
    const random = this.#random
    const ordered = random.chance(0.4)
    const { failing, source } = this.#items(ordered)
    const name = this.#name("each")
    const child = this.#itemWorkflow(failing, depth)
    const onChildFail = random.pick<OnChildFail>(
      ordered ? ["continue", "skip_dependents", "halt"] : ["continue", "halt"]
    )
    const node: ForeachNode = {
      _tag: "Foreach",
      name,
      over: "json",
      scope: { from: `${nameOf(source)}.list` },
      workflow: child,
      // Side by side it would be a matter of time which item halts, or skips, the others.
      maxParallel: onChildFail === "continue" || this.#isRacing ? random.between(1, 3) : 1,
      inputs: { flag: "{{flag}}" },
      ordered,
      onChildFail
    }
    return [source, node]
  }

  /** A workflow that fails for some items. */
  #itemWorkflow(failing: ReadonlyArray<string>, depth: number): string {
    const name = this.#name("item")
    const outer = this.#marked
    this.#marked = []
    const call = this.#action({ ...this.#output(), failsFor: failing })
    const more = this.#nodes(this.#random.between(0, 1), Math.max(depth + 1, this.#maxDepth - 1), 1)
    const always = this.#random.chance(0.3) ? [this.#action({})] : []
    this.#marked = outer
    const flag = { name: "flag", boolean: true, required: false, secret: false }
    const body: ReadonlyArray<Node> = more.length === 0 ? [call] : [call, { _tag: "Do", body: more }]
    this.#workflows.push({ name, trigger: "manual", targets: [], inputs: [flag], body, always })
    return name
  }
}

const nameOf = (call: CallNode): string => (call.action._tag === "Name" ? call.action.name : call.action.path)
