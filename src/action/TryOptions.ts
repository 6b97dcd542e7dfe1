/**
 * How often and how long something is tried, as its declaration says: what is wrong with that is found where it is said.
 */
import { millisOf } from "../workflow/Duration.ts"

/** What is wrong with a time that has to be above 0; undefined: nothing. */
export const problemOfTime = (name: string, input: unknown): string | undefined =>
  (millisOf(input) ?? 0) > 0 ? undefined : `\`${name}\` has to be a time above 0, such as "1 minute"`

/** A declared time in ms; null: there is none. Throws where it cannot be one, with whose it is. */
export const checkedTime = (whose: string, option: string, input: unknown): number | null =>
  input === undefined ? null : checked(whose, millisOf(input) ?? null, problemOfTime(option, input))

/** What was declared; throws where there is a problem with it. */
export const checked = <A>(whose: string, value: A, problem: string | undefined): A => {
  if (problem !== undefined) throw new RangeError(`${whose}: ${problem}`)
  return value
}

/** What is wrong with retries; undefined: nothing. */
export const problemOfRetry = ({
  delay,
  exponential,
  times
}: Readonly<Record<string, unknown>>): string | undefined => {
  if (!(typeof times === "number" && Number.isSafeInteger(times) && times >= 0)) {
    return "`times` has to be an integer of at least 0"
  }
  if (delay !== undefined && millisOf(delay) === undefined) {
    return '`delay` has to be a time of at least 0, such as "1 second"'
  }
  return exponential === undefined || typeof exponential === "boolean" ? undefined : "`exponential` is true or false"
}
