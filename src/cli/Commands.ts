/**
 * All commands, each loaded only when it is asked for.
 */
import type { Command } from "./CommandLine.ts"

export interface CommandEntry {
  readonly name: string
  readonly summary: string
  readonly load: () => Promise<{ readonly command: Command }>
}

export const commands: ReadonlyArray<CommandEntry> = [
  { name: "init", summary: "Make a project with a small example.", load: () => import("./commands/Init.ts") },
  { name: "run", summary: "Run a workflow.", load: () => import("./commands/Run.ts") },
  { name: "resume", summary: "Go on with a run.", load: () => import("./commands/Resume.ts") },
  { name: "work", summary: "Run runs as they come.", load: () => import("./commands/Work.ts") },
  { name: "cancel", summary: "Cancel a run.", load: () => import("./commands/Cancel.ts") },
  { name: "pause", summary: "Pause a run.", load: () => import("./commands/Pause.ts") },
  { name: "unpause", summary: "Let a paused run go on.", load: () => import("./commands/Unpause.ts") },
  { name: "fork", summary: "Start a new run from a step of another.", load: () => import("./commands/Fork.ts") },
  { name: "approve", summary: "Approve the gate that a run waits at.", load: () => import("./commands/Approve.ts") },
  { name: "reject", summary: "Reject the gate that a run waits at.", load: () => import("./commands/Reject.ts") },
  { name: "validate", summary: "Check workflows.", load: () => import("./commands/Validate.ts") },
  { name: "list", summary: "List the workflows of the project.", load: () => import("./commands/List.ts") },
  { name: "parse", summary: "Show how a workflow is understood.", load: () => import("./commands/Parse.ts") },
  { name: "graph", summary: "Draw a workflow, or a run of one.", load: () => import("./commands/Graph.ts") },
  { name: "fmt", summary: "Lay out workflow files.", load: () => import("./commands/Fmt.ts") },
  { name: "runs", summary: "List runs, the newest first.", load: () => import("./commands/Runs.ts") },
  { name: "show", summary: "Show a run and its steps.", load: () => import("./commands/Show.ts") },
  { name: "logs", summary: "Show what the steps of a run printed.", load: () => import("./commands/Logs.ts") },
  { name: "prune", summary: "Delete runs that ended long ago.", load: () => import("./commands/Prune.ts") },
  { name: "lsp", summary: "Serve an editor.", load: () => import("./commands/Lsp.ts") },
  { name: "completions", summary: "Complete words in a shell.", load: () => import("./commands/Completions.ts") }
]

/** What the overview of the commands is divided into: each of them is in one of the groups. */
export const groups: ReadonlyArray<readonly [title: string, names: ReadonlyArray<string>]> = [
  ["Run", ["run", "resume", "work", "cancel", "pause", "unpause", "fork"]],
  ["Answer", ["approve", "reject"]],
  ["Look", ["runs", "show", "logs", "graph"]],
  ["Check", ["validate", "parse", "fmt"]],
  ["Project", ["init", "list", "prune", "lsp", "completions"]]
]

/** What people of other tools type, and what it is called here. */
export const otherNames: Readonly<Record<string, string>> = {
  abort: "cancel",
  continue: "resume",
  clean: "prune",
  clone: "fork",
  create: "init",
  delete: "prune",
  draw: "graph",
  exec: "run",
  format: "fmt",
  history: "runs",
  hold: "pause",
  inspect: "show",
  kill: "cancel",
  lint: "validate",
  ls: "list",
  new: "init",
  ps: "runs",
  purge: "prune",
  rm: "prune",
  start: "run",
  status: "show",
  stop: "cancel",
  suspend: "pause"
}
