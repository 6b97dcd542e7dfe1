/** The test kit: contract suites, generators and crash points, `millrace/testing`. */
export * as ArbitraryDefinition from "./ArbitraryDefinition.ts"
export * as CrashPoints from "./CrashPoints.ts"
export { persistenceContract, type TestFramework } from "./PersistenceContract.ts"
export * as SampleRecords from "./SampleRecords.ts"
export * as WalPrefix from "./WalPrefix.ts"
