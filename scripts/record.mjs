/**
 * Makes the recorded database of this version, `test/persistence/recorded/version-N.db`: once a version is released its
 * file never changes.
 *
 *     npm run record
 */
import { runBundled } from "./bundled.mjs"

await runBundled({ entryPoints: ["test/persistence/recorded/record.ts"], args: [] })
