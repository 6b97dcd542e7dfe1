import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { ActionCall, ActionOutput } from "../../src/action/Action.ts"
import { action, failing, runIn } from "./TestEngine.ts"

const ok = action(() => ({}))

const noting = (output: ActionOutput = {}) => {
  const seen: Array<ActionCall["variables"]> = []
  const execute = action(({ variables }) => {
    seen.push(variables)
    return output
  })
  return { seen, execute }
}

const none = {
  prior_context: "",
  prior_contexts: "[]",
  prior_output: "",
  prior_output_file: "",
  gate_feedback: "",
  dry_run: "false"
}

describe("built-in variables", () => {
  it.live("always exist, empty if there is nothing", () =>
    Effect.gen(function* () {
      const { execute, seen } = noting()
      const end = yield* runIn({ actions: { a: execute } }, "workflow w { call a }")
      expect(seen[0]).toEqual({ ...none, workflow_run_id: end.id })
    })
  )

  it.live("tell what the steps before gave", () =>
    Effect.gen(function* () {
      const { execute, seen } = noting()
      yield* runIn(
        {
          actions: {
            a: action(() => ({ context: "A", markers: ["m"], structuredOutput: { n: 1 }, outputFile: "/tmp/out" })),
            b: action(() => ({ context: "B" })),
            look: execute
          }
        },
        "workflow w { call a do { max_iterations = 1 on_max_iter = continue call b } while a.m call look }"
      )
      expect(seen[0]).toMatchObject({ prior_context: "B", prior_output: '{"n":1}', prior_output_file: "/tmp/out" })
      expect(JSON.parse(seen[0]?.["prior_contexts"] ?? "")).toEqual([
        {
          step: "a",
          iteration: 0,
          context: "A",
          markers: ["m"],
          structured_output: '{"n":1}',
          output_file: "/tmp/out"
        },
        { step: "b", iteration: 1, context: "B", markers: [], structured_output: null, output_file: null }
      ])
    })
  )

  it.live("of always are the body's status; those of a dry run say so", () =>
    Effect.gen(function* () {
      const { execute, seen } = noting()
      yield* runIn({ actions: { a: ok, z: execute } }, "workflow w { call a always { call z } }")
      yield* runIn({ actions: { a: failing("no"), z: execute } }, "workflow w { call a always { call z } }", {
        dryRun: true
      })
      expect(seen.map((variables) => [variables["workflow_status"], variables["dry_run"]])).toEqual([
        ["completed", "false"],
        ["failed", "true"]
      ])
    })
  )
})

describe("variables", () => {
  it.live("are the inputs, under the outputs of steps, under the injected values, under the built-ins", () =>
    Effect.gen(function* () {
      const { execute, seen } = noting()
      const end = yield* runIn(
        {
          actions: {
            a: action(() => ({
              structuredOutput: { x: "a", y: "a", branch: "a", dry_run: "a", "item.id": "a", n: 1 }
            })),
            b: action(() => ({ structuredOutput: { x: "b", markers: "no", context: "no" } })),
            look: execute
          }
        },
        `workflow w { inputs { x default = "input" z default = "input" branch default = "input" } call a call b call look }`,
        { settings: { values: { branch: "injected" } } }
      )
      expect(seen[0]).toMatchObject({ x: "b", y: "a", z: "input", branch: "injected", dry_run: "false" })
      for (const name of ["n", "markers", "context", "item.id"]) expect(seen[0]).not.toHaveProperty([name])
      const refused = (name: string) =>
        `the output's '${name}' does not replace the built-in or injected value of that name`
      expect(end.warnings).toEqual(["branch", "dry_run", "item.id"].map(refused))
    })
  )

  it.live("of an on_fail action lie over all others", () =>
    Effect.gen(function* () {
      const { execute, seen } = noting()
      yield* runIn(
        { actions: { a: failing("no"), fix: execute } },
        `workflow w { inputs { failed_step default = "input" } call a { on_fail = fix } }`
      )
      expect(seen[0]).toMatchObject({ failed_step: "a", failure_reason: "no", retry_count: "0" })
    })
  )

  it.live("of a step that failed do not replace what was there", () =>
    Effect.gen(function* () {
      const { execute, seen } = noting()
      yield* runIn(
        { actions: { a: action(() => ({ structuredOutput: { x: "1" } })), bad: failing("no"), look: execute } },
        "workflow w { call a call bad { on_fail = continue } call look }"
      )
      expect(seen[0]).toMatchObject({ x: "1", prior_output: '{"x":"1"}' })
    })
  )

  it.live("fill templates in one pass: what replaces a name is never scanned again", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: ok }, workflows: ["workflow sub { inputs { x required } call a }"] },
        `workflow w { inputs { p default = "{{q}}" q default = "Q" }
          call workflow sub { inputs { x = "{{p}} {{inputs.q}} {{ q }} {{q" } } }`
      )
      expect(end.children[0]?.inputs["x"]).toBe("{{q}} Q {{ q }} {{q")
    })
  )
})

describe("a plain do", () => {
  it.live("hands output and snippets to the calls inside, through ifs and loops: the inner block's first", () =>
    Effect.gen(function* () {
      const got: Array<string> = []
      const note = action((call) => {
        got.push(`${call.name} ${call.schema?.name ?? "-"} ${call.snippets.join(",")}`)
        return { markers: ["m"], structuredOutput: {} }
      })
      const names = ["a", "b", "c", "d", "e", "f"]
      yield* runIn(
        {
          actions: Object.fromEntries(names.map((name) => [name, note])),
          schemas: { s: { name: "s", fields: [] }, t: { name: "t", fields: [] } }
        },
        `workflow w {
          do {
            output = s with = ["outer"]
            call a { with = "own" }
            do { output = t with = ["inner1", "inner2"] call b { with = ["own"] } }
            do { with = "inner" call c { output = t } }
            if a.m { do { max_iterations = 1 on_max_iter = continue call d } while a.m }
            always { call e }
          }
          call f
        }`
      )
      expect(got).toEqual([
        "a s outer,own",
        "b t inner1,inner2,outer,own",
        "c t inner,outer",
        "d s outer",
        "e s outer",
        "f - "
      ])
    })
  )
})
