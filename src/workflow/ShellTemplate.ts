/**
 * Templates in shell commands (spec/language.md, "Variables and templates"): values reach the shell as environment
 * variables, and every `{{name}}` becomes a reference that fits its quoting state, so that the shell neither splits,
 * expands nor executes a value.
 *
 * Owns: the rewriting and what a value may hold. How a command is read: `ShellScanner`.
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { Fit } from "./ShellCursor.ts"
import { scan } from "./ShellScanner.ts"
import { type Reference, names } from "./Template.ts"

/** A variable that the command's environment must hold: the value of `name` under the name `env`. */
export interface ShellVariable {
  readonly env: string
  readonly name: string
}

/** A command without templates, and the variables that it reads. */
export interface ShellCommand {
  readonly command: string
  /** One per name, in order of first use; a name that is unknown at run time is set to the empty text. */
  readonly variables: ReadonlyArray<ShellVariable>
}

/** A place of the command where no reference fits; offsets count in the text of `run`. */
export interface ShellTemplateError {
  readonly start: number
  readonly end: number
  readonly message: string
}

/**
 * Rewrites the text of `run`, or says where a `{{name}}` has no fitting reference. Linear in the text's length.
 *
 * The variables are named `MILLRACE_V1`, …, by a prefix that the text itself does not hold; set them last, so that
 * nothing else in the environment takes their names.
 *
 * ```ts
 * compile("echo \"hello {{who}}\"") // command: echo "hello ${MILLRACE_V1}", variables: [{ env: "MILLRACE_V1", name: "who" }]
 * ```
 */
export const compile = (run: string): Either.Either<ShellCommand, ReadonlyArray<ShellTemplateError>> => {
  const references = names(run)
  if (references.length === 0) return Either.right({ command: run, variables: [] })
  const { fits, problems } = scan(run, references)
  if (problems.length > 0) return Either.left(problems)
  return Either.right(rewrite(run, references, fits))
}

const rewrite = (run: string, references: ReadonlyArray<Reference>, fits: ReadonlyMap<number, Fit>): ShellCommand => {
  const prefix = freePrefix(run)
  const variables = new Map<string, string>()
  let command = ""
  let from = 0
  for (const { end, name, start } of references) {
    const fit = fits.get(start)
    if (fit === undefined) throw new Error(`invariant: the shell scanner passed over {{${name}}} at ${start}`)
    command += run.slice(from, start)
    from = end
    if (fit === "comment") {
      command += run.slice(start, end)
      continue
    }
    const env = variables.get(name) ?? `${prefix}${variables.size + 1}`
    variables.set(name, env)
    command += reference(fit, env)
  }
  return { command: command + run.slice(from), variables: [...variables].map(([name, env]) => ({ env, name })) }
}

const reference = (fit: Exclude<Fit, "comment">, env: string): string => {
  switch (fit) {
    case "bare":
      return `"\${${env}}"`
    case "double":
      return `\${${env}}`
    case "single":
      return `'"\${${env}}"'`
  }
}

const freePrefix = (run: string): string => {
  let prefix = "MILLRACE_V"
  while (run.includes(prefix)) prefix += "_"
  return prefix
}

/** The longest `NAME=value`, in bytes: Linux's limit for one variable less its final NUL. */
export const maxEnvironmentBytes = 131_071

/** A value that no environment variable can hold: the step that uses it fails. */
export class UnusableEnvironmentValue extends Schema.TaggedError<UnusableEnvironmentValue>()(
  "UnusableEnvironmentValue",
  {
    /** The variable's name as the workflow writes it. */
    name: Schema.String,
    reason: Schema.Literal("nul", "size"),
    /** Of `NAME=value`. */
    bytes: Schema.Int
  }
) {
  override get message() {
    return this.reason === "nul"
      ? `the value of '${this.name}' holds a NUL character, which no environment variable can hold`
      : `the value of '${this.name}' takes ${this.bytes} bytes with its name; an environment variable holds at most ${maxEnvironmentBytes}`
  }
}

/**
 * What keeps a value out of the environment: a NUL, or more than 131,071 bytes of `env=value` (UTF-8).
 * `name` is what the message says; `env` the variable's name in the environment.
 */
export const checkEnvironmentValue = (
  name: string,
  value: string,
  env: string = name
): UnusableEnvironmentValue | undefined => {
  const bytes = Buffer.byteLength(env) + 1 + Buffer.byteLength(value)
  if (value.includes("\0")) return new UnusableEnvironmentValue({ name, reason: "nul", bytes })
  return bytes > maxEnvironmentBytes ? new UnusableEnvironmentValue({ name, reason: "size", bytes }) : undefined
}

/**
 * Whether the text of `run` names a file instead of being a shell command: no blank, and a `/`
 * (spec/engine.md, "script"). Decided on the text as written, before templates are replaced.
 */
export const isScriptPath = (run: string): boolean => run.includes("/") && !/\s/.test(run)
