/** How many of the commits are signed? An Effect, so that it is interrupted at its timeout. */
import * as Effect from "effect/Effect"
import type { ModuleAction } from "millrace"
import { execFile } from "node:child_process"

const signatures = (repository: string, range: string): Effect.Effect<ReadonlyArray<string>, Error> =>
  Effect.async((resume, signal) => {
    const args = ["-C", repository, "log", "--no-merges", "--format=%G?", ...range.split(" "), "--"]
    execFile("git", args, { signal, maxBuffer: 1 << 24 }, (error, stdout) =>
      resume(error === null ? Effect.succeed(stdout.split("\n").filter(Boolean)) : Effect.fail(error))
    )
  })

const checkSignatures: ModuleAction = ({ repository = ".", range = "HEAD" }) =>
  Effect.map(signatures(repository, range), (found) => {
    const signed = found.filter((status) => status !== "N").length
    return {
      markers: signed < found.length ? ["unsigned_commits"] : [],
      context: `${signed} of ${found.length} commits are signed`
    }
  })

export default checkSignatures
