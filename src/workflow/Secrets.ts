/**
 * What of a run is secret: the inputs that its workflow declares as `secret`, and all values that are hidden where they
 * are shown. Runs below one inherit the values; those above learn them.
 */
import type { InputDeclaration, Texts } from "./Definition.ts"
import { isFindable } from "./SecretForms.ts"

export interface Secrets {
  /** Names of the run's own inputs: hidden as a whole, however short. */
  readonly inputs: ReadonlyArray<string>
  /** Hidden wherever they are found in a text. */
  readonly values: ReadonlyArray<string>
}

/** What a workflow's declarations make secret; undefined where that is nothing. */
export const declaredSecrets = (declarations: ReadonlyArray<InputDeclaration>, inputs: Texts): Secrets | undefined => {
  const secret = declarations.filter((input) => input.secret)
  if (secret.length === 0) return undefined
  // `true` and `false` are found everywhere.
  const texts = secret.filter((input) => !input.boolean).map(({ name }) => own(inputs, name))
  return { inputs: secret.map(({ name }) => name), values: [...new Set(texts.filter(isFindable))] }
}

const own = (inputs: Texts, name: string): string => (Object.hasOwn(inputs, name) ? (inputs[name] ?? "") : "")

/** Secret inputs with a value that is hidden where the inputs are shown, but not in other texts. */
export const tooShort = (declarations: ReadonlyArray<InputDeclaration>, inputs: Texts): ReadonlyArray<string> =>
  declarations
    .filter(
      ({ boolean, name, secret }) => secret && !boolean && own(inputs, name) !== "" && !isFindable(own(inputs, name))
    )
    .map(({ name }) => name)

/** With further values; the very same where they are known. */
export const withValues = (secrets: Secrets | undefined, values: ReadonlyArray<string>): Secrets | undefined => {
  const known = new Set(secrets?.values)
  const all = new Set([...known, ...values.filter(isFindable)])
  return all.size === known.size ? secrets : { inputs: secrets?.inputs ?? [], values: [...all] }
}

/** Both; undefined where neither holds anything. */
export const joined = (one: Secrets | undefined, other: Secrets | undefined): Secrets | undefined => {
  if (one === undefined || other === undefined) return one ?? other
  const inputs = [...new Set([...one.inputs, ...other.inputs])]
  const values = [...new Set([...one.values, ...other.values])]
  const isKnown = inputs.length === one.inputs.length && values.length === one.values.length
  return isKnown ? one : { inputs, values }
}
