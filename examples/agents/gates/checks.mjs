#!/usr/bin/env node
/**
 * Decides the gate `checks`. It is asked when the gate starts to wait and then again and again: pending while somebody
 * holds publishing back with a file `site/hold`, else what the page deserves. A real one would ask the CI.
 */
import { existsSync, readFileSync } from "node:fs"

const { prompt: page } = JSON.parse(readFileSync(0, "utf8"))

const verdict = () => {
  if (existsSync("site/hold")) return { verdict: "pending" }
  return readFileSync(page, "utf8").includes("TODO")
    ? { verdict: "rejected", reason: `${page} has TODOs` }
    : { verdict: "approved", feedback: "all checks passed" }
}

console.log(JSON.stringify(verdict()))
