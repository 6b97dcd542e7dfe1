import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Executor } from "../../src/action/Action.ts"
import * as Client from "../../src/engine/Client.ts"
import { Engine } from "../../src/engine/Engine.ts"
import type { Change } from "../../src/persistence/Journal.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { Persistence, type PersistenceService } from "../../src/persistence/Persistence.ts"
import type { RunId } from "../../src/persistence/Records.ts"
import { action, layerOf, runIn, runToEnd, start, type World } from "./TestEngine.ts"

const ok = action(() => ({}))

/** Gives the markers of its n-th call, then none. */
const marking = (...rounds: ReadonlyArray<ReadonlyArray<string>>): Executor => {
  let call = 0
  return action(() => ({ markers: rounds[call++] ?? [] }))
}

describe("while", () => {
  it.live("looks at its condition before each round, and at the step's most recent result", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: marking(["bad"], ["bad"], ["good"]), b: ok } },
        "workflow w { call a while a.bad { max_iterations = 9 call b call a } }"
      )
      expect(end.outline).toEqual([
        "/a completed",
        "/while:a.bad/@1/b completed",
        "/while:a.bad/@1/a completed",
        "/while:a.bad/@2/b completed",
        "/while:a.bad/@2/a completed"
      ])
      expect(end.step("/while:a.bad/@2/a").iteration).toBe(2)
      expect(end.step("/a").iteration).toBe(0)
    })
  )

  it.live("runs no round when its condition does not hold, whatever its cap", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: ok } },
        "workflow w { call a while a.bad { max_iterations = 1 call a } }"
      )
      expect(end.outline).toEqual(["/a completed"])
    })
  )

  it.live("asks for its condition once more than its cap, and then fails", () =>
    Effect.gen(function* () {
      const fine = yield* runIn(
        { actions: { a: marking(["bad"], ["bad"], []) } },
        "workflow w { call a while a.bad { max_iterations = 2 call a } }"
      )
      expect(fine.run.status).toBe("completed")
      const over = yield* runIn(
        { actions: { a: marking(["bad"], ["bad"], ["bad"]) } },
        "workflow w { call a while a.bad { max_iterations = 2 call a } call a }"
      )
      expect(over.outline).toHaveLength(3)
      expect(over.run.error).toBe("while a.bad: the loop reached max_iterations = 2")
    })
  )

  it.live("goes on behind its cap with on_max_iter = continue", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: action(() => ({ markers: ["bad"] })), b: ok } },
        "workflow w { call a while a.bad { max_iterations = 2 on_max_iter = continue call a } call b }"
      )
      expect([end.run.status, end.outline.at(-1)]).toEqual(["completed", "/b completed"])
    })
  )
})

describe("do … while", () => {
  it.live("runs its first round without looking at its condition", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: marking(["bad"], []) } },
        "workflow w { do { max_iterations = 5 call a } while a.bad }"
      )
      expect(end.outline).toEqual(["/do-while:a.bad/@1/a completed", "/do-while:a.bad/@2/a completed"])
    })
  )

  it.live("does not fail at its cap when its condition no longer holds", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: marking(["bad"], []) } },
        "workflow w { do { max_iterations = 2 call a } while a.bad }"
      )
      expect(end.run.status).toBe("completed")
    })
  )

  it.live("ends with the run's body when a step inside fails", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: () => Effect.dieMessage("no"), b: ok } },
        "workflow w { do { max_iterations = 3 call a call b } while a.bad call b }"
      )
      expect(end.outline).toEqual(["/do-while:a.bad/@1/a failed"])
    })
  )
})

describe("stuck_after", () => {
  const loop = (options: string) => `workflow w { do { max_iterations = 6 ${options} call a } while a.bad }`

  it.live("fails a loop after that many rounds in a row with the same markers, in any order", () =>
    Effect.gen(function* () {
      const rounds = [["bad", "x"], ["bad", "y"], ["y", "bad"], ["bad", "y"], ["bad"]]
      const end = yield* runIn({ actions: { a: marking(...rounds) } }, loop("stuck_after = 3"))
      expect(end.outline).toHaveLength(4)
      expect(end.run.error).toBe("do while a.bad: the loop is stuck: the same markers after 3 rounds in a row")
    })
  )

  it.live("does not count a round after which the loop would not go on: by its condition or its cap", () =>
    Effect.gen(function* () {
      const done = yield* runIn({ actions: { a: marking(["ok"], ["ok"]) } }, loop("stuck_after = 1"))
      expect([done.run.status, done.outline.length]).toEqual(["completed", 1])
      const capped = yield* runIn(
        { actions: { a: action(() => ({ markers: ["bad"] })) } },
        loop("stuck_after = 6 on_max_iter = continue")
      )
      expect([capped.run.status, capped.outline.length]).toEqual(["completed", 6])
    })
  )

  it.live("works in while as in do … while", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: action(() => ({ markers: ["bad"] })) } },
        "workflow w { call a while a.bad { max_iterations = 9 stuck_after = 2 call a } }"
      )
      expect(end.outline).toHaveLength(3)
      expect(end.run.error).toBe("while a.bad: the loop is stuck: the same markers after 2 rounds in a row")
    })
  )
})

