/**
 * What `bench:peers` makes of its samples. The peers themselves are not installed for the tests.
 */
import { expect, it } from "vitest"
import { compare } from "../../bench/peers/Comparison.ts"
import { peers, workOf } from "../../bench/peers/Peers.ts"
import type { PeerWorkload } from "../../bench/peers/Workloads.ts"
import { workloads } from "../../bench/peers/Workloads.ts"

const workload: PeerWorkload = {
  kind: "sequential",
  name: "one run of 100 steps, FULL",
  unit: "steps",
  synchronous: "FULL",
  work: { runs: 1, atOnce: 1, steps: 100, shape: "sequence", wait: 0 },
  target: 2
}

const took = (...times: ReadonlyArray<number>) => times.map((ms) => ({ took: ms }))
const measured = (name: string, steps: number, ...times: ReadonlyArray<number>) => ({
  name,
  work: { ...workload.work, steps },
  samples: took(...times)
})

it("a peer that did fewer steps is compared by the step, round by round", () => {
  const { standings } = compare(workload, [measured("Millrace", 100, 100, 200, 100), measured("Slow", 10, 30, 80, 50)])
  expect(standings[0]?.ratio).toBeNull()
  expect(standings[0]?.rate?.median).toBe(1_000)
  // 3, 4 and 5 times Millrace's time a step of the same round.
  expect(standings[1]?.ratio).toEqual({ median: 4, spread: [3, 5] })
})

it("the target is about the peer that comes nearest", () => {
  const near = compare(workload, [
    measured("Millrace", 100, 100),
    measured("Slow", 100, 900),
    measured("Fast", 100, 150)
  ])
  expect(near).toMatchObject({ fastest: { name: "Fast", ratio: 1.5 }, isMet: false })
  const ahead = compare(workload, [measured("Millrace", 100, 100), measured("Fast", 100, 200)])
  expect(ahead).toMatchObject({ fastest: { name: "Fast", ratio: 2 }, isMet: true })
})

it("without a peer there is nothing to be met", () => {
  expect(compare(workload, [measured("Millrace", 100, 100)])).toMatchObject({ fastest: null, isMet: null })
})

it("a peer does less than the others only with a reason, and never less than a smoke test asks", () => {
  for (const full of workloads((count) => count)) {
    for (const peer of peers) {
      const { work, why } = workOf(peer, full)
      expect(why === undefined).toBe(work.runs === full.work.runs && work.steps === full.work.steps)
    }
  }
  for (const small of workloads(() => 2)) {
    for (const peer of peers) expect(workOf(peer, small)).toEqual({ work: small.work })
  }
})

it("every workload is measured at FULL and at NORMAL", () => {
  const all = workloads((count) => count)
  const of = (synchronous: string) => all.filter((it) => it.synchronous === synchronous).map(({ kind }) => kind)
  expect(of("FULL")).toEqual(of("NORMAL"))
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length)
})
