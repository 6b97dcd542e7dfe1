/**
 * What the values of arguments and options can be, found for a TAB: quickly, without loading a configuration, and
 * without making a database.
 */
import { readdirSync } from "node:fs"
import { homedir } from "node:os"
import { join, resolve } from "node:path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { isFolder } from "../action/FileKind.ts"
import { readWorkflow } from "../action/ProjectFiles.ts"
import { homePlace, workflowFiles } from "../action/ProjectPlaces.ts"
import * as Client from "../engine/Client.ts"
import { Persistence } from "../persistence/Persistence.ts"
import { type BlockedOn, isEnded, isUserStep, type RunRecord, RunStatus } from "../persistence/Records.ts"
import type { WorkflowDefinition } from "../workflow/Definition.ts"
import type { AnyError } from "./CliError.ts"
import { shells } from "./CompletionScripts.ts"
import { existingDatabase, homeHere } from "./Home.ts"
import { inline, moment } from "./Output.ts"
import { findRun, questionLayer } from "./Session.ts"

export interface Candidate {
  /** The whole word. */
  readonly text: string
  /** What it is, in a few words; may be empty. */
  readonly about: string
}

export type Candidates = ReadonlyArray<Candidate>

/** What stands in front of the cursor's word. */
export interface LineSoFar {
  readonly command: string
  readonly arguments: ReadonlyArray<string>
  readonly has: (option: string) => boolean
  readonly valuesOf: (option: string) => ReadonlyArray<string>
  /** The last of them. */
  readonly valueOf: (option: string) => string | undefined
}

/** What could stand there; what does not begin with what is typed is dropped later. */
type Source = (line: LineSoFar, typed: string) => Effect.Effect<Candidates, AnyError>

/** By what the table of commands calls a value, and, in `of`, the option where that does not say enough. */
export const sourceOf = (value: string, option?: string): Source =>
  (option === undefined ? undefined : byOption[option]) ?? byValue[value] ?? nothing

const nothing: Source = () => Effect.succeed([])

const oneOf =
  (values: ReadonlyArray<string>): Source =>
  () =>
    Effect.succeed(plain(values))

const plain = (texts: ReadonlyArray<string>): Candidates => texts.map((text) => ({ text, about: "" }))

// ---- files and workflows

/** The entries of a folder that a path may go on with: its folders, and the files that are wanted. */
const paths =
  (isWanted: (name: string) => boolean): Source =>
  (_, typed) =>
    Effect.sync(() => {
      const end = typed.lastIndexOf("/") + 1
      const [folder, begin] = [typed.slice(0, end), typed.slice(end)]
      return entries(resolve(expanded(folder) || "."))
        .filter(({ name }) => begin.startsWith(".") || !name.startsWith("."))
        .filter(({ isFolder, name }) => isFolder || isWanted(name))
        .map(({ isFolder, name }) => ({ text: `${folder}${name}${isFolder ? "/" : ""}`, about: "" }))
    })

/** What the shell would make of a path: it hands words over as they are typed. */
const expanded = (path: string): string => (path.startsWith("~/") ? join(homedir(), path.slice(2)) : path)

interface Entry {
  readonly name: string
  readonly isFolder: boolean
}

/** Of a folder that is none, or that cannot be read, nothing can be offered. */
const entries = (folder: string): ReadonlyArray<Entry> => {
  const read = Either.try(() => readdirSync(folder).sort())
  return Either.getOrElse(read, () => []).map((name) => ({ name, isFolder: isFolder(join(folder, name)) }))
}

/** The files of the project's own workflows, by their names. */
const projectWorkflows = (line: LineSoFar): Effect.Effect<ReadonlyMap<string, string>, AnyError> =>
  Effect.map(homeHere(homeOf(line)), (home) => workflowFiles([homePlace(home)]))

const homeOf = (line: LineSoFar): string | undefined => {
  const home = line.valueOf("home")
  return home === undefined ? undefined : expanded(home)
}

const workflowNames: Source = (line) =>
  Effect.map(projectWorkflows(line), (files) =>
    [...files].map(([text, file]) => ({ text, about: inline(definitionIn(file)?.title ?? "") }))
  )

const definitionIn = (file: string): WorkflowDefinition | undefined =>
  Either.match(readWorkflow(file), { onLeft: () => undefined, onRight: ({ definition }) => definition })

const workflowPaths = paths((name) => name.endsWith(".wf"))

const workflows: Source = (line, typed) =>
  Effect.zipWith(workflowNames(line, typed), workflowPaths(line, typed), (names, files) => [...names, ...files])

/** `name=`, then what the value can be, of those that are not given yet. */
const inputs: Source = (line, typed) =>
  Effect.gen(function* () {
    const [target] = line.arguments
    if (target === undefined) return []
    const file = (yield* projectWorkflows(line)).get(target) ?? resolve(expanded(target))
    const given = line.valuesOf("input").map((word) => word.slice(0, word.indexOf("=")))
    const declared = (definitionIn(file)?.inputs ?? []).filter(({ name }) => !given.includes(name))
    const chosen = declared.find(({ name }) => typed.startsWith(`${name}=`))
    if (chosen === undefined)
      return declared.map(({ description = "", name }) => ({ text: `${name}=`, about: inline(description) }))
    const values = chosen.boolean ? ["true", "false"] : chosen.default === undefined ? [] : [chosen.default]
    return plain(chosen.secret ? [] : values.map((value) => `${chosen.name}=${value}`))
  })

