/**
 * Findings of one workflow on their way to diagnostics: where they stand in its file, and whose they are.
 */
import type { WorkflowDefinition } from "./Definition.ts"
import type { Diagnostic, Severity } from "./Diagnostic.ts"
import type { SemanticCode } from "./SemanticCodes.ts"
import type { Source, Span } from "./Source.ts"
import { nearest } from "./Suggest.ts"
import type { Host, WorkflowFile } from "./ValidatorHost.ts"

/** Where a finding stands: an option's value by its name as written, a part of it, or (without) the node's name. */
export interface Place {
  readonly node: object
  readonly option?: string
}

/** The workflow being looked at. */
export class Subject {
  constructor(
    /** As others call it. */
    readonly name: string,
    readonly definition: WorkflowDefinition,
    readonly file: WorkflowFile,
    readonly host: Host,
    /** Put in front of every message: the root's is empty. */
    private readonly prefix: string,
    private readonly found: Array<Diagnostic>
  ) {}

  error(code: SemanticCode, message: string, place: Place | Span, hint?: string): void {
    this.add("error", code, message, place, hint)
  }

  warning(code: SemanticCode, message: string, place: Place | Span, hint?: string): void {
    this.add("warning", code, message, place, hint)
  }

  /** What was found elsewhere, in a schema or by the parser. */
  foreign(diagnostic: Diagnostic): void {
    this.found.push({ ...diagnostic, message: `${this.prefix}${diagnostic.message}` })
  }

  /** The place in the file; an option that was not written stands where its node does. */
  span(place: Place): Span | undefined {
    const { spans } = this.file
    const part = place.option === undefined ? undefined : this.optionSpan(place.node, place.option)
    return part ?? spans?.name(place.node) ?? spans?.node(place.node)
  }

  /** `with.0` is the whole `with` where one text was written instead of a list. */
  private optionSpan(node: object, option: string): Span | undefined {
    const { spans } = this.file
    const dot = option.indexOf(".")
    return spans?.option(node, option) ?? (dot === -1 ? undefined : spans?.option(node, option.slice(0, dot)))
  }

  private add(severity: Severity, code: SemanticCode, message: string, place: Place | Span, hint?: string): void {
    const span = "node" in place ? this.span(place) : place
    this.found.push({
      severity,
      code,
      message: `${this.prefix}${message}`,
      ...located(this.file.source, span),
      ...(hint === undefined ? {} : { hint })
    })
  }
}

const located = (source: Source | undefined, span: Span | undefined): Pick<Diagnostic, "source" | "span"> => ({
  ...(source === undefined ? {} : { source }),
  ...(source === undefined || span === undefined ? {} : { span })
})

/** A name or a piece of code in a message. */
export const shown = (text: string): string => `\`${text}\``

/** Names that a hint lists. */
const maxListed = 8

/** `did you mean …?`, else `otherwise`, else the names that there are. */
export const suggestion = (word: string, candidates: ReadonlyArray<string>, otherwise?: string): string | undefined => {
  const near = nearest(word, candidates)
  if (near !== undefined) return `did you mean ${shown(near)}?`
  if (otherwise !== undefined) return otherwise
  return candidates.length === 0 ? undefined : `there are ${listed(candidates)}`
}

/** The first few names. */
export const listed = (names: ReadonlyArray<string>): string => {
  const rest = names.length - maxListed
  const first = names.slice(0, maxListed).map(shown).join(", ")
  return rest > 0 ? `${first} and ${rest} more` : first
}

/** The places that were searched, as a hint. */
export const searchedHint = (searched: ReadonlyArray<string>): string | undefined =>
  searched.length === 0 ? undefined : `searched ${searched.join(", ")}`
