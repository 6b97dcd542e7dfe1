/**
 * Messages on a stream of bytes, as the Language Server Protocol frames them: `Content-Length: N`, an empty line, and N
 * bytes of JSON. Total: whatever comes in becomes messages and complaints, and after a complaint the next header that
 * can be read is found.
 */

/** The longest message that is read, in bytes; a longer one is passed over. */
export const maxMessageBytes = 64 * 1024 * 1024

/** The longest header; what is longer is none. */
const maxHeaderBytes = 8 * 1024

export type Frame =
  | { readonly _tag: "Message"; readonly text: string }
  /** Bytes that were passed over. */
  | { readonly _tag: "Broken"; readonly detail: string }

const headerEnd = "\r\n\r\n"
/** Not bound to a line's start: bytes that belong to nothing may stand in front of it. */
const contentLength = /content-length:[ \t]*([0-9]+)[ \t]*$/im

export class FrameDecoder {
  private chunks: Array<Buffer> = []
  private size = 0
  /** Bytes of the message that is being read; undefined while its header is. */
  private wanted: number | undefined
  /** Bytes of a message that is too long, still to be passed over. */
  private passing = 0

  /** The frames that are complete with these bytes. */
  push(bytes: Uint8Array): ReadonlyArray<Frame> {
    this.chunks.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
    this.size += bytes.byteLength
    const frames: Array<Frame> = []
    while (this.step(frames));
    return frames
  }

  /** Whether more may follow from what is buffered. */
  private step(frames: Array<Frame>): boolean {
    if (this.passing > 0) return this.pass()
    if (this.wanted === undefined) return this.readHeader(frames)
    if (this.size < this.wanted) return false
    frames.push({ _tag: "Message", text: this.take(this.wanted).toString("utf8") })
    this.wanted = undefined
    return true
  }

  private pass(): boolean {
    const passed = Math.min(this.passing, this.size)
    this.take(passed)
    this.passing -= passed
    return this.passing === 0
  }

  private readHeader(frames: Array<Frame>): boolean {
    const buffered = this.joined()
    const end = buffered.indexOf(headerEnd)
    if (end === -1 || end > maxHeaderBytes) return this.size > maxHeaderBytes && this.resynchronize(buffered, frames)
    const header = this.take(end + headerEnd.length).toString("latin1", 0, end)
    const length = Number(contentLength.exec(header)?.[1] ?? Number.NaN)
    if (Number.isNaN(length)) {
      frames.push({ _tag: "Broken", detail: "a message's header has no Content-Length" })
    } else if (length > maxMessageBytes) {
      frames.push({ _tag: "Broken", detail: `a message has ${length} bytes, but at most ${maxMessageBytes} are read` })
      this.passing = length
    } else this.wanted = length
    return true
  }

  /** Drops what is no header, up to the next word that may begin one. */
  private resynchronize(buffered: Buffer, frames: Array<Frame>): boolean {
    const word = "Content-Length:"
    const next = buffered.indexOf(word, 1)
    this.take(next === -1 ? this.size - word.length : next)
    frames.push({ _tag: "Broken", detail: "what should be a message's header is none" })
    return next !== -1
  }

  private joined(): Buffer {
    const [first] = this.chunks
    const buffer = this.chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.chunks)
    this.chunks = [buffer]
    return buffer
  }

  private take(count: number): Buffer {
    const buffer = this.joined()
    const rest = buffer.subarray(count)
    this.chunks = rest.length > 0 ? [rest] : []
    this.size = rest.length
    return buffer.subarray(0, count)
  }
}

/** A message as it is sent. */
export const encodeFrame = (message: unknown): Buffer => {
  const body = Buffer.from(JSON.stringify(message), "utf8")
  return Buffer.concat([Buffer.from(`Content-Length: ${body.length}${headerEnd}`, "latin1"), body])
}
