#!/usr/bin/env node
/** The commits that touch one area. */
import { commitsOf, flowOutput, input } from "./git.mjs"

const commits = commitsOf(input("range"), input("pathspec"))
flowOutput({
  context: `${commits.length} commits in ${input("area")}`,
  area_commits: commits.map(({ hash, subject, body }) => ({
    hash,
    subject,
    breaking: /^BREAKING[ -]CHANGE:/m.test(body)
  }))
})
