/**
 * Programs with the ends that the spec allows, written by hand: they check the model, and the engine with it.
 */
import type { ScriptedAction, ScriptedAnswer, TestProgram } from "../../src/testing/TestProgram.ts"
import { definitionOf } from "../engine/TestEngine.ts"
import type { Case } from "./Model.ts"

export interface HandWritten {
  readonly name: string
  readonly it: Case
  /** Each as its lines in any order. */
  readonly ends: ReadonlyArray<string>
}

interface Script {
  readonly actions?: Readonly<Record<string, ScriptedAction>>
  readonly answers?: Readonly<Record<string, ScriptedAnswer>>
  readonly workflows?: ReadonlyArray<string>
  readonly flag?: boolean
  readonly failFast?: boolean
  readonly runTimeout?: number
  readonly cancelAfter?: number
}

const program = (name: string, text: string, script: Script, ends: ReadonlyArray<string>): HandWritten => {
  const { actions = {}, answers = {}, cancelAfter, failFast = true, flag = false, runTimeout, workflows = [] } = script
  const settings = { failFast, ...(runTimeout === undefined ? {} : { runTimeout }) }
  const played: TestProgram = {
    name,
    definition: definitionOf(`workflow w { inputs { flag boolean } ${text} }`),
    workflows: workflows.map(definitionOf),
    actions,
    answers,
    options: { inputs: { flag: String(flag) }, settings }
  }
  return { name, it: { program: played, ...(cancelAfter === undefined ? {} : { cancelAfter }) }, ends }
}

const takes = (delay: number): ScriptedAction => ({ delay })
const fails = (delay = 0): ScriptedAction => ({ delay, failures: 99 })
const hangs: ScriptedAction = { hangs: 99 }
const marks = (...markers: ReadonlyArray<string>): ScriptedAction => ({ markers })
const items = (...list: ReadonlyArray<unknown>): ScriptedAction => ({ structured: { list } })
const each = (options: string): string =>
  `call items foreach each { over = json scope = { from = "items.list" } workflow = sub ${options} }`
const sub = "workflow sub { call work }"

const sequences = [
  program("steps follow each other", "call a call b", { actions: { a: takes(10), b: takes(5) } }, [
    "run  completed, step /a completed 1 @10, step /b completed 1 @15"
  ]),
  program("an empty body completes", "do { }", {}, ["run  completed"]),
  program("equal keys of a block are numbered", "call a call a do { call a }", {}, [
    "run  completed, step /a completed 1 @0, step /a~2 completed 1 @0, step /do/a completed 1 @0"
  ]),
  program("a failure skips the rest of the body", "call a call b", { actions: { a: fails(7) } }, [
    "run  failed, step /a failed 1 @7"
  ]),
  program(
    "without fail_fast the rest runs, and the run still fails",
    "call a call b",
    { actions: { a: fails() }, failFast: false },
    ["run  failed, step /a failed 1 @0, step /b completed 1 @0"]
  ),
  program(
    "a step that may fail is skipped, and the run goes on",
    "call a { on_fail = continue } call b",
    { actions: { a: fails() } },
    ["run  completed, step /a skipped 1 @0, step /b completed 1 @0"]
  ),
  program(
    "an on_fail action runs, then the step counts as failed",
    "call a { on_fail = fix } call b",
    { actions: { a: fails(3), fix: takes(4) } },
    ["run  failed, step /a failed 1 @3, step /a/on_fail completed 1 @7"]
  ),
  program(
    "the failure of an on_fail action is only logged",
    "call a { on_fail = fix }",
    { actions: { a: fails(), fix: fails() }, failFast: false },
    ["run  failed, step /a failed 1 @0, step /a/on_fail failed 1 @0"]
  )
]

