import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { defineConfig } from "../../src/action/Config.ts"
import { engineOptions } from "../../src/action/EngineOptions.ts"
import { open } from "../../src/action/Project.ts"
import { defaults, EngineConfig } from "../../src/engine/EngineConfig.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import * as Action from "../../src/program/Action.ts"
import type { Texts } from "../../src/workflow/Definition.ts"
import { modules, run, runIn } from "./projectSupport.ts"
import { makeCall, temporaryFolder, write, writeScript } from "./support.ts"

const config = (folder: string, source: string, file = "millrace.config.ts") => write(folder, file, source)

const problems = (source: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      config(folder, source)
      const error = yield* Effect.flip(open({ from: folder, modules }))
      if (error._tag !== "ConfigInvalid") return yield* Effect.die(error)
      return error.problems.map((problem) => problem.replaceAll(folder, ""))
    })
  )

describe("a project's configuration", () => {
  it.scopedLive("stands in the home or in the root, the home first", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      write(folder, ".millrace/workflows/flow.wf", "workflow flow {}")
      const targets = Effect.map(open({ from: folder, modules }), (project) => project.config.targets)
      expect(yield* targets).toBeUndefined()
      config(folder, `export default { targets: ["root"] }`)
      expect(yield* targets).toEqual(["root"])
      config(join(folder, ".millrace"), `export default { targets: ["home"] as string[] }`, "millrace.config.mts")
      expect(yield* targets).toEqual(["home"])
    })
  )

  it.scopedLive("names actions, providers and gates, which win over files of the same name", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      config(
        folder,
        `export default {
          actions: { act: ({ who }, { attempt }) => ({ context: \`config \${who} \${attempt}\` }) },
          providers: {
            each: () => ["a", "b"],
            many: { ordered: false, needsFilter: true, items: async () => ({ items: [{ id: 1, title: "x" }] }) },
            json: () => ["mine"]
          },
          gates: { ready: async ({ gate }) => ({ verdict: "approved", feedback: gate }) },
          targets: ["here"]
        }`
      )
      write(folder, "actions/act.js", "export default () => ({ context: 'file' })")
      write(folder, "actions/other.js", "export default () => ({ context: 'file' })")
      writeScript(folder, "providers/each", "#!/bin/sh\necho '[]'\n")
      writeScript(folder, "gates/checks.sh", "#!/bin/sh\necho '\"pending\"'\n")
      const project = yield* open({ from: folder, modules })
      const { call } = makeCall(folder, { variables: { who: "you" } })
      const { execute } = yield* project.executors.find(call.ref, "flow", [])
      expect(yield* Effect.scoped(execute(call))).toEqual({ context: "config you 1" })
      expect(yield* project.executors.names).toEqual(["act", "other"])
      const host = project.host({ workingDirectory: folder })
      expect(host.providerNames()).toEqual(["each", "many", "json", "files", "lines", "workflow_runs"])
      expect(host.provider("many")).toEqual({ ordered: false, needsFilter: true })
      expect(host.gateNames()).toEqual(["ready", "checks"])
      expect([host.gate("ready"), host.gate("checks"), host.gate("check")]).toEqual([true, true, false])
      expect(host.targets).toEqual(["here"])
    })
  )

  it.scopedLive("is refused with everything that is wrong in it", () =>
    Effect.gen(function* () {
      expect(
        yield* problems(`export default {
          action: {}, actions: { greet: "hi" }, providers: { a: { itms: 1, ordered: "yes" } }, gates: [],
          scriptEnvironment: { bot: { TOKEN: 3 } }, targets: "here", layer: {}, onWaiting: 1, maxDatabaseBytes: 5,
          agent: { args: ["--m={{modle}}", ["a", 3], { when: "can_comit", args: ["-w"] }] },
          schedules: { a: "61 * * * *", b: "0 0 30 2 *", c: { cron: "0 0 * * *", timeZone: "Mars" }, d: 5 },
          limits: {
            greet: { concurrency: 0 }, a: { rate: { limit: 1, interval: "soon" }, perkey: {} }, b: { perKey: 1 }, c: 2,
            d: { perKey: { key: "x", concurrency: 1 } }
          },
          triggers: { hook: { event: 1 } },
          engine: { maxConcurentRuns: 1, maxConcurrentRuns: 0, linger: "1s", leaseRefresh: 40000 }
        }`)
      ).toEqual([
        "unknown key `action`; did you mean `actions`?",
        "`actions.greet` is a text, not a function or an action",
        "unknown key `providers.a.itms`; did you mean `providers.a.items`?",
        "`providers.a.items` is nothing, not a function",
        "`providers.a.ordered` is a text, not true or false",
        "`gates` is a list, not an object with names as keys",
        "`scriptEnvironment.bot.TOKEN` is a number, not a text",
        "`agent.command` is nothing, not a text",
        "`agent.args[0]` names `{{modle}}`, which there is not; did you mean `{{model}}`?",
        "`agent.args[1]` is a number, not a text",
        "`agent.args[2].when` names `{{can_comit}}`, which there is not; did you mean `{{can_commit}}`?",
        "`schedules.a` is no cron expression: Expected a value between 0 and 59",
        "`schedules.b` has no time that ever comes",
        "`schedules.c` is no cron expression: Invalid time zone in cron expression",
        "`schedules.d` is a number, not a cron expression or an object with `cron`",
        "`limits.greet`: `concurrency` has to be an integer of at least 1",
        "unknown key `limits.a.perkey`; did you mean `limits.a.perKey`?",
        '`limits.a`: `rate.interval` has to be a time above 0, such as "1 minute"',
        "`limits.b.perKey` is a number, not an object",
        "`limits.c` is a number, not an object of limits",
        "`limits.d`: `perKey.key` has to be a function",
        "unknown key `triggers.hook.event`; did you mean `triggers.hook.events`?",
        "`triggers.hook.events` is nothing, not a function",
        "`layer` is an object, not a Layer",
        "`targets` is a text, not a list of texts",
        "`onWaiting` is a number, not a text",
        "`maxDatabaseBytes` is a number, not a whole number of bytes from 1048576 on",
        "unknown key `engine.maxConcurentRuns`; did you mean `engine.maxConcurrentRuns`?",
        "`engine.linger` is a text, not a number of at least 0",
        "`engine.maxConcurrentRuns` is 0, not a number of at least 1",
        "`engine.leaseRefresh` is 40000, not less than the lease itself (30000 ms)"
      ])
      // It used to be "a text, not a text".
      expect(yield* problems(`export default { agent: { command: "" }, targets: [""] }`)).toEqual([
        "`agent.command` is empty",
        "`targets[0]` is empty"
      ])
      expect(yield* problems("export default { engine: 3 }")).toEqual([
        "`engine` is a number, not an object of numbers"
      ])
      expect(yield* problems("export const x = 1")).toEqual([
        "its default export is nothing, not `defineConfig({ … })`"
      ])
      expect(yield* problems("throw new Error('no')")).toEqual(["cannot be loaded: no"])
      expect((yield* problems("export default {"))[0]).toMatch(/^cannot be loaded: /)
    })
  )

  it.scopedLive("may set every limit and interval of the engine", () =>
    Effect.gen(function* () {
      const numbers = Object.entries(defaults).filter(([, value]) => typeof value === "number")
      expect(numbers.map(([name]) => name).sort()).toEqual(Object.keys(engineOptions).sort())
      const folder = yield* temporaryFolder
      config(folder, `export default { engine: ${JSON.stringify(Object.fromEntries(numbers))} }`)
      expect((yield* open({ from: folder, modules })).config.engine).toEqual(Object.fromEntries(numbers))
    })
  )

  it.effect("renews a lease that it makes short often enough", () =>
    Effect.gen(function* () {
      const settings = yield* EngineConfig.pipe(Effect.provide(EngineConfig.layerWith({ leaseTtl: 3_000 })))
      expect(settings).toMatchObject({ leaseTtl: 3_000, leaseRefresh: 1_000, linger: defaults.linger })
      const usual = yield* EngineConfig.pipe(Effect.provide(EngineConfig.layerWith({ leaseTtl: 60_000 })))
      expect(usual.leaseRefresh).toBe(10_000)
    })
  )

  it.scopedLive("has the file in its message", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const file = config(folder, "export default 3")
      const error = yield* Effect.flip(open({ from: folder, modules }))
      expect(error.message).toBe(`${file}: its default export is a number, not \`defineConfig({ … })\``)
    })
  )

  it.scopedLive("tells of limits that no action has", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const limits = { greet: { concurrency: 1 }, gret: { concurrency: 1 }, other: { concurrency: 1 } }
      const text = `export default { actions: { greet: () => ({}) }, limits: ${JSON.stringify(limits)} }`
      const file = config(folder, text)
      expect((yield* open({ from: folder, modules })).problems()).toEqual([
        `${file}: \`limits.gret\`: there is no such action; did you mean 'greet'?`,
        `${file}: \`limits.other\`: there is no such action`
      ])
    })
  )

  it.scopedLive("tells of schedules that no workflow has", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const schedules = { nightly: "0 3 * * *", nihgtly: "0 3 * * *", plain: "0 3 * * *" }
      const file = config(folder, `export default { schedules: ${JSON.stringify(schedules)} }`)
      write(folder, "workflows/nightly.wf", "workflow nightly { meta { trigger = scheduled } inputs { day required } }")
      write(folder, "workflows/plain.wf", "workflow plain {}")
      expect((yield* open({ from: folder, modules })).problems()).toEqual([
        `${file}: \`schedules.nightly\`: the required input 'day' is missing`,
        `${file}: \`schedules.nihgtly\`: there is no such workflow; did you mean 'nightly'?`,
        `${file}: \`schedules.plain\` is ignored: the workflow's trigger is manual; write \`meta { trigger = scheduled }\``
      ])
    })
  )
})

