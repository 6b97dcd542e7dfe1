import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import { renderAll } from "../../src/workflow/DiagnosticRenderer.ts"
import { decodeSource, maxFileBytes, maxNesting, maxProblems, parse } from "../../src/workflow/Parser.ts"
import { syntaxCodes } from "../../src/workflow/SyntaxCodes.ts"

/** One mistake, or one kind of mistake, in each. */
const cases: Readonly<Record<string, string>> = {
  "the file is empty": "  \n",
  "the file holds comments only": "// nothing yet\n",
  "the header is misspelt": "workflw deploy {\n  call build\n}\n",
  "the file begins with something else": "call build\n",
  "the workflow has no name": "workflow {\n  call build\n}\n",
  "the workflow's name is quoted": 'workflow "deploy" {\n  call build\n}\n',
  "the workflow has no braces": "workflow deploy\n  call build\n",
  "text follows the closing brace": "workflow deploy {\n  call build\n}\ncall test\n",
  "a closing brace too many": "workflow deploy {\n  if build.ok {\n    call test\n  }\n  }\n  cal publish\n}\n",
  "two workflows in a file": "workflow a {\n  call build\n}\n\nworkflow b {\n  call test\n}\n",
  "a block is never closed": "workflow deploy {\n  if build.ok {\n    call test\n",
  "the indentation shows the block that is not closed":
    "workflow deploy {\n  if build.ok {\n    call test\n\n  call publish\n}\n",
  "a brace is missing in front of the next step":
    "workflow deploy {\n  call build {\n    retries = 2\n\n  call test\n}\n",
  "a map is never closed":
    'workflow deploy {\n  script s {\n    run = "ls"\n    env = {\n      A = "x"\n  }\n  call b\n}\n',
  "a list is never closed": 'workflow deploy {\n  call review {\n    with = ["a", "b"\n    retries = 2\n  }\n}\n',
  "an opening brace is missing":
    "workflow deploy {\n  if build.ok\n    call test\n  }\n  gate human_approval\n  call publish\n}\n",
  "a text is never closed": 'workflow deploy {\n  script s {\n    run = "ls\n  }\n}\n',
  "a text in other quotes": "workflow deploy {\n  script s {\n    run = 'ls'\n  }\n}\n",
  "curly quotes": "workflow deploy {\n  script s {\n    run = “ls”\n  }\n}\n",
  "comments of other languages":
    "workflow deploy {\n  -- the build\n  call build\n  /* the\n  tests */\n  call test\n}\n",
  "characters without meaning":
    "workflow deploy {\n  call build;\n  call $test\n  call b@c\n  script s { run = ./x.sh }\n}\n",
  "a colon for an equals sign": "workflow deploy {\n  call build {\n    retries: 2\n  }\n}\n",
  "words that begin no step": "workflow deploy {\n  paralel {\n    cal a\n  }\n  build\n  step b\n  finally {}\n}\n",
  "an option in the place of a step": 'workflow deploy {\n  do {\n    output "x"\n    call a\n  }\n}\n',
  "no else": "workflow deploy {\n  if a.b {\n    call c\n  } else {\n    call d\n  }\n}\n",
  "meta and inputs inside of a step":
    'workflow deploy {\n  do {\n    meta { title = "x" }\n    inputs { a }\n    workflow x { }\n  }\n}\n',
  "an option in the wrong place":
    'workflow deploy {\n  title = "x"\n  retries = 2\n  do {\n    call a\n    output = "x"\n  }\n  always {\n    retries = 2\n    call b\n  }\n}\n',
  "env without equals": 'workflow deploy {\n  script s {\n    run = "ls"\n    env {\n      A = "x"\n    }\n  }\n}\n',
  "inputs of a call, misspelt":
    "workflow deploy {\n  call build {\n    input { limit = 3 }\n  }\n  call test {\n    input = { limit = 3 }\n  }\n}\n",
  "options without equals or value":
    "workflow deploy {\n  call a {\n    retries 2\n    jitter\n    output =\n    as = \n  }\n}\n",
  "an unknown option":
    "workflow deploy {\n  call a {\n    retires = 2\n    fail_fast = true\n    colour = red\n    if = b.c\n  }\n}\n",
  "options of a node that has none": "workflow deploy {\n  if a.b {\n    retries = 2\n    call c\n  }\n}\n",
  "an unknown key of meta": 'workflow deploy {\n  meta {\n    titel = "x"\n  }\n  call a\n}\n',
  "an option written twice": "workflow deploy {\n  call a {\n    retries = 2\n    retries = 3\n  }\n}\n",
  "a name written twice in a map":
    'workflow deploy {\n  script s {\n    run = "x"\n    env = { A = "1" A = "2" }\n  }\n}\n',
  "inputs in both forms":
    'workflow deploy {\n  call workflow x {\n    inputs { a = "1" b = "2" }\n    inputs = { b = "3" }\n  }\n}\n',
  "a reserved name": 'workflow deploy {\n  inputs { __proto__ }\n  call workflow x { inputs { __proto__ = "1" } }\n}\n',
  "inputs that are no declarations":
    'workflow deploy {\n  inputs {\n    ticket = "1"\n    a required = true\n    b defualt = "x"\n    "c"\n    d secret = maybe\n    e boolean default = "perhaps"\n  }\n  call a\n}\n',
  "names of the wrong kind":
    'workflow deploy {\n  call workflow "x"\n  gate { }\n  script "s" { run = "x" }\n  call agents.review\n  call agents/review\n  call ""\n  call\n}\n',
  "paths that lead out of the project":
    'workflow deploy {\n  call "../x.md"\n  call "/etc/x.md"\n  call a { on_fail = "agents/../../x.md" }\n}\n',
  "numbers that are none":
    'workflow deploy {\n  call a {\n    retries = many\n    max_turns = 1.5\n  }\n  call b {\n    retries = -1\n    max_turns = "99999999999999999999"\n  }\n  call c { retries = [1] }\n}\n',
  "numbers out of range":
    "workflow deploy {\n  call a\n  while a.b {\n    max_iterations = 0\n    stuck_after = 0\n  }\n  gate quality_gate {\n    source = a\n    threshold = 101\n  }\n  gate human_approval {\n    min_approvals = 0\n  }\n}\n",
  "durations that are none":
    'workflow deploy {\n  call a {\n    timeout = "1parsec"\n    heartbeat = 1parsec\n    retry_delay = 10x\n  }\n  call b {\n    timeout = "9007199254740993ms"\n    heartbeat = 99999999999999h\n    max_delay = { a = "1" }\n  }\n}\n',
  "truth values that are none":
    "workflow deploy {\n  call a { jitter = yes }\n  parallel {\n    fail_fast = True\n    call b\n  }\n  call c { jitter = [true] }\n}\n",
  "words that are none of the possible ones":
    "workflow deploy {\n  call a { backoff = exponental }\n  do {\n    max_iterations = 2\n    on_max_iter = stop\n    call b\n  } while b.c\n  foreach f {\n    over = t\n    workflow = w\n    max_parallel = 1\n    on_child_fail = [halt]\n  }\n}\n",
  "values of the wrong shape":
    'workflow deploy {\n  call a {\n    output = ["x"]\n    with = { a = "x" }\n    plugin_dirs = "x"\n    inputs = "x"\n    on_fail = { a = "x" }\n  }\n  script s {\n    run = ["a"]\n    env = { A = ["x"] }\n  }\n  gate human_review {\n    options = yes\n  }\n}\n',
  "a text that must not be empty":
    'workflow deploy {\n  foreach f {\n    over = ""\n    workflow = "w"\n    max_parallel = 1\n  }\n}\n',
  "conditions that are none":
    'workflow deploy {\n  if {\n    call a\n  }\n  unless 3 {\n    call b\n  }\n  parallel {\n    call c { if = "a." }\n    call d { if = [x] }\n  }\n}\n',
  "a name with too many dots": "workflow deploy {\n  if a.b.c {\n    call d { model = claude-3.5 }\n  }\n}\n",
  "a loop over an input":
    "workflow deploy {\n  while fast {\n    max_iterations = 3\n    call a\n  }\n  do {\n    max_iterations = 3\n    call b\n  } while fast\n}\n",
  "a loop without a limit": "workflow deploy {\n  while a.b {\n    call a\n  }\n  do {\n    call b\n  } while b.c\n}\n",
  "delays above what they may be":
    "workflow deploy {\n  call a {\n    retries = 2\n    retry_delay = 2h\n  }\n  parallel {\n    call b {\n      retry_delay = 90s\n      max_delay = 1m\n    }\n    call c {\n      retry_delay = 90m\n      max_delay = 90m\n    }\n  }\n}\n",
  "a loop that is stuck at once":
    "workflow deploy {\n  while a.b {\n    max_iterations = 3\n    stuck_after = 1\n    call a\n  }\n}\n",
  "loop options without while": "workflow deploy {\n  do {\n    max_iterations = 3\n    call a\n  }\n}\n",
  "a while with a block ends no do":
    "workflow deploy {\n  do {\n    max_iterations = 3\n    call a\n  }\n  while a.b {\n    max_iterations = 3\n    call c\n  }\n}\n",
  "the old form of a do loop":
    "workflow deploy {\n  do review.has_issues {\n    max_iterations = 3\n    call review\n  }\n}\n",
  "options of do on a loop":
    'workflow deploy {\n  do {\n    max_iterations = 3\n    output = "x"\n    call a\n  } while a.b\n}\n',
  "the old name of if":
    'workflow deploy {\n  parallel {\n    call a { skip_unless = "b.c" }\n  }\n  call d { skip_unless = "b.c" }\n}\n',
  "a parallel block without calls": "workflow deploy {\n  parallel {\n    fail_fast = true\n  }\n}\n",
  "other steps in a parallel block":
    'workflow deploy {\n  parallel {\n    cal a\n    call workflow b\n    script c { run = "x" }\n    fail_fast true\n    3\n  }\n}\n',
  "more successes than calls": "workflow deploy {\n  parallel {\n    min_success = 3\n    call a\n    call b\n  }\n}\n",
  "a quality gate that pauses":
    "workflow deploy {\n  gate quality_gate {\n    source = a\n    threshold = 80\n    on_fail = pause\n  }\n}\n",
  "a quality gate without its options": 'workflow deploy {\n  gate quality_gate {\n    prompt = "x"\n  }\n}\n',
  "approvals in a review decision":
    "workflow deploy {\n  gate pr_approval {\n    mode = review_decision\n    min_approvals = 2\n  }\n}\n",
  "options for a gate that no human answers": 'workflow deploy {\n  gate pr_checks {\n    options = ["a"]\n  }\n}\n',
  "a foreach without max_parallel":
    "workflow deploy {\n  foreach f {\n    over = tickets\n    workflow = child\n  }\n}\n",
  "a pipeline without its options": "workflow deploy {\n  pipeline p {\n  }\n}\n",
  "a script without run": "workflow deploy {\n  script s {\n  }\n}\n",
  "blocks that are nested too deep": `workflow deploy {\n${"do {".repeat(maxNesting)}call a${"}".repeat(maxNesting)}\n}\n`,
  "lists that are nested too deep": `workflow deploy {\n  foreach f {\n    over = a\n    workflow = w\n    max_parallel = 1\n    scope = { a = ${"[".repeat(maxNesting)}${"]".repeat(maxNesting)} }\n  }\n}\n`
}

