/**
 * `npm start`: runs the example on this repository, without a question, and says where everything is.
 */
import { spawnSync } from "node:child_process"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const example = join("examples", "release-notes")
const database = join(example, "millrace.db")
const notes = join("dist", "release-notes.md")

const workflow = join(example, "release-notes.wf")
const args = ["run", workflow, "--yes", "--db", database, "--input", `output=${notes}`]
const { INIT_CWD: _, ...env } = { ...process.env, npm_lifecycle_event: "millrace" }
const { status } = spawnSync(process.execPath, [join(root, "scripts", "millrace.mjs"), ...args], {
  cwd: root,
  env,
  stdio: "inherit"
})

if (status === 0) {
  console.log(`
the notes:     ${notes}
the database:  ${database}
what happened: npm run -s millrace -- runs --db ${database}
               npm run -s millrace -- show RUN --db ${database}`)
}
process.exit(status ?? 1)