const retries = [
  program(
    "success at an attempt ends the retries",
    "call a { retries = 5 }",
    { actions: { a: { failures: 2, delay: 10 } } },
    ["run  completed, step /a completed 3 @30"]
  ),
  program(
    "there are at most n + 1 attempts",
    "call a { retries = 2 retry_delay = 100ms }",
    { actions: { a: fails(10) } },
    ["run  failed, step /a failed 3 @230"]
  ),
  program(
    "the delay doubles up to its limit",
    `call a { retries = 4 retry_delay = 100ms backoff = exponential max_delay = 300ms }`,
    { actions: { a: fails() } },
    ["run  failed, step /a failed 5 @900"]
  ),
  program(
    "a timeout is a failed attempt",
    "call a { timeout = 50ms retries = 1 }",
    { actions: { a: { hangs: 1, delay: 20 } } },
    ["run  completed, step /a completed 2 @70"]
  ),
  program(
    "a step whose last attempt timed out ends timed out",
    "call a { timeout = 50ms } call b",
    { actions: { a: hangs } },
    ["run  failed, step /a timed_out 1 @50"]
  ),
  program(
    "jitter takes between half and the whole of the delay",
    "call a { retries = 2 retry_delay = 100ms jitter = true backoff = exponential }",
    { actions: { a: fails() } },
    // A draw of 0.3: 0.65 of 100 ms, and of 200 ms.
    ["run  failed, step /a failed 3 @195"]
  ),
  program(
    "an attempt that is silent for too long has timed out",
    "call a { heartbeat = 40ms retries = 1 on_fail = continue }",
    { actions: { a: { ...takes(100), beats: { every: 30, times: 1 } } } },
    ["run  completed, step /a skipped 2 @140"]
  ),
  program(
    "an attempt that tells of itself in time may take as long as it needs",
    "call a { heartbeat = 40ms }",
    { actions: { a: { ...takes(200), beats: { every: 30, times: 6 } } } },
    ["run  completed, step /a completed 1 @200"]
  ),
  program(
    "a script is tried again, has a time limit and an on_fail action, and shows its markers",
    `script a { run = "a" retries = 1 } if a.m { script b { run = "b" timeout = 50ms on_fail = fix } } call c`,
    { actions: { a: { ...marks("m"), failures: 1, delay: 10 }, b: hangs } },
    ["run  failed, step /a completed 2 @20, step /if:a.m/b timed_out 1 @70, step /if:a.m/b/on_fail completed 1 @70"]
  ),
  program(
    "what takes exactly as long as it may has either end",
    "call a { timeout = 50ms on_fail = continue }",
    { actions: { a: takes(50) } },
    ["run  completed, step /a completed 1 @50", "run  completed, step /a skipped 1 @50"]
  )
]

const conditions = [
  program(
    "a marker decides",
    "call a if a.m { call b } unless a.m { call c } if a.other { call d }",
    { actions: { a: marks("m") } },
    ["run  completed, step /a completed 1 @0, step /if:a.m/b completed 1 @0"]
  ),
  program("a boolean input decides", "if flag { call b } unless flag { call c }", { flag: true }, [
    "run  completed, step /if:flag/b completed 1 @0"
  ]),
  program(
    "a step that was skipped for its failure has no markers",
    "call a { on_fail = continue } if a.m { call b }",
    { actions: { a: { ...marks("m"), failures: 9 } } },
    ["run  completed, step /a skipped 1 @0"]
  ),
  program(
    "a while loop ends with its marker",
    "call a while a.m { max_iterations = 9 call a }",
    { actions: { a: { markers: ["m"], markersUntil: 1 } } },
    ["run  completed, step /a completed 1 @0, step /while:a.m/@1/a completed 1 @0, step /while:a.m/@2/a completed 1 @0"]
  ),
  program(
    "a loop over its cap fails, and ends the body in any case",
    "do { max_iterations = 2 call a } while a.m call b",
    { actions: { a: marks("m") }, failFast: false },
    ["run  failed, step /do-while:a.m/@1/a completed 1 @0, step /do-while:a.m/@2/a completed 1 @0"]
  ),
  program(
    "a loop over its cap may go on behind it",
    "do { max_iterations = 1 on_max_iter = continue call a } while a.m call b",
    { actions: { a: marks("m") } },
    ["run  completed, step /do-while:a.m/@1/a completed 1 @0, step /b completed 1 @0"]
  ),
  program(
    "a loop that is stuck fails",
    "call a while a.m { max_iterations = 9 stuck_after = 2 call a }",
    { actions: { a: marks("m") } },
    ["run  failed, step /a completed 1 @0, step /while:a.m/@1/a completed 1 @0, step /while:a.m/@2/a completed 1 @0"]
  )
]