// ---- runs

/** Asks the database that the line means; where there is none there is nothing to offer. */
const asking =
  (ask: (line: LineSoFar, typed: string) => Effect.Effect<Candidates, AnyError, Persistence>): Source =>
  (line, typed) => {
    const db = line.valueOf("db")
    const places = { home: homeOf(line), db: db === undefined ? undefined : expanded(db) }
    return Effect.matchEffect(existingDatabase(places), {
      onFailure: () => Effect.succeed([]),
      onSuccess: (database) => Effect.provide(ask(line, typed), questionLayer(database))
    })
  }

/** So many runs are offered at most. */
const maxRuns = 100

const live = RunStatus.literals.filter((status) => !isEnded(status))

/** What a command can do something about; others take any run. */
const statusesFor = ({ command, has }: LineSoFar): ReadonlyArray<RunStatus> | undefined => {
  if (command === "cancel" || command === "pause" || command === "unpause") return live
  if (command === "approve" || command === "reject") return ["waiting", "running"]
  return command === "resume" && !has("restart") && !has("from-step") ? [...live, "failed"] : undefined
}

const runs = asking((line, typed) =>
  Effect.gen(function* () {
    const status = statusesFor(line)
    const found = yield* (yield* Persistence).list({
      limit: maxRuns,
      dismissed: false,
      ...(status === undefined ? {} : { status }),
      // A run below another is offered to those who begin to type its id.
      ...(typed === "" ? { parent: null } : {})
    })
    return found.map((run) => ({ text: run.id, about: aboutRun(run) }))
  })
)

const aboutRun = ({ createdAt, status, workflow }: RunRecord): string =>
  `${inline(workflow)}, ${status.replace("_", " ")}, ${moment(createdAt)}`

/** The run that the line names; none if it names none. */
const runOf = (line: LineSoFar): Effect.Effect<RunRecord | undefined, AnyError, Persistence> => {
  const [wanted] = line.arguments
  if (wanted === undefined) return Effect.succeed(undefined)
  return Effect.catchTag(findRun(wanted), "UsageError", () => Effect.succeed(undefined))
}

const steps = asking((line, typed) =>
  Effect.gen(function* () {
    const run = yield* runOf(line)
    const rows = run === undefined ? [] : yield* (yield* Persistence).steps(run.id)
    const shown = rows.filter(({ kind, superseded }) => isUserStep(kind) && !superseded)
    const isPath = typed.startsWith("/")
    return shown.map(({ name, path, status }) => ({ text: isPath ? path : name, about: status.replace("_", " ") }))
  })
)

const openGates = (line: LineSoFar): Effect.Effect<ReadonlyArray<BlockedOn>, AnyError, Persistence> =>
  Effect.flatMap(runOf(line), (run) => (run === undefined ? Effect.succeed([]) : Client.openGates(run)))

const gates = asking((line, typed) =>
  Effect.map(openGates(line), (open) =>
    open.map(({ name, path, prompt }) => ({ text: typed.startsWith("/") ? path : name, about: inline(prompt ?? "") }))
  )
)

/** The next of several keys, behind those that are there. */
const selections = asking((line, typed) =>
  Effect.map(openGates(line), (open) => {
    const wanted = line.valueOf("gate")
    const gate = open.find(({ name, path }) => wanted === undefined || wanted === name || wanted === path)
    const chosen = typed.slice(0, typed.lastIndexOf(",") + 1)
    const left = (gate?.options ?? []).filter(({ key }) => !chosen.split(",").includes(key))
    return left.map(({ key, text }) => ({ text: `${chosen}${key}`, about: key === text ? "" : inline(text) }))
  })
)

// ---- by name

const byValue: Readonly<Record<string, Source>> = {
  "A,B": selections,
  DIR: paths(() => false),
  FILE: paths(() => true),
  "FILE|NAME": workflows,
  "FILE|NAME|-": workflows,
  "FILE|NAME|DIR": workflows,
  "FILE|NAME|DIR|-": workflows,
  "NAME=VALUE": inputs,
  RUN: runs,
  SHELL: oneOf(shells),
  STATUS: oneOf(RunStatus.literals),
  STEP: steps,
  // What only the user knows.
  AGE: nothing,
  "AGE|DATE": nothing,
  CMD: nothing,
  JSON: nothing,
  KEY: nothing,
  N: nothing,
  DURATION: nothing,
  TEXT: nothing
}

const byOption: Readonly<Record<string, Source>> = { gate: gates, workflow: workflowNames }

/** Whether it is known what a value can be, if only that nobody knows. */
export const isKnown = (value: string, option?: string): boolean =>
  byValue[value] !== undefined || (option !== undefined && byOption[option] !== undefined)