const layered = (acquire: string) => `
  import * as Context from "effect/Context"
  import * as Effect from "effect/Effect"
  import * as Layer from "effect/Layer"
  class Greeter extends Context.Tag("Greeter")() {}
  const greet = Effect.map(Greeter, ({ greeting }) => greeting)
  export default {
    layer: Layer.scoped(Greeter, ${acquire}),
    actions: { greet: () => Effect.map(greet, (context) => ({ context })) },
    providers: { each: () => Effect.map(greet, (id) => [id]) },
    gates: { ready: () => Effect.as(greet, "approved") },
    scriptEnvironment: (identity) => Effect.map(greet, (text) => ({ GREETING: text + " " + identity }))
  }`

describe("a configuration's layer", () => {
  const flow = `workflow flow {
    call greet
    gate ready {}
    script env { run = "echo $GREETING" as = "bot" }
    foreach one { over = each max_parallel = 1 workflow = child }
  }`

  it.scopedLive("supplies its services to actions, providers, gates and environments, and closes after the runs", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      config(
        folder,
        layered(`Effect.acquireRelease(
          Effect.sync(() => { globalThis.greeters = [...(globalThis.greeters ?? []), "open"]; return { greeting: "hi" } }),
          () => Effect.sync(() => globalThis.greeters.push("closed")))`)
      )
      write(folder, "workflows/flow.wf", flow)
      write(folder, "workflows/child.wf", "workflow child { call greet }")
      const greeters = (): unknown => Reflect.get(globalThis, "greeters")
      const project = yield* open({ from: folder, modules })
      expect(project.host({ workingDirectory: folder }).gate("ready")).toBe(true)
      expect(greeters()).toBeUndefined()
      const { items, outline, steps } = yield* runIn(project, folder, "flow")
      expect(outline).toEqual(["/greet completed", "/ready completed", "/env completed", "/foreach:one completed"])
      expect(steps.find(({ name }) => name === "greet")?.result.context).toBe("hi")
      expect(steps.find(({ name }) => name === "env")?.result.context).toBe("hi bot\n")
      expect(items.map(({ id, status }) => [id, status])).toEqual([["hi", "completed"]])
      expect(greeters()).toEqual(["open", "closed"])
    })
  )

  it.scopedLive("that cannot be built is told with the reason", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const file = config(folder, layered(`Effect.fail(new Error("no database"))`))
      const project = yield* open({ from: folder, modules })
      const built = Layer.build(Layer.provide(project.layer, MemoryPersistence.layer))
      const error = yield* Effect.flip(built)
      expect(error.message).toBe(`${file}: its \`layer\` cannot be built: no database`)
    })
  )

  it("has to supply what the Effects use", () => {
    class Pool extends Context.Tag("Pool")<Pool, { readonly size: number }>() {}
    class Other extends Context.Tag("Other")<Other, string>() {}
    const actions = { size: () => Effect.map(Pool, ({ size }) => ({ context: String(size) })) }
    const gates = { ready: () => Effect.as(Other, "approved" as const) }
    const pool = Layer.succeed(Pool, { size: 3 })
    const both = Layer.merge(pool, Layer.succeed(Other, ""))
    expect(defineConfig({ actions, layer: pool }).layer).toBe(pool)
    expect(defineConfig({ actions, gates, layer: both }).layer).toBe(both)
    expect(defineConfig({ actions: { a: () => ({ context: "x" }), b: async () => {} } }).actions).toBeDefined()
    // @ts-expect-error the layer is missing
    defineConfig({ actions })
    // @ts-expect-error the layer lacks Other
    defineConfig({ actions, gates, layer: pool })
    // @ts-expect-error an action gives no number
    defineConfig({ actions: { a: () => 3 } })
  })
})

