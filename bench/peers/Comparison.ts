/**
 * What was measured of all engines on one workload, and what it says.
 */
import { median, type Sample } from "../Workload.ts"
import { ours } from "./Peers.ts"
import { countOf, type PeerWorkload } from "./Workloads.ts"
import type { Work } from "./Adapter.ts"

/** Median, and least and greatest. */
export interface Figure {
  readonly median: number
  readonly spread: readonly [number, number]
}

export interface Measured {
  readonly name: string
  readonly work: Work
  /** Why it did less than the others. */
  readonly why?: string
  readonly samples: ReadonlyArray<Sample>
}

export interface Standing {
  readonly name: string
  readonly work: Work
  readonly why: string | null
  /** ms. */
  readonly took: Figure
  /** A second; null where the time is what counts. */
  readonly rate: Figure | null
  /** Millrace's speed by this one's, by the same count of steps or runs, of the rounds' own; null for Millrace. */
  readonly ratio: Figure | null
}

export interface Comparison {
  readonly workload: string
  readonly unit: PeerWorkload["unit"]
  readonly standings: ReadonlyArray<Standing>
  /** The peer that comes nearest; null where only Millrace was measured. */
  readonly fastest: { readonly name: string; readonly ratio: number } | null
  /** 1: to be ahead; else at least so many times as fast. */
  readonly target: number
  readonly isMet: boolean | null
}

export const compare = ({ name, unit, target }: PeerWorkload, measured: ReadonlyArray<Measured>): Comparison => {
  const reference = measured.find((it) => it.name === ours)
  if (reference === undefined) throw new Error(`${ours} was not measured`)
  const standings = measured.map((it) => standingOf(unit, it, reference))
  const fastest = standings
    .flatMap((it) => (it.ratio === null ? [] : [{ name: it.name, ratio: it.ratio.median }]))
    .sort((a, b) => a.ratio - b.ratio)[0]
  return {
    workload: name,
    unit,
    standings,
    fastest: fastest ?? null,
    target,
    isMet: fastest === undefined ? null : target === 1 ? fastest.ratio > 1 : fastest.ratio >= target
  }
}

const standingOf = (unit: PeerWorkload["unit"], measured: Measured, reference: Measured): Standing => {
  const { name, work, samples } = measured
  const took = samples.map((sample) => sample.took)
  const perUnit = (it: Measured, round: number) => (it.samples[round]?.took ?? Number.NaN) / countOf(unit, it.work)
  const ratios = samples.map((_, round) => perUnit(measured, round) / perUnit(reference, round))
  return {
    name,
    work,
    why: measured.why ?? null,
    took: figureOf(took),
    rate: unit === "ms" ? null : figureOf(took.map((ms) => (countOf(unit, work) / ms) * 1_000)),
    ratio: measured === reference ? null : figureOf(ratios)
  }
}

const figureOf = (values: ReadonlyArray<number>): Figure => ({
  median: median(values),
  spread: [Math.min(...values), Math.max(...values)]
})
