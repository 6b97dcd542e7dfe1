/**
 * The interpreter of `.wf` definitions over the durable primitives (spec/engine.md, "Execution").
 *
 * Owns: the order of nodes, what the steps see, and what a failure means for the nodes behind it. Resuming is running
 * it again over the journal: nothing here knows whether a step ran now or long ago.
 * Neighbours: one module per node kind, each a function of the interpreter, the node and its branch.
 */
import * as Effect from "effect/Effect"
import type { Executors } from "../../action/Action.ts"
import type { GateResolvers } from "../../action/GateResolver.ts"
import type { ItemProviders } from "../../action/ItemProvider.ts"
import type { SchemaResolver, WorkflowResolver } from "../../action/Resolvers.ts"
import type { OutputStore } from "../../persistence/OutputStore.ts"
import type { StepRecord } from "../../persistence/Records.ts"
import type { Node, WorkflowDefinition } from "../../workflow/Definition.ts"
import { blockKeys } from "../../workflow/StepNames.ts"
import type { Branch } from "../Branch.ts"
import type { RunContext } from "../RunContext.ts"
import { callNode } from "./CallNode.ts"
import { callWorkflowNode } from "./CallWorkflowNode.ts"
import { foreachNode } from "./ForeachNode.ts"
import { gateNode, qualityGateNode } from "./GateNode.ts"
import { ifNode } from "./IfNode.ts"
import { doWhileNode, whileNode } from "./LoopNode.ts"
import { parallelNode } from "./ParallelNode.ts"
import { pipelineNode } from "./PipelineNode.ts"
import { scriptNode } from "./ScriptNode.ts"
import { entryOf, Visible } from "./Visible.ts"
import type { Definitions } from "./Definitions.ts"

/** What nodes use of the world. */
export interface Services {
  readonly executors: typeof Executors.Service
  readonly providers: typeof ItemProviders.Service
  readonly resolvers: typeof GateResolvers.Service
  readonly workflows: typeof WorkflowResolver.Service
  readonly schemas: typeof SchemaResolver.Service
  /** Folders searched for script files after the working directory. */
  readonly scriptRoots: ReadonlyArray<string>
  readonly outputs: typeof OutputStore.Service
  readonly definitions: Definitions
}

/** What a plain `do` hands to the calls inside. */
export interface Inherited {
  readonly output: string | undefined
  readonly with: ReadonlyArray<string>
}

export const nothingInherited: Inherited = { output: undefined, with: [] }

export interface Failure {
  readonly step: string
  readonly message: string
}

/** What a call needs of the interpreter; each chain of a pipeline has a `visible` of its own. */
export type CallView = Pick<Interpreter, "run" | "services" | "definition" | "visible">

export class Interpreter {
  readonly visible: Visible
  /** The first step that failed for good. */
  failure: Failure | undefined
  #ended = false
  /** In an always block each node runs, and failures are only logged. */
  #isAlways = false

  constructor(
    readonly run: RunContext,
    readonly services: Services,
    readonly definition: WorkflowDefinition
  ) {
    const { id, inputs, settings, dryRun } = run.record
    const { maxContextBytes } = run.settings
    this.visible = new Visible({ runId: id, inputs, values: settings.values, dryRun, maxContextBytes })
  }

  body(branch: Branch): Effect.Effect<void> {
    return this.block(this.definition.body, branch, nothingInherited)
  }

  /** The always block, after the body ended with this status. */
  always(branch: Branch, status: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#isAlways = true
      this.#ended = false
      this.visible.setExtra({ workflow_status: status })
      return this.block(this.definition.always, branch, nothingInherited)
    })
  }

  /** Runs nodes one after another, until the body ends. */
  block(nodes: ReadonlyArray<Node>, branch: Branch, inherited: Inherited): Effect.Effect<void> {
    const keys = keysOf(nodes)
    const from = (index: number): Effect.Effect<void> => {
      const node = nodes[index]
      const key = keys[index]
      if (node === undefined || key === undefined || this.#ended) return Effect.void
      return Effect.flatMap(this.#node(node, key, branch, inherited), () => from(index + 1))
    }
    return Effect.suspend(() => from(0))
  }

  /** Whether the body is over before its last node. */
  get ended(): boolean {
    return this.#ended
  }

  #node(node: Node, key: string, branch: Branch, inherited: Inherited): Effect.Effect<void> {
    switch (node._tag) {
      case "Call":
        return callNode(this, node, key, branch, inherited)
      case "Script":
        return scriptNode(this, node, key, branch)
      case "CallWorkflow":
        return callWorkflowNode(this, node, key, branch)
      case "Gate":
        return gateNode(this, node, key, branch)
      case "QualityGate":
        return qualityGateNode(this, node, key, branch)
      case "Parallel":
        return parallelNode(this, node, key, branch)
      case "Foreach":
        return foreachNode(this, node, key, branch)
      case "If":
      case "Unless":
        return ifNode(this, node, key, branch, inherited)
      case "While":
        return whileNode(this, node, key, branch, inherited)
      case "DoWhile":
        return doWhileNode(this, node, key, branch, inherited)
      case "Do":
        return this.block(node.body, branch.child(key), {
          output: node.output ?? inherited.output,
          with: [...(node.with ?? []), ...inherited.with]
        })
      case "Always":
        return this.block(node.body, branch.child(key), inherited)
      case "Pipeline":
        return pipelineNode(this, node, key, branch)
    }
  }

  // ---- what steps leave behind

  /** A step that completed: visible to all that follow. */
  completed(step: StepRecord): void {
    this.visible.add(entryOf(step))
  }

  /** A step that failed for good, in a place where the run's fail_fast decides what follows. */
  failed(step: string, message: string): Effect.Effect<void> {
    return this.#fails({ step, message }, this.run.record.settings.failFast)
  }

  /** A failure that ends the body either way: a gate's, a loop's. */
  end(step: string, message: string): Effect.Effect<void> {
    return this.#fails({ step, message }, true)
  }

  #fails(failure: Failure, ends: boolean): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#isAlways) {
        const logged = Effect.logWarning(`in always, ${failure.step} failed: ${failure.message}`)
        return Effect.annotateLogs(logged, { run: this.run.id })
      }
      this.failure ??= failure
      if (ends) this.#ended = true
      return Effect.void
    })
  }
}

const cache = new WeakMap<ReadonlyArray<Node>, ReadonlyArray<string>>()

const keysOf = (nodes: ReadonlyArray<Node>): ReadonlyArray<string> => {
  const known = cache.get(nodes)
  if (known !== undefined) return known
  const keys = blockKeys(nodes)
  cache.set(nodes, keys)
  return keys
}