describe("typed actions of a configuration", () => {
  const source = (layer: string, actions = "{ charge: Charge }") => `
    import * as Effect from "effect/Effect"
    import * as Layer from "effect/Layer"
    import * as Schema from "effect/Schema"
    import { Action } from "millrace"
    const Charge = Action.make("charge", {
      payload: Schema.Struct({ order: Schema.String, cents: Schema.Int }),
      success: Schema.Struct({ receipt: Schema.String })
    })
    const Other = Action.make("charge", { payload: Schema.String })
    const charging = Charge.toLayer(({ order, cents }) => Effect.succeed({ receipt: \`\${order}: \${cents + 1}\` }))
    export default { actions: ${actions}, layer: ${layer} }
  `
  const flow = `workflow flow {
    call charge { inputs { order = o  cents = 41 } }
    script show { run = "printf %s {{receipt}}" }
  }`
  const project = (folder: string) =>
    open({ from: folder, modules: { ...modules, virtualModules: async () => ({ millrace: { Action } }) } })
  const at = Effect.fnUntraced(function* (layer: string, actions?: string) {
    const folder = yield* temporaryFolder
    config(folder, source(layer, actions))
    write(folder, "workflows/flow.wf", flow)
    return folder
  })

  it.scopedLive("are called by files, with what the layer supplies", () =>
    Effect.gen(function* () {
      const folder = yield* at("charging")
      const { run: record, steps } = yield* runIn(yield* project(folder), folder, "flow")
      expect(record.status).toBe("completed")
      expect(steps.find(({ name }) => name === "show")?.result.context).toBe("o: 42")
    })
  )

  it.scopedLive("are known to the validator without their layer, with what they take and give", () =>
    Effect.gen(function* () {
      const folder = yield* at(`Layer.die("not to be built")`)
      const host = (yield* project(folder)).host({ workingDirectory: folder })
      expect(host.action({ _tag: "Name", name: "charge" }, "flow", [])).toEqual({ _tag: "Found" })
      expect(host.typedAction?.("charge")).toMatchObject({
        takes: { keys: [{ name: "order" }, { name: "cents" }] },
        gives: ["receipt"]
      })
      expect(host.typedAction?.("chrage")).toBeUndefined()
    })
  )

  it.scopedLive("have to be in the layer, under the same schemas, and to go by their names", () =>
    Effect.gen(function* () {
      const refusal = Effect.fnUntraced(function* (layer: string) {
        const { own } = yield* project(yield* at(layer))
        const error = yield* Effect.flip(Effect.scoped(own))
        return error.message
      })
      expect(yield* refusal("Layer.empty")).toContain("cannot be built: it does not supply the action 'charge'")
      const other = yield* refusal("Other.toLayer(() => Effect.void)")
      expect(other).toContain("two actions are called 'charge'")
      const both = yield* refusal("Layer.merge(charging, Other.toLayer(() => Effect.void))")
      expect(both).toContain("two actions are called 'charge'")
      const misnamed = yield* Effect.flip(project(yield* at("charging", "{ pay: Charge }")))
      expect(misnamed.message).toContain("`actions.pay` is the action 'charge': it goes by that name")
    })
  )

  it("need their layers in the type of the configuration", () => {
    const Charge = Action.make("charge", { payload: Schema.String })
    const Ship = Action.make("ship", { payload: Schema.String })
    const charging = Charge.toLayer(() => Effect.void)
    const both = Layer.merge(
      charging,
      Ship.toLayer(() => Effect.void)
    )
    const actions = { charge: Charge, ship: Ship, greet: ({ name }: Texts) => ({ context: `hello ${name}` }) }
    expect(defineConfig({ actions, layer: both }).layer).toBe(both)
    expect(
      defineConfig({ actions: { a: ({ name = "" }) => ({ context: name }), ship: Ship }, layer: both })
    ).toBeDefined()
    // @ts-expect-error the layer is missing
    defineConfig({ actions })
    // @ts-expect-error the layer lacks 'ship'
    defineConfig({ actions, layer: charging })
  })
})

describe("the environment of an identity", () => {
  const flow = (folder: string) => {
    write(
      folder,
      "workflows/flow.wf",
      `workflow flow { script a { run = "echo [$TOKEN]" as = "bot" } script b { run = "echo [$TOKEN]" } }`
    )
    return run(folder, "flow")
  }

  it.scopedLive("is that of its name, and none for others", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      config(folder, `export default { scriptEnvironment: { bot: { TOKEN: "t" } } }`)
      const { steps } = yield* flow(folder)
      expect(steps.flatMap(({ kind, result }) => (kind === "script" ? [result.context] : []))).toEqual([
        "[t]\n",
        "[]\n"
      ])
    })
  )

  it.scopedLive("fails the step where it cannot be told", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      config(folder, `export default { scriptEnvironment: async () => { throw new Error("no vault") } }`)
      const { run: record } = yield* flow(folder)
      expect(record.error).toContain("`scriptEnvironment` failed: no vault (identity 'bot')")
    })
  )
})
