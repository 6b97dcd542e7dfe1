/** Runs of workflows in code, which this command line can look at, answer and stop, but not run. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Engine } from "../../src/engine/Engine.ts"
import { EngineConfig } from "../../src/engine/EngineConfig.ts"
import type { Persistence } from "../../src/persistence/Persistence.ts"
import type { RunId } from "../../src/persistence/Records.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { type Place, place, show } from "./support.ts"

const Release = Workflow.makeGate("release", { answer: Schema.Struct({ discount: Schema.Int }) })
const Order = Workflow.make("order", { payload: Schema.String, success: Schema.Int })

const order = Order.toLayer(() => Effect.map(Effect.orDie(Workflow.gate(Release)), ({ value }) => value.discount))

/** What the program does on the database of a folder. */
const inProgram = <A, E>(at: Place, effect: Effect.Effect<A, E, Engine | Persistence>): Promise<A> =>
  Effect.runPromise(
    Effect.provide(
      effect,
      order.pipe(
        Layer.provideMerge(Engine.layer),
        Layer.provide(EngineConfig.layerWith({ linger: 0 })),
        Layer.provideMerge(SqlitePersistence.layer({ filename: at.path("millrace.db") }))
      )
    )
  )

/** A run that waits at its gate, and whose program has ended. */
const waiting = async () => {
  const at = place()
  const run = await inProgram(
    at,
    Effect.gen(function* () {
      const id = yield* Order.start("books")
      const engine = yield* Engine
      yield* engine.awaitRelease(id)
      return id
    })
  )
  return { at, run, goesOn: `run ${run} goes on in the program that has the workflow 'order'\n` }
}

const end = (run: RunId) => Effect.flatMap(Engine, (engine) => engine.await(run))

describe("a run of a workflow in code", () => {
  it("can be approved from the command line, and goes on in its program", async () => {
    const { at, goesOn, run } = await waiting()
    expect(await at.run(["approve", run, "--value", '{"discount": 5}'])).toMatchObject({
      code: 0,
      stdout: `gate release of run ${run} is approved\n${goesOn}`,
      stderr: ""
    })
    expect((await show(at, run)).run.status).toBe("waiting")
    expect(await inProgram(at, end(run))).toMatchObject({ status: "completed", result: { value: 5 } })
  })

  it("says at a typed gate that an approval needs a value", async () => {
    const { at, run } = await waiting()
    const { stdout } = await at.run(["show", run])
    expect(stdout).toContain(
      `it waits at gate release\n  millrace approve ${run} --value JSON\n  millrace reject ${run} `
    )
  })

  it("is not taken by resume, which says why, nor by a worker", async () => {
    const { at, goesOn, run } = await waiting()
    expect(await at.run(["resume", run])).toMatchObject({
      code: 1,
      stdout: "",
      stderr: `error: ${goesOn}help: nothing was changed; start that program, unless it runs already\n`
    })
    expect((await at.run(["work", "--once"])).code).toBe(0)
    expect((await show(at, run)).run.status).toBe("waiting")
  })

  it("can be paused, and goes on in its program when it is unpaused", async () => {
    const { at, goesOn, run } = await waiting()
    expect((await at.run(["pause", run])).stdout).toContain(`run ${run} is paused\n`)
    expect(await at.run(["unpause", run])).toMatchObject({ code: 0, stdout: goesOn, stderr: "" })
    await at.run(["approve", run, "--value", '{"discount": 7}'])
    expect(await inProgram(at, end(run))).toMatchObject({ status: "completed", result: { value: 7 } })
  })

  it("is cancelled by its program when it was cancelled from the command line", async () => {
    const { at, goesOn, run } = await waiting()
    expect(await at.run(["cancel", run, "--reason", "no more books"])).toMatchObject({
      code: 0,
      stdout: goesOn,
      stderr: ""
    })
    expect(await inProgram(at, end(run))).toMatchObject({
      status: "cancelled",
      cancelReason: "user requested: no more books"
    })
  })
})
