/**
 * What hides the secrets of the run that a fiber works for, for those who pass on what others say: programs that are
 * asked, their output, messages.
 */
import * as Context from "effect/Context"
import type { Redactor } from "../workflow/Redactor.ts"

/** Set in all fibers of a run; outside of runs there is nothing to hide. */
export class RunSecrets extends Context.Reference<RunSecrets>()("millrace/RunSecrets", {
  defaultValue: (): { readonly redactor: Redactor | undefined } => ({ redactor: undefined })
}) {}