const blocks = [
  program(
    "branches run side by side",
    "parallel { call a call b } call c",
    { actions: { a: takes(30), b: takes(10) } },
    ["run  completed, step /parallel/a completed 1 @30, step /parallel/b completed 1 @10, step /c completed 1 @30"]
  ),
  program(
    "at most max_parallel at once, in order",
    "parallel { max_parallel = 2 call a call b call c }",
    { actions: { a: takes(30), b: takes(10), c: takes(10) } },
    [
      "run  completed, step /parallel/a completed 1 @30, step /parallel/b completed 1 @10, step /parallel/c completed 1 @20"
    ]
  ),
  program(
    "a failure cuts the others off, and none starts",
    "parallel { max_parallel = 2 call a call b call c }",
    { actions: { a: fails(10), b: takes(20) } },
    ["run  failed, step /parallel/a failed 1 @10, step /parallel/b cancelled 0, step /parallel/c cancelled 0"]
  ),
  program(
    "at the same time either comes first",
    "parallel { call a call b }",
    { actions: { a: fails(10), b: takes(10) } },
    [
      "run  failed, step /parallel/a failed 1 @10, step /parallel/b cancelled 0",
      "run  failed, step /parallel/a failed 1 @10, step /parallel/b completed 1 @10"
    ]
  ),
  program(
    "two may fail at the same time, and each has its on_fail action",
    "parallel { call a { on_fail = fix } call b { on_fail = fix } }",
    { actions: { a: fails(10), b: fails(10) } },
    [
      "run  failed, step /parallel/a failed 1 @10, step /parallel/a/on_fail completed 1 @10, step /parallel/b cancelled 0",
      "run  failed, step /parallel/b failed 1 @10, step /parallel/b/on_fail completed 1 @10, step /parallel/a cancelled 0",
      "run  failed, step /parallel/a failed 1 @10, step /parallel/a/on_fail completed 1 @10, step /parallel/b failed 1 @10, step /parallel/b/on_fail completed 1 @10"
    ]
  ),
  program(
    "the on_fail action of a branch that timed out in the same turn as another runs too",
    `parallel { call a { timeout = 50ms } call b { timeout = 50ms on_fail = fix } }`,
    { actions: { a: hangs, b: hangs } },
    [
      "run  failed, step /parallel/a timed_out 1 @50, step /parallel/b cancelled 0",
      "run  failed, step /parallel/b timed_out 1 @50, step /parallel/b/on_fail completed 1 @50, step /parallel/a cancelled 0",
      "run  failed, step /parallel/a timed_out 1 @50, step /parallel/b timed_out 1 @50, step /parallel/b/on_fail completed 1 @50"
    ]
  ),
  program(
    "without fail_fast all end, and min_success decides",
    "parallel { fail_fast = false min_success = 1 call a call b } call c",
    { actions: { a: fails(10), b: takes(20) } },
    ["run  completed, step /parallel/a failed 1 @10, step /parallel/b completed 1 @20, step /c completed 1 @20"]
  ),
  program("a branch whose if is not met counts as a success", "call m parallel { call a { if = m.no } call b }", {}, [
    "run  completed, step /m completed 1 @0, step /parallel/a skipped 0 @0, step /parallel/b completed 1 @0"
  ])
]

const gates = [
  program(
    "an approval lets the run go on",
    `gate human_review { prompt = "p" } call a`,
    { answers: { p: { approved: true, after: 90_000 } } },
    ["run  completed, step /human_review completed 0 @90000, step /a completed 1 @90000"]
  ),
  program(
    "a rejection ends the body, fail_fast or not",
    `gate human_review { prompt = "p" } call a`,
    { answers: { p: { approved: false, after: 20 } }, failFast: false },
    ["run  failed, step /human_review failed 0 @20"]
  ),
  program("a gate that nobody answers fails when its time is up", `gate human_review { timeout = 2m } call a`, {}, [
    "run  failed, step /human_review failed 0 @120000"
  ]),
  program("a gate may time out and go on", `gate human_review { timeout = 1m on_timeout = continue } call a`, {}, [
    "run  completed, step /human_review timed_out 0 @60000, step /a completed 1 @60000"
  ]),
  program(
    "a quality gate passes at its threshold",
    "call a gate quality_gate { source = a threshold = 70 } call b",
    { actions: { a: { structured: { confidence: 70 } } } },
    ["run  completed, step /a completed 1 @0, step /quality_gate completed 0 @0, step /b completed 1 @0"]
  ),
  program(
    "a quality gate that fails ends the body, fail_fast or not",
    "call a gate quality_gate { source = a threshold = 71 } call b",
    { actions: { a: { structured: { confidence: 70 } } }, failFast: false },
    ["run  failed, step /a completed 1 @0, step /quality_gate failed 0 @0"]
  )
]

