/**
 * Arbitrary workflow definitions for property tests: every node, every option, names that are keywords, texts with
 * quotes, escapes, control characters and templates. All are valid for the language (they can be printed); whether
 * their references make sense is left to chance. The only module that imports fast-check.
 */
import * as fc from "fast-check"
import type {
  ActionRef,
  BranchCall,
  CallNode,
  CallWorkflowNode,
  Condition,
  ForeachNode,
  GateNode,
  GateOptions,
  InputDeclaration,
  MarkerCondition,
  Node,
  OnFail,
  ParallelNode,
  PipelineNode,
  QualityGateNode,
  ScriptNode,
  Value,
  WorkflowDefinition
} from "../workflow/Definition.ts"

const keywords = [
  "workflow",
  "meta",
  "inputs",
  "call",
  "if",
  "unless",
  "while",
  "do",
  "parallel",
  "gate",
  "always",
  "script",
  "foreach",
  "pipeline",
  "required",
  "default",
  "description",
  "boolean",
  "secret",
  "continue",
  "true",
  "false"
]

/** An identifier of the language, keywords among them. */
export const arbitraryIdentifier: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_-]{0,10}$/) },
  { weight: 1, arbitrary: fc.constantFrom(...keywords) }
)

const nastyTexts = [
  "",
  '"',
  "\\",
  '\\"',
  "\\n",
  "a\nb",
  "\n",
  "a\r\nb\n",
  "\t",
  "\0",
  "\u001b[31m",
  "\u202e",
  "\ufeff",
  "{{inputs.x}}",
  "{{",
  "}}",
  "// no comment",
  "# no comment",
  "-- no comment",
  "{ } [ ] , = . ;",
  "$(id) `id` 'x'",
  "héllo 漢字 👩‍👩‍👧",
  "1parsec",
  "007",
  "30s",
  "step.marker",
  "a/b",
  "../up",
  "  spaces  "
]

/** Any text, and more often than by chance one that is hard to print. */
export const arbitraryText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...nastyTexts),
  fc.string({ maxLength: 20 }),
  fc.string({ unit: "binary", maxLength: 12 })
)

const filledText = arbitraryText.filter((text) => text !== "")

const key = fc
  .oneof(arbitraryIdentifier, arbitraryText, fc.constantFrom("constructor", "toString", "2", "1"))
  .filter((text) => text !== "__proto__")

const texts = fc.array(arbitraryText, { maxLength: 3 })
const textMap = fc.dictionary(key, arbitraryText, { maxKeys: 3, noNullPrototype: true })

const value: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", maxDepth: 3 },
    arbitraryText,
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(key, tie("value"), { maxKeys: 3, noNullPrototype: true })
  )
})).value

const valueMap = fc.dictionary(key, value, { maxKeys: 3, noNullPrototype: true })

const natural = fc.oneof(fc.nat({ max: 5 }), fc.maxSafeNat())
const positive = natural.map((number) => Math.max(1, number))
const millis = fc.oneof(
  fc.nat({ max: 5 }),
  fc.nat({ max: 100 }).map((count) => count * 1000),
  fc.nat({ max: 100 }).map((count) => count * 60_000),
  fc.nat({ max: 48 }).map((count) => count * 3_600_000),
  fc.maxSafeNat()
)

const pathPart = fc.constantFrom("agents", "a b", "review", ".hidden", "x.y", "ü", '"', "\\")

const path: fc.Arbitrary<ActionRef> = fc
  .tuple(fc.array(pathPart, { maxLength: 2 }), fc.constantFrom("review.md", "no-extension", "a.b.md", ".md"))
  .map(([folders, file]) => [...folders, file].join("/"))
  .filter((text) => !/^[/\\]/.test(text))
  .map((text) => ({ _tag: "Path", path: text }))

/** `call workflow` begins the call of a workflow, so no action has that name. */
const action: fc.Arbitrary<ActionRef> = fc.oneof(
  arbitraryIdentifier.filter((name) => name !== "workflow").map((name): ActionRef => ({ _tag: "Name", name })),
  path
)

const onFail: fc.Arbitrary<OnFail> = fc.oneof(
  fc.constant<OnFail>({ _tag: "Continue" }),
  filledText
    .filter((name) => name !== "continue" && !name.includes("/"))
    .map((name): OnFail => ({ _tag: "Name", name })),
  path.filter((ref) => ref._tag === "Path" && ref.path.includes("/"))
)

