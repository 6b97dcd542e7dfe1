/**
 * The comparison as text: a line while it is measured, a table, a section of docs/performance.md.
 */
import { type Column, machine, markdown, number } from "../Report.ts"
import type { Comparison, Figure, Standing } from "./Comparison.ts"
import { ours, type Peer, versions } from "./Peers.ts"

const spread = ({ spread: [least, greatest] }: Figure): string => `${number(least)}–${number(greatest)}`

const amount = ({ rate, took }: Standing, unit: Comparison["unit"]): string =>
  rate === null ? `${number(took.median)} ms (${spread(took)})` : `${number(rate.median)} ${unit}/s (${spread(rate)})`

const cell = (standing: Standing | undefined, unit: Comparison["unit"]): string => {
  if (standing === undefined) return ""
  const { ratio, why, work } = standing
  const less = why === null ? "" : `; ${work.runs > 1 ? `${work.runs} × ${work.steps}` : work.steps} only: ${why}`
  const times = ratio === null ? "" : ` **${number(ratio.median)} ×** (${spread(ratio)})`
  return `${amount(standing, unit)}${times}${less}`
}

const verdict = ({ fastest, target, isMet }: Comparison): string =>
  fastest === null
    ? ""
    : `${fastest.name} ${number(fastest.ratio)} ×, ${target === 1 ? "> 1" : `≥ ${target}`} ${isMet === true ? "met" : "NOT MET"}`

export const line = (comparison: Comparison): string => {
  const rows = comparison.standings.map((it) => `    ${it.name}: ${cell(it, comparison.unit).replaceAll("**", "")}`)
  return [comparison.workload, ...rows, `    ${verdict(comparison)}`].join("\n")
}

export const table = (comparisons: ReadonlyArray<Comparison>, peers: ReadonlyArray<Peer>): string => {
  const columns: ReadonlyArray<Column<Comparison>> = [
    { title: "workload", cell: ({ workload }) => workload },
    ...[ours, ...peers.map(({ name }) => name)].map((name) => ({
      title: name,
      cell: ({ standings, unit }: Comparison) =>
        cell(
          standings.find((it) => it.name === name),
          unit
        )
    })),
    { title: "fastest peer, target", cell: verdict }
  ]
  return markdown(columns, comparisons)
}

export const peersSection = (
  comparisons: ReadonlyArray<Comparison>,
  peers: ReadonlyArray<Peer>,
  root: string
): string => `## Against other engines

Written by \`npm run bench:peers -- --write\`; the figures are of one run on one machine: ${machine()}.

The same work by other engines that are embedded in a program and store in SQLite. Each is measured in a process of its
own on a new database for every sample, warm, in turn with the others; what it has recorded is counted in its database
afterwards. FULL and NORMAL are SQLite's \`synchronous\`, the same on the connections of all. A figure is the median of
the rounds, in brackets the least and the greatest; the factor is how many times faster Millrace is, by the same count of
steps or runs: the median of the rounds' own. Millrace runs \`.wf\` workflows.

${table(comparisons, peers)}

${peers.map((peer) => `- **${peer.name}** (${versions(peer, root)}). ${peer.note}`).join("\n")}
`
