/**
 * docs/performance.md, from what was measured.
 */
import { machine, type Result, table } from "./Report.ts"

export const page = (results: ReadonlyArray<Result>): string => `# Performance

Written by \`npm run bench -- --write\`; the figures are of one run on one machine: ${machine()}.

Absolute times say little on another machine, ratios say more: each workload is measured in turn with its yardstick, in
a process of their own, and the ratio is the median of the rounds'. _Raw_ is plain better-sqlite3 with the same pragmas
and rows of the same size, a commit for each statement. A ratio of speeds is the workload's by the yardstick's; FULL,
NORMAL and OFF are SQLite's \`synchronous\`.

${table(results)}
`
