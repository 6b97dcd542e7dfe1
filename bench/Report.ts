/**
 * What was measured, as a table, as JSON, and as docs/performance.md.
 */
import { cpus, totalmem } from "node:os"
import { type Measured, median, type Sample, type Target, type Workload } from "./Workload.ts"

export interface Result {
  readonly name: string
  readonly unit: string
  /** Median, ms (or the figure itself, where the target is one). */
  readonly value: number
  /** Least and greatest. */
  readonly spread: readonly [number, number]
  /** `count` by the median, a second. */
  readonly rate: number | null
  readonly yardstick: { readonly name: string; readonly value: number; readonly cpuPerUnit: number | null } | null
  /** What the target is about; the ratio's median is of the rounds' own ratios. */
  readonly ratio: number | null
  readonly target: string | null
  readonly isMet: boolean | null
  readonly commits: number | null
  readonly statements: number | null
  /** µs of CPU time. */
  readonly cpuPerUnit: number | null
  /** Of the event loop, ms at p99. */
  readonly delay: number | null
}

export const resultOf = (workload: Workload, measured: Measured): Result => {
  const took = measured.samples.map((sample) => sample.took)
  const value = median(took)
  const of = (pick: (sample: Measured["samples"][number]) => number | undefined) => {
    const values = measured.samples.map(pick).filter((it) => it !== undefined)
    return values.length === 0 ? null : median(values)
  }
  const ratio = ratioOf(workload.target, measured)
  const cpu = of((sample) => sample.cpu)
  const { target, yardstick } = workload
  const raw = measured.yardsticks.map((sample) => sample.took)
  const rawCpu = measured.yardsticks.map((sample) => sample.cpu).filter((it) => it !== undefined)
  const micros = (ms: number) => (ms * 1_000) / workload.count
  return {
    name: workload.name,
    unit: workload.unit,
    value,
    spread: [Math.min(...took), Math.max(...took)],
    rate: workload.count > 1 ? (workload.count / value) * 1_000 : null,
    yardstick:
      yardstick === undefined
        ? null
        : { name: yardstick.name, value: median(raw), cpuPerUnit: rawCpu.length === 0 ? null : micros(median(rawCpu)) },
    ratio,
    target: target === undefined ? null : describe(target),
    isMet: target === undefined ? null : isMet(target, value, ratio),
    commits: of((sample) => sample.commits),
    statements: of((sample) => sample.statements),
    cpuPerUnit: cpu === null || workload.count === 1 ? null : micros(cpu),
    delay: of((sample) => sample.delay)
  }
}

const ratioOf = (target: Target | undefined, { samples, yardsticks }: Measured): number | null => {
  if (yardsticks.length === 0) return null
  const ratios = samples.map(({ took }, round) => {
    const raw = yardsticks[round]?.took ?? Number.NaN
    return target?._tag === "TimeAtMost" ? took / raw : raw / took
  })
  return median(ratios)
}

const isMet = (target: Target, value: number, ratio: number | null): boolean => {
  switch (target._tag) {
    case "AtLeast":
      return (ratio ?? 0) >= target.ratio
    case "TimeAtMost":
      return (ratio ?? Number.POSITIVE_INFINITY) <= target.ratio
    case "AtMost":
      return value <= target.value
  }
}

const describe = (target: Target): string => {
  switch (target._tag) {
    case "AtLeast":
      return `≥ ${target.ratio} ×`
    case "TimeAtMost":
      return `≤ ${target.ratio} × the time`
    case "AtMost":
      return `≤ ${target.value} ${target.unit}`
  }
}

/** What a sample wrote otherwise than its workload says. */
export const wrongWrites = ({ writes }: Workload, { commits, statements }: Sample): string | undefined => {
  if (writes === undefined) return undefined
  const isRight = commits === writes.commits && (writes.statements === undefined || statements === writes.statements)
  const expected = `${writes.commits} commits and ${writes.statements ?? "any number of"} statements`
  return isRight ? undefined : `${commits} commits and ${statements} statements, expected ${expected}`
}

// ---- as text

/** With as many places as say something. */
export const number = (value: number): string =>
  value >= 1_000 ? Math.round(value).toLocaleString("en-US") : value >= 99.5 ? value.toFixed(0) : value.toPrecision(2)

const optional = (value: number | null, suffix = ""): string => (value === null ? "" : `${number(value)}${suffix}`)

export interface Column<A> {
  readonly title: string
  readonly cell: (row: A) => string
}

const columns: ReadonlyArray<Column<Result>> = [
  { title: "workload", cell: ({ name }) => name },
  { title: "median", cell: ({ value, unit, rate }) => `${number(value)} ${rate === null ? unit : "ms"}` },
  { title: "spread", cell: ({ spread: [least, greatest] }) => `${number(least)} – ${number(greatest)}` },
  { title: "a second", cell: ({ rate, unit }) => optional(rate, ` ${unit}`) },
  {
    title: "yardstick",
    cell: ({ yardstick }) => (yardstick === null ? "" : `${yardstick.name}: ${number(yardstick.value)} ms`)
  },
  { title: "ratio", cell: ({ ratio }) => optional(ratio, " ×") },
  {
    title: "target",
    cell: ({ target, isMet }) => (target === null ? "" : `${target} ${isMet === true ? "met" : "NOT MET"}`)
  },
  { title: "commits", cell: ({ commits }) => optional(commits) },
  { title: "statements", cell: ({ statements }) => optional(statements) },
  {
    title: "CPU a unit",
    cell: ({ cpuPerUnit, yardstick }) =>
      cpuPerUnit === null
        ? ""
        : `${number(cpuPerUnit)} µs${yardstick?.cpuPerUnit == null ? "" : ` (yardstick ${number(yardstick.cpuPerUnit)})`}`
  },
  { title: "loop delay p99", cell: ({ delay }) => optional(delay, " ms") }
]

export const line = (result: Result): string => {
  const { name, target, isMet } = result
  const verdict = target === null ? "" : `  ${isMet === true ? "met" : "NOT MET"} (${target})`
  const facts = columns.slice(1, 6).filter(({ title }) => title !== "target")
  return `${name}\n    ${facts
    .map(({ cell }) => cell(result))
    .filter((text) => text !== "")
    .join(" | ")}${verdict}`
}

export const table = (results: ReadonlyArray<Result>): string => markdown(columns, results)

export const markdown = <A>(columns: ReadonlyArray<Column<A>>, rows: ReadonlyArray<A>): string => {
  const line = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`
  return [
    line(columns.map(({ title }) => title)),
    line(columns.map(() => "---")),
    ...rows.map((row) => line(columns.map(({ cell }) => cell(row))))
  ].join("\n")
}

/** The machine that measured. */
export const machine = (): string => {
  const [cpu] = cpus()
  const memory = Math.round(totalmem() / 1024 ** 3)
  return `${cpu?.model.trim() ?? "unknown processor"}, ${cpus().length} cores, ${memory} GB, Node ${process.versions.node}, ${process.platform}`
}