const stepReference = fc.oneof(
  { weight: 4, arbitrary: arbitraryIdentifier },
  arbitraryIdentifier.map((name) => `foreach:${name}`),
  filledText
)

const marker: fc.Arbitrary<MarkerCondition> = fc
  .tuple(stepReference, fc.oneof({ weight: 4, arbitrary: arbitraryIdentifier }, filledText))
  .map(([step, name]) => ({ _tag: "Marker", step, marker: name }))

const condition: fc.Arbitrary<Condition> = fc.oneof(
  marker,
  arbitraryIdentifier.map((name): Condition => ({ _tag: "Input", name }))
)

const failOrContinue = fc.constantFrom("fail" as const, "continue" as const)

const callOptions = {
  retries: natural,
  retryDelay: millis,
  backoff: fc.constantFrom("fixed" as const, "exponential" as const),
  maxDelay: millis,
  jitter: fc.boolean(),
  onFail,
  output: arbitraryText,
  with: texts,
  as: arbitraryText,
  pluginDirs: texts,
  timeout: millis,
  heartbeat: millis,
  maxTurns: natural,
  model: arbitraryText,
  inputs: textMap
}

const call: fc.Arbitrary<CallNode> = fc.record(
  { _tag: fc.constant("Call" as const), action, ...callOptions },
  { requiredKeys: ["_tag", "action"], noNullPrototype: true }
)

const branch: fc.Arbitrary<BranchCall> = fc.record(
  { _tag: fc.constant("Call" as const), action, ...callOptions, if: condition },
  { requiredKeys: ["_tag", "action"], noNullPrototype: true }
)

const branches = fc
  .tuple(branch, fc.array(branch, { maxLength: 3 }))
  .map(([first, others]): readonly [BranchCall, ...Array<BranchCall>] => [first, ...others])

const callWorkflow: fc.Arbitrary<CallWorkflowNode> = fc.record(
  {
    _tag: fc.constant("CallWorkflow" as const),
    workflow: arbitraryIdentifier,
    inputs: textMap,
    retries: natural,
    onFail,
    as: arbitraryText,
    timeout: millis
  },
  { requiredKeys: ["_tag", "workflow"], noNullPrototype: true }
)

const parallel: fc.Arbitrary<ParallelNode> = fc.record(
  {
    _tag: fc.constant("Parallel" as const),
    failFast: fc.boolean(),
    minSuccess: natural,
    maxParallel: positive,
    output: arbitraryText,
    with: texts,
    calls: branches
  },
  { requiredKeys: ["_tag", "calls"], noNullPrototype: true }
)

const uniqueKey = (entry: { readonly key: string }): string => entry.key

const gateOptions: fc.Arbitrary<GateOptions> = fc.oneof(
  texts.map((all): GateOptions => ({ _tag: "Fixed", entries: all.map((text) => ({ key: text, text })) })),
  fc
    .uniqueArray(fc.record({ key, text: arbitraryText }, { noNullPrototype: true }), {
      maxLength: 3,
      selector: uniqueKey
    })
    .map((entries): GateOptions => ({ _tag: "Fixed", entries })),
  fc.tuple(stepReference, filledText).map(([step, field]): GateOptions => ({ _tag: "From", step, field }))
)

const gateShape = {
  _tag: fc.constant("Gate" as const),
  prompt: arbitraryText,
  timeout: millis,
  onTimeout: failOrContinue,
  as: arbitraryText
}

const humanGate = fc.record(
  { ...gateShape, name: fc.constantFrom("human_approval", "human_review"), options: gateOptions },
  { requiredKeys: ["_tag", "name"], noNullPrototype: true }
)

const otherGate = fc.record(
  {
    ...gateShape,
    name: fc.oneof(
      fc.constantFrom("pr_approval", "pr_checks"),
      arbitraryIdentifier.filter((name) => name !== "quality_gate")
    )
  },
  { requiredKeys: ["_tag", "name"], noNullPrototype: true }
)

/** `min_approvals` and the mode `review_decision` exclude each other. */
const approvals: fc.Arbitrary<Pick<GateNode, "minApprovals" | "mode">> = fc.oneof(
  fc.constant({}),
  fc.record({ minApprovals: positive, mode: fc.constant("min_approvals" as const) }, { requiredKeys: [] }),
  fc.constant({ mode: "review_decision" as const })
)

const gate: fc.Arbitrary<GateNode> = fc
  .tuple(fc.oneof(humanGate, otherGate), approvals)
  .map(([node, extra]): GateNode => ({ ...node, ...extra }))

