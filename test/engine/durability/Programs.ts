/**
 * Programs written by hand: what generated ones reach rarely, or only together with much else.
 */
import type { ScriptedAction, TestProgram } from "../../../src/testing/TestProgram.ts"
import { definitionOf } from "../TestEngine.ts"

interface Text {
  readonly name: string
  /** The first one is run, the others are called. */
  readonly workflows: readonly [string, ...ReadonlyArray<string>]
  readonly actions?: Readonly<Record<string, ScriptedAction>>
  readonly answers?: TestProgram["answers"]
  readonly failFast?: boolean
  readonly cancelAt?: string
  readonly pauseAt?: string
}

export const programOf = ({
  actions = {},
  answers = {},
  failFast = true,
  name,
  workflows,
  ...more
}: Text): TestProgram => {
  const [definition, ...others] = workflows
  return {
    name,
    definition: definitionOf(definition),
    workflows: others.map(definitionOf),
    actions,
    answers,
    options: { settings: { failFast } },
    ...more
  }
}

const approve = (after: number) => ({ approved: true, feedback: "fine", after })
const list = (...ids: ReadonlyArray<string>) => ({ structured: { list: ids } })

export const programs: ReadonlyArray<TestProgram> = [
  programOf({
    name: "gates in the children of a foreach, which wait long enough to be let go",
    workflows: [
      `workflow main {
        call items
        foreach each { over = json scope = { from = "items.list" } max_parallel = 2 workflow = ask }
        call after
        always { call clean }
      }`,
      `workflow ask { call before gate human_review { prompt = "ok?" } call then always { call tidy } }`
    ],
    actions: { items: list("p", "q", "r"), before: { delay: 5 }, then: { context: "then" } },
    answers: { "ok?": approve(100) }
  }),
  programOf({
    name: "a gate in the child of a child, with steps behind it at each level",
    workflows: [
      `workflow main { call workflow middle call after }`,
      `workflow middle { call before call workflow inner call then }`,
      `workflow inner { gate human_approval { prompt = "go?" } call last }`
    ],
    actions: { last: { markers: ["done"], structured: { text: "from below" } } },
    answers: { "go?": approve(200) }
  }),
  programOf({
    name: "long pauses between attempts, then a block that fails fast and is got over",
    workflows: [
      `workflow main {
        call flaky { retries = 3 retry_delay = "2s" backoff = exponential }
        parallel { min_success = 1 call quick call slow call broken }
        call after
      }`
    ],
    actions: { flaky: { failures: 3 }, slow: { delay: 60_000 }, broken: { failures: 9, delay: 50 } }
  }),
  programOf({
    name: "a child that fails at first, tried again as another child",
    workflows: [
      `workflow main { call workflow sub { retries = 1 on_fail = fix } call after }`,
      `workflow sub { call first call second always { call tidy } }`
    ],
    actions: { second: { failures: 1 }, fix: {} },
    failFast: false
  }),
  programOf({
    name: "items in an order, one of which fails and takes its dependents with it",
    workflows: [
      `workflow main {
        call items
        foreach each {
          over = json scope = { from = "items.list" } max_parallel = 1 ordered = true
          on_child_fail = skip_dependents workflow = item
        }
        call never
      }`,
      `workflow item { call work }`
    ],
    actions: {
      items: {
        structured: {
          list: [
            { id: "p" },
            { id: "q", blocked_by: ["p"] },
            { id: "r", blocked_by: ["q"] },
            { id: "s", blocked_by: ["p"] }
          ]
        }
      },
      work: { failsFor: ["q"] }
    }
  }),
  programOf({
    name: "an item that halts the others",
    workflows: [
      `workflow main {
        call items
        foreach each { over = json scope = { from = "items.list" } max_parallel = 1 on_child_fail = halt workflow = item }
      }`,
      `workflow item { call work always { call tidy } }`
    ],
    actions: { items: list("p", "q", "r"), work: { failsFor: ["q"], delay: 5 } }
  }),
  programOf({
    name: "loops in loops, one of which is stuck",
    workflows: [
      `workflow main {
        do { max_iterations = 2 on_max_iter = continue
          call outer
          do { max_iterations = 5 stuck_after = 2 call inner } while inner.more
        } while outer.more
        always { call clean }
      }`
    ],
    actions: { outer: { markers: ["more"] }, inner: { markers: ["more"] } }
  }),
  programOf({
    name: "gates that time out: one goes on, the next ends the run",
    workflows: [
      `workflow main {
        gate human_review { timeout = "90ms" on_timeout = continue }
        call between
        gate human_approval { timeout = "900ms" }
        call never
        always { call clean }
      }`
    ]
  }),
  programOf({
    name: "attempts that hang until their timeout",
    workflows: [`workflow main { call hanging { retries = 2 timeout = "3s" retry_delay = "1s" } call after }`],
    actions: { hanging: { hangs: 2 } }
  }),
  programOf({
    name: "a cancellation while a call runs, and always after it",
    workflows: [`workflow main { call before call hanging call never always { call clean call tidy } }`],
    actions: { hanging: { hangs: 9 }, clean: { delay: 5 } },
    cancelAt: "hanging"
  }),
  programOf({
    name: "a cancellation while a block runs, with branches that have ended and one that has not started",
    workflows: [
      `workflow main { parallel { max_parallel = 2 call quick call hanging call waiting call pending } call never always { call clean } }`
    ],
    actions: { hanging: { hangs: 9 }, waiting: { hangs: 9 } },
    cancelAt: "waiting"
  }),
  programOf({
    name: "a cancellation of a run whose child's child runs",
    workflows: [
      `workflow main { call workflow middle call never always { call clean } }`,
      `workflow middle { call workflow inner call never always { call tidy } }`,
      `workflow inner { call hanging always { call sweep } }`
    ],
    actions: { hanging: { hangs: 9 } },
    cancelAt: "hanging"
  }),
  programOf({
    name: "a cancellation while the items of a foreach run",
    workflows: [
      `workflow main {
        call items
        foreach each { over = json scope = { from = "items.list" } max_parallel = 2 workflow = item }
        call never
        always { call clean }
      }`,
      `workflow item { call work call hanging always { call tidy } }`
    ],
    actions: { items: list("p", "q", "r"), hanging: { hangs: 9 } },
    cancelAt: "foreach:each"
  }),
  programOf({
    name: "a cancellation while gates of children wait, long let go",
    workflows: [
      `workflow main {
        call items
        foreach each { over = json scope = { from = "items.list" } max_parallel = 3 workflow = ask }
        always { call clean }
      }`,
      `workflow ask { gate human_review { prompt = "never answered" } always { call tidy } }`
    ],
    actions: { items: list("p", "q") },
    cancelAt: "human_review"
  }),
  programOf({
    name: "a cancellation in the pause between two attempts",
    workflows: [`workflow main { call flaky { retries = 1 retry_delay = "1h" } always { call clean } }`],
    actions: { flaky: { failures: 1 } },
    cancelAt: "flaky"
  }),
  programOf({
    name: "a pause while a call runs whose first attempt fails, and after it",
    workflows: [`workflow main { call before call slow { retries = 1 } call after always { call clean } }`],
    actions: { slow: { delay: 500, failures: 1 } },
    pauseAt: "slow"
  }),
  programOf({
    name: "a pause while the last call before always runs",
    workflows: [`workflow main { call slow always { call clean call tidy } }`],
    actions: { slow: { delay: 500 } },
    pauseAt: "slow"
  }),
  programOf({
    name: "a pause while a block runs that has a branch left to start",
    workflows: [
      `workflow main { parallel { max_parallel = 2 call quick call slow call slower call last } call after }`
    ],
    actions: { slow: { delay: 500 }, slower: { delay: 600 } },
    pauseAt: "slower"
  }),
  programOf({
    name: "a pause while the items of a foreach run, with one left to dispatch",
    workflows: [
      `workflow main {
        call items
        foreach each { over = json scope = { from = "items.list" } max_parallel = 2 workflow = item }
        call after
      }`,
      `workflow item { call work call then always { call tidy } }`
    ],
    actions: { items: list("p", "q", "r"), work: { delay: 500 } },
    pauseAt: "foreach:each"
  }),
  programOf({
    name: "a pause while gates of children wait, long let go, and are answered meanwhile",
    workflows: [
      `workflow main { call workflow middle call after }`,
      `workflow middle { call before call workflow inner call then }`,
      `workflow inner { gate human_approval { prompt = "go?" } call last }`
    ],
    answers: { "go?": approve(700) },
    pauseAt: "human_approval"
  }),
  programOf({
    name: "a pause while a gate waits whose time is over meanwhile",
    workflows: [`workflow main { gate human_review { timeout = "800ms" on_timeout = continue } call after }`],
    pauseAt: "human_review"
  }),
  programOf({
    name: "a pause between two attempts that outlasts their delay",
    workflows: [`workflow main { call flaky { retries = 1 retry_delay = "900ms" } call after }`],
    actions: { flaky: { failures: 1 } },
    pauseAt: "flaky"
  }),
  programOf({
    name: "a pause in the second round of a loop",
    workflows: [`workflow main { do { max_iterations = 5 call first call inner } while inner.more call after }`],
    actions: { inner: { markers: ["more"], markersUntil: 2, delay: 400 } },
    pauseAt: "inner"
  }),
  programOf({
    name: "a pause while the chains of a pipeline run",
    workflows: [
      `workflow main {
        call items
        pipeline each { over = json scope = { from = "items.list" } max_parallel = 1 call work call then }
        call after
      }`
    ],
    actions: { items: list("p", "q", "r"), work: { delay: 500 } },
    pauseAt: "pipeline:each"
  })
]
