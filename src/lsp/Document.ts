/** A document that is open in the editor: its text as it is there, and what the parser says of it. */
import { realpathSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { type Tokens, tokenize } from "../workflow/Lexer.ts"
import { checkText, type ParsedFile, parseWith } from "../workflow/Parser.ts"
import { Lines } from "./Lines.ts"
import type { ContentChange } from "./Protocol.ts"

export class OpenDocument {
  /** The file on disk; undefined where the document is none (`untitled:…`). */
  readonly path: string | undefined
  private parsed: Parsed | undefined
  private index: Lines | undefined

  constructor(
    readonly uri: string,
    readonly version: number,
    readonly text: string
  ) {
    this.path = pathOf(uri)
  }

  get lines(): Lines {
    this.index ??= new Lines(this.text)
    return this.index
  }

  get file(): ParsedFile {
    return this.read().file
  }

  get tokens(): Tokens {
    return this.read().tokens
  }

  private read(): Parsed {
    this.parsed ??= parse(this.path ?? this.uri, this.text)
    return this.parsed
  }

  /** The document after its editor's changes, each of which counts on the ones before it. */
  changed(version: number | null, changes: ReadonlyArray<ContentChange>): OpenDocument {
    let { text } = this
    for (const { range, text: inserted } of changes) {
      if (range === undefined) text = inserted
      else {
        const { end, start } = new Lines(text).spanOf(range)
        text = text.slice(0, start) + inserted + text.slice(end)
      }
    }
    return new OpenDocument(this.uri, version ?? this.version, text)
  }
}

interface Parsed {
  readonly file: ParsedFile
  readonly tokens: Tokens
}

const nothing = () => undefined

const parse = (file: string, text: string): Parsed => {
  const source = { file, text }
  const unfit = checkText(source).filter(({ code }) => code !== "empty-file")
  if (unfit.length === 0) {
    const parsed = parseWith(source, false)
    return { file: parsed.file, tokens: parsed.cursor.tokens }
  }
  const spans = { node: nothing, name: nothing, option: nothing }
  return { file: { source, definition: undefined, spans, diagnostics: unfit }, tokens: tokenize("") }
}

/** The path of a `file:` URI, symbolic links followed where there is such a file. */
export const pathOf = (uri: string): string | undefined => {
  try {
    if (!uri.startsWith("file:")) return undefined
    return realPath(fileURLToPath(uri))
  } catch {
    // A URI that names no file of this machine.
    return undefined
  }
}

export const realPath = (path: string): string => {
  try {
    return realpathSync(path)
  } catch {
    // Not written to disk yet.
    return path
  }
}
