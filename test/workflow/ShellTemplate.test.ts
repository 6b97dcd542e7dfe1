import { spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as fc from "fast-check"
import {
  checkEnvironmentValue,
  compile,
  isScriptPath,
  maxEnvironmentBytes,
  type ShellTemplateError
} from "../../src/workflow/ShellTemplate.ts"

/** Runs a `run` text in an empty folder; gives what it printed, cut at NULs, and the files that it left. */
const runShell = (run: string, values: Readonly<Record<string, string>>) => {
  const { command, variables } = Either.getOrThrowWith(compile(run), (problems) => new Error(JSON.stringify(problems)))
  const folder = mkdtempSync(join(tmpdir(), "millrace-shell-"))
  try {
    const env = Object.fromEntries(variables.map(({ env, name }) => [env, values[name] ?? ""]))
    const done = spawnSync("sh", ["-c", command], {
      cwd: folder,
      env: { PATH: process.env["PATH"], ...env },
      maxBuffer: 1 << 26
    })
    return {
      printed: done.stdout.toString("utf8").split("\0").slice(0, -1),
      stderr: done.stderr.toString("utf8"),
      files: readdirSync(folder)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const problemsOf = (run: string): ReadonlyArray<ShellTemplateError> => Either.getOrThrow(Either.flip(compile(run)))

const commandOf = (run: string): string => Either.getOrThrow(compile(run)).command

/** Values that a careless quoting would split, expand or execute. */
const hostile = [
  "",
  "plain",
  "two words",
  "  padded  ",
  "tab\tnewline\n\nend\n",
  "'",
  '"',
  'it\'s "both"',
  "$(touch pwned)",
  "`touch pwned`",
  "'; touch pwned; '",
  '"; touch pwned; "',
  "}; touch pwned; {",
  "\nEOF\ntouch pwned\n",
  "$HOME ${HOME} $$ $((1+1))",
  "{{a}} }}",
  "* ? [a-z] ~ {a,b}",
  "-n",
  "--help",
  "\\",
  "\\n \\\\ \\$x",
  "#comment",
  "a;b&c|d>e<f(g)h",
  "ünïcödé 😀",
  "%s %d",
  "!history",
  "\r\n",
  "\u0001\u007f"
]

const value = fc.oneof(
  fc.constantFrom(...hostile),
  fc
    .array(fc.constantFrom("'", '"', "\\", "$", "`", "(", ")", "{", "}", " ", "\n", "*", "-", "x", "EOF"), {
      maxLength: 12
    })
    .map((parts) => parts.join("")),
  fc.string({ unit: "binary", maxLength: 20 }).map((text) => text.replaceAll("\0", ""))
)

/** One state a line: what is printed for the value `v` of `{{x}}`. */
const states: ReadonlyArray<readonly [run: string, expected: (v: string) => string]> = [
  ["{{x}}", (v) => v],
  ["a{{x}}b", (v) => `a${v}b`],
  ['"{{x}}"', (v) => v],
  ['"a {{x}} b"', (v) => `a ${v} b`],
  ["'{{x}}'", (v) => v],
  ["'a {{x}} b'", (v) => `a ${v} b`],
  ["'\\{{x}}'", (v) => `\\${v}`],
  ["'${{x}}'", (v) => `$${v}`],
  ['"\\\\{{x}}"', (v) => `\\${v}`],
  ['"\\${{x}}"', (v) => `$${v}`],
  ['\\"{{x}}\\"', (v) => `"${v}"`],
  ["\\'{{x}}\\'", (v) => `'${v}'`],
  ["\"'{{x}}'\"", (v) => `'${v}'`],
  ["'\"{{x}}\"'", (v) => `"${v}"`],
  ["\"$(printf '%s.' {{x}})\"", (v) => `${v}.`],
  ['"$(printf \'%s.\' "{{x}}")"', (v) => `${v}.`],
  ["\"$(printf '%s.' '{{x}}')\"", (v) => `${v}.`],
  ["\"`printf '%s.' {{x}}`\"", (v) => `${v}.`],
  ['"`printf \'%s.\' "{{x}}"`"', (v) => `${v}.`],
  ['"`printf \'%s.\' \\"{{x}}\\"`"', (v) => `${v}.`],
  ["\"`printf '%s.' '{{x}}'`\"", (v) => `${v}.`],
  ["\"$(printf '%s.' \"`printf '%s.' {{x}}`\")\"", (v) => `${v}..`],
  ["${unset:-{{x}}}", (v) => v],
  ['${unset:-"{{x}}"}', (v) => v],
  ['"${unset:-{{x}}}"', (v) => v],
  ['"${unset:-"{{x}}"}"', (v) => v],
  ["\"${unset:-'{{x}}'}\"", (v) => `'${v}'`],
  ['"${PATH:+{{x}}}"', (v) => v],
  ['"$(cat <<EOF\n{{x}}\nEOF\nprintf .)"', (v) => `${v}\n.`],
  ['"$(cat <<-EOF\n\t{{x}}\n\tEOF\nprintf .)"', (v) => `${v}\n.`],
  ['"$(cat <<EOF\n"{{x}}" \'{{x}}\'\nEOF\nprintf .)"', (v) => `"${v}" '${v}'\n.`],
  ["\"$(cat <<EOF\n$(printf '%s.' {{x}})\nEOF\nprintf .)\"", (v) => `${v}.\n.`],
  ["\"$(cat <<EOF\n`printf '%s.' {{x}}`\nEOF\nprintf .)\"", (v) => `${v}.\n.`],
  ["\"$(cat <<A <<'B'\n{{x}}\nA\nplain\nB\nprintf .)\"", () => "plain\n."],
  ['"$(case {{x}} in "{{x}}") printf \'%s.\' {{x}};; esac)"', (v) => `${v}.`],
  ['"$(case q in (p) ;; q|r) case {{x}} in *) printf %s. {{x}};; esac;; esac)"', (v) => `${v}.`],
  ['"$(v={{x}}; printf \'%s.\' "$v")"', (v) => `${v}.`],
  ['"$(for v in {{x}} {{x}}; do printf \'%s.\' "$v"; done)"', (v) => `${v}.${v}.`],
  ['"$(v={{x}}q; printf \'%s.\' "${v#{{x}}}")"', () => "q."],
  ["\"$(v=q{{x}}; printf '%s.' ${v%{{x}}})\"", () => "q."],
  ["\"$( # a comment with ) and {{x}} ' in it\nprintf '%s.' {{x}})\"", (v) => `${v}.`],
  ['"$((1 + $(printf \'%s\' "{{x}}" | wc -l | tr -d " ") * 0))"', () => "1"],
  ["\\\n{{x}}", (v) => v]
]

/** What commands are put together from at random: the start and end of every quoting state. */
const hazards =
  "{{x}}|{{x}}|{{x}}|'|\"|`|$|$(|(|)|$((|))|${|${v:-|${v#|}|\\|\n| | |<<E|\nE\n|<<-'E'|#|case a in| a) |;;|esac|$'|;|echo |v=|a".split(
    "|"
  )

describe("ShellTemplate", () => {
  it("hands every value to the shell intact and executes nothing, in every quoting state", { timeout: 60_000 }, () => {
    const batch = fc.array(value, { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(batch, (values) => {
        const { files, printed, stderr } = printStates(values)
        expect(stderr).toBe("")
        expect(printed).toEqual(values.flatMap((v) => states.map(([, expected]) => expected(v))))
        expect(files).toEqual([])
      }),
      { numRuns: 15, examples: [[hostile]] }
    )
  })

  it("does so in states nested at random", { timeout: 60_000 }, () => {
    const batch = fc.array(fc.tuple(word, value), { minLength: 20, maxLength: 30 })
    fc.assert(
      fc.property(batch, (cases) => {
        const values = Object.fromEntries(cases.map(([, v], index) => [`x${index}`, v]))
        const run = cases.map(([word], index) => `printf '%s\\0' ${word.text.replaceAll("{{x}}", `{{x${index}}}`)}`)
        const { files, printed, stderr } = runShell(run.join("\n"), values)
        expect(stderr).toBe("")
        expect(printed).toEqual(cases.map(([word, v]) => word.expected(v)))
        expect(files).toEqual([])
      }),
      { numRuns: 20 }
    )
  })

  it("lets no value run as code, whatever the command around it", { timeout: 60_000 }, () => {
    const piece = fc.constantFrom(...hazards)
    const attack =
      "a; touch pwned; $(touch pwned) `touch pwned` '; touch pwned; ' \"; touch pwned; \" $((v[$(touch pwned)]))"
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 12 }), (pieces) => {
        const run = `echo ${pieces.join("")}`
        fc.pre(Either.isRight(compile(run)) && run.includes("{{x}}"))
        expect(runShell(run, { x: attack }).files).toEqual([])
      }),
      { numRuns: 300, maxSkipsPerRun: 1_000 }
    )
  })

  it("is total: every text gives a command or problems inside the text", () => {
    const piece = fc.constantFrom(
      "{{x}}",
      "{{",
      "}}",
      "'",
      '"',
      "`",
      "$",
      "$(",
      ")",
      "((",
      "$((",
      "))",
      "${",
      "}",
      "${a#",
      "\\",
      "\n",
      " ",
      "<<E",
      "\nE\n",
      "#",
      "case a in",
      ";;",
      "esac",
      "$'",
      "<<-'E'",
      "<<<",
      ";",
      "a",
      "\0"
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
        const run = pieces.join("")
        const problems = Either.match(compile(run), { onLeft: (problems) => problems, onRight: () => undefined })
        expect(problems?.length).not.toBe(0)
        expect((problems ?? []).filter(({ end, start }) => start < 0 || end <= start || start > run.length)).toEqual([])
      }),
      { numRuns: 3_000 }
    )
  })

  it("names variables by a prefix that the text does not hold, one for each name", () => {
    expect(Either.getOrThrow(compile("echo {{a}} {{b}} {{inputs.a}}"))).toEqual({
      command: 'echo "${MILLRACE_V1}" "${MILLRACE_V2}" "${MILLRACE_V1}"',
      variables: [
        { env: "MILLRACE_V1", name: "a" },
        { env: "MILLRACE_V2", name: "b" }
      ]
    })
    expect(commandOf("echo $MILLRACE_V1 {{a}}")).toBe('echo $MILLRACE_V1 "${MILLRACE_V_1}"')
  })

  it("leaves a command without names, and names in comments, as they are", () => {
    expect(commandOf("echo 'unclosed {{")).toBe("echo 'unclosed {{")
    expect(Either.getOrThrow(compile("true # {{a}}"))).toEqual({ command: "true # {{a}}", variables: [] })
    expect(commandOf("echo a#{{a}}")).toBe('echo a#"${MILLRACE_V1}"')
  })

  it("closes and reopens dollar quotes", () => {
    expect(commandOf("echo $'a\\t{{x}} b'")).toBe("echo $'a\\t'\"${MILLRACE_V1}\"' b'")
  })

  it.each([
    ["echo \\{{x}}", "{{x}}", "behind a backslash"],
    ['echo "\\{{x}}"', "{{x}}", "behind a backslash"],
    ['echo "`echo \\\\\\{{x}}`"', "{{x}}", "behind a backslash"],
    ["echo ${{x}}", "{{x}}", "behind a $"],
    ['echo "$\\\n{{x}}"', "{{x}}", "behind a $"],
    ["echo $(( {{x}} + 1 ))", "{{x}}", "inside $(( ))"],
    ["echo $(( ${a:-{{x}}} + 1 ))", "{{x}}", "inside $(( ))"],
    ["(( {{x}} > 1 ))", "{{x}}", "inside (("],
    ["echo ${a{{x}}}", "{{x}}", "inside ${ }"],
    ["echo ${a/b/{{x}}}", "{{x}}", "inside ${ }"],
    ["cat <<'EOF'\n{{x}}\nEOF", "{{x}}", "delimiter is quoted"],
    ["cat <<\\EOF\n{{x}}\nEOF", "{{x}}", "delimiter is quoted"],
    ["cat <<{{x}}\nEOF", "{{x}}", "delimiter of a here-document"],
    ["cat <<EOF\n\\{{x}}\nEOF", "{{x}}", "behind a backslash"],
    ["echo $'a\\'{{x}}'", "\\", "differently"],
    ["echo $'{{x}}\\n'", "\\", "differently"],
    ["echo \"${a#'{{x}}'}\"", "'", "differently"],
    ["echo '{{x}}", "'{{x}}", "never closed"],
    ['echo {{x}} "', '"', "never closed"],
    ["echo $(echo {{x}}", "$(", "never closed"],
    ["echo `echo {{x}}", "`", "never closed"],
    ["echo $[{{x}}]", "$[", "arithmetic"],
    ["echo {{x}} \0", "\0", "NUL"]
  ])("refuses %j, where no reference fits", (run, at, why) => {
    const [problem] = problemsOf(run)
    expect(problem?.message).toContain(why)
    expect(problem?.start).toBe(run.indexOf(at))
  })

  it("reports every place of a text, in order", () => {
    expect(problemsOf("a ${{x}} b ${{y}}").map(({ end, start }) => [start, end])).toEqual([
      [3, 8],
      [12, 17]
    ])
  })

  it("keeps reading in step behind here-documents, here-strings and case patterns", () => {
    expect(commandOf("cat <<EOF\nit's\nEOF\necho {{x}}")).toContain('echo "${MILLRACE_V1}"')
    expect(commandOf("cat <<EOF\nEOF\\\nEOF\nEOF\necho '{{x}}'")).toContain(`echo ''"\${MILLRACE_V1}"''`)
    expect(commandOf("cat <<<{{x}}")).toBe('cat <<<"${MILLRACE_V1}"')
    expect(commandOf('echo "$(case a in a) esac; echo {{x}})"')).toContain('echo "${MILLRACE_V1}")"')
  })

  it("does not run out of stack", () => {
    expect(
      problemsOf(`echo ${"$(".repeat(50_000)}{{x}}`).some(({ message }) => message.includes("nested more than 64 deep"))
    ).toBe(true)
  })
})

