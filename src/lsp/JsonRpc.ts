/** JSON-RPC 2.0, as far as a language server needs it: what a message is, and what may be wrong with it. */
import * as Schema from "effect/Schema"

export const ErrorCode = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internalError: -32603,
  serverNotInitialized: -32002,
  requestFailed: -32803,
  requestCancelled: -32800
} as const

const Id = Schema.Union(Schema.Number, Schema.String)
export type Id = typeof Id.Type

/** Whether two ids are the same: `1` and `"1"` are not. */
export const idKey = (id: Id): string => JSON.stringify(id)

export type Incoming =
  | { readonly _tag: "Request"; readonly id: Id; readonly method: string; readonly params: unknown }
  | { readonly _tag: "Notification"; readonly method: string; readonly params: unknown }
  /** An answer to a request of ours; we send none. */
  | { readonly _tag: "Response" }
  | { readonly _tag: "Invalid"; readonly id: Id | null; readonly code: number; readonly detail: string }

const Message = Schema.Struct({
  jsonrpc: Schema.Literal("2.0"),
  id: Schema.optional(Schema.NullOr(Id)),
  method: Schema.optional(Schema.String),
  params: Schema.optional(Schema.Unknown),
  result: Schema.optional(Schema.Unknown),
  error: Schema.optional(Schema.Unknown)
})
const isMessage = Schema.is(Message)
const hasId = Schema.is(Schema.Struct({ id: Id }))

/** What a message's text says; never fails. */
export const decode = (text: string): Incoming => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    return invalid(null, ErrorCode.parseError, error instanceof Error ? error.message : "the message is no JSON")
  }
  if (!isMessage(json))
    return invalid(hasId(json) ? json.id : null, ErrorCode.invalidRequest, "no JSON-RPC 2.0 message")
  const { id, method, params } = json
  if (method !== undefined) {
    if (id === null) return invalid(null, ErrorCode.invalidRequest, "a request's id is null")
    return id === undefined ? { _tag: "Notification", method, params } : { _tag: "Request", id, method, params }
  }
  return "result" in json || "error" in json
    ? { _tag: "Response" }
    : invalid(id ?? null, ErrorCode.invalidRequest, "neither a request nor an answer")
}

const invalid = (id: Id | null, code: number, detail: string): Incoming => ({ _tag: "Invalid", id, code, detail })

/** Why a request is refused; its `code` is one of `ErrorCode`. */
export class RequestRefused extends Schema.TaggedError<RequestRefused>()("RequestRefused", {
  code: Schema.Number,
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

export const resultOf = (id: Id, result: unknown) => ({ jsonrpc: "2.0", id, result: result ?? null })

export const errorOf = (id: Id | null, code: number, message: string) => ({
  jsonrpc: "2.0",
  id,
  error: { code, message }
})

export const notificationOf = (method: string, params: unknown) => ({ jsonrpc: "2.0", method, params })
