/**
 * A `.wf` file as a typed workflow: its runs have a payload and a success, and what it calls is in the type of its layer.
 *
 * Owns: its runs' records and its registration. What it may call: `FileHost`; how it runs: `interpreter/FileProgram`.
 * - L1 A run goes on by the definition that it was started with, whatever has become of the file (spec/engine.md,
 *   "Records"); its key has the workflow's name, so that no other engine takes it for a file of its own.
 */
import { resolve } from "node:path"
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { ActionNotFound } from "../action/Action.ts"
import { builtins } from "../action/ProjectNames.ts"
import { SchemaUnavailable, WorkflowUnavailable } from "../action/Resolvers.ts"
import { checkedTime } from "../action/TryOptions.ts"
import { collision, type Declared, factsOf, type HandlersOf, suppliedIn, withSupplied } from "../action/TypedAction.ts"
import { Engine } from "../engine/Engine.ts"
import { Definitions } from "../engine/interpreter/Definitions.ts"
import { endOf, makeProgram } from "../engine/interpreter/FileProgram.ts"
import { withDefaults } from "../engine/interpreter/Inputs.ts"
import type { Interpreter, Services } from "../engine/interpreter/Interpreter.ts"
import type { BodyEnd } from "../engine/Program.ts"
import { OutputStore } from "../persistence/OutputStore.ts"
import { Persistence, type PersistenceError } from "../persistence/Persistence.ts"
import type { WorkflowDefinition } from "../workflow/Definition.ts"
import type { InvalidWorkflow } from "../workflow/InvalidWorkflow.ts"
import { payloadKeys, textsOf } from "../workflow/Payload.ts"
import { declaredSecrets } from "../workflow/Secrets.ts"
import { type AnySchema, decode, encode } from "./Codec.ts"
import { check, nameOf, scriptRootOf } from "./FileHost.ts"
import { engineHandle, type Handle, storeHandle } from "./Handles.ts"
import type { Shape } from "./Shape.ts"
import type { PartsOf } from "./Starting.ts"
import { named } from "./WorkflowNames.ts"

type Never = typeof Schema.Never

/** `H`: the services of the actions that the file may call. */
export interface FileWorkflow<P extends AnySchema, S extends AnySchema, H>
  extends Handle<P, S, Never, Engine | Persistence, InvalidWorkflow> {
  /** The file's, without its `.wf`. */
  readonly name: string
  readonly payload: P
  readonly success: S
  /**
   * Lets an engine run the workflow. Fails with all that is wrong with the file: errors, calls of anything but the
   * given actions, inputs that do not fit the payload. Dies with `WorkflowCollision` where the engine runs another
   * workflow of this name.
   */
  readonly layer: Layer.Layer<never, InvalidWorkflow | PersistenceError, Engine | Persistence | OutputStore | H>
  /** The same for a process that runs nothing itself; it reads the file, too. */
  readonly client: Handle<P, S, Never, Persistence, InvalidWorkflow>
}

export interface FileOptions<P extends AnySchema, S extends AnySchema, A extends Declared> {
  /** All that the file calls. */
  readonly actions: ReadonlyArray<A>
  /** Its keys are the inputs that the file declares. */
  readonly payload: P
  /** What the last structured output of the body has to be. Default: nothing is asked of it. */
  readonly success?: S
  /** Two starts with the same key are one run. */
  readonly idempotencyKey?: (payload: P["Type"]) => string
  /** Longest time of a run, from its start, waits included; it then fails. Default: none. */
  readonly timeout?: Duration.DurationInput
}

/**
 * A `.wf` file as a workflow. The path is looked for from the working directory; the file is read when it is first
 * needed, and then not again.
 *
 * ```ts
 * const Check = Workflow.fromFile("workflows/check.wf", {
 *   actions: [Review, Fix],
 *   payload: Schema.Struct({ file: Schema.String }),
 *   success: Schema.Struct({ findings: Schema.Int })
 * })
 * ```
 */
export const fromFile = <P extends AnySchema, A extends Declared, S extends AnySchema = typeof Schema.Void>(
  path: string,
  options: FileOptions<P, S, A>
): FileWorkflow<P, S, HandlersOf<A>> => {
  const { payload } = options
  const shape: Shape<P, S, Never> = {
    name: nameOf(path),
    // L1: the definition's hash tells versions apart.
    version: "",
    payload,
    // SAFETY: the default of the type parameter is this very schema.
    success: (options.success ?? Schema.Void) as S,
    error: Schema.Never,
    idempotencyKey: options.idempotencyKey,
    timeout: checkedTime(`workflow '${nameOf(path)}'`, "timeout", options.timeout)
  }
  const definition = readOnce({ file: path, actions: options.actions, takes: payloadKeys(payload.ast) })
  const partsOf = partsInFile(shape.name, definition)
  return {
    name: shape.name,
    payload,
    success: shape.success,
    layer: register(shape, path, definition, options.actions),
    client: storeHandle(shape, partsOf),
    ...engineHandle(shape, partsOf)
  }
}

