import { defineConfig } from "millrace"

export default defineConfig({
  // A real agent is configured in the same way; only this line would differ: `command: "claude"`.
  agent: {
    command: "./bin/agent.mjs",
    args: [
      "-p",
      ["--model", "{{model}}"],
      ["--plugin-dir", "{{plugin_dirs}}"],
      ["--max-turns", "{{max_turns}}"],
      { when: "can_commit", args: ["--permission-mode", "acceptEdits"] }
    ]
  },
  // What a step with `as = writer` has in its environment; others do not.
  scriptEnvironment: { writer: { AUTHOR: "Writing Bot" } }
})
