/**
 * The sums of a run (spec/engine.md, "call"): known numbers of the steps' metadata, and the totals of child runs.
 */
import type { Totals } from "../persistence/Records.ts"
import type { Texts } from "../workflow/Definition.ts"

const names = [
  "cost_usd",
  "num_turns",
  "duration_ms",
  "input_tokens",
  "output_tokens",
  "cache_read_input_tokens",
  "cache_creation_input_tokens"
] as const satisfies ReadonlyArray<keyof Totals>

export const add = (a: Totals, b: Totals): Totals => {
  const sum = { ...a }
  for (const name of names) sum[name] = a[name] + b[name]
  return sum
}

/** The numbers of a step's metadata; a known name whose text is no number is a warning. */
export const ofMetadata = (
  metadata: Texts
): { readonly totals: Partial<Totals>; readonly warnings: ReadonlyArray<string> } => {
  const totals: { -readonly [K in keyof Totals]?: number } = {}
  const warnings: Array<string> = []
  for (const name of names) {
    const text = metadata[name]
    if (text === undefined) continue
    const value = Number(text)
    if (text.trim() !== "" && Number.isFinite(value)) totals[name] = value
    else warnings.push(`metadata ${name} is no number: ${JSON.stringify(text)}`)
  }
  return { totals, warnings }
}

export const addPartial = (a: Totals, b: Partial<Totals>): Totals => {
  const sum = { ...a }
  for (const name of names) sum[name] = a[name] + (b[name] ?? 0)
  return sum
}
