/**
 * One conversation with an editor, from `initialize` to `exit`: which message is allowed when, the open documents, and
 * what is said about them. Handles one message after another; what it sends goes through `send`, in order.
 *
 * Findings are published when no message is waiting any more: a burst of edits is looked at once, at its end. They are
 * looked for in all open documents, because each may name another, and sent where they have changed.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { diagnosticsOf } from "./Diagnostics.ts"
import { OpenDocument } from "./Document.ts"
import { answers, readParams } from "./Features.ts"
import {
  errorOf,
  ErrorCode,
  type Id,
  idKey,
  type Incoming,
  notificationOf,
  RequestRefused,
  resultOf
} from "./JsonRpc.ts"
import {
  CancelParams,
  capabilities,
  DidChangeParams,
  DidOpenParams,
  DocumentParams,
  InitializeParams,
  type LspDiagnostic
} from "./Protocol.ts"
import { Workspace, type WorkspaceOptions } from "./Workspace.ts"

export interface SessionOptions extends WorkspaceOptions {
  /** As the editor shows it. */
  readonly version: string
}

export class Session {
  /** What the process ends with, once the editor has said `exit`. */
  exitCode: number | undefined
  private state: "new" | "running" | "shutDown" = "new"
  private readonly workspace: Workspace
  private readonly cancelled = new Set<string>()
  /** What was last said about each document. */
  private readonly published = new Map<string, string>()
  private isStale = false

  constructor(
    private readonly options: SessionOptions,
    private readonly send: (message: unknown) => void
  ) {
    this.workspace = new Workspace(options)
  }

  /** What an end without `exit` means. */
  get endCode(): number {
    return this.exitCode ?? (this.state === "shutDown" ? 0 : 1)
  }

  /**
   * To be called with each message when it comes in, before those in front of it are handled: a cancellation of a
   * request that still waits takes effect.
   */
  announce(message: Incoming): void {
    if (message._tag !== "Notification" || message.method !== "$/cancelRequest") return
    const { params } = message
    if (isCancel(params)) this.cancelled.add(idKey(params.id))
  }

  handle(message: Incoming): Effect.Effect<void> {
    switch (message._tag) {
      case "Response":
        return Effect.void
      case "Invalid":
        return Effect.sync(() => this.send(errorOf(message.id, message.code, message.detail)))
      case "Notification":
        return Effect.catchAllCause(this.note(message.method, message.params), (cause) => this.complain(message, cause))
      case "Request":
        return this.request(message.id, message.method, message.params)
    }
  }