describe("checkEnvironmentValue", () => {
  it("refuses NUL", () => {
    const problem = checkEnvironmentValue("note", "a\0b")
    expect(problem?.message).toBe("the value of 'note' holds a NUL character, which no environment variable can hold")
  })

  it("counts NAME=value in bytes, as Linux does", () => {
    const room = maxEnvironmentBytes - "FLOW_X=".length
    expect(checkEnvironmentValue("x", "a".repeat(room), "FLOW_X")).toBeUndefined()
    expect(checkEnvironmentValue("x", "a".repeat(room + 1), "FLOW_X")).toMatchObject({
      _tag: "UnusableEnvironmentValue",
      name: "x",
      reason: "size",
      bytes: maxEnvironmentBytes + 1
    })
    expect(checkEnvironmentValue("x", "é".repeat(65_536), "X")?.bytes).toBe(131_074)
  })

  it("is the limit that the system has", () => {
    const spawn = (length: number) => spawnSync("/bin/true", { env: { X: "a".repeat(length) } }).error
    expect(spawn(maxEnvironmentBytes - 2)).toBeUndefined()
    expect(spawn(maxEnvironmentBytes - 1)).toMatchObject({ code: "E2BIG" })
  })
})

describe("isScriptPath", () => {
  it("takes a text without blanks and with a slash for a path", () => {
    expect(["scripts/a.sh", "./a", "{{dir}}/a.sh"].map(isScriptPath)).toEqual([true, true, true])
    expect(["make", "cat a/b", "a/b\n", "a/b\tc"].map(isScriptPath)).toEqual([false, false, false, false])
  })
})

