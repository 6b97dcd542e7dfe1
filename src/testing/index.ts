/** The test kit: contract suites, generators, crash tests and a virtual clock, `millrace/testing`. */
export * as ArbitraryDefinition from "./ArbitraryDefinition.ts"
export * as CrashPoints from "./CrashPoints.ts"
export * as CrashStates from "./CrashStates.ts"
export { crashEverywhere, type CrashReport, type CrashSubject, type CrashTestOptions } from "./CrashTest.ts"
export { persistenceContract, type TestFramework } from "./PersistenceContract.ts"
export { type EventRecorder, recordEvents } from "./EventRecorder.ts"
export { generateProgram } from "./ProgramGenerator.ts"
export * as ProgramRunner from "./ProgramRunner.ts"
export * as RecordComparison from "./RecordComparison.ts"
export * as SampleRecords from "./SampleRecords.ts"
export {
  type Called,
  dies,
  fails,
  hangs,
  type Outcome,
  type Script,
  scripted,
  type ScriptedExecutors,
  scriptedExecutors,
  type ScriptedHandler,
  succeeds
} from "./Scripted.ts"
export { Seeded } from "./Seeded.ts"
export * as Simulation from "./simulation/index.ts"
export * as TestProgram from "./TestProgram.ts"
export { VirtualClock, withVirtualClock } from "./VirtualClock.ts"
export * as WalPrefix from "./WalPrefix.ts"
export { checkDeterminism, type DeterminismOptions, type DeterminismReport, NotDeterministic } from "./Determinism.ts"
export {
  checkResumeEquivalence,
  type Crash,
  NotRepeatable,
  ResumeDiffers,
  type ResumeOptions,
  type ResumeReport
} from "./ResumeEquivalence.ts"
export type { HistoryOptions, Setup, TestedWorkflow } from "./TestedProcess.ts"
export { NotTestable, type UndisturbedEnd } from "./UndisturbedEnd.ts"
export { type Began, type TypedProgram, typedSubject } from "./TypedProgram.ts"
