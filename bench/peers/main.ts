/**
 * Measures the same work by other engines beside Millrace.
 *
 *     npm run bench:peers                        all, as a table; installs the peers first
 *     npm run bench:peers -- --write             and into docs/performance.md; --json FILE: and as JSON
 *     npm run bench:peers -- --only FULL         the workloads whose name contains a text
 *     npm run bench:peers -- --peer Mastra       only this peer, and Millrace
 *     npm run bench:peers -- --rounds 3          fewer or more rounds than the 5 of each
 *     npm run bench:peers -- --smoke             once, a fiftieth of the size: that all of them do the work
 */
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { writeSection } from "../Page.ts"
import type { Sample, Scale } from "../Workload.ts"
import { type Comparison, compare, type Measured } from "./Comparison.ts"
import { install } from "./Install.ts"
import { type Part, type Participant, serve, start } from "./Participant.ts"
import { ours, peers as allPeers, workOf } from "./Peers.ts"
import { line, peersSection, table } from "./PeersReport.ts"
import { type PeerWorkload, workloads } from "./Workloads.ts"

const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    peer: { type: "string", default: "" },
    rounds: { type: "string", default: "5" },
    write: { type: "boolean", default: false },
    json: { type: "string" },
    smoke: { type: "boolean", default: false },
    /** Used between processes: be this part of a workload, and do as the parent says. */
    part: { type: "string" }
  }
})

const root = process.cwd()
const size: Scale = (full) => (options.smoke ? Math.max(2, Math.round(full / 50)) : full)
const peers = allPeers.filter(({ name }) => name.includes(options.peer))
const chosen = workloads(size).filter(({ name }) => name.includes(options.only))

interface Taking {
  readonly work: Omit<Measured, "samples">
  readonly participant: Participant
  readonly samples: Array<Sample>
}

const join = (workload: PeerWorkload): ReadonlyArray<Taking> =>
  [undefined, ...peers].map((peer) => {
    const name = peer?.name ?? ours
    const work = workOf(peer, workload)
    const { synchronous } = workload
    const participant = start({ name, synchronous, work: work.work, warm: !options.smoke })
    return { work: { name, ...work }, participant, samples: [] }
  })

/**
 * All in turn, round by round, so that what else the machine does falls on all of them; there and back, so that nobody
 * always follows the one whose writes the disk is still busy with.
 */
const measure = async (workload: PeerWorkload, rounds: number): Promise<ReadonlyArray<Measured>> => {
  const all = join(workload)
  try {
    for (let round = 0; round < rounds; round++) {
      const turn = round % 2 === 0 ? all : [...all].reverse()
      for (const { participant, samples } of turn) samples.push(await participant.sample())
    }
    return all.map(({ work, samples }) => ({ ...work, samples }))
  } finally {
    await Promise.all(all.map(({ participant }) => participant.stop()))
  }
}

const measureAll = async (): Promise<void> => {
  const rounds = Number(options.rounds)
  const comparisons: Array<Comparison> = []
  for (const workload of chosen) {
    const comparison = compare(workload, await measure(workload, rounds))
    console.log(line(comparison))
    comparisons.push(comparison)
  }
  console.log(`\n${table(comparisons, peers)}`)
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(comparisons, undefined, 2)}\n`)
  if (options.write) writeSection(root, "bench:peers", peersSection(comparisons, peers, root))
}

const smoke = async (): Promise<void> => {
  for (const workload of chosen) {
    await measure(workload, 1)
    console.log(`ok  ${workload.name}`)
  }
}

if (options.part !== undefined) {
  // SAFETY: written by `start`.
  await serve(JSON.parse(options.part) as Part, root)
} else {
  install(root)
  await (options.smoke ? smoke() : measureAll())
}