const qualityGate: fc.Arbitrary<QualityGateNode> = fc.record(
  {
    _tag: fc.constant("QualityGate" as const),
    source: stepReference,
    threshold: fc.integer({ min: 0, max: 100 }),
    onFail: failOrContinue
  },
  { requiredKeys: ["_tag", "source", "threshold"], noNullPrototype: true }
)

const script: fc.Arbitrary<ScriptNode> = fc.record(
  {
    _tag: fc.constant("Script" as const),
    name: arbitraryIdentifier,
    run: arbitraryText,
    env: textMap,
    timeout: millis,
    retries: natural,
    onFail,
    as: arbitraryText
  },
  { requiredKeys: ["_tag", "name", "run"], noNullPrototype: true }
)

const foreach: fc.Arbitrary<ForeachNode> = fc.record(
  {
    _tag: fc.constant("Foreach" as const),
    name: arbitraryIdentifier,
    over: filledText,
    workflow: filledText,
    maxParallel: natural,
    scope: valueMap,
    filter: valueMap,
    inputs: textMap,
    ordered: fc.boolean(),
    onCycle: fc.constantFrom("fail" as const, "warn" as const),
    onChildFail: fc.constantFrom("halt" as const, "continue" as const, "skip_dependents" as const)
  },
  { requiredKeys: ["_tag", "name", "over", "workflow", "maxParallel"], noNullPrototype: true }
)

const pipeline: fc.Arbitrary<PipelineNode> = fc.record(
  {
    _tag: fc.constant("Pipeline" as const),
    name: arbitraryIdentifier,
    over: filledText,
    maxParallel: natural,
    scope: valueMap,
    filter: valueMap,
    onChildFail: fc.constantFrom("halt" as const, "continue" as const),
    calls: branches
  },
  { requiredKeys: ["_tag", "name", "over", "maxParallel", "calls"], noNullPrototype: true }
)

const leaf: fc.Arbitrary<Node> = fc.oneof(
  { weight: 3, arbitrary: call },
  callWorkflow,
  parallel,
  gate,
  qualityGate,
  script,
  foreach,
  pipeline
)

const loop = {
  condition: marker,
  maxIterations: positive,
  stuckAfter: positive,
  onMaxIter: failOrContinue
}

const loopKeys = ["_tag", "condition", "maxIterations", "body"] as const

const { body } = fc.letrec<{ node: Node; body: ReadonlyArray<Node> }>((tie) => ({
  body: fc.array(tie("node"), { maxLength: 3 }),
  node: fc.oneof(
    { depthSize: "small", maxDepth: 3 },
    leaf,
    fc.record({ _tag: fc.constantFrom("If" as const, "Unless" as const), condition, body: tie("body") }),
    fc.record(
      { _tag: fc.constant("While" as const), ...loop, body: tie("body") },
      { requiredKeys: [...loopKeys], noNullPrototype: true }
    ),
    fc.record(
      { _tag: fc.constant("DoWhile" as const), ...loop, body: tie("body") },
      { requiredKeys: [...loopKeys], noNullPrototype: true }
    ),
    fc.record(
      { _tag: fc.constant("Do" as const), output: arbitraryText, with: texts, body: tie("body") },
      { requiredKeys: ["_tag", "body"], noNullPrototype: true }
    ),
    fc.record({ _tag: fc.constant("Always" as const), body: tie("body") })
  )
}))

const input: fc.Arbitrary<InputDeclaration> = fc.record(
  {
    name: arbitraryIdentifier.filter((name) => name !== "__proto__"),
    boolean: fc.boolean(),
    required: fc.boolean(),
    secret: fc.boolean(),
    default: arbitraryText,
    description: arbitraryText
  },
  { requiredKeys: ["name", "boolean", "required", "secret"], noNullPrototype: true }
)

/** Whole definitions. An `always` directly in the body would be the workflow's own, so there is none. */
export const arbitraryDefinition: fc.Arbitrary<WorkflowDefinition> = fc.record(
  {
    name: arbitraryIdentifier,
    title: arbitraryText,
    description: arbitraryText,
    trigger: fc.oneof(fc.constantFrom("manual", "pr", "scheduled"), arbitraryText),
    targets: texts,
    group: arbitraryText,
    inputs: fc.uniqueArray(input, { maxLength: 4, selector: ({ name }) => name }),
    body: body.map((nodes) => nodes.filter((node) => node._tag !== "Always")),
    always: body
  },
  { requiredKeys: ["name", "trigger", "targets", "inputs", "body", "always"], noNullPrototype: true }
)
