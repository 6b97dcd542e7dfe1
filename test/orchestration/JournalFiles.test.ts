import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as NodeFs from "node:fs/promises"
import * as NodeOs from "node:os"
import * as NodePath from "node:path"
import { JournalStore, resumableParallel, type StepExecutor } from "../../src/orchestration/index.ts"
import { Stage, step, success } from "./support.ts"

const temporary = Effect.acquireRelease(
  Effect.promise(() => NodeFs.mkdtemp(NodePath.join(NodeOs.tmpdir(), "millrace-journals-"))),
  (folder) => Effect.promise(() => NodeFs.rm(folder, { recursive: true, force: true }))
)

const contentOf = (folder: string) => Effect.promise(() => NodeFs.readdir(folder))

const storeIn = (folder: string) => Effect.provide(JournalStore, JournalStore.layerFiles(folder))

describe("journals as files", () => {
  it.scoped("hold one journal for each workflow id, whatever the id", () =>
    Effect.gen(function* () {
      const folder = NodePath.join(yield* temporary, "made", "when needed")
      const store = yield* storeIn(folder)
      const ids = [
        "w",
        "W",
        "",
        ".",
        "..",
        "../w",
        "a/b",
        "a%2Fb",
        "\ud800",
        "\ud801",
        "ü".repeat(300),
        "x".repeat(300)
      ]
      yield* Effect.forEach(ids, (id) => store.save(id, `old ${id.length}`))
      yield* Effect.forEach(ids, (id, index) => store.save(id, `journal ${index}`))
      const again = yield* storeIn(folder)
      expect(yield* Effect.forEach(ids, again.load)).toEqual(ids.map((_, index) => Option.some(`journal ${index}`)))
      expect((yield* contentOf(folder)).length).toBe(ids.length)
      yield* again.remove("w")
      expect(yield* again.load("w")).toEqual(Option.none())
      expect(yield* again.load("W")).toEqual(Option.some("journal 1"))
      yield* Effect.forEach(ids, again.remove)
      expect(yield* contentOf(folder)).toEqual([])
    })
  )

  it.scoped("have nothing where no folder is", () =>
    Effect.gen(function* () {
      const store = yield* storeIn(NodePath.join(yield* temporary, "none"))
      expect(yield* store.load("w")).toEqual(Option.none())
      yield* store.remove("w")
    })
  )

  it.scoped("are taken away with what a process that died while writing left", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const store = yield* storeIn(folder)
      yield* store.save("w", "journal")
      const [name] = yield* contentOf(folder)
      yield* Effect.promise(() => NodeFs.writeFile(NodePath.join(folder, `${name}.half`), "jour"))
      expect(yield* store.load("w")).toEqual(Option.some("journal"))
      yield* store.remove("w")
      expect(yield* contentOf(folder)).toEqual([])
    })
  )

  it.scoped("fail with what the file system says, and leave nothing half written", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const store = yield* storeIn(folder)
      yield* store.save("w", "journal")
      const [name = ""] = yield* contentOf(folder)
      const file = NodePath.join(folder, name)
      yield* Effect.promise(() => NodeFs.writeFile(file, Uint8Array.of(0x22, 0xff, 0x22)))
      expect(yield* Effect.flip(store.load("w"))).toMatchObject({ _tag: "PersistenceError" })
      yield* Effect.promise(() => NodeFs.rm(file))
      yield* Effect.promise(() => NodeFs.mkdir(NodePath.join(file, "inside"), { recursive: true }))
      for (const effect of [store.load("w"), store.save("w", "journal"), store.remove("w")]) {
        expect(yield* Effect.flip(Effect.asVoid(effect))).toMatchObject({ _tag: "PersistenceError" })
      }
      expect(yield* contentOf(folder)).toEqual([name])
    })
  )

  it.scopedLive("carry a call over from one process's executor to another's", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const run = (stage: Stage) => {
        const layer: Layer.Layer<StepExecutor | JournalStore> = Layer.merge(
          stage.layer,
          JournalStore.layerFiles(folder)
        )
        return Effect.provide(resumableParallel([step("a"), step("b")], "w"), layer)
      }
      const first = new Stage(2, ({ taskId }) => ({
        ending: taskId === "a" ? "succeeds" : "dies",
        work: 1,
        cleanup: 0
      }))
      expect((yield* run(first)).map((outcome) => outcome.success)).toEqual([true, false])
      const second = new Stage(2)
      expect(yield* run(second)).toEqual([success("a"), success("b")])
      expect(second.runs).toEqual(["b"])
      expect(yield* contentOf(folder)).toEqual([])
    })
  )
})
