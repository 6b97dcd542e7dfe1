import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { Gatekeeper } from "../../src/cli/Gatekeeper.ts"
import { paintFor } from "../../src/cli/Output.ts"
import type { View } from "../../src/cli/View.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { Persistence, type PersistenceService } from "../../src/persistence/Persistence.ts"
import { approved, commitTo, engineId, gateRecord, runRecord, stepPath } from "../../src/testing/SampleRecords.ts"
import { place, runIn } from "./support.ts"

const gated = 'workflow w { gate human_review { prompt = "Right?" } script s { run = "true" } }'

const waiting = async () => {
  const at = place({ "w.wf": gated })
  return { at, run: runIn((await at.run(["run", "w.wf"])).stdout) }
}

describe("an answer", () => {
  it("to a gate that has one is refused, and says so", async () => {
    const { at, run } = await waiting()
    await at.run(["approve", run, "--no-resume"])
    expect(await at.run(["reject", run])).toMatchObject({
      code: 1,
      stdout: "",
      stderr: `error: gate '/human_review' of run ${run} has been answered already\nhelp: the run goes on when it is resumed, unless it has gone on\n`
    })
  })

  it("to a gate that does not wait says which one does", async () => {
    const { at, run } = await waiting()
    expect(await at.run(["approve", run, "--gate", "other"])).toMatchObject({
      code: 1,
      stdout: "",
      stderr: `error: run ${run} is waiting and does not wait at a gate 'other'\nhelp: it waits at human_review\n`
    })
  })

  it("with a selection where the gate offers nothing says so", async () => {
    const { at, run } = await waiting()
    expect(await at.run(["approve", run, "--select", "a"])).toMatchObject({
      code: 2,
      stdout: "",
      stderr: "error: gate 'human_review' has no options to select from ('a')\n"
    })
  })

  it("with a value that is no JSON says so", async () => {
    const { at, run } = await waiting()
    const { code, stderr, stdout } = await at.run(["approve", run, "--value", "so"])
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
    expect(stderr).toMatch(/^error: --value is no JSON\nhelp: a text is written --value '"so"'\n$/)
  })

  it("to a run that another process runs lets it go on there", async () => {
    // So that it is not let go before the answer comes.
    const at = place({
      "w.wf": gated.replace('"true"', '"until test -e go; do sleep 0.05; done"'),
      "millrace.config.mjs": "export default { engine: { linger: 60_000 } }"
    })
    const running = at.onTerminal(["run", "w.wf"])
    const run = runIn(await running.prints("waiting? "))
    expect(await at.run(["approve", run])).toMatchObject({
      code: 0,
      stdout: `gate human_review of run ${run} is approved\nrun ${run} goes on in the process that runs it\n`,
      stderr: ""
    })
    at.write("go", "")
    expect((await running.ended).stdout).toContain("exit 0")
  })

  it("can be given by a user without a name", async () => {
    const { at, run } = await waiting()
    // As in a container that runs under a number.
    const nameless = at.write(
      "nameless.cjs",
      `require("os").userInfo = () => { throw new Error("ENOENT") }; require("module").syncBuiltinESMExports()`
    )
    const env = { NODE_OPTIONS: `--require ${nameless}`, USER: "somebody" }
    expect(await at.run(["approve", run], { env })).toMatchObject({ code: 0, stderr: "" })
  })

  it("that somebody else was faster with says so, and the run goes on", async () => {
    const program = Effect.gen(function* () {
      const persistence = yield* Persistence
      const run = runRecord("R", { owner: engineId("E"), generation: 1 })
      yield* persistence.create(run)
      yield* persistence.commit(commitTo(run, { _tag: "Step", step: gateRecord("/review") }))
      const other = { _tag: "Answer", path: stepPath("/review"), answer: approved } as const
      const slower: PersistenceService = {
        ...persistence,
        send: (id, message, now) =>
          Effect.zipRight(persistence.send(id, other, now), persistence.send(id, message, now))
      }
      const said = yield* Deferred.make<string>()
      const view = { ...silent, say: (text: string) => Deferred.unsafeDone(said, Effect.succeed(text)) }
      const keeper = new Gatekeeper(slower, view, paintFor(false), true)
      return yield* Effect.raceFirst(Deferred.await(said), keeper.keep(run.id, Effect.void))
    })
    const told = await Effect.runPromise(Effect.provide(program, MemoryPersistence.layer))
    expect(told).toBe("gate review has been answered elsewhere")
  })
})

const nothing = () => undefined
const silent: View = {
  load: nothing,
  attach: nothing,
  event: nothing,
  say: nothing,
  pause: nothing,
  goOn: nothing,
  end: nothing,
  close: nothing
}
