/**
 * The forms in which a secret value is met in texts: as it is, and as programs write it into JSON, shells, URLs and
 * headers (docs/guarantees.md, "Secrets").
 *
 * What has fewer than `shortestSecret` characters is no form: it would be found everywhere. Forms hold no backslash, and
 * those of a text do not count where they are looked for: that finds a value in quotes within quotes.
 */
import { encodeKey } from "./StepNames.ts"

/** Characters that a value, or a line of one, must have to be found in texts. */
export const shortestSecret = 4

/** Without the backslashes, which escape characters, and other backslashes in texts within texts. */
export const withoutBackslashes = (text: string): string => text.replaceAll("\\", "")

/** Whether a value is long enough to be looked for. */
export const isFindable = (value: string): boolean => withoutBackslashes(value).trim().length >= shortestSecret

/** All forms of a value, without backslashes; none of one that is too short. */
export const formsOf = (value: string): ReadonlyArray<string> => {
  if (!isFindable(value)) return []
  const whole = [value, value.trim()].flatMap((text) => [...writtenForms(text), ...encodedForms(text)])
  const lines = value.split(/\r\n|\r|\n/).map((line) => line.trim())
  const forms = lines.length === 1 ? whole : [...whole, ...lines.flatMap(writtenForms)]
  return [...new Set(forms.map(withoutBackslashes))].filter((form) => form.trim().length >= shortestSecret)
}

/** As JSON, shells and URLs write it. */
const writtenForms = (text: string): ReadonlyArray<string> => {
  const json = JSON.stringify(text).slice(1, -1)
  const quoted = [text.replaceAll("'", "'\\''"), text.replaceAll("'", "'\"'\"'")]
  return [text, json, json.replace(beyondAscii, asUnicodeEscape), ...quoted, ...urlForms(text)]
}

const beyondAscii = /[\u0080-\uffff]/g
const asUnicodeEscape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`

/** Percent-encoded: as JavaScript does it, as RFC 3986 has it, as a form's field, and as paths of steps are. */
const urlForms = (text: string): ReadonlyArray<string> => {
  // Without lone surrogates, which no URL can hold.
  const component = encodeURIComponent(Buffer.from(text).toString())
  const encoded = component.replace(/[!'()*]/g, asPercentCode)
  const forms = [component, encoded, encoded.replace(/~/g, asPercentCode).replaceAll("%20", "+"), encodeKey(text)]
  return [...forms, ...forms.map((form) => form.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()))]
}

const asPercentCode = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase()}`

/**
 * Base64, in either alphabet, wherever in the encoded text the value begins: its neighbours decide on the characters at
 * the edges, which are left out; and whole, where it stands alone.
 */
const encodedForms = (text: string): ReadonlyArray<string> => {
  const bytes = Buffer.from(text)
  const forms = [0, 1, 2].map((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64")
    return encoded.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6))
  })
  const all = [...forms, bytes.toString("base64").replace(/=+$/, "")]
  return [...all, ...all.map((form) => form.replaceAll("+", "-").replaceAll("/", "_"))]
}
