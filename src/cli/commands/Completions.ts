/** `completions`: the script by which a shell completes the words of a command line. */
import * as Effect from "effect/Effect"
import { argument, defineCommand } from "../CommandLine.ts"
import { scripts, shells } from "../CompletionScripts.ts"
import { ExitCode } from "../ExitCode.ts"
import { oneOf } from "../OneOf.ts"
import { write } from "../Output.ts"

export const command = defineCommand({
  name: "completions",
  summary: "Print a script that lets a shell complete commands, options, workflows, inputs, runs and steps.",
  notes: ["The script asks this program on each TAB: it stays right when a project or this program changes."],
  examples: [
    ["in bash; in ~/.bashrc for all shells to come", "source <(millrace completions bash)"],
    ["in zsh; in ~/.zshrc below compinit", "source <(millrace completions zsh)"],
    ["in fish", "millrace completions fish > ~/.config/fish/completions/millrace.fish"]
  ],
  arguments: { shell: argument("SHELL", `one of ${shells.join(", ")}`) },
  options: {},
  run: ({ shell }) =>
    Effect.map(oneOf("shell", shell, shells), (known) => {
      write(scripts[known])
      return ExitCode.done
    })
})
