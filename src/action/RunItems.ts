/**
 * The item provider `workflow_runs`: runs in the store, oldest first, the run that asks left out.
 *
 * `filter = { status = "failed", name = "deploy", limit = "20" }`: `status` and `name` (of the workflow) may be lists;
 * `limit` (100) keeps the newest ones. Child runs and dismissed ones do not count. The id is the run's;
 * `item.workflow`, `item.title`, `item.status`, `item.error` and `item.target` tell the rest.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { PersistenceError, PersistenceService } from "../persistence/Persistence.ts"
import { type RunId, type RunRecord, RunStatus } from "../persistence/Records.ts"
import { nearest } from "../workflow/Suggest.ts"
import type { ProviderInfo } from "../workflow/ValidatorHost.ts"
import { type Item, type ItemProvider, ItemProviderFailed } from "./ItemProvider.ts"
import { textOf, textsOf, unknownKeys, type Values } from "./ItemScope.ts"
import { problemsOf } from "./Problems.ts"

export const defaultRunLimit = 100
export const maxRunLimit = 10_000
/** Runs in one query. */
const pageSize = 500

/** What the validator needs to know of `workflow_runs`, without a store. */
export const runItemsInfo: ProviderInfo = {
  ordered: false,
  check: (scope, filter) => {
    const wanted = readFilter(scope, filter)
    return { errors: Either.isLeft(wanted) ? wanted.left : [], warnings: [] }
  }
}

/** The provider `workflow_runs` over a store. */
export const runItems = (persistence: Pick<PersistenceService, "list">): ItemProvider => ({
  ...runItemsInfo,
  items: (request) =>
    Effect.gen(function* () {
      const wanted = readFilter(request.scope, request.filter)
      if (Either.isLeft(wanted)) return yield* failed(wanted.left.join("; "))
      const own = request.variables["workflow_run_id"]
      const runs = yield* Effect.mapError(newest(persistence, wanted.right, own), ({ message }) => failed(message))
      return { items: runs.toReversed().map(toItem) }
    })
})

const failed = (message: string): ItemProviderFailed => new ItemProviderFailed({ provider: "workflow_runs", message })

interface Wanted {
  readonly statuses: ReadonlyArray<RunStatus>
  readonly names: ReadonlyArray<string>
  readonly limit: number
}

const readFilter = (scope: Values, filter: Values): Either.Either<Wanted, ReadonlyArray<string>> => {
  const unknown = [
    ...unknownKeys("workflow_runs", "scope", scope, []),
    ...unknownKeys("workflow_runs", "filter", filter, ["status", "name", "limit"])
  ]
  if (unknown.length > 0) return Either.left(unknown)
  const statuses = Either.flatMap(textsOf(filter, "status", "filter"), (texts) => Either.all(texts.map(statusOf)))
  const names = textsOf(filter, "name", "filter")
  const limit = Either.flatMap(textOf(filter, "limit", "filter"), limitOf)
  if (Either.isRight(statuses) && Either.isRight(names) && Either.isRight(limit)) {
    return Either.right({ statuses: statuses.right, names: names.right, limit: limit.right })
  }
  return Either.left(problemsOf([statuses, names, limit]))
}

const statusOf = (text: string): Either.Either<RunStatus, string> => {
  const { literals } = RunStatus
  const status = literals.find((known) => known === text)
  if (status !== undefined) return Either.right(status)
  const near = nearest(text, literals)
  return Either.left(
    `there is no status '${text}'; ${near === undefined ? `there are ${literals.join(", ")}` : `did you mean '${near}'?`}`
  )
}

const limitOf = (text: string | undefined): Either.Either<number, string> => {
  const limit = text === undefined ? defaultRunLimit : Number(text)
  return Number.isInteger(limit) && limit >= 1 && limit <= maxRunLimit
    ? Either.right(limit)
    : Either.left(`the filter's \`limit\` is a whole number from 1 to ${maxRunLimit}, not '${text ?? ""}'`)
}

const newest = (
  persistence: Pick<PersistenceService, "list">,
  wanted: Wanted,
  own: string | undefined
): Effect.Effect<ReadonlyArray<RunRecord>, PersistenceError> =>
  Effect.gen(function* () {
    const found: Array<RunRecord> = []
    let before: RunId | undefined
    for (;;) {
      const page = yield* persistence.list({
        parent: null,
        dismissed: false,
        limit: pageSize,
        ...(wanted.statuses.length === 0 ? {} : { status: wanted.statuses }),
        ...(wanted.names.length === 1 && wanted.names[0] !== undefined ? { workflow: wanted.names[0] } : {}),
        ...(before === undefined ? {} : { before })
      })
      for (const run of page) {
        if (run.id === own || (wanted.names.length > 1 && !wanted.names.includes(run.workflow))) continue
        if (found.push(run) === wanted.limit) return found
      }
      before = page.at(-1)?.id
      if (page.length < pageSize) return found
    }
  })

const toItem = ({ error, id, status, target, title, workflow }: RunRecord): Item => ({
  type: "workflow_run",
  id,
  ref: `${workflow} ${id}`,
  context: {
    workflow,
    title,
    status,
    ...(error === null ? {} : { error }),
    ...(target === null ? {} : { target })
  }
})
