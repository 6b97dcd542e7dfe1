/**
 * What a project's actions import without having it installed: `effect` and `millrace`, the very modules that run
 * here, so that an Effect, a Tag or a Schema of the one is one for the other. Loaded with the first action.
 */
import effectModules from "virtual:effect-modules"
import * as millrace from "../index.ts"
import * as sqlite from "../sqlite.ts"

export const sharedModules: Readonly<Record<string, unknown>> = {
  ...effectModules,
  millrace,
  "millrace/sqlite": sqlite
}
