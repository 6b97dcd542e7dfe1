/**
 * The language server on a pair of streams (Language Server Protocol 3.17): bytes to messages, one handled after
 * another, until the editor says `exit` or goes away.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { encodeFrame, type Frame, FrameDecoder } from "./Frames.ts"
import { decode, ErrorCode, type Incoming } from "./JsonRpc.ts"
import { Session, type SessionOptions } from "./Session.ts"

export type ServeOptions = SessionOptions

/** What the streams bring: bytes, or that nothing more will come. */
type Event = Buffer | "end"

/**
 * Serves one editor. Gives the exit code that the protocol asks for: 0 if the editor said `shutdown` before it said
 * `exit` or went away, else 1. Never fails: what goes wrong is told to the editor.
 *
 * While it runs nothing else may write to `output`; if that is the process's standard output, what others print (a
 * project's configuration is a program) goes to standard error.
 */
export const serve = (
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
  options: ServeOptions
): Effect.Effect<number> =>
  Effect.scoped(
    Effect.gen(function* () {
      const write = yield* ownOutput(output)
      const events = yield* listen(input, output)
      const session = new Session(options, (message) => void write(encodeFrame(message)))
      const decoder = new FrameDecoder()
      while (true) {
        const received = yield* Queue.takeAll(events)
        const chunks = received.length === 0 ? [yield* Queue.take(events)] : [...received]
        const code = yield* handle(session, decoder, chunks)
        if (code !== undefined) return code
      }
    })
  )

/** Handles what has come in; gives the exit code once there is one. */
const handle = (
  session: Session,
  decoder: FrameDecoder,
  events: ReadonlyArray<Event>
): Effect.Effect<number | undefined> =>
  Effect.gen(function* () {
    const messages = events.flatMap((event) => (event === "end" ? [] : decoder.push(event).map(toMessage)))
    for (const message of messages) session.announce(message)
    for (const message of messages) {
      yield* session.handle(message)
      if (session.exitCode !== undefined) return session.exitCode
    }
    yield* session.settle()
    return events.includes("end") ? session.endCode : undefined
  })

const toMessage = (frame: Frame): Incoming =>
  frame._tag === "Message"
    ? decode(frame.text)
    : { _tag: "Invalid", id: null, code: ErrorCode.parseError, detail: frame.detail }

/** What comes in, in order; an output that is gone is an end too. */
const listen = (
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream
): Effect.Effect<Queue.Dequeue<Event>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const events = yield* Queue.unbounded<Event>()
    const offer = (event: Event) => void events.unsafeOffer(event)
    const data = (chunk: Buffer | string) => offer(typeof chunk === "string" ? Buffer.from(chunk) : chunk)
    const end = () => offer("end")
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        input.on("data", data).on("end", end).on("close", end).on("error", end)
        output.on("error", end).on("close", end)
      }),
      () =>
        Effect.sync(() => {
          for (const name of ["end", "close", "error"]) input.off(name, end)
          for (const name of ["close"]) output.off(name, end)
          input.off("data", data).pause()
          // What is still being written may fail after we have gone; nobody is left to be told.
          output.off("error", end).on("error", () => undefined)
        })
    )
    return events
  })

type Write = (bytes: Buffer) => boolean

/** The way to write to the output; the process's own standard output is kept from everybody else. */
const ownOutput = (output: NodeJS.WritableStream): Effect.Effect<Write, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync((): { readonly write: Write; readonly release: () => void } => {
      const own: Write = output.write.bind(output)
      if (output !== process.stdout) return { write: own, release: () => undefined }
      const before = process.stdout.write
      process.stdout.write = process.stderr.write.bind(process.stderr)
      return { write: own, release: () => void (process.stdout.write = before) }
    }),
    ({ release }) => Effect.sync(release)
  ).pipe(Effect.map(({ write }) => write))
