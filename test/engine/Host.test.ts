import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { hostname } from "node:os"
import { identify } from "../../src/action/ProcessGroup.ts"
import { currentHost, type Host, isGone } from "../../src/engine/Host.ts"
import { eventually } from "../action/support.ts"

const engineIn = (pid: number): Host => ({ ...currentHost(), pid, processStart: identify(pid).startTime })

const start = async () => {
  const parent = spawn("sh", ["-c", "sleep 600 & echo $!; exec sleep 600"], { stdio: ["ignore", "pipe", "ignore"] })
  const closed = new Promise<void>((resolve) => parent.once("close", () => resolve()))
  const child = await new Promise<number>((resolve) => parent.stdout.once("data", (text) => resolve(Number(text))))
  return { leader: engineIn(parent.pid ?? 0), orphan: engineIn(child), closed: Effect.promise(() => closed) }
}

/** A process that runs until it is killed, and its parent, which will never reap it. */
const unreaped = Effect.acquireRelease(Effect.promise(start), ({ leader, orphan }) =>
  Effect.sync(() => {
    for (const engine of [leader, orphan]) if (!isGone(engine, currentHost())) process.kill(engine.pid, "SIGKILL")
  })
)

describe("the process of another engine", () => {
  it.scopedLive("is gone when it has ended, whether its parent reaped it or not", () =>
    Effect.gen(function* () {
      const { closed, leader, orphan } = yield* unreaped
      // Until then it is a shell, which may reap what it has started.
      expect(yield* eventually(() => readFileSync(`/proc/${leader.pid}/comm`, "utf8") === "sleep\n", 30_000)).toBe(true)
      expect([leader, orphan].map((engine) => isGone(engine, currentHost()))).toEqual([false, false])

      process.kill(orphan.pid, "SIGKILL")
      expect(yield* eventually(() => isGone(orphan, currentHost()), 30_000)).toBe(true)
      // Its pid is still its own: what was wrong was to take that for life.
      expect(readFileSync(`/proc/${orphan.pid}/stat`, "latin1")).toContain(orphan.processStart)

      process.kill(leader.pid, "SIGKILL")
      yield* closed
      expect(isGone(leader, currentHost())).toBe(true)
    })
  )

  it("is gone when its number is another's, or the machine started anew; elsewhere it cannot be told", () => {
    const here = currentHost()
    expect(isGone(here, here)).toBe(false)
    expect(isGone({ ...here, processStart: "1" }, here)).toBe(true)
    expect(isGone({ ...here, boot: "another" }, here)).toBe(true)
    expect(isGone({ ...here, processStart: "" }, here)).toBe(false)
    expect(isGone({ ...here, host: "another", processStart: "1" }, here)).toBe(false)
  })

  it("is not known to be gone in another container of this machine, which may have its name and its kernel", () => {
    const here = currentHost()
    const gone = { ...here, pid: 2 ** 30, processStart: "1" }
    expect(isGone(gone, here)).toBe(true)
    expect(here.host).toMatch(new RegExp(`^${hostname()}/\\d+$`))
    expect(isGone({ ...gone, host: `${hostname()}/4026531000` }, here)).toBe(false)
  })
})
