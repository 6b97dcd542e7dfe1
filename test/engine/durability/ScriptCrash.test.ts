/**
 * Law 7 for scripts, whose processes are real, on the real clock: a crash at every write.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as OutputFiles from "../../../src/persistence/OutputFiles.ts"
import { OutputStore } from "../../../src/persistence/OutputStore.ts"
import { crashEverywhere, type CrashSubject } from "../../../src/testing/CrashTest.ts"
import { resumeProgram, runProgram } from "../../../src/testing/ProgramRunner.ts"
import type { TestProgram } from "../../../src/testing/TestProgram.ts"
import { programOf } from "./Programs.ts"

const programs = [
  programOf({
    name: "scripts that succeed, fail and are tried again, beside calls and in a child",
    workflows: [
      `workflow main {
        script first { run = "echo out; echo err >&2" }
        call a
        script fails { run = "exit 3" retries = 1 on_fail = continue }
        call workflow sub
        always { script last { run = "true" } }
      }`,
      `workflow sub { script inner { run = "printf 'inner %s' here" } call b }`
    ],
    actions: { a: { context: "a" }, b: { markers: ["done"] } }
  }),
  programOf({
    name: "a script that fails for good, and one that marks what an if asks for",
    workflows: [
      `workflow main {
        script marks { run = "printf '<<<FLOW_OUTPUT>>>\\n{\\"markers\\":[\\"go\\"],\\"context\\":\\"went\\"}\\n<<<END_FLOW_OUTPUT>>>\\n'" }
        if marks.go { script inside { run = "exit 4" } }
        call never
        always { script clean { run = "test {{workflow_status}} = failed" } }
      }`
    ],
    actions: { never: {} }
  })
]

/** Outputs and logs are files beside the store, as they are for any crash. */
const subjectOf = (program: TestProgram, outputs: typeof OutputStore.Service): CrashSubject => ({
  name: program.name,
  run: (options) => runProgram(program, { ...options, outputs }),
  resume: (root, options) => resumeProgram(program, root, { ...options, outputs })
})

describe("a run with scripts that was stopped at any write ends with the same records", () => {
  for (const program of programs) {
    it.scopedLive(
      program.name,
      () =>
        Effect.gen(function* () {
          const outputs = Context.get(yield* Layer.build(OutputFiles.layerTemporary), OutputStore)
          const report = yield* crashEverywhere(subjectOf(program, outputs), {
            clock: "real",
            everyNth: 4,
            secondCrashes: 2
          })
          console.log(
            `crashes with scripts: 1 programs, ${report.writes} writes, ${report.resumed} stopped and resumed`
          )
          expect(report.failures.slice(0, 5).join("\n\n")).toBe("")
          expect(report.writes).toBeGreaterThan(8)
          expect(report.resumed).toBeGreaterThan(report.writes)
        }),
      120_000
    )
  }
})
