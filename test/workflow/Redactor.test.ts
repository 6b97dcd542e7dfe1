import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { redacted, redactorOf, type Redactor } from "../../src/workflow/Redactor.ts"
import { formsOf, shortestSecret } from "../../src/workflow/SecretForms.ts"

const hiding = (...values: ReadonlyArray<string>): Redactor => {
  const redactor = redactorOf(values)
  if (redactor === undefined) throw new Error("nothing to hide")
  return redactor
}

/** What a stream makes of chunks. */
const through = (redactor: Redactor, chunks: ReadonlyArray<Buffer>): string => {
  const stream = redactor.stream()
  return Buffer.concat([...chunks.map((chunk) => stream.push(chunk)), stream.end()]).toString()
}

const chunksOf = (bytes: Buffer, ends: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const sorted = [...new Set(ends)].sort((a, b) => a - b)
  return [...sorted, bytes.length].map((end, index) => bytes.subarray(sorted[index - 1] ?? 0, end))
}

/** Few letters, so that values overlap each other and themselves. */
const letter = fc.constantFrom("a", "b", "ä", "😀", "\n", "'", '"', " ", "\\")
const value = fc
  .string({ unit: letter, minLength: shortestSecret, maxLength: 9 })
  .filter((text) => formsOf(text).length > 0)
const values = fc.uniqueArray(value, { minLength: 1, maxLength: 4 })
const around = fc.string({ unit: letter, maxLength: 12 })
/** Texts that hold the values, whole and in parts. */
const cases = values.chain((secrets) =>
  fc.record({
    secrets: fc.constant(secrets),
    parts: fc.array(
      fc.oneof(
        around,
        fc.constantFrom(...secrets),
        fc.constantFrom(...secrets).map((s) => [...s].slice(1).join(""))
      ),
      {
        maxLength: 8
      }
    )
  })
)

describe("a redactor", () => {
  it("replaces every occurrence of a value", () => {
    const redactor = hiding("hunter2")
    expect(redactor.text("hunter2, Xhunter2hunter2Y, hunter")).toBe("***, X******Y, hunter")
    expect(redactor.text("nothing here")).toBe("nothing here")
  })

  it("takes overlapping values for one, the longest included", () => {
    expect(hiding("token", "token-long").text("<token-long> <token>")).toBe("<***> <***>")
    expect(hiding("abcd", "cdef").text("<abcdef>")).toBe("<***>")
    expect(hiding("aaaa").text("<aaaaaa>")).toBe("<***>")
  })

  it("finds what programs write a value as", () => {
    const secret = `pa"ss w\\o'r$d/é`
    const redactor = hiding(secret)
    const forms: Readonly<Record<string, string>> = {
      plain: secret,
      json: JSON.stringify({ secret }),
      "json in json": JSON.stringify({ text: JSON.stringify({ secret }) }),
      "json in ASCII": '"pa\\"ss w\\\\o\'r$d/\\u00e9"',
      "single quotes": `'pa"ss w\\o'\\''r$d/é'`,
      "single quotes the other way": `'pa"ss w\\o'"'"'r$d/é'`,
      "double quotes": `"pa\\"ss w\\\\o'r\\$d/é"`,
      "a URL": encodeURIComponent(secret),
      "a URL in lower case": encodeURIComponent(secret).replace(/%../g, (code) => code.toLowerCase()),
      "a form": new URLSearchParams({ secret }).toString(),
      base64: Buffer.from(secret).toString("base64"),
      base64url: Buffer.from(secret).toString("base64url")
    }
    for (const [name, text] of Object.entries(forms)) {
      const shown = redactor.text(`<${text}>`)
      expect([name, shown.includes("***")]).toEqual([name, true])
      expect([name, shown.replace(/[^A-Za-z]/g, "").length < 12]).toEqual([name, true])
    }
  })

  it("finds a value within base64 wherever it begins", () => {
    const secret = "s3cr3t-t0ken"
    for (const user of ["", "u", "us", "use", "user:"]) {
      for (const rest of ["", "@", "@h", "@ho"]) {
        const encoded = Buffer.from(`${user}${secret}${rest}`).toString("base64")
        const shown = hiding(secret).text(encoded)
        expect(shown).toContain("***")
        const left = Buffer.from(shown.replace("***", ""), "base64").toString("latin1")
        expect(left).not.toMatch(/s3|cr|3t|t0|ken/)
      }
    }
  })

  it("takes the lines of a value for values, whatever ends them", () => {
    const key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n  hkiG9w0BAQEFAASC\n-----END KEY-----\n"
    const redactor = hiding(key)
    expect(redactor.text(`<${key}>`)).toBe("<***>")
    expect(redactor.text(key.replaceAll("\n", "\r\n"))).toBe("***\r\n***\r\n  ***\r\n***\r\n")
    expect(redactor.text("found MIIEvQIBADANBgkq here")).toBe("found *** here")
    expect(redactor.text(JSON.stringify({ key }))).toBe('{"key":"***"}')
  })

  it("looks for nothing that is too short, but for short lines in their whole", () => {
    expect(redactorOf(["", "abc", " ab  ", "a\nb"])).toBeUndefined()
    expect(redactorOf([])).toBeUndefined()
    const redactor = hiding("ab\ncd\nef", "abc")
    expect(redactor.text("ab cd ef abc")).toBe("ab cd ef abc")
    expect(redactor.text("<ab\ncd\nef>")).toBe("<***>")
  })

  it("redacts the texts, keys and numbers of JSON", () => {
    const redactor = hiding("hunter2", "40961234")
    const value = { a: ["x hunter2", { hunter2: 1 }], n: 40961234, m: 4096, t: true, z: null }
    expect(redactor.json(value)).toEqual({ a: ["x ***", { "***": 1 }], n: "***", m: 4096, t: true, z: null })
  })

  it("leaves no half of a value at the end of a text that was cut", () => {
    const redactor = hiding("hunter2", "abcab")
    const ends = ["xx hunte", "xx h", "xx hunter2", "xx hunter2 ", "xx abcab", "xx abcabc", "xx"]
    expect(ends.map((text) => redactor.uncut(text))).toEqual([
      "xx ",
      "xx ",
      "xx hunter2",
      "xx hunter2 ",
      "xx ",
      "xx ",
      "xx"
    ])
  })

  it("finds a value in quotes within quotes", () => {
    const secret = `a"b\\c'd\te`
    const redactor = hiding(secret)
    let text = secret
    for (let depth = 0; depth < 6; depth++) {
      text = JSON.stringify({ x: text })
      expect(redactor.text(text)).toMatch(/^[^a-e]*\*\*\*[^a-e]*$/)
    }
    // As `echo` of a shell that reads escapes leaves it.
    expect(redactor.text(`<a\\"b\\c'd\\te>`)).toBe("<***>")
    expect(redactor.text(`<a${"\\".repeat(65)}"b\\c'd\te>`)).toContain("c'd")
  })

  it("leaves no value in any text, and changes nothing twice", () => {
    fc.assert(
      fc.property(cases, ({ secrets, parts }) => {
        const redactor = hiding(...secrets)
        const shown = redactor.text(parts.join(""))
        for (const secret of secrets) expect(shown.includes(secret)).toBe(false)
        const quoted = redactor.text(JSON.stringify(parts.join("")))
        for (const secret of secrets) expect(quoted.includes(JSON.stringify(secret).slice(1, -1))).toBe(false)
        expect(redactor.text(shown)).toBe(shown)
      }),
      { numRuns: 500 }
    )
  })

  it("changes nothing twice where values hold what is shown for them", () => {
    const starred = fc.string({ unit: fc.constantFrom("*", "a", "b"), minLength: shortestSecret, maxLength: 7 })
    fc.assert(
      fc.property(
        fc.uniqueArray(starred, { minLength: 1, maxLength: 4 }),
        fc.string({ unit: fc.constantFrom("*", "a", "b"), maxLength: 30 }),
        (secrets, text) => {
          const redactor = hiding(...secrets)
          const shown = redactor.text(text)
          expect(redactor.text(shown)).toBe(shown)
          for (const secret of secrets) expect(shown.includes(secret)).toBe(false)
        }
      ),
      { numRuns: 500 }
    )
  })
})

