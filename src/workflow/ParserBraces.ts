/** Where a brace is likely to be missing, told by the indentation. */
import { Kind, type Tokens } from "./Lexer.ts"
import { lineStarts, positionAt } from "./Source.ts"

/**
 * The hint for a file that ends with `open` groups still open. The first closing brace whose line is indented
 * otherwise than the line of its opening one shows the block that lacks its own.
 */
export const missingBraces = (tokens: Tokens, open: number, closing: string): string => {
  if (open > 1) return `${open} closing brackets are missing at the end of the file`
  const pair = misindented(tokens)
  if (pair === undefined) return `add \`${closing}\``
  const starts = lineStarts(tokens.text)
  const line = (token: number) => positionAt(starts, tokens.starts[token] ?? 0).line
  return (
    `the block of line ${line(pair.open)} ends with the \`}\` of line ${line(pair.close)}, ` +
    "which is indented otherwise: its own may be missing"
  )
}

const misindented = (tokens: Tokens): { readonly open: number; readonly close: number } | undefined => {
  const stack: Array<number> = []
  for (let index = 0; index < tokens.count; index++) {
    const kind = tokens.kinds[index]
    if (kind === Kind.LeftBrace) stack.push(index)
    if (kind !== Kind.RightBrace) continue
    const open = stack.pop()
    if (open === undefined) return undefined
    const [opening, closing] = [lineOf(tokens, open), lineOf(tokens, index)]
    const leads = closing.start + closing.indent === tokens.starts[index]
    if (leads && opening.start !== closing.start && opening.indent !== closing.indent) return { open, close: index }
  }
  return undefined
}

const lineOf = (tokens: Tokens, token: number): { readonly start: number; readonly indent: number } => {
  const at = tokens.starts[token] ?? 0
  const start = at === 0 ? 0 : tokens.text.lastIndexOf("\n", at - 1) + 1
  let indent = 0
  while (tokens.text[start + indent] === " " || tokens.text[start + indent] === "\t") indent++
  return { start, indent }
}
