/** Typed actions of a configuration, from the command line. */
import { describe, expect, it } from "@effect/vitest"
import { place } from "./support.ts"

const config = `import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Action, defineConfig } from "millrace"

class Declined extends Schema.TaggedError<Declined>()("Declined", { reason: Schema.String }) {}

const Charge = Action.make("charge", {
  payload: Schema.Struct({ order: Schema.String, cents: Schema.Int }),
  success: Schema.Struct({ receipt: Schema.String, summary: Schema.String }),
  error: Declined,
  markers: ({ receipt }) => (receipt.includes("big") ? ["big"] : [])
})

const charging = Charge.toLayer(({ order, cents }) =>
  cents > 1_000
    ? Effect.fail(new Declined({ reason: \`\${cents} cents\` }))
    : Effect.succeed({ receipt: \`big \${order}\`, summary: "charged" })
)

export default defineConfig({ actions: { charge: Charge }, layer: charging })
`

const order = `workflow order {
  inputs { id  cents default = "10" }
  call charge { inputs { order = "{{id}}" } }
  if charge.big { script show { run = "echo {{receipt}}, {{prior_context}}" } }
}
`

const lacking = `workflow lacking {
  call charge { inputs { order = "o" } }
}
`

const at = () => place({ "millrace.config.ts": config, "workflows/order.wf": order, "workflows/lacking.wf": lacking })

describe("typed actions of a configuration", () => {
  it("are run by `run`, their markers and texts at hand for the steps behind", async () => {
    const here = at()
    const { code, stdout } = await here.run(["run", "order", "--input", "id=o-1", "--json"])
    expect(code).toBe(0)
    const { runId } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "{}")
    const shown = await here.run(["show", runId])
    expect(shown.stdout).toContain("big o-1, charged")
  })

  it("fail with their typed error, for people to read", async () => {
    const { code, stdout } = await at().run(["run", "order", "--input", "id=o-1", "--input", "cents=2000"])
    expect(code).toBe(1)
    expect(stdout).toContain('Declined: { "reason": "2000 cents" }')
  })

  it("are checked by `validate`: what is written out and is no payload has a position, and does not run", async () => {
    const wrong = 'workflow wrong {\n  call charge { inputs { order = "o", cents = many } }\n}\n'
    const here = place({ "millrace.config.ts": config, "workflows/wrong.wf": wrong })
    const { code, stderr, stdout } = await here.run(["validate", "wrong"])
    expect(code).toBe(2)
    expect(stdout + stderr).toContain("workflows/wrong.wf:2:47")
    const refused = 'the action `charge` does not take `many` as `cents`: Expected number, actual "many"'
    expect(stdout + stderr).toContain(`error[payload-refused]: ${refused}`)
    const run = await here.run(["run", "wrong"])
    expect(run.code).not.toBe(0)
    expect(run.stdout + run.stderr).toContain(refused)
    expect((await here.run(["runs"])).stdout).not.toContain("wrong")
  })

  it("are checked by `validate`: what they need and nothing gives has a position", async () => {
    const here = at()
    expect(await here.run(["validate", "order"])).toMatchObject({ code: 0 })
    const { code, stderr, stdout } = await here.run(["validate", "lacking"])
    expect(code).toBe(2)
    expect(`${stdout}${stderr}`).toContain("the action `charge` needs `cents`, which nothing gives")
    expect(`${stdout}${stderr}`).toContain("lacking.wf:2:8")
    expect((await here.run(["run", "lacking"])).code).not.toBe(0)
    expect((await here.run(["list"])).stdout).toMatch(/order +order +id \[cents\]/)
  })
})
