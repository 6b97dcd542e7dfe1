/** What the commits of one area are: features, fixes, and so on, by the words of their subjects. */
import type { ModuleAction } from "millrace"

interface Commit {
  readonly hash: string
  readonly subject: string
  readonly breaking: boolean
}

interface Step {
  readonly step: string
  readonly structured_output: string | null
}

const kinds: ReadonlyArray<readonly [kind: string, words: RegExp]> = [
  ["fix", /\b(fix(e[sd])?|bug|repair|correct|regression|crash)\b/i],
  ["docs", /\b(docs?|readme|document(ation)?|changelog|comment)\b/i],
  ["test", /\b(tests?|spec|coverage)\b/i],
  ["chore", /\b(chore|ci|build|bump|deps|lint|format|release)\b/i],
  ["feature", /\b(feat(ure)?|add(s|ed)?|new|introduce|implement|support|allow)\b/i]
]

const kindOf = (subject: string): string => kinds.find(([, words]) => words.test(subject))?.[0] ?? "other"

const describeArea: ModuleAction = ({ area = "", prior_contexts = "[]" }) => {
  const steps: ReadonlyArray<Step> = JSON.parse(prior_contexts)
  const output = steps.find(({ step }) => step === "commits")?.structured_output ?? "{}"
  const { area_commits: found = [] }: { readonly area_commits?: ReadonlyArray<Commit> } = JSON.parse(output)
  const commits = found.map(({ hash, subject, breaking }) => ({
    hash,
    subject,
    kind: kindOf(subject),
    breaking: breaking || /^\w+(\([^)]*\))?!:/.test(subject)
  }))
  const count = (kind: string) => commits.filter((commit) => commit.kind === kind).length
  const summary = `${commits.length} commits: ${count("feature")} features, ${count("fix")} fixes`
  return { structuredOutput: { area, summary, commits } }
}

export default describeArea
