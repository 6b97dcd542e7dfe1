/**
 * The texts that stand in a TypeScript source: its string literals, and the parts of its templates between what is
 * filled in. Comments and regular expressions are passed over.
 */

/** Behind what a `/` begins a regular expression, and does not divide. */
const beforeRegExp = /(?:^|[(,=:[!&|?{};>]|\breturn)\s*$/

export const textsIn = (source: string): ReadonlyArray<string> => {
  const texts: Array<string> = []
  let at = 0

  const skipRegExp = (): void => {
    let inClass = false
    for (at++; at < source.length && (inClass || source[at] !== "/"); at++) {
      if (source[at] === "\\") at++
      else if (source[at] === "[") inClass = true
      else if (source[at] === "]") inClass = false
    }
    at++
  }

  /** From behind the quote; a template's parts are texts of their own. */
  const readText = (quote: string): void => {
    let text = ""
    while (at < source.length && source[at] !== quote) {
      if (source[at] === "\\") {
        text += escapes[source[at + 1] ?? ""] ?? source[at + 1] ?? ""
        at += 2
      } else if (quote === "`" && source.startsWith("${", at)) {
        texts.push(text)
        text = ""
        at += 2
        readCode("}")
      } else text += source[at++]
    }
    at++
    texts.push(text)
  }

  const readCode = (end: string | undefined): void => {
    let depth = 0
    while (at < source.length) {
      const char = source[at] ?? ""
      if (char === end && depth === 0) {
        at++
        return
      }
      if (source.startsWith("//", at)) at = lineEnd(source, at)
      else if (source.startsWith("/*", at)) at = source.indexOf("*/", at) + 2
      else if (char === "/" && beforeRegExp.test(source.slice(Math.max(0, at - 40), at))) skipRegExp()
      else if (char === '"' || char === "'" || char === "`") {
        at++
        readText(char)
      } else {
        if (char === "{") depth++
        if (char === "}") depth--
        at++
      }
    }
  }

  readCode(undefined)
  return texts
}

const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t" }

const lineEnd = (source: string, from: number): number => {
  const end = source.indexOf("\n", from)
  return end === -1 ? source.length : end
}