describe("a redacted stream", () => {
  it("gives the same wherever it is cut", () => {
    const redactor = hiding("hunter2", "nter2-long", "zwölf")
    const bytes = Buffer.from("a hunter2-long b hunter2hunter2 c hunterhunter2 zwölf zwö")
    const whole = redactor.text(bytes.toString())
    expect(whole).toBe("a *** b ****** c hunter*** *** zwö")
    for (let one = 0; one <= bytes.length; one++) {
      for (let other = one; other <= bytes.length; other++) {
        expect(through(redactor, chunksOf(bytes, [one, other]))).toBe(whole)
      }
    }
    expect(
      through(
        redactor,
        [...bytes].map((byte) => Buffer.of(byte))
      )
    ).toBe(whole)
  })

  it("gives what the text gives, for any values and cuts", () => {
    const cut = fc.tuple(cases, fc.array(fc.nat(200), { maxLength: 8 }))
    fc.assert(
      fc.property(cut, ([{ secrets, parts }, ends]) => {
        const redactor = hiding(...secrets)
        const text = parts.join("")
        const bytes = Buffer.from(text)
        const within = ends.map((end) => end % (bytes.length + 1))
        expect(through(redactor, chunksOf(bytes, within))).toBe(redactor.text(text))
      }),
      { numRuns: 1_000 }
    )
  })

  it("leaves bytes that are no text as they are", () => {
    const stream = hiding("hunter2").stream()
    const bytes = Buffer.from([0xff, 0x00, 0xc3, 0x68, 0x75, 0xfe])
    expect(Buffer.concat([stream.push(bytes), stream.end()])).toEqual(bytes)
  })

  it("holds back no more than the beginning of a value", () => {
    const stream = hiding("hunter2").stream()
    expect(stream.push(Buffer.from("a line\n")).toString()).toBe("a line\n")
    expect(stream.push(Buffer.from("hunt")).toString()).toBe("")
    expect(stream.push(Buffer.from("hunte")).toString()).toBe("hunt")
    expect(stream.push(Buffer.from("r2 ")).toString()).toBe("*** ")
    const endless = hiding("aaaa").stream()
    const shown = Array.from({ length: 100 }, () => endless.push(Buffer.from("aaaaaaa")).toString())
    expect(shown.join("")).toBe(redacted)
    expect(endless.end().toString()).toBe("")
  })
})
