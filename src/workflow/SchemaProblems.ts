/**
 * What a schema says of a value that it refuses, for people: each place, and what was expected there.
 *
 * Pure: knows neither whose value it is nor what follows from it.
 */
import * as ParseResult from "effect/ParseResult"
import { place } from "./OutputFields.ts"

/** Each place of a refused value with what is wrong there, as `lines[0].cents: Expected number, actual "1"`. */
export const problemsOf = (error: ParseResult.ParseError): ReadonlyArray<string> => {
  const found = ParseResult.ArrayFormatter.formatErrorSync(error).map(({ message, path }) => ({
    message,
    at: place(path)
  }))
  // A key that may be left out is given: what else it may be is the problem.
  const told = found.filter(
    ({ at, message }) => !(isAbsence(message) && found.some((other) => other.at === at && !isAbsence(other.message)))
  )
  return told.map(({ at, message }) => (at === "" ? brief(message) : `${at}: ${brief(message)}`))
}

const isAbsence = (message: string): boolean => message.startsWith("Expected undefined, actual ")

/** The same as one text; no problem is left out in silence. */
export const problemText = (error: ParseResult.ParseError): string => {
  const problems = [...new Set(problemsOf(error))]
  const listed = problems.slice(0, maxListed).join("; ")
  return problems.length > maxListed ? `${listed}; and ${problems.length - maxListed} more` : listed
}

const maxListed = 10

/** Of a value that is shown whole or not at all: half of a secret would not be hidden. */
const brief = (message: string): string => {
  if (message.length <= maxLength) return message
  const [expected = ""] = message.split(", actual ", 1)
  return expected.length <= maxLength ? `${expected}, actual is too long to show` : "is not what it has to be"
}

const maxLength = 400