const shown = (file: ReturnType<typeof parse>): string => {
  const { text } = file.source
  return `${text.length > 1500 ? `${text.slice(0, 1500)}…\n` : text}\n${"─".repeat(60)}\n${renderAll(file.diagnostics)}\n`
}

describe("syntax diagnostics", () => {
  for (const [name, text] of Object.entries(cases)) {
    it(`says what is wrong: ${name}`, () => {
      expect(shown(parse({ file: "deploy.wf", text }))).toMatchSnapshot()
    })
  }

  const bytes: Readonly<Record<string, Uint8Array>> = {
    "a file that is too large": new Uint8Array(maxFileBytes + 1).fill(0x20),
    "a binary file": new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 0, 0]),
    "a file in UTF-16": new Uint8Array([0xff, 0xfe, 0x77, 0]),
    "a file in Latin 1": new Uint8Array([0x77, 0xfc, 0x20]),
    "an empty file": new Uint8Array()
  }

  for (const [name, content] of Object.entries(bytes)) {
    it(`refuses ${name}`, () => {
      const refused = Either.flip(decodeSource("deploy.wf", content))
      expect(renderAll(Either.getOrThrow(refused))).toMatchSnapshot()
    })
  }

  it("stops reporting at a limit", () => {
    const text = `workflow deploy {\n${"  @\n".repeat(maxProblems * 2)}}\n`
    const { diagnostics } = parse({ file: "deploy.wf", text })
    expect(diagnostics).toHaveLength(maxProblems + 1)
    expect(diagnostics.filter(({ code }) => code === "too-many-problems")).toMatchObject([{ severity: "error" }])
  })

  it("has a case for every code", () => {
    const reported = new Set([
      "too-many-problems",
      ...Object.values(cases).flatMap((text) => parse({ file: "x", text }).diagnostics.map(({ code }) => code)),
      ...Object.values(bytes).flatMap((content) =>
        Either.match(decodeSource("x", content), {
          onLeft: (problems) => problems.map(({ code }) => code),
          onRight: () => []
        })
      )
    ])
    expect([...reported].toSorted()).toEqual(Object.keys(syntaxCodes).toSorted())
  })
})