/** Prints every state of every value by one shell. */
const printStates = (values: ReadonlyArray<string>) => {
  const lines = values.flatMap((_, index) =>
    states.map(([text]) => `printf '%s\\0' ${text.replaceAll("{{x}}", `{{x${index}}}`)}`)
  )
  return runShell(lines.join("\n"), Object.fromEntries(values.map((v, index) => [`x${index}`, v])))
}

/** A word of a command, and what it expands to for a value of `{{x}}`. */
interface Word {
  readonly text: string
  readonly expected: (value: string) => string
}

const backtickEscaped = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("`", "\\`")

const leaves: ReadonlyArray<Word> = [
  { text: "{{x}}", expected: (v) => v },
  { text: '"{{x}}"', expected: (v) => v },
  { text: "'{{x}}'", expected: (v) => v },
  { text: '"${unset:-a {{x}}}"', expected: (v) => `a ${v}` },
  { text: "lit'q {{x}}'\"d {{x}}\"", expected: (v) => `litq ${v}d ${v}` }
]

/** How a word may stand within another; each level has a delimiter of its own. */
const wrappers: ReadonlyArray<(word: Word, level: number) => Word> = [
  (w) => ({ text: `"$(printf '%s.' ${w.text})"`, expected: (v) => `${w.expected(v)}.` }),
  (w) => ({ text: `"\`printf '%s.' ${backtickEscaped(w.text)}\`"`, expected: (v) => `${w.expected(v)}.` }),
  (w) => ({ text: `"<$(case ')' in ")") printf '%s.' ${w.text};; esac)>"`, expected: (v) => `<${w.expected(v)}.>` }),
  (w, level) => ({
    text: `"$(cat <<E${level} && printf .\n{{x}} $(printf '%s.' ${w.text})\nE${level}\n)"`,
    expected: (v) => `${v} ${w.expected(v)}.\n.`
  }),
  (w) => ({ text: `\${unset:-${w.text}}`, expected: w.expected }),
  (w) => ({ text: `a${w.text}b`, expected: (v) => `a${w.expected(v)}b` }),
  (w) => ({ text: `"$( (printf '%s.' ${w.text}) )"`, expected: (v) => `${w.expected(v)}.` })
]

const word: fc.Arbitrary<Word> = fc
  .tuple(fc.constantFrom(...leaves), fc.array(fc.constantFrom(...wrappers), { maxLength: 3 }))
  .map(([leaf, around]) => around.reduce((inner, wrap, level) => wrap(inner, level), leaf))
