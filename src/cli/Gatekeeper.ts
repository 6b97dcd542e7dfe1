/**
 * Answers the gates of a run that goes on here: with `--yes` at once, else by asking on the terminal.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Client from "../engine/Client.ts"
import type { EngineEvent, EventsMissed } from "../engine/Events.ts"
import { isForPerson } from "../engine/GateNotice.ts"
import {
  type NotWaiting,
  Persistence,
  type PersistenceError,
  type RunAlreadyEnded,
  type RunNotFound
} from "../persistence/Persistence.ts"
import type { BlockedOn, RunId } from "../persistence/Records.ts"
import { ask, type Reply } from "./GatePrompt.ts"
import { inline, type Paint } from "./Output.ts"
import { userName } from "./User.ts"
import type { View } from "./View.ts"

/** Kinds of steps that are no gates; those are told by the kind of gate. */
const otherKinds: ReadonlySet<string> = new Set(["call", "script", "workflow", "foreach", "pipeline"])

/** The store, or whoever runs the children, cannot take the answer. */
export type KeepError =
  | RunNotFound
  | PersistenceError
  | Exclude<
      Effect.Effect.Error<ReturnType<typeof Client.answer>>,
      NotWaiting | RunAlreadyEnded | Client.AmbiguousGate | Client.InvalidSelection | Client.ValueNotAsked
    >

export class Gatekeeper {
  /** Said when a gate may have opened or closed. */
  readonly #nudges = Effect.runSync(Queue.sliding<void>(1))
  #hasLeft = false
  /** Gates that have their answer from here; their rows say so a little later. */
  readonly #answered = new Set<string>()

  constructor(
    private readonly persistence: typeof Persistence.Service,
    private readonly view: View,
    private readonly paint: Paint,
    private readonly yes: boolean
  ) {}

  /** Whether the user left a gate waiting. */
  get hasLeft(): boolean {
    return this.#hasLeft
  }

  /** Looks whether gates have opened or closed. */
  get look(): Effect.Effect<void> {
    return Effect.asVoid(Queue.offer(this.#nudges, undefined))
  }

  notice(event: EngineEvent | EventsMissed): Effect.Effect<void> {
    switch (event._tag) {
      case "GateWaiting":
      case "GateResolved":
      case "RunWaiting":
      case "RunCancelled":
      case "EventsMissed":
        return this.look
      case "StepCompleted":
        return otherKinds.has(event.kind) ? Effect.void : this.look
      default:
        return Effect.void
    }
  }

  /** Answers gates for ever; `letGo` when the user leaves one as it is. */
  keep(run: RunId, letGo: Effect.Effect<void>): Effect.Effect<never, KeepError> {
    return Effect.gen(this, function* () {
      for (;;) {
        const [gate] = this.#hasLeft ? [] : yield* this.#open(run)
        if (gate === undefined) yield* Queue.take(this.#nudges)
        else if (this.yes) yield* this.#answer(gate, { approved: true, feedback: undefined, selections: [] }, "--yes")
        else yield* this.#askAt(run, gate, letGo)
      }
    })
  }

  #open(run: RunId): Effect.Effect<ReadonlyArray<BlockedOn>, KeepError> {
    const gates = Effect.flatMap(this.persistence.get(run), Client.gatesToAnswer)
    return Effect.provideService(gates, Persistence, this.persistence).pipe(
      Effect.map((open) => open.filter((gate) => isForPerson(gate) && !this.#answered.has(keyOf(gate))))
    )
  }

  #askAt(run: RunId, gate: BlockedOn, letGo: Effect.Effect<void>): Effect.Effect<void, KeepError> {
    return Effect.gen(this, function* () {
      this.view.pause()
      const reply = yield* Effect.raceFirst(
        ask(gate, this.paint),
        Effect.as(this.#closed(run, gate), "closed" as const)
      )
      if (reply === undefined) {
        this.#hasLeft = true
        return yield* letGo
      }
      this.view.goOn()
      if (reply !== "closed") yield* this.#answer(gate, reply, userName())
    })
  }

  /** Waits until a gate does not wait any longer: answered elsewhere, timed out or cancelled. */
  #closed(run: RunId, gate: BlockedOn): Effect.Effect<void, KeepError> {
    return Effect.gen(this, function* () {
      for (;;) {
        yield* Queue.take(this.#nudges)
        const open = yield* this.#open(run)
        if (!open.some(({ path, run: of }) => path === gate.path && of === gate.run)) return
      }
    })
  }

  #answer(gate: BlockedOn, reply: Reply, by: string): Effect.Effect<void, KeepError> {
    const { approved, feedback, selections } = reply
    const given = { gate: gate.path, approved, selections, by, ...(feedback === undefined ? {} : { feedback }) }
    const elsewhere = () => Effect.sync(() => this.view.say(`gate ${inline(gate.name)} has been answered elsewhere`))
    return Client.answer(gate.run, given).pipe(
      Effect.provideService(Persistence, this.persistence),
      Effect.tap(() => Effect.sync(() => this.#answered.add(keyOf(gate)))),
      Effect.asVoid,
      Effect.catchTags({
        NotWaiting: elsewhere,
        RunAlreadyEnded: elsewhere,
        // The gate was named by its path, its options come from its own row, and it is given no value.
        AmbiguousGate: Effect.die,
        InvalidSelection: Effect.die,
        ValueNotAsked: Effect.die
      })
    )
  }
}

const keyOf = (gate: BlockedOn): string => `${gate.run}${gate.path}`