  /** To be called when no message is waiting. */
  settle(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.cancelled.clear()
      if (!this.isStale || this.state !== "running") return Effect.void
      this.isStale = false
      return Effect.forEach(this.workspace.open, (document) => this.publish(document), { discard: true })
    })
  }

  // ---- requests

  /** Every request gets exactly one answer: a defect of ours is one too, and the server goes on. */
  private request(id: Id, method: string, params: unknown): Effect.Effect<void> {
    const answer = this.cancelled.delete(idKey(id))
      ? refuse(ErrorCode.requestCancelled, "the request was cancelled")
      : this.answer(method, params)
    return Effect.matchCauseEffect(answer, {
      onSuccess: (result) => Effect.sync(() => this.send(resultOf(id, result))),
      onFailure: (cause) =>
        Effect.sync(() => {
          const { code, detail } = refusalOf(cause)
          this.send(errorOf(id, code, detail))
        })
    })
  }

  private answer(method: string, params: unknown): Effect.Effect<unknown, RequestRefused> {
    return Effect.suspend(() => {
      if (this.state === "shutDown") return refuse(ErrorCode.invalidRequest, "the server has been shut down")
      if (method === "initialize") return this.initialize(params)
      if (this.state === "new") return refuse(ErrorCode.serverNotInitialized, "the first request is `initialize`")
      if (method === "shutdown") return this.shutDown()
      const answer = answers.get(method)
      return answer === undefined
        ? refuse(ErrorCode.methodNotFound, `there is no method ${method}`)
        : answer(this.workspace, params)
    })
  }

  private initialize(params: unknown): Effect.Effect<unknown, RequestRefused> {
    if (this.state === "running") return refuse(ErrorCode.invalidRequest, "the server is initialized already")
    return Effect.map(readParams(InitializeParams, params), ({ rootUri, workspaceFolders }) => {
      this.state = "running"
      this.workspace.openFolder(workspaceFolders?.[0]?.uri ?? rootUri ?? undefined)
      return { capabilities, serverInfo: { name: "millrace", version: this.options.version } }
    })
  }

  private shutDown(): Effect.Effect<null> {
    return Effect.sync(() => {
      this.state = "shutDown"
      return null
    })
  }

  // ---- notifications

  private note(method: string, params: unknown): Effect.Effect<void, RequestRefused> {
    if (method === "exit") return Effect.sync(() => void (this.exitCode = this.state === "shutDown" ? 0 : 1))
    if (this.state !== "running") return Effect.void
    switch (method) {
      case "textDocument/didOpen":
        return Effect.map(readParams(DidOpenParams, params), ({ textDocument: { text, uri, version } }) =>
          this.changed(new OpenDocument(uri, version, text), true)
        )
      case "textDocument/didChange":
        return Effect.flatMap(readParams(DidChangeParams, params), ({ contentChanges, textDocument }) =>
          Effect.map(this.find(textDocument.uri), (document) =>
            this.changed(document.changed(textDocument.version, contentChanges), false)
          )
        )
      case "textDocument/didClose":
        return Effect.map(readParams(DocumentParams, params), ({ textDocument }) => this.closed(textDocument.uri))
      case "textDocument/didSave":
      case "workspace/didChangeWatchedFiles":
      case "workspace/didChangeConfiguration":
        return Effect.sync(() => this.refresh())
      default:
        // Others may be left alone (those that begin with `$/`), or are not for us.
        return Effect.void
    }
  }

  private find(uri: string): Effect.Effect<OpenDocument, RequestRefused> {
    const document = this.workspace.find(uri)
    return document === undefined
      ? refuse(ErrorCode.invalidParams, `the document ${uri} is not open`)
      : Effect.succeed(document)
  }

  private changed(document: OpenDocument, isNew: boolean): void {
    this.workspace.put(document)
    if (isNew) this.refresh()
    this.isStale = true
  }

  private closed(uri: string): void {
    this.workspace.close(uri)
    if (this.published.delete(uri)) this.send(diagnosticsMessage(uri, undefined, []))
    this.isStale = true
  }

  private refresh(): void {
    this.workspace.refresh()
    this.isStale = true
  }

  /** A notification has no answer: what is wrong with it goes to the editor's log. */
  private complain({ method }: { readonly method: string }, cause: Cause.Cause<RequestRefused>): Effect.Effect<void> {
    return Effect.sync(() => {
      const message = `${method}: ${refusalOf(cause).detail}`
      this.send(notificationOf("window/logMessage", { type: messageType.error, message }))
    })
  }

  // ---- findings

  private publish(document: OpenDocument): Effect.Effect<void> {
    const { uri, version } = document
    const findings = Effect.map(this.workspace.subject(document), diagnosticsOf)
    const published = Effect.map(findings, (diagnostics) => {
      const said = JSON.stringify([version, diagnostics])
      if (this.published.get(uri) === said) return
      this.published.set(uri, said)
      this.send(diagnosticsMessage(uri, version, diagnostics))
    })
    return Effect.catchAllCause(published, (cause) => this.complain({ method: uri }, cause))
  }
}

const messageType = { error: 1 } as const

const isCancel = Schema.is(CancelParams)

const refuse = (code: number, detail: string): Effect.Effect<never, RequestRefused> =>
  Effect.fail(new RequestRefused({ code, detail }))

/** The refusal, or what a defect of ours is answered with. */
const refusalOf = (cause: Cause.Cause<RequestRefused>): { readonly code: number; readonly detail: string } => {
  const failure = Cause.failureOption(cause)
  if (failure._tag === "Some") return failure.value
  const defect = Cause.squash(cause)
  return { code: ErrorCode.internalError, detail: defect instanceof Error ? defect.message : String(defect) }
}

const diagnosticsMessage = (
  uri: string,
  version: number | undefined,
  diagnostics: ReadonlyArray<LspDiagnostic>
): unknown =>
  notificationOf("textDocument/publishDiagnostics", {
    uri,
    diagnostics,
    ...(version === undefined ? {} : { version })
  })
