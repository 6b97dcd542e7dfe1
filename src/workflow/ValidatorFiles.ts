/**
 * What nodes name outside of their file: actions, schemas, snippets and scripts
 * (spec/language.md, "Semantic validation").
 */
import * as Either from "effect/Either"
import type { ActionRef, OnFail, ScriptNode } from "./Definition.ts"
import { offsetInString } from "./Lexer.ts"
import { compile, isScriptPath, type ShellTemplateError } from "./ShellTemplate.ts"
import type { Span } from "./Source.ts"
import { hasNames } from "./Template.ts"
import type { Host } from "./ValidatorHost.ts"
import { checkPayload } from "./ValidatorPayload.ts"
import { type Place, searchedHint, shown, type Subject, suggestion } from "./ValidatorReport.ts"
import type { Scope } from "./ValidatorScope.ts"

export const checkAction = (
  subject: Subject,
  action: ActionRef,
  place: Place,
  pluginDirs: ReadonlyArray<string> = []
): void => {
  const lookup = subject.host.action(action, subject.name, pluginDirs)
  if (lookup._tag === "Found") return
  const name = action._tag === "Name" ? action.name : action.path
  const hint = suggestion(name, lookup.candidates, searchedHint(lookup.searched))
  subject.error("unknown-action", `no action ${shown(name)}`, place, hint)
}

export const checkOnFail = (
  subject: Subject,
  node: { readonly onFail?: OnFail; readonly pluginDirs?: ReadonlyArray<string> },
  scope: Scope
): void => {
  const { onFail, pluginDirs } = node
  if (onFail === undefined || onFail._tag === "Continue") return
  const place = { node, option: "on_fail" }
  checkAction(subject, onFail, place, pluginDirs)
  checkPayload(subject, onFail, place, scope, undefined)
}

/** The schema and the snippets of a call or a block. */
export const checkPrompt = (
  subject: Subject,
  node: { readonly output?: string; readonly with?: ReadonlyArray<string> }
): void => {
  const workflow = subject.name
  if (node.output !== undefined) checkSchema(subject, node.output, { node, option: "output" })
  node.with?.forEach((snippet, index) => {
    const lookup = subject.host.snippet(snippet, workflow)
    if (lookup._tag === "Found") return
    const place = { node, option: `with.${index}` }
    subject.error("snippet-missing", `no snippet ${shown(snippet)}`, place, searchedHint(lookup.searched))
  })
}

const checkSchema = (subject: Subject, ref: string, place: Place): void => {
  const lookup = subject.host.schema(ref, subject.name)
  if (lookup._tag === "Missing") {
    subject.error("schema-missing", `no output schema ${shown(ref)}`, place, searchedHint(lookup.searched))
  } else {
    const found = lookup._tag === "Invalid" ? lookup.diagnostics : lookup.warnings
    for (const diagnostic of found ?? []) subject.foreign(diagnostic)
  }
}

/** The text of `run`: a path that must lead to an executable file, or a command whose names must fit. */
export const checkRun = (subject: Subject, node: ScriptNode): void => {
  const place = { node, option: "run" }
  if (!isScriptPath(node.run)) {
    const compiled = compile(node.run)
    for (const problem of Either.isLeft(compiled) ? compiled.left : []) {
      subject.error("shell-template", problem.message, spanInRun(subject, node, problem) ?? place)
    }
  } else if (!hasNames(node.run)) {
    checkPath(subject, node.run, place)
  }
}

const checkPath = (subject: Subject, path: string, place: Place): void => {
  if (path.startsWith("/") || path.split("/").includes("..")) {
    const hint = "a script stands below the working directory or a configured root"
    subject.error("script-unsafe-path", `the script's path ${shown(path)} leads out of the project`, place, hint)
    return
  }
  const lookup = subject.host.script(path)
  if (lookup._tag === "Missing") {
    subject.error("script-missing", `no script ${shown(path)}`, place, searchedHint(lookup.searched))
  } else if (lookup._tag === "NotExecutable") {
    const message = `the script ${shown(path)} is not executable`
    subject.error("script-not-executable", message, place, makeExecutable(lookup.path))
  }
}

const makeExecutable = (file: string): string => `run ${shown(`chmod +x ${shellWord(file)}`)}`

/** For a provider or a gate whose file is there, but cannot be run. */
export const notExecutableHint = (host: Host, kind: "providers" | "gates", name: string): string | undefined => {
  const file = host.notExecutable?.(kind, name)
  return file === undefined ? undefined : `${file} is not executable: ${makeExecutable(file)}`
}

const shellWord = (text: string): string =>
  /^[A-Za-z0-9_./@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`

/** The place in the file of a part of the text of `run`, which may hold escapes. */
const spanInRun = (subject: Subject, node: ScriptNode, { end, start }: ShellTemplateError): Span | undefined => {
  const span = subject.file.spans?.option(node, "run")
  const text = subject.file.source?.text
  if (span === undefined || text === undefined) return undefined
  const at = (index: number) =>
    text[span.start] === '"' ? offsetInString(text, span.start, index) : span.start + index
  return { start: at(start), end: at(end) }
}
