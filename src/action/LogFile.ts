/**
 * The output of a process in a file: written as it comes, read back in bounded parts. The file is the only copy, so
 * that 100 MB of output take no memory; where secrets are hidden in it, a second one may keep them. Bytes that are not
 * UTF-8 are replaced when they are read, never in the file.
 */
import { createWriteStream, type WriteStream } from "node:fs"
import { open } from "node:fs/promises"
import { Socket } from "node:net"
import * as Effect from "effect/Effect"
import type { Redactor } from "../workflow/Redactor.ts"

/** One stream of a process on its way to its file. */
export interface Capture {
  readonly file: string
  /** Bytes received so far. */
  readonly bytes: () => number
  /** Resolves when the stream has ended and everything is written, or with what went wrong. */
  readonly ended: Promise<CaptureFault | undefined>
  /** Stops reading, writes what was received, and lets go of the descriptors. */
  readonly stop: () => Promise<void>
}

export type CaptureFault =
  | { readonly _tag: "TooLarge"; readonly limit: number }
  | { readonly _tag: "Unwritable"; readonly detail: string }

export interface CaptureOptions {
  /** Replaced. */
  readonly file: string
  /** The most that is taken, in bytes. */
  readonly limit: number
  /** Called with each part that comes. */
  readonly onData?: (() => void) | undefined
  /** What is hidden in the file. */
  readonly redactor?: Redactor | undefined
  /** Another file, for the owner's eyes only, that keeps what came as it is; replaced. */
  readonly plain?: string | undefined
}

/**
 * Copies what comes out of the descriptor `fd` of a pipe to a file. The pipe is always emptied: after a fault, and
 * beyond the limit, what comes is dropped, so that the writing process never blocks.
 */
export const capture = (fd: number, { file, limit, onData, plain, redactor }: CaptureOptions): Capture => {
  const pipe = new Socket({ fd, readable: true, writable: false })
  const log = createWriteStream(file)
  const copy = plain === undefined ? undefined : createWriteStream(plain, { mode: 0o600 })
  const files = copy === undefined ? [log] : [log, copy]
  const redacted = redactor?.stream()
  let bytes = 0
  let fault: CaptureFault | undefined
  const ended = new Promise<CaptureFault | undefined>((resolve) => {
    const fail = (found: CaptureFault) => {
      fault ??= found
      pipe.resume()
      resolve(fault)
    }
    for (const stream of files) {
      stream.on("error", (error) => fail({ _tag: "Unwritable", detail: error.message }))
      stream.on("close", () => files.every(({ closed }) => closed) && resolve(fault))
      stream.on("drain", () => files.every(({ writableNeedDrain }) => !writableNeedDrain) && pipe.resume())
    }
    pipe.on("data", (chunk: Buffer) => {
      bytes += chunk.length
      onData?.()
      if (bytes > limit) fail({ _tag: "TooLarge", limit })
      if (fault !== undefined) return
      copy?.write(chunk)
      log.write(redacted?.push(chunk) ?? chunk)
      if (files.some(({ writableNeedDrain }) => writableNeedDrain)) pipe.pause()
    })
    pipe.on("error", (error) => fail({ _tag: "Unwritable", detail: error.message }))
    pipe.on("close", () => {
      copy?.end()
      log.end(redacted?.end())
    })
  })
  const stop = async () => {
    pipe.destroy()
    await ended
    await Promise.all(files.map(closing))
  }
  return { file, bytes: () => bytes, ended, stop }
}

const closing = (stream: WriteStream): Promise<void> =>
  new Promise((resolve) => {
    if (stream.closed) resolve()
    else stream.once("close", resolve).end()
  })

/** A text read from a file; `whole` is false where the file holds more. */
export interface Part {
  readonly text: string
  readonly whole: boolean
}

/** The first `characters` code points of the file. */
export const readHead = (file: string, characters: number): Effect.Effect<Part, Error> =>
  // No code point has more than four bytes, so only bytes behind the wanted ones can be cut in the middle.
  Effect.map(readBytes(file, "start", characters * 4), ({ bytes, whole }) => {
    const points = Array.from(bytes.toString("utf8"))
    return { text: points.slice(0, characters).join(""), whole: whole && points.length <= characters }
  })

/** The last `characters` code points of the file's text without the blanks around it. */
export const readTrimmedTail = (file: string, characters: number): Effect.Effect<string, Error> =>
  Effect.map(readBytes(file, "end", characters * 4 + trailingBlanks), ({ bytes }) => {
    const points = Array.from(withoutCutCharacter(bytes).toString("utf8").trim())
    return points.slice(Math.max(0, points.length - characters)).join("")
  })

/** How many blanks at the end of a file `readTrimmedTail` looks behind. */
const trailingBlanks = 65_536

/** The text of the file, or of its last `limit` bytes where it is larger. */
export const readEnd = (file: string, limit: number): Effect.Effect<Part, Error> =>
  Effect.map(readBytes(file, "end", limit), ({ bytes, whole }) => ({
    text: (whole ? bytes : withoutCutCharacter(bytes)).toString("utf8"),
    whole
  }))

const readBytes = (
  file: string,
  from: "start" | "end",
  limit: number
): Effect.Effect<{ readonly bytes: Buffer; readonly whole: boolean }, Error> =>
  Effect.tryPromise({
    try: async () => {
      const handle = await open(file)
      try {
        const { size } = await handle.stat()
        const length = Math.min(size, limit)
        const { buffer, bytesRead } = await handle.read({
          buffer: Buffer.allocUnsafe(length),
          position: from === "start" ? 0 : size - length
        })
        return { bytes: buffer.subarray(0, bytesRead), whole: length === size }
      } finally {
        await handle.close()
      }
    },
    catch: (error) => (error instanceof Error ? error : new Error(String(error)))
  })

/** Without the continuation bytes at the start, which belong to a character that was cut. */
const withoutCutCharacter = (bytes: Buffer): Buffer => {
  let start = 0
  while (start < 3 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start++
  return bytes.subarray(start)
}
