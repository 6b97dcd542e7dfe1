/**
 * The record of a run that has not started (spec/engine.md, "Records").
 */
import { noTotals, type RunRecord, type RunSettings } from "../persistence/Records.ts"

type Given = Pick<RunRecord, "id" | "workflow" | "title" | "definition" | "settings" | "createdAt"> & Partial<RunRecord>

/** A root run that nobody owns, but for what is given. */
export const newRun = (given: Given): RunRecord => ({
  parent: null,
  root: given.id,
  depth: 0,
  status: "pending",
  dryRun: false,
  trigger: "manual",
  inputs: {},
  payload: null,
  startedAt: null,
  endedAt: null,
  summary: null,
  error: null,
  cancelReason: null,
  result: null,
  blockedOn: [],
  iteration: 0,
  totals: noTotals,
  target: null,
  idempotencyKey: null,
  owner: null,
  generation: 0,
  epoch: 1,
  seq: 0,
  readyAt: null,
  recoveries: 0,
  dismissed: false,
  continues: null,
  continuedAs: null,
  ...given
})

/** What a run is started with where nobody says otherwise. `stepTimeout` in ms. */
export const defaultSettings = (stepTimeout: number): RunSettings => ({
  failFast: true,
  stepTimeout,
  runTimeout: null,
  workingDirectory: process.cwd(),
  model: null,
  identity: null,
  pluginDirs: [],
  values: {}
})
