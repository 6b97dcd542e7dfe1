/** What the scripts of this example share: git without a shell, and the flow output. */
import { execFileSync } from "node:child_process"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** An input of the workflow. */
export const input = (name) => process.env[`FLOW_${name.toUpperCase()}`] ?? ""

const environment = { ...process.env, GIT_OPTIONAL_LOCKS: "0", LC_ALL: "C" }

export const git = (...args) =>
  execFileSync("git", ["-C", input("repository"), ...args], {
    encoding: "utf8",
    env: environment,
    maxBuffer: 64 * 1024 * 1024,
    stdio: ["ignore", "pipe", "pipe"]
  })

/** What git prints, or undefined where it fails. */
export const tryGit = (...args) => {
  try {
    return git(...args).trim()
  } catch {
    return undefined
  }
}

/** Ends the script with a message that becomes the step's error. */
export const fail = (message) => {
  console.error(message)
  process.exit(1)
}

/** The last lines of a script's output: what later steps see. */
export const flowOutput = (output) => console.log(`<<<FLOW_OUTPUT>>>\n${JSON.stringify(output)}\n<<<END_FLOW_OUTPUT>>>`)

/** A folder of the run's own, removed by its always block. */
export const workFolder = () => join(tmpdir(), `release-notes-${process.env.WORK}`)

/** The commits of a range, the newest first: hash, subject and body. */
export const commitsOf = (range, ...pathspec) =>
  git("log", "--no-merges", "--format=%h%x1f%s%x1f%b%x1e", ...range.split(" "), "--", ...pathspec)
    .split("\x1e")
    .map((record) => record.trim().split("\x1f"))
    .filter(([hash]) => hash !== "")
    .map(([hash, subject = "", body = ""]) => ({ hash, subject, body }))
