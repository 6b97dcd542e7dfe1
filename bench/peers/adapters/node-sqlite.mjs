/**
 * `node:sqlite` for a Node that has none (before 22.5): better-sqlite3, whose `exec`, `prepare`, `run`, `get` and `all`
 * take and give the same where only positional parameters are used.
 */
import Database from "better-sqlite3"
import Module, { isBuiltin } from "node:module"

export const provideNodeSqlite = () => {
  if (isBuiltin("node:sqlite")) return
  const load = Module._load
  Module._load = (request, ...others) =>
    request === "node:sqlite" ? { DatabaseSync: Database } : load(request, ...others)
}
