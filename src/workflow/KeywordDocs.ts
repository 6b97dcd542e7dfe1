/** What the words that begin something mean, and how each is written (spec/language.md, "Grammar"). */
import type { nodeKeywords } from "./ParserCursor.ts"

export interface KeywordDoc {
  /** One sentence without its full stop. */
  readonly summary: string
  readonly example: string
}

/** The words that begin a step, and those that stand directly in a file or a workflow. */
export type Keyword = (typeof nodeKeywords)[number] | "workflow" | "meta" | "inputs"

export const keywordDocs: Readonly<Record<Keyword, KeywordDoc>> = {
  workflow: {
    summary: "A workflow: the one of this file, or behind `call` one that runs as a step",
    example: "workflow deploy {\n  call build\n}"
  },
  meta: {
    summary: "What is said of the workflow: title, description, trigger, targets, group",
    example: 'meta {\n  title = "Deploy"\n  trigger = manual\n}'
  },
  inputs: {
    summary: "The inputs that the workflow declares, or those that a step is given",
    example: 'inputs {\n  branch default = "main"\n  dry boolean\n}'
  },
  call: {
    summary: "Runs an action: one by its name, or a file by its path in quotes; `call workflow` runs a workflow",
    example: "call review {\n  output = findings\n  retries = 2\n}"
  },
  if: {
    summary: "Runs its steps if a step gave a marker, or a boolean input is true",
    example: "if review.has_issues {\n  call mend\n}"
  },
  unless: {
    summary: "Runs its steps if a step did not give a marker, or a boolean input is not true",
    example: "unless review.approved {\n  call mend\n}"
  },
  while: {
    summary: "Repeats its steps as long as a step gives a marker; it is looked at before each round",
    example: "while review.has_issues {\n  max_iterations = 5\n  call mend\n  call review\n}"
  },
  do: {
    summary:
      "With `while` behind the block: repeats its steps, looking at the condition after each round; without: hands `output` and `with` to the calls inside",
    example: "do {\n  max_iterations = 5\n  call review\n} while review.has_issues"
  },
  parallel: {
    summary: "Runs its calls at the same time",
    example: "parallel {\n  call lint\n  call test\n}"
  },
  gate: {
    summary: "Waits until a person or a resolver answers, or checks an earlier step's confidence",
    example: 'gate human_approval {\n  prompt = "Ship it?"\n  timeout = 2h\n}'
  },
  always: {
    summary: "Runs its steps when the workflow ends, however it ends; inside of other blocks it runs in place",
    example: "always {\n  call report\n}"
  },
  script: {
    summary: "Runs a shell command or an executable file",
    example: 'script build {\n  run = "make all"\n}'
  },
  foreach: {
    summary: "Runs a workflow for every item of a provider",
    example: "foreach tickets {\n  over = json\n  workflow = solve\n  max_parallel = 4\n}"
  },
  pipeline: {
    summary: "Sends every item of a provider through its calls, each item on its own",
    example: "pipeline tickets {\n  over = json\n  max_parallel = 4\n  call analyse\n  call solve\n}"
  }
}