const children = [
  program(
    "a called workflow is a run of its own, and shows its markers",
    "call workflow sub if sub.m { call a }",
    { workflows: [sub], actions: { work: { ...marks("m"), delay: 10 } } },
    [
      "run  completed, run /workflow:sub#1  completed, step /workflow:sub#1 /work completed 1 @10, step /workflow:sub completed 1 @10, step /if:sub.m/a completed 1 @10"
    ]
  ),
  program(
    "a retry calls it anew",
    "call workflow sub { retries = 1 }",
    { workflows: [sub], actions: { work: fails(10) } },
    [
      "run  failed, run /workflow:sub#1  failed, run /workflow:sub#2  failed, step /workflow:sub#1 /work failed 1 @10, step /workflow:sub#2 /work failed 1 @20, step /workflow:sub failed 2 @20"
    ]
  ),
  program(
    "its time is up: it is cancelled, with its always, and the step timed out",
    "call workflow sub { timeout = 50ms }",
    { workflows: ["workflow sub { call work always { call clean } }"], actions: { work: hangs, clean: takes(20) } },
    [
      "run  failed, run /workflow:sub#1  cancelled, step /workflow:sub#1 /work cancelled 0, step /workflow:sub#1 /@always/clean completed 1 @70, step /workflow:sub timed_out 1 @70"
    ]
  ),
  program(
    "a step that timed out has done so, though its run was let go before its child's end",
    "call workflow sub { timeout = 60ms }",
    {
      workflows: [`workflow sub { gate human_review { prompt = "p" } always { call clean } }`],
      actions: { clean: takes(30) }
    },
    [
      "run  failed, run /workflow:sub#1  cancelled, step /workflow:sub#1 /human_review cancelled 0, step /workflow:sub#1 /@always/clean completed 1 @90, step /workflow:sub timed_out 1 @90"
    ]
  ),
  program(
    "a run that is cancelled while a timed-out child ends calls it no further time",
    "call workflow sub { timeout = 10ms retries = 1 }",
    {
      workflows: ["workflow sub { call work always { call clean } }"],
      actions: { work: fails(), clean: takes(500) },
      cancelAfter: 73
    },
    [
      "run  cancelled, run /workflow:sub#1  failed, step /workflow:sub#1 /work failed 1 @0, step /workflow:sub#1 /@always/clean completed 1 @500, step /workflow:sub cancelled 1"
    ]
  ),
  program(
    "each item is a run of its own",
    each("max_parallel = 2"),
    { workflows: [sub], actions: { items: items("p", "q", "r"), work: { delay: 10, failsFor: ["q"] } } },
    [
      "run  failed, step /items completed 1 @0, step /foreach:each failed 0 @20, step /foreach:each [p] completed, step /foreach:each [q] failed, step /foreach:each [r] completed, run /foreach:each[p]  completed, run /foreach:each[q]  failed, run /foreach:each[r]  completed, step /foreach:each[p] /work completed 1 @10, step /foreach:each[q] /work failed 1 @10, step /foreach:each[r] /work completed 1 @20"
    ]
  ),
  program(
    "a fan-out that halts leaves the rest pending",
    each("max_parallel = 1 on_child_fail = halt"),
    { workflows: [sub], actions: { items: items("p", "q"), work: { delay: 10, failsFor: ["p"] } } },
    [
      "run  failed, step /items completed 1 @0, step /foreach:each failed 0 @10, step /foreach:each [p] failed, step /foreach:each [q] pending, run /foreach:each[p]  failed, step /foreach:each[p] /work failed 1 @10"
    ]
  ),
  program(
    "what depends on a failed item is skipped",
    each("max_parallel = 2 ordered = true on_child_fail = skip_dependents"),
    {
      workflows: [sub],
      actions: {
        items: items({ id: "p" }, { id: "q", blocked_by: ["p"] }, { id: "r", blocked_by: ["q"] }),
        work: { delay: 10, failsFor: ["p"] }
      }
    },
    [
      "run  failed, step /items completed 1 @0, step /foreach:each failed 0 @10, step /foreach:each [p] failed, step /foreach:each [q] skipped, step /foreach:each [r] skipped, run /foreach:each[p]  failed, step /foreach:each[p] /work failed 1 @10"
    ]
  ),
  program(
    "a pipeline's chains do not wait for each other, and a failure ends its own",
    `call items pipeline pipe { over = json scope = { from = "items.list" } max_parallel = 2 call one call two { if = one.m } }`,
    { actions: { items: items("p", "q"), one: { markers: ["m"], delay: 10, failsFor: ["q"] }, two: takes(20) } },
    [
      "run  failed, step /items completed 1 @0, step /pipeline:pipe failed 0 @30, step /pipeline:pipe [p] completed, step /pipeline:pipe [q] failed, step /pipeline:pipe/item:p/one completed 1 @10, step /pipeline:pipe/item:p/two completed 1 @30, step /pipeline:pipe/item:q/one failed 1 @10"
    ]
  )
]

