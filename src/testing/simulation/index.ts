/** Seeded simulation of engines on one store: `millrace/testing`. */
export { type AnyOrderOptions, inAnyOrder } from "./AnyOrder.ts"
export { describeFailure, emptySummary, simulateAll, type Summary } from "./Report.ts"
export { type SimulationReport, simulate } from "./Simulation.ts"
export { type Happening, happenings, Tally } from "./Tally.ts"
