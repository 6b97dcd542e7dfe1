import { describe, it } from "@effect/vitest"
import * as Layer from "effect/Layer"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import { persistenceContract } from "../../src/testing/PersistenceContract.ts"
import { temporaryFolder } from "./support.ts"

const layer = Layer.unwrapScoped(
  temporaryFolder((folder) => SqlitePersistence.layer({ filename: `${folder}/runs.db`, synchronous: "OFF" }))
)

persistenceContract({ describe, it }, "sqlite", () => layer)
