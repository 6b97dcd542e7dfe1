import { describe, expect, it } from "@effect/vitest"
import { escaped, readLine } from "../../src/cli/ShellWords.ts"
import { cutAtEquals, readWords } from "../../src/cli/Words.ts"

/** Bash's own. */
const breaks = " \t\n\"'@><=;|&(:"

describe("a line up to the cursor", () => {
  const read = (line: string) => readLine(line, breaks)

  it("is words, and the one that the cursor is in", () => {
    expect(read("millrace run he")).toEqual({ words: ["millrace", "run"], current: "he", kept: 0, quote: undefined })
    expect(read("millrace  run ")).toMatchObject({ words: ["millrace", "run"], current: "" })
    expect(read("millrace")).toMatchObject({ words: [], current: "millrace" })
  })

  it("has words without their quotes and backslashes, an empty one among them", () => {
    expect(read(`m "a b" 'c"d' e\\ f "" x`)).toMatchObject({ words: ["m", "a b", 'c"d', "e f", ""], current: "x" })
    expect(read(`m "a\\"b" 'c\\d' `)).toMatchObject({ words: ["m", 'a"b', "c\\d"], current: "" })
  })

  it("knows the quote that is open, and that nothing breaks words in it", () => {
    expect(read('m --home "my di')).toMatchObject({ current: "my di", kept: 0, quote: '"' })
    expect(read("m 'a=b")).toMatchObject({ current: "a=b", kept: 0, quote: "'" })
  })

  it("keeps what stands in front of the last sign at which bash breaks words", () => {
    expect(read("m --status=fai")).toMatchObject({ current: "--status=fai", kept: "--status=".length })
    expect(read("m /while:x.y/@2/f")).toMatchObject({ current: "/while:x.y/@2/f", kept: "/while:x.y/@".length })
    expect(read("m a\\=b")).toMatchObject({ current: "a=b", kept: 0 })
    expect(read('m "my dir/"')).toMatchObject({ current: "my dir/", kept: "my dir/".length, quote: undefined })
    expect(read('m x="a')).toMatchObject({ current: "x=a", kept: "x=".length, quote: '"' })
  })

  it("may end with a backslash", () => {
    expect(read("m a\\")).toMatchObject({ words: ["m"], current: "a\\" })
  })
})

describe("a word that goes into a line", () => {
  it("is read by a shell as what it is, in each quote", () => {
    const word = `it's "a" $b \`c\` \\d;*?~é`
    expect(escaped(word, undefined)).toBe(`it\\'s\\ \\"a\\"\\ \\$b\\ \\\`c\\\`\\ \\\\d\\;\\*\\?~é`)
    expect(escaped(word, '"')).toBe(`it's \\"a\\" \\$b \\\`c\\\` \\\\d;*?~é`)
    expect(escaped(word, "'")).toBe(`it'\\''s "a" $b \`c\` \\d;*?~é`)
    expect(escaped("/while:x.y/@2/f~2", undefined)).toBe("/while:x.y/@2/f~2")
  })
})

describe("the words behind a command's name", () => {
  const options = [
    { name: "db", value: "FILE" },
    { name: "json", value: undefined }
  ]
  const [db, json] = options
  const read = (...words: ReadonlyArray<string>) => readWords(options, words)

  it("are options with their values, and arguments, in any order", () => {
    expect(read("a", "--db", "x", "--json", "b", "-")).toEqual([
      { _tag: "Argument", text: "a" },
      { _tag: "Option", option: db, written: "--db", value: "x" },
      { _tag: "Option", option: json, written: "--json", value: undefined },
      { _tag: "Argument", text: "b" },
      { _tag: "Argument", text: "-" }
    ])
  })

  it("have a value behind `=` whatever it is like, and none that is another option", () => {
    expect(read("--db=--json")).toEqual([{ _tag: "Option", option: db, written: "--db", value: "--json" }])
    expect(read("--db=")).toEqual([{ _tag: "Option", option: db, written: "--db", value: "" }])
    expect(read("--json=yes")).toEqual([{ _tag: "Option", option: json, written: "--json", value: "yes" }])
    expect(read("--db", "--json").map((word) => "value" in word && word.value)).toEqual([undefined, undefined])
    expect(read("--db", "--other")).toEqual([{ _tag: "Option", option: db, written: "--db", value: "--other" }])
    expect(read("--db")).toEqual([{ _tag: "Option", option: db, written: "--db", value: undefined }])
  })

  it("are no options behind `--`, and unknown ones are told", () => {
    expect(read("--db2", "-x", "--", "--json", "--")).toEqual([
      { _tag: "UnknownOption", written: "--db2" },
      { _tag: "UnknownOption", written: "-x" },
      { _tag: "End" },
      { _tag: "Argument", text: "--json" },
      { _tag: "Argument", text: "--" }
    ])
  })

  it("are cut at the first `=`", () => {
    expect(cutAtEquals("--input=a=b")).toEqual(["--input", "a=b"])
    expect(cutAtEquals("--input")).toEqual(["--input", undefined])
  })
})
