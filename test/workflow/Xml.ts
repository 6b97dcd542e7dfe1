/** Whether a text is well-formed XML, as far as our pictures need: tags in pairs, attributes, references, characters. */

const token = /<\/([\w:-]+)>|<([\w:-]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|([^<]+)/gy
const references = /&(?!(?:amp|lt|gt|quot|#39);)/
const characters = /(?![\t\n\r])[\p{Cc}\p{Cs}\ufffe\uffff]/u

/** The first thing that is wrong; undefined where nothing is. */
export const xmlProblem = (text: string): string | undefined => {
  const open: Array<string> = []
  let at = 0
  token.lastIndex = 0
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    const [whole, closing, opening, attributes = "", empty, content = ""] = match
    at = token.lastIndex
    if (references.test(attributes + content)) return `a bare & in ${whole}`
    if (characters.test(whole)) return `a forbidden character in ${JSON.stringify(whole)}`
    const names = [...attributes.matchAll(/\s([\w:-]+)=/g)].map(([, name]) => name)
    if (new Set(names).size < names.length) return `an attribute twice in ${whole}`
    if (opening !== undefined && empty === "") open.push(opening)
    if (closing !== undefined && open.pop() !== closing) return `</${closing}> closes nothing`
    if (open.length === 0 && content.trim() !== "") return `text outside of all tags: ${content}`
  }
  if (at < text.length) return `no token at ${at}: ${text.slice(at, at + 40)}`
  return open.length === 0 ? undefined : `<${open.at(-1)}> is never closed`
}
