/**
 * The work that all engines do.
 */
import type { Scale } from "../Workload.ts"
import type { Synchronous, Work } from "./Adapter.ts"

export interface PeerWorkload {
  readonly kind: Kind
  /** With the durability. */
  readonly name: string
  /** What its speed counts; `ms`: its time is what is said of it. */
  readonly unit: "steps" | "runs" | "ms"
  readonly synchronous: Synchronous
  readonly work: Work
  /** How many times faster than the fastest peer Millrace has to be. */
  readonly target: number
}

/** What is done, whatever the durability. */
export type Kind = "sequential" | "together" | "one after another" | "at once" | "block"

interface Described {
  readonly name: string
  readonly unit: PeerWorkload["unit"]
  readonly work: Work
  /** At FULL; at NORMAL Millrace has to be ahead. */
  readonly target: number
}

const described = (kind: Kind, size: Scale): Described => {
  const base: Work = { runs: 1, atOnce: 1, steps: 1, shape: "sequence", wait: 0 }
  switch (kind) {
    case "sequential": {
      const steps = size(1_000)
      return { name: `one run of ${steps} steps`, unit: "steps", work: { ...base, steps }, target: 2 }
    }
    case "together": {
      const [runs, steps] = [size(50), size(100)]
      const work = { ...base, runs, atOnce: runs, steps }
      return { name: `${runs} runs of ${steps} steps at once`, unit: "steps", work, target: 5 }
    }
    case "one after another": {
      const runs = size(1_000)
      return { name: `${runs} runs of one step, one after another`, unit: "runs", work: { ...base, runs }, target: 2 }
    }
    case "at once": {
      const runs = size(1_000)
      return {
        name: `${runs} runs of one step, 50 at once`,
        unit: "runs",
        work: { ...base, runs, atOnce: 50 },
        target: 5
      }
    }
    case "block": {
      const steps = size(1_000)
      const work: Work = { ...base, steps, shape: "block", wait: 100 }
      return { name: `a parallel block of ${steps} steps that wait 100 ms`, unit: "ms", work, target: 5 }
    }
  }
}

const kinds: ReadonlyArray<Kind> = ["sequential", "together", "one after another", "at once", "block"]

export const workloads = (size: Scale): ReadonlyArray<PeerWorkload> =>
  kinds.flatMap((kind) =>
    (["FULL", "NORMAL"] as const).map((synchronous) => {
      const { name, unit, work, target } = described(kind, size)
      return {
        kind,
        name: `${name}, ${synchronous}`,
        unit,
        synchronous,
        work,
        target: synchronous === "FULL" ? target : 1
      }
    })
  )

/** What the speed of some work counts. */
export const countOf = (unit: PeerWorkload["unit"], { runs, steps }: Work): number => {
  switch (unit) {
    case "runs":
      return runs
    case "steps":
      return runs * steps
    case "ms":
      return 1
  }
}
