#!/usr/bin/env node
/** The commits that the notes are about, and the areas that they touch. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { commitsOf, fail, flowOutput, git, input, tryGit, workFolder } from "./git.mjs"

const maxCommits = 200

const repository = input("repository")
if (tryGit("rev-parse", "--git-dir") === undefined) fail(`${repository} is no git repository`)
const head = tryGit("rev-parse", "--short", "--verify", "HEAD^{commit}")
if (head === undefined) fail(`${repository} has no commits`)

/** Where the notes begin: behind a ref, or with the oldest of the newest commits (a shallow clone may have but one). */
const startOf = () => {
  const since = input("since")
  if (since !== "") {
    if (tryGit("rev-parse", "--verify", "--end-of-options", `${since}^{commit}`) === undefined) {
      fail(`${repository} has no ref '${since}'`)
    }
    return since
  }
  const tag = tryGit("describe", "--tags", "--abbrev=0", "HEAD")
  const isBehind = tag !== undefined && tryGit("rev-list", "--count", `${tag}..HEAD`) !== "0"
  return isBehind ? tag : undefined
}

const start = startOf()
const range = start === undefined ? head : `${start}..${head}`
/** The same for people. */
const span = start === undefined ? `up to ${head}` : `since ${start}`
const commits = commitsOf(`--max-count=${maxCommits} ${range}`)

/** The top folder of each file that was touched; files at the top are an area of their own. */
const files = git("log", "--no-merges", `--max-count=${maxCommits}`, "--format=", "--name-only", "-z", range)
const areas = new Map()
for (const file of files.split("\0").map((name) => name.trim())) {
  if (file === "") continue
  const slash = file.indexOf("/")
  if (slash === -1) areas.set("top-level", ":(glob)*")
  else areas.set(file.slice(0, slash), `:(top,literal)${file.slice(0, slash)}/`)
}

mkdirSync(workFolder(), { recursive: true })
writeFileSync(join(workFolder(), "commits.json"), JSON.stringify(commits, undefined, 2))

flowOutput({
  markers: commits.length === 0 ? ["nothing_new"] : [],
  context: `${commits.length} commits in ${areas.size} areas, ${span}`,
  range: `--max-count=${maxCommits} ${range}`,
  span,
  count: String(commits.length),
  areas: [...areas].map(([id, ref]) => ({ id, ref })),
  commits: commits.map(({ hash, subject }) => ({ hash, subject }))
})
