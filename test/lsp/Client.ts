/** An editor for tests: speaks the protocol to a server that is a process of its own. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { buildSync } from "esbuild"
import { encodeFrame, FrameDecoder } from "../../src/lsp/Frames.ts"
import type {
  CompletionItem,
  DocumentSymbol,
  Hover,
  Location,
  LspDiagnostic,
  Position,
  TextEdit
} from "../../src/lsp/Protocol.ts"

const root = join(import.meta.dirname, "../..")

const bundle = join(root, "node_modules/.cache/millrace-test", `${process.pid}-lsp.mjs`)
let isBuilt = false

/** The server as a bundle beside the packages that it loads when it needs them. */
const server = (): string => {
  if (isBuilt) return bundle
  buildSync({
    entryPoints: [join(import.meta.dirname, "processes/lsp.ts")],
    outfile: bundle,
    bundle: true,
    format: "esm",
    platform: "node",
    packages: "external"
  })
  isBuilt = true
  return bundle
}

const Message = Schema.Struct({
  id: Schema.optional(Schema.NullOr(Schema.Union(Schema.Number, Schema.String))),
  method: Schema.optional(Schema.String),
  params: Schema.optional(Schema.Unknown),
  result: Schema.optional(Schema.Unknown),
  error: Schema.optional(Schema.Struct({ code: Schema.Number, message: Schema.String }))
})
type Message = typeof Message.Type

const readMessage = Schema.decodeUnknownSync(Schema.parseJson(Message))

export interface Ended {
  readonly code: number | null
  readonly stderr: string
}

export class Client {
  private next = 0
  private readonly unread: Array<Message> = []
  private readonly waiting: Array<{
    readonly wants: (message: Message) => boolean
    readonly take: (message: Message) => void
  }> = []
  private readonly ended: Promise<Ended>

  constructor(private readonly server: ChildProcessWithoutNullStreams) {
    const decoder = new FrameDecoder()
    server.stdout.on("data", (bytes: Buffer) => {
      for (const frame of decoder.push(bytes)) this.received(readMessage(frame._tag === "Message" ? frame.text : "{}"))
    })
    // A server that has gone may not have read everything.
    server.stdin.on("error", () => undefined)
    let stderr = ""
    server.stderr.on("data", (bytes: Buffer) => (stderr += bytes.toString()))
    this.ended = new Promise((resolve) => server.on("close", (code) => resolve({ code, stderr })))
  }

  private received(message: Message): void {
    const index = this.waiting.findIndex(({ wants }) => wants(message))
    if (index === -1) this.unread.push(message)
    else this.waiting.splice(index, 1)[0]?.take(message)
  }

  /** The first message that is wanted and was not taken before. */
  take(wants: (message: Message) => boolean): Effect.Effect<Message> {
    const index = this.unread.findIndex(wants)
    const [found] = index === -1 ? [] : this.unread.splice(index, 1)
    return found === undefined
      ? Effect.async((resume) => void this.waiting.push({ wants, take: (message) => resume(Effect.succeed(message)) }))
      : Effect.succeed(found)
  }

  write(bytes: Uint8Array | string): void {
    this.server.stdin.write(bytes)
  }

  send(message: object): void {
    this.write(encodeFrame({ jsonrpc: "2.0", ...message }))
  }

  notify(method: string, params: unknown = {}): void {
    this.send({ method, params })
  }

  /** Sends a request and waits for its answer. */
  request(method: string, params: unknown = {}): Effect.Effect<Message> {
    return Effect.suspend(() => {
      const id = ++this.next
      this.send({ id, method, params })
      return this.take((message) => message.id === id && message.method === undefined)
    })
  }

  private at<A>(method: string, file: string, position: Position): Effect.Effect<A> {
    const params = { textDocument: { uri: uriOf(file) }, position }
    // SAFETY: the tests compare what they get with what they expect.
    return Effect.map(this.request(`textDocument/${method}`, params), ({ result }) => result as A)
  }

  initialize(rootFolder: string): Effect.Effect<Message> {
    return Effect.tap(
      this.request("initialize", { processId: process.pid, rootUri: uriOf(rootFolder), capabilities: {} }),
      () => Effect.sync(() => this.notify("initialized"))
    )
  }

  open(file: string, text: string): void {
    this.notify("textDocument/didOpen", {
      textDocument: { uri: uriOf(file), languageId: "millrace", version: 1, text }
    })
  }

  change(file: string, version: number, ...contentChanges: ReadonlyArray<unknown>): void {
    this.notify("textDocument/didChange", { textDocument: { uri: uriOf(file), version }, contentChanges })
  }

  /** The findings about a version of a document; undefined for those at its closing. */
  diagnostics(file: string, version: number | undefined): Effect.Effect<ReadonlyArray<LspDiagnostic>> {
    return Effect.map(
      this.take(({ method, params }) => {
        const isIt = method === "textDocument/publishDiagnostics" && isPublished(params)
        return isIt && params.uri === uriOf(file) && params.version === version
      }),
      // SAFETY: `isPublished` has looked.
      ({ params }) => (params as typeof Published.Type).diagnostics as ReadonlyArray<LspDiagnostic>
    )
  }

  hover(file: string, position: Position): Effect.Effect<Hover | null> {
    return this.at("hover", file, position)
  }

  definition(file: string, position: Position): Effect.Effect<Location | null> {
    return this.at("definition", file, position)
  }

  completion(file: string, position: Position): Effect.Effect<ReadonlyArray<CompletionItem>> {
    return Effect.map(
      this.at<{ readonly items: ReadonlyArray<CompletionItem> }>("completion", file, position),
      ({ items }) => items
    )
  }

  symbols(file: string): Effect.Effect<ReadonlyArray<DocumentSymbol>> {
    return this.at("documentSymbol", file, { line: 0, character: 0 })
  }

  formatting(file: string): Effect.Effect<ReadonlyArray<TextEdit>> {
    return this.at("formatting", file, { line: 0, character: 0 })
  }

  get end(): Effect.Effect<Ended> {
    return Effect.promise(() => this.ended)
  }

  /** Goes away without a word. */
  hangUp(): void {
    this.server.stdin.end()
  }

  /** Closes the pipe that the server writes to. */
  stopReading(): void {
    this.server.stdout.destroy()
  }
}

const Published = Schema.Struct({
  uri: Schema.String,
  version: Schema.optional(Schema.Int),
  diagnostics: Schema.Array(Schema.Unknown)
})
const isPublished = Schema.is(Published)

export const uriOf = (file: string): string => pathToFileURL(file).href

/** A server in a process; killed with the scope if it still runs. */
export const connect = (cwd: string): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, [server()], { cwd, stdio: "pipe" })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    ),
    (child) => new Client(child)
  )

/** A text with `|` where the cursor is. */
export const cursorIn = (marked: string): { readonly text: string; readonly position: Position } => {
  const at = marked.indexOf("|")
  const before = marked.slice(0, at).split("\n")
  return {
    text: marked.slice(0, at) + marked.slice(at + 1),
    position: { line: before.length - 1, character: before.at(-1)?.length ?? 0 }
  }
}
