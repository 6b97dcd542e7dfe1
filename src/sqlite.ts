/** The store on a SQLite file: `millrace/sqlite`. */
export * as SqlitePersistence from "./persistence/SqlitePersistence.ts"