type Read = Effect.Effect<WorkflowDefinition, InvalidWorkflow>

/** A file that is wrong is read again. */
const readOnce = (use: Parameters<typeof check>[0]): Read => {
  let known: WorkflowDefinition | undefined
  return Effect.suspend(() => {
    if (known !== undefined) return Effect.succeed(known)
    const checked = check(use)
    if (Either.isRight(checked)) known = checked.right
    return checked
  })
}

/** Before the hash of a definition. */
const prefixOf = (name: string): string => `file:${name}:`

const partsInFile =
  (name: string, read: Read): PartsOf<InvalidWorkflow> =>
  (encoded) =>
    Effect.gen(function* () {
      const definition = yield* read
      const definitions = new Definitions(yield* Persistence, prefixOf(name))
      const inputs = withDefaults(definition, textsOf(encoded))
      return {
        title: definition.title ?? name,
        definition: yield* definitions.store(definition),
        inputs,
        secrets: declaredSecrets(definition.inputs, inputs)
      }
    })

const register = <P extends AnySchema, S extends AnySchema, H>(
  shape: Shape<P, S, Never>,
  file: string,
  read: Read,
  actions: ReadonlyArray<Declared>
): Layer.Layer<never, InvalidWorkflow, Engine | Persistence | OutputStore | H> =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      yield* read
      const engine = yield* Engine
      yield* named(engine, shape, resolve(file))
      const prefix = prefixOf(shape.name)
      const definitions = new Definitions(yield* Persistence, prefix)
      const outputs = yield* OutputStore
      const context = yield* Effect.context<H>()
      yield* checkSupplied(actions, context)
      yield* engine.register({
        accepts: (run) => run.definition.startsWith(prefix),
        definitions: [prefix],
        make: (run) => {
          const executors = withSupplied(nothingElse.executors, context)
          const services = { ...nothingElse, executors, outputs, scriptRoots: [scriptRootOf(file)], definitions }
          return makeProgram(run, services, context, (interpreter) => typedEnd(shape, interpreter))
        }
      })
    })
  )

/** Dies where what is supplied is another action than the one that the file was checked with. */
const checkSupplied = (actions: ReadonlyArray<Declared>, context: Context.Context<never>): Effect.Effect<void> =>
  Effect.forEach(
    actions,
    (action) => {
      const supplied = suppliedIn(context, action.name)
      const collided = supplied === undefined ? undefined : collision(supplied.facts, factsOf(action))
      return collided === undefined ? Effect.void : Effect.die(collided)
    },
    { discard: true }
  )

/** What a file that was checked does not ask for; a run of an older one may, and is parked. */
const nothingElse: Omit<Services, "outputs" | "scriptRoots" | "definitions"> = {
  executors: {
    find: (ref) => {
      const action = ref._tag === "Name" ? ref.name : ref.path
      return Effect.fail(new ActionNotFound({ action, searched: [], candidates: [] }))
    },
    names: Effect.succeed([])
  },
  providers: builtins,
  resolvers: new Map(),
  workflows: {
    find: (workflow) => Effect.fail(new WorkflowUnavailable({ workflow, reason: "there is none", candidates: [] })),
    names: Effect.succeed([])
  },
  schemas: { find: (schema) => Effect.fail(new SchemaUnavailable({ schema, message: `no output schema '${schema}'` })) }
}

/** The success that the last structured output is; where it is none, the run fails. */
const typedEnd = <P extends AnySchema, S extends AnySchema>(
  { name, success }: Shape<P, S, Never>,
  interpreter: Interpreter
): Effect.Effect<BodyEnd> => {
  const end = endOf(interpreter)
  if (end.status === "failed") return Effect.succeed({ ...end, result: { _tag: "Defect" } })
  // What no success is asked of has none, whatever the last step gave.
  const output = success.ast._tag === "VoidKeyword" ? null : interpreter.visible.lastStructured
  return Effect.matchEffect(decode(success, output), {
    onSuccess: (value) =>
      Effect.map(encode(success, value), (encoded) => ({ ...end, result: { _tag: "Success", value: encoded } })),
    onFailure: ({ message }) =>
      Effect.succeed({
        status: "failed",
        error: `the last output of workflow '${name}' is not its success: ${message}`,
        result: { _tag: "Defect" }
      })
  })
}
