/**
 * Where the engine can be altered, and how: a few rewritings of its tokens that keep a file well-formed.
 *
 * TypeScript's compiler has no API to parse with, so places are found in the text: comments, texts, types and imports are
 * blanked out first, and each rewriting is a pattern over what is left.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

const folders = ["src/engine", "src/engine/interpreter", "src/persistence", "src/persistence/sql", "src/program"]

/** What is done at a place: `at` and `length` are replaced by `by`. */
const rewritings = [
  {
    name: "condition negated",
    pattern: /\bif \((?!.*\bthrow\b)/g,
    rewrite: (text, at) => insideParentheses(text, at, (inner) => `!(${inner})`)
  },
  {
    name: "condition always true",
    pattern: /\bif \(/g,
    rewrite: (text, at) => insideParentheses(text, at, (inner) => `true || (${inner})`)
  },
  {
    name: "condition never true",
    pattern: /\bif \(/g,
    rewrite: (text, at) => insideParentheses(text, at, (inner) => `false && (${inner})`)
  },
  { name: "=== for !==", pattern: / !== /g, by: " === " },
  { name: "!== for ===", pattern: / === /g, by: " !== " },
  { name: ">= for >", pattern: / > (?=[\w(])/g, by: " >= " },
  { name: "> for >=", pattern: / >= /g, by: " > " },
  { name: "<= for <", pattern: / < (?=[\w(])/g, by: " <= " },
  { name: "< for <=", pattern: / <= /g, by: " < " },
  { name: "|| for &&", pattern: / && /g, by: " || " },
  { name: "&& for ||", pattern: / \|\| /g, by: " && " },
  { name: "true for false", pattern: /\bfalse\b/g, by: "true" },
  { name: "false for true", pattern: /\btrue\b/g, by: "false" },
  { name: "- for +", pattern: / \+ (?=1\b)/g, by: " - " },
  { name: "effect dropped", pattern: /^ +yield\* [\w.#]+\(/gm, rewrite: (text, at) => wholeStatement(text, at) },
  {
    name: "statement dropped",
    pattern: /^ +(?:this\.#?|run\.|self\.)[\w.#]+\(/gm,
    rewrite: (text, at) => wholeStatement(text, at)
  }
]

/** The condition of the `if` at a place, changed; undefined where it spans lines in a way that is not understood. */
const insideParentheses = (text, at, change) => {
  const open = text.indexOf("(", at)
  const close = closing(text, open)
  if (close === undefined) return undefined
  return { at: open + 1, length: close - open - 1, by: change }
}

/** The statement that begins at a place, if it stands alone: its end is the end of a line. */
const wholeStatement = (text, at) => {
  const start = at + text.slice(at).search(/\S/)
  const close = closing(text, text.indexOf("(", start))
  if (close === undefined || text[close + 1] !== "\n") return undefined
  // The line before has to end a statement, or begin a block: else this is a part of an expression.
  if (!/(?:[;{)\]"\w]|=> \{)\s*$/.test(text.slice(0, at)) || /(?:=>|[=(,?:&|])\s*$/.test(text.slice(0, at)))
    return undefined
  if (/^\s*[.?:&|)]/.test(text.slice(close + 1))) return undefined
  return { at: start, length: close + 1 - start, by: () => "void 0" }
}

const closing = (text, open) => {
  let depth = 0
  for (let at = open; at < text.length; at++) {
    if (text[at] === "(") depth += 1
    if (text[at] === ")" && --depth === 0) return at
  }
  return undefined
}

/** The text with what is no code blanked out: comments, texts, imports, types that stand on their own lines. */
const codeOf = (text) => {
  const blank = (found) => found.replaceAll(/[^\n]/g, " ")
  return text
    .replaceAll(/\/\*[\s\S]*?\*\//g, blank)
    .replaceAll(/\/\/.*$/gm, blank)
    .replaceAll(/"(?:[^"\\\n]|\\.)*"/g, blank)
    .replaceAll(/`(?:[^`\\]|\\.)*`/g, blank)
    .replaceAll(/^(?:import|export \{)[\s\S]*?(?:from +|\}) *$/gm, blank)
    .replaceAll(/^(?:export )?(?:interface|type) [\s\S]*?^(?=\S)(?:\}$)?/gm, blank)
    .replaceAll(/^ *(?:readonly )?\w+\??: .*=> .*$/gm, (line) =>
      line.includes("(") && line.includes("=> {") ? line : blank(line)
    )
}

const placesIn = (project, file) => {
  const text = readFileSync(join(project, file), "utf8")
  const code = codeOf(text)
  return rewritings.flatMap(({ by, name, pattern, rewrite }) =>
    [...code.matchAll(pattern)].flatMap((match) => {
      const edit =
        rewrite === undefined ? { at: match.index, length: match[0].length, by: () => by } : rewrite(code, match.index)
      return edit === undefined ? [] : [mutationOf(file, text, name, edit)]
    })
  )
}

const mutationOf = (file, text, name, { at, by, length }) => {
  const before = text.slice(at, at + length)
  const line = text.slice(0, at).split("\n").length
  const shown = text.split("\n")[line - 1].trim()
  return {
    file,
    line,
    what: `${name}: ${shown}`,
    apply: (original) => original.slice(0, at) + by(before) + original.slice(at + length)
  }
}

/** `count` mutations, drawn by a seed: each place at most once. */
export const drawMutations = (project, seed, count) => {
  const left = folders.flatMap((folder) =>
    readdirSync(join(project, folder))
      .filter((name) => name.endsWith(".ts"))
      .sort()
      .flatMap((name) => placesIn(project, `${folder}/${name}`))
  )
  const next = random(seed)
  const drawn = []
  while (drawn.length < count && left.length > 0) {
    const [chosen] = left.splice(Math.floor(next() * left.length), 1)
    drawn.push(chosen)
  }
  return drawn
}

/** From 0 to 1, without 1 (mulberry32). */
const random = (seed) => {
  let state = (seed ^ 0x9e3779b9) >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
