/**
 * Plays seeds of the simulation: `test/simulation/main.ts`.
 *
 *     npm run simulate -- [--seeds N] [--seed S]
 */
import { runBundled } from "./bundled.mjs"

await runBundled({ entryPoints: ["test/simulation/main.ts"], args: process.argv.slice(2) })
