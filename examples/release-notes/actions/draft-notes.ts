/** The notes, from what the runs for the areas found. */
import type { ModuleAction } from "millrace"

interface Commit {
  readonly hash: string
  readonly subject: string
  readonly kind: string
  readonly breaking: boolean
}

interface Area {
  readonly area: string
  readonly summary: string
  readonly commits: ReadonlyArray<Commit>
}

interface Step {
  readonly step: string
  readonly context: string
  readonly markers: ReadonlyArray<string>
  readonly structured_output: string | null
}

const outputOf = <A>(steps: ReadonlyArray<Step>, name: string, otherwise: A): A => {
  const output = steps.findLast(({ step }) => step === name)?.structured_output
  return output === undefined || output === null ? otherwise : JSON.parse(output)
}

const headings: ReadonlyArray<readonly [kind: string, heading: string]> = [
  ["feature", "New"],
  ["fix", "Fixed"],
  ["other", "Changed"],
  ["docs", "Documentation"],
  ["test", "Tests"],
  ["chore", "Upkeep"]
]

const escaped = (text: string): string => text.replace(/[\\`*_<>[\]#|]/g, (sign) => `\\${sign}`)

const section = ({ area, commits }: Area): string => {
  const parts = headings.map(([kind, heading]) => {
    const lines = commits.filter((commit) => commit.kind === kind)
    return lines.length === 0 ? "" : `**${heading}**\n\n${lines.map(line).join("\n")}\n`
  })
  return `## ${escaped(area)}\n\n${parts.filter(Boolean).join("\n")}`
}

const line = ({
  breaking,
  hash,
  subject
}: Pick<Commit, "hash" | "subject"> & { readonly breaking?: boolean }): string =>
  `- ${breaking ? "**breaking:** " : ""}${escaped(subject)} (${hash})`

/** Checks whose findings lower the confidence, by five points each. */
const checks = ["check-subjects", "check-worktree", "check-signatures"]

const draftNotes: ModuleAction = ({ count = "0", span = "", prior_contexts = "[]" }) => {
  const steps: ReadonlyArray<Step> = JSON.parse(prior_contexts)
  const { items } = outputOf<{ readonly items: ReadonlyArray<{ readonly output: Area | null }> }>(
    steps,
    "foreach:areas",
    { items: [] }
  )
  const areas = items.flatMap(({ output }) => (output === null ? [] : [output]))
  const all = outputOf<{ readonly commits: ReadonlyArray<Pick<Commit, "hash" | "subject">> }>(steps, "collect", {
    commits: []
  }).commits
  const told = new Set(areas.flatMap(({ commits }) => commits.map(({ hash }) => hash)))
  const untold = all.filter(({ hash }) => !told.has(hash))
  const breaking = [
    ...new Set(areas.flatMap(({ commits }) => commits.filter((it) => it.breaking).map(({ subject }) => subject)))
  ]
  const findings = steps.filter(({ markers, step }) => checks.includes(step) && markers.length > 0)
  const title = `Release notes, ${span}`
  const summary = `${count} commits in ${areas.length} areas`
  const remarks = findings.map(({ context, step }) => `- ${step}: ${escaped(context)}`)
  const markdown = [
    `# ${title}`,
    `${summary}.`,
    ...(breaking.length === 0
      ? []
      : ["## Breaking changes", breaking.map((subject) => `- ${escaped(subject)}`).join("\n")]),
    ...areas.map(section),
    ...(untold.length === 0 ? [] : [`## Without files\n\n${untold.map(line).join("\n")}`]),
    ...(remarks.length === 0 ? [] : ["## What the checks found", remarks.join("\n")])
  ].join("\n\n")
  const { weak } = outputOf(steps, "check-subjects", { weak: 0 })
  const confidence = all.length === 0 ? 0 : Math.round(100 - 5 * findings.length - 20 * (weak / all.length))
  return { structuredOutput: { title, summary, markdown, confidence, breaking } }
}

export default draftNotes
