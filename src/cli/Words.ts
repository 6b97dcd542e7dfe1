/**
 * The words behind a command's name, told apart: options with their values, and arguments. Reading a command line and
 * completing one look at them in the same way.
 */

/** An option as far as its words are concerned. */
export interface OptionShape {
  readonly name: string
  /** How its value is called; undefined: it takes none. */
  readonly value: string | undefined
}

export type Word<O extends OptionShape> =
  | {
      readonly _tag: "Option"
      readonly option: O
      /** The option's word without its value: `--db`. */
      readonly written: string
      /** Undefined: there is none. One behind `=` is there even if the option takes none. */
      readonly value: string | undefined
    }
  | { readonly _tag: "UnknownOption"; readonly written: string }
  | { readonly _tag: "Argument"; readonly text: string }
  /** What follows is no option. */
  | { readonly _tag: "End" }

/** An option's value is the next word, unless that is another option of the command, or the text behind its `=`. */
export const readWords = <O extends OptionShape>(
  options: ReadonlyArray<O>,
  words: ReadonlyArray<string>
): ReadonlyArray<Word<O>> => {
  const read: Array<Word<O>> = []
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ""
    if (word === "--") {
      const rest = words.slice(at + 1).map((text) => ({ _tag: "Argument", text }) as const)
      return [...read, { _tag: "End" }, ...rest]
    }
    if (!word.startsWith("-") || word === "-") {
      read.push({ _tag: "Argument", text: word })
      continue
    }
    const [written, behind] = cutAtEquals(word)
    const option = optionOf(options, written)
    if (option === undefined) {
      read.push({ _tag: "UnknownOption", written })
      continue
    }
    const next = words[at + 1]
    const takesNext =
      option.value !== undefined && behind === undefined && next !== undefined && optionOf(options, next) === undefined
    if (takesNext) at++
    read.push({ _tag: "Option", option, written, value: takesNext ? next : behind })
  }
  return read
}

const optionOf = <O extends OptionShape>(options: ReadonlyArray<O>, written: string): O | undefined =>
  options.find(({ name }) => `--${name}` === written)

/** `--db=x` in two; what has no `=` has nothing behind it. */
export const cutAtEquals = (word: string): readonly [before: string, behind: string | undefined] => {
  const equals = word.indexOf("=")
  return equals === -1 ? [word, undefined] : [word.slice(0, equals), word.slice(equals + 1)]
}
