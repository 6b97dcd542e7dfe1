/** A program of a test in a process of its own: bundled, killed when the scope closes. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Esbuild from "esbuild"
import * as NodeChild from "node:child_process"
import * as NodeFs from "node:fs"
import * as NodePath from "node:path"

const bundleOf = (entry: string): string => {
  // Of its whole path: a worker runs the tests of many programs, and several are a `main.ts`.
  const name = `${process.pid}-${NodePath.relative("", entry).replaceAll(/\W+/g, "-")}.mjs`
  const bundle = NodePath.resolve(`node_modules/.cache/millrace-test/${name}`)
  if (NodeFs.existsSync(bundle)) return bundle
  const target = { bundle: true, platform: "node", format: "esm", packages: "external" } as const
  Esbuild.buildSync({ entryPoints: [entry], outfile: bundle, ...target })
  return bundle
}

export interface EngineProcess {
  readonly pid: number
  readonly kill: (signal: NodeJS.Signals) => void
  /** Waits for a line that begins so; what follows on it. */
  readonly said: (start: string) => Effect.Effect<string>
  /** All that it has said so far. */
  readonly printed: () => string
  readonly exit: Effect.Effect<number | string | null>
}

/** Runs the program of a TypeScript file. */
export const startProcess = (
  entry: string,
  ...args: ReadonlyArray<string>
): Effect.Effect<EngineProcess, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() =>
        NodeChild.spawn(process.execPath, [bundleOf(entry), ...args], { stdio: ["ignore", "pipe", "inherit"] })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    ),
    (child) => {
      let output = ""
      child.stdout.on("data", (chunk) => {
        output += String(chunk)
      })
      const closed = new Promise<number | string | null>((resolve) =>
        child.once("close", (code, signal) => resolve(code ?? signal))
      )
      const said = (start: string): Effect.Effect<string> =>
        Effect.suspend(() => {
          const line = output
            .split("\n")
            .slice(0, -1)
            .find((line) => line.startsWith(start))
          return line === undefined
            ? Effect.zipRight(Effect.sleep(5), said(start))
            : Effect.succeed(line.slice(start.length).trim())
        })
      return {
        pid: child.pid ?? 0,
        kill: (signal) => void child.kill(signal),
        said,
        printed: () => output,
        exit: Effect.promise(() => closed)
      }
    }
  )