describe("the iteration", () => {
  it.live(
    "of nested loops is the innermost's, in steps and in the run's record, which forgets it behind the loop",
    () =>
      Effect.gen(function* () {
        const { service: persistence } = yield* MemoryPersistence.make()
        const seen: Array<string> = []
        const look: Executor = (call) =>
          Effect.orDie(
            Effect.map(persistence.get(call.run), (run) => {
              seen.push(`${call.path} ${run.iteration}`)
              return {}
            })
          )
        const end = yield* runToEnd(
          `workflow w {
          do {
            max_iterations = 2 on_max_iter = continue
            call look
            do { max_iterations = 2 on_max_iter = continue call a } while a.m
            call look
          } while a.m
          call look
        }`
        ).pipe(Effect.provide(layerOf({ actions: { a: action(() => ({ markers: ["m"] })), look } }, persistence)))
        expect(seen).toEqual([
          "/do-while:a.m/@1/look 1",
          "/do-while:a.m/@1/look~2 1",
          "/do-while:a.m/@2/look 2",
          "/do-while:a.m/@2/look~2 2",
          "/look 0"
        ])
        expect(end.step("/do-while:a.m/@2/do-while:a.m/@1/a").iteration).toBe(1)
        expect(end.step("/do-while:a.m/@2/look~2").iteration).toBe(2)
      })
  )

  it.live("has a limit of the engine's, which no on_max_iter passes by", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: action(() => ({ markers: ["m"] })) }, settings: { maxIterations: 3 } },
        "workflow w { do { max_iterations = 100 on_max_iter = continue call a } while a.m }"
      )
      expect(end.outline).toHaveLength(3)
      expect(end.run.error).toBe("do while a.m: the loop reached the engine's limit of 3 rounds")
    })
  )
})

describe("the round that a run is in", () => {
  it.live("stays in its record over a replay: what a resume comes through is not written again", () =>
    Effect.gen(function* () {
      const memory = yield* MemoryPersistence.make()
      const rounds: Array<number> = []
      const note = (changes: ReadonlyArray<Change>) => {
        for (const change of changes) {
          if (change._tag === "Run" && change.patch.iteration !== undefined) rounds.push(change.patch.iteration)
        }
      }
      const commits: PersistenceService = {
        ...memory.service,
        createWith: (run, changes) => {
          note(changes)
          return memory.service.createWith(run, changes)
        },
        commit: (commit) => {
          note(commit.changes)
          return memory.service.commit(commit)
        }
      }
      const world: World = { actions: { a: action(() => ({ markers: ["m"] })) }, settings: { linger: 1 } }
      const text = `workflow w {
        do { max_iterations = 2 on_max_iter = continue
          call a
          do { max_iterations = 3 on_max_iter = continue call a gate human_review {} } while a.m
        } while a.m
      }`
      yield* Effect.gen(function* () {
        const engine = yield* Engine
        const id = yield* start(text)
        for (let n = 1; n <= 5; n++) {
          const waiting = yield* engine.awaitRelease(id)
          expect([waiting.status, waiting.iteration]).toEqual(["waiting", ((n - 1) % 3) + 1])
          yield* Client.answer(id, { approved: true })
          yield* untilPassed(id, n)
        }
        yield* engine.awaitRelease(id)
        yield* Client.answer(id, { approved: true })
        expect((yield* engine.await(id)).iteration).toBe(0)
      }).pipe(Effect.provide(layerOf(world, commits)))
      expect(rounds).toEqual([1, 2, 3, 1, 2, 1, 2, 3, 2, 0])
    })
  )
})

/** Waits until a run has been at so many gates, and is at the next. */
const untilPassed = (id: RunId, count: number) =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    for (;;) {
      const gates = (yield* persistence.steps(id)).filter(({ kind }) => kind === "gate")
      const { status } = yield* persistence.get(id)
      if (gates.length > count && gates.at(-1)?.status === "waiting" && status === "waiting") return
      yield* Effect.sleep(2)
    }
  })

describe("if and unless", () => {
  it.live("take a marker of a step's most recent result or a boolean input, and record what they took", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: marking(["m"], []), b: ok } },
        `workflow w {
          inputs { deep boolean }
          call a
          if a.m { call b }
          unless a.m { call b }
          call a
          if a.m { call b }
          unless a.m { call b }
          if deep { call b }
          unless deep { call b }
        }`,
        { inputs: { deep: "True" } }
      )
      expect(end.outline).toEqual([
        "/a completed",
        "/if:a.m/b completed",
        "/a~2 completed",
        "/unless:a.m~2/b completed",
        "/if:deep/b completed"
      ])
      expect(end.step("/unless:a.m").value).toBe(false)
    })
  )
})
