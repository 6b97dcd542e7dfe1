import { describe, expect, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import * as Action from "../../src/program/Action.ts"
import { arbitraryDefinition } from "../../src/testing/ArbitraryDefinition.ts"
import * as Build from "../../src/workflow/Build.ts"
import type { BranchCall, Condition, Node, OnFail, WorkflowDefinition } from "../../src/workflow/Definition.ts"
import { hasErrors } from "../../src/workflow/Diagnostic.ts"
import { renderAll } from "../../src/workflow/DiagnosticRenderer.ts"
import { parse } from "../../src/workflow/Parser.ts"
import { print } from "../../src/workflow/Printer.ts"

const read = (text: string): WorkflowDefinition => {
  const file = parse({ file: "test.wf", text })
  if (file.definition === undefined || hasErrors(file.diagnostics)) throw new Error(renderAll(file.diagnostics))
  return file.definition
}

// ---- every definition, made again by the builder

const withOnFail = <O extends { readonly onFail?: OnFail }>({ onFail, ...rest }: O) => ({
  ...rest,
  ...(onFail === undefined ? {} : { onFail: onFail._tag === "Continue" ? ("continue" as const) : onFail })
})

const test = (condition: Condition): Build.Test =>
  condition._tag === "Input" ? condition.name : { step: condition.step, marker: condition.marker }

const call = ({ _tag, action, if: condition, ...options }: BranchCall): BranchCall =>
  condition === undefined
    ? Build.call(action, withOnFail(options))
    : Build.call(action, { ...withOnFail(options), if: test(condition) })

const calls = ([first, ...others]: readonly [BranchCall, ...ReadonlyArray<BranchCall>]): Build.Calls => [
  call(first),
  ...others.map(call)
]

const block = (nodes: ReadonlyArray<Node>): ReadonlyArray<Build.BlockNode> => nodes.map(rebuilt)

const isNotAlways = (node: Build.BlockNode): node is Exclude<Build.BlockNode, { readonly _tag: "Always" }> =>
  node._tag !== "Always"

const rebuilt = (node: Node): Build.BlockNode => {
  switch (node._tag) {
    case "Call": {
      const { _tag, action, ...options } = node
      return Build.call(action, withOnFail(options))
    }
    case "CallWorkflow": {
      const { _tag, workflow, ...options } = node
      return Build.callWorkflow(workflow, withOnFail(options))
    }
    case "Script": {
      const { _tag, name, ...options } = node
      return Build.script(name, withOnFail(options))
    }
    case "Gate": {
      const { _tag, name, options, ...settings } = node
      if (options === undefined) return Build.gate(name, settings)
      const given = options._tag === "Fixed" ? options.entries : { step: options.step, field: options.field }
      return Build.gate(name, { ...settings, options: given })
    }
    case "QualityGate": {
      const { _tag, ...options } = node
      return Build.qualityGate(options)
    }
    case "Parallel": {
      const { _tag, calls: branches, ...options } = node
      return Build.parallel(options, calls(branches))
    }
    case "Foreach": {
      const { _tag, name, ...options } = node
      return Build.foreach(name, options)
    }
    case "Pipeline": {
      const { _tag, calls: branches, name, ...options } = node
      return Build.pipeline(name, options, calls(branches))
    }
    case "If":
      return Build.if(test(node.condition), block(node.body))
    case "Unless":
      return Build.unless(test(node.condition), block(node.body))
    case "While":
    case "DoWhile": {
      const { _tag, body, condition, ...options } = node
      const marker = { step: condition.step, marker: condition.marker }
      return _tag === "While" ? Build.while(marker, options, block(body)) : Build.doWhile(options, block(body), marker)
    }
    case "Do": {
      const { _tag, body, ...options } = node
      return Build.do(options, block(body))
    }
    case "Always":
      return Build.always(block(node.body))
  }
}

const again = ({ always, body, inputs, name, ...options }: WorkflowDefinition): WorkflowDefinition =>
  Build.workflow(
    name,
    {
      ...options,
      inputs: Object.fromEntries(inputs.map(({ name, ...input }) => [name, input])),
      always: block(always)
    },
    block(body).filter(isNotAlways)
  )

describe("a definition made in code", () => {
  it("can be any that a file can hold, and reads back from its text as it was made", () => {
    fc.assert(
      fc.property(arbitraryDefinition, (definition) => {
        const built = again(definition)
        expect(built).toEqual(definition)
        expect(read(print(built))).toEqual(built)
      }),
      { numRuns: 300 }
    )
  })

  it("is written with the words of the language", () => {
    const Review = Action.make("review", { payload: Schema.Struct({ file: Schema.String }) })
    const built = Build.workflow(
      "deploy",
      {
        title: "Deploy a service",
        inputs: { service: {}, environment: { default: "staging" }, force: { boolean: true }, token: { secret: true } },
        always: [Build.script("report", { run: "notify {{workflow_status}}" })]
      },
      [
        Build.script("build", { run: "make {{service}}", timeout: "10 minutes", retries: 1 }),
        Build.parallel({ failFast: false }, [
          Build.call("lint"),
          Build.call(Review, { if: "build.changed", timeout: "90 seconds", inputs: { file: "a" } })
        ]),
        Build.if("review.has_findings", [
          Build.do({ with: "style" }, [Build.call(Build.path("agents/fix.md"), { onFail: "continue" })])
        ]),
        Build.doWhile({ maxIterations: 3 }, [Build.call("polish", { onFail: "tell", retryDelay: 500 })], "polish.open"),
        Build.while({ step: "a", marker: "b" }, { maxIterations: 2, onMaxIter: "continue" }, [Build.call("c")]),
        Build.unless("force", [
          Build.gate("human_approval", {
            prompt: "Deploy?",
            timeout: "2 hours",
            options: ["now", { key: "mon", text: "Monday" }]
          }),
          Build.qualityGate({ source: "review", threshold: 80 })
        ]),
        Build.foreach("each", { over: "files", maxParallel: 2, workflow: "one", scope: { glob: "*.md" } }),
        Build.pipeline("items", { over: "json", maxParallel: 1 }, [Build.call("a"), Build.call("b", { if: "a.ok" })]),
        Build.callWorkflow("roll-out", { inputs: { service: "{{service}}" } })
      ]
    )
    expect(print(built)).toMatchInlineSnapshot(`
      "workflow deploy {
        meta {
          title = "Deploy a service"
        }

        inputs {
          service
          environment default = "staging"
          force boolean
          token secret = true
        }

        script build {
          run = "make {{service}}"
          timeout = 10m
          retries = 1
        }

        parallel {
          fail_fast = false

          call lint
          call review {
            if = build.changed
            timeout = 90s
            inputs { file = "a" }
          }
        }

        if review.has_findings {
          do {
            with = "style"

            call "agents/fix.md" { on_fail = continue }
          }
        }

        do {
          max_iterations = 3

          call polish {
            retry_delay = 500ms
            on_fail = tell
          }
        } while polish.open

        while a.b {
          max_iterations = 2
          on_max_iter = continue

          call c
        }

        unless force {
          gate human_approval {
            prompt = "Deploy?"
            timeout = 2h
            options = {
              now = "now"
              mon = "Monday"
            }
          }

          gate quality_gate {
            source = review
            threshold = 80
          }
        }

        foreach each {
          over = files
          workflow = one
          max_parallel = 2
          scope = { glob = "*.md" }
        }

        pipeline items {
          over = json
          max_parallel = 1

          call a
          call b { if = a.ok }
        }

        call workflow roll-out { inputs { service = "{{service}}" } }

        always {
          script report {
            run = "notify {{workflow_status}}"
          }
        }
      }
      "
    `)
    expect(read(print(built))).toEqual(built)
  })

  const refusal = (make: () => unknown): string => {
    try {
      make()
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError)
      return (error as RangeError).message
    }
    throw new Error("it was made")
  }

  it("is refused where an option cannot have the value, in one line: the node, the option, what it has to be", () => {
    const loop = (maxIterations: number) =>
      Build.workflow("w", {}, [Build.while("a.b", { maxIterations }, [Build.call("a")])])
    expect(refusal(() => loop(0))).toBe("workflow 'w': while a.b: maxIterations: Expected a positive number, actual 0")
    expect(refusal(() => Build.workflow("w", {}, [Build.call("a", { retries: -1 })]))).toBe(
      "workflow 'w': call 'a': retries: Expected a non-negative number, actual -1"
    )
    expect(refusal(() => Build.workflow("w", {}, [Build.call("")]))).toContain("call '': action")
    expect(refusal(() => Build.workflow("w", {}, [Build.call("a", { timeout: 0.5 })]))).toContain(
      "workflow 'w': call 'a': timeout: Expected an integer, actual 0.5"
    )
    expect(refusal(() => Build.workflow("", {}, []))).toBe(`workflow '': name: Expected a non empty string, actual ""`)
  })

  it("names what stands around the node, in the body and in the workflow's always", () => {
    const calls = [Build.call("lint"), Build.call("test", { retries: Number.NaN })] as const
    const inner = Build.if("x", [Build.parallel({}, calls)])
    expect(refusal(() => Build.workflow("w", {}, [Build.script("fine", { run: "true" }), inner]))).toBe(
      "workflow 'w': if x: parallel: call 'test': retries: Expected a non-negative number, actual NaN"
    )
    const gate = Build.qualityGate({ source: "review", threshold: 101 })
    expect(refusal(() => Build.workflow("w", { always: [gate] }, []))).toContain(
      "workflow 'w': always: gate quality_gate: threshold: Expected a number between 0 and 100, actual 101"
    )
    const each = Build.foreach("each", { over: "json", workflow: "", maxParallel: 1 })
    expect(refusal(() => Build.workflow("w", {}, [Build.do({}, [each])]))).toBe(
      `workflow 'w': do: foreach 'each': workflow: Expected a non empty string, actual ""`
    )
    expect(refusal(() => Build.workflow("w", {}, [Build.callWorkflow("", {})]))).toBe(
      `workflow 'w': call workflow '': workflow: Expected a non empty string, actual ""`
    )
  })

  it("is refused where what is given is no node, or no marker", () => {
    const noNode = { name: "x" } as unknown as ReturnType<typeof Build.always>
    expect(refusal(() => Build.workflow("w", { always: [noNode] }, []))).toBe(
      "workflow 'w': always: Expected a node that `Build` makes, actual an object"
    )
    const noMarker = "nodot" as "no.dot"
    expect(refusal(() => Build.workflow("w", {}, [Build.doWhile({ maxIterations: 1 }, [], noMarker)]))).toBe(
      `workflow 'w': do-while .nodot: condition.step: Expected a non empty string, actual ""`
    )
  })

  it("is refused by the node's own function where a time is none", () => {
    const soon = "soon" as "1 second"
    expect(refusal(() => Build.call("a", { timeout: soon }))).toBe(
      `call 'a': timeout: Expected a time of at least 0, such as "30 seconds", actual "soon"`
    )
    expect(refusal(() => Build.call("a", { retryDelay: -5 }))).toContain("call 'a': retryDelay: Expected a time")
    expect(refusal(() => Build.script("s", { run: "true", timeout: Number.NaN }))).toContain("script 's': timeout")
    expect(refusal(() => Build.gate("g", { timeout: "-1 hour" as "1 hour" }))).toContain("gate 'g': timeout")
    expect(refusal(() => Build.callWorkflow("c", { timeout: Number.POSITIVE_INFINITY }))).toContain(
      "call workflow 'c': timeout"
    )
  })
})