const always = "call a always { call clean }"

const ends = [
  program("always runs after a success", always, { actions: { a: takes(10), clean: takes(5) } }, [
    "run  completed, step /a completed 1 @10, step /@always/clean completed 1 @15"
  ]),
  program(
    "always runs after a failure, each node of it, and changes nothing",
    "call a always { call clean call more }",
    { actions: { a: fails(), clean: fails() } },
    ["run  failed, step /a failed 1 @0, step /@always/clean failed 1 @0, step /@always/more completed 1 @0"]
  ),
  program(
    "a run that is cancelled interrupts its step, and runs always",
    always,
    { actions: { a: takes(100) }, cancelAfter: 50 },
    ["run  cancelled, step /a cancelled 0, step /@always/clean completed 1 @50"]
  ),
  program(
    "a run that is cancelled during always keeps its end",
    always,
    { actions: { a: takes(10), clean: takes(100) }, cancelAfter: 50 },
    ["run  completed, step /a completed 1 @10, step /@always/clean completed 1 @110"]
  ),
  program(
    "a run that is cancelled between two attempts",
    "call a { retries = 1 retry_delay = 1h }",
    { actions: { a: fails(10) }, cancelAfter: 50 },
    ["run  cancelled, step /a cancelled 1"]
  ),
  program(
    "a run that is cancelled as its step ends has either end",
    "call a",
    { actions: { a: takes(50) }, cancelAfter: 50 },
    [
      "run  cancelled, step /a cancelled 0",
      "run  cancelled, step /a completed 1 @50",
      "run  completed, step /a completed 1 @50"
    ]
  ),
  program("a run whose time is up fails", always, { actions: { a: takes(100) }, runTimeout: 50 }, [
    "run  failed, step /a cancelled 0, step /@always/clean completed 1 @50"
  ]),
  program(
    "a run that is cancelled as its time is up has either end",
    always,
    { actions: { a: takes(100) }, runTimeout: 50, cancelAfter: 50 },
    [
      "run  cancelled, step /a cancelled 0, step /@always/clean completed 1 @50",
      "run  failed, step /a cancelled 0, step /@always/clean completed 1 @50"
    ]
  ),
  program(
    "its children are cancelled with it, their always included",
    "call workflow sub always { call clean }",
    {
      workflows: ["workflow sub { call work always { call clean } }"],
      actions: { work: hangs, clean: takes(5) },
      cancelAfter: 50
    },
    [
      "run  cancelled, run /workflow:sub#1  cancelled, step /workflow:sub#1 /work cancelled 0, step /workflow:sub#1 /@always/clean completed 1 @55, step /workflow:sub cancelled 0, step /@always/clean completed 1 @60"
    ]
  )
]

export const handWritten: ReadonlyArray<HandWritten> = [
  ...sequences,
  ...retries,
  ...conditions,
  ...blocks,
  ...gates,
  ...children,
  ...ends
]
