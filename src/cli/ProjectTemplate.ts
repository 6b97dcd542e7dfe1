/**
 * What `init` writes: a project that runs as it is, with nothing installed. Its `package.json` and `tsconfig.json` are
 * for editors: after `npm install` they know the types of actions.
 */
import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

declare const MILLRACE_VERSION: string

export interface TemplateFile {
  readonly path: string
  readonly text: string
  /** What it is for, in a line. */
  readonly about: string
  /** For a file that a folder may well have: it is then left, and this says what its text lacks. */
  readonly lacks?: (text: string) => string
}

export const workflowName = "hello"

const workflow = `# A small example: \`millrace run hello --input who=you\` runs it.
workflow hello {
  meta {
    title = "Say hello"
  }

  inputs {
    who default = "world" description = "who is greeted"
  }

  # A shell script. What it prints is the context of the steps behind it.
  script clock {
    run = "date +%H:%M"
    timeout = 10s
  }

  # The function in actions/greet.ts. What it gives is a variable of the steps behind it.
  call greet { retries = 1 }

  # A person decides: asked on the terminal, or by \`millrace approve\`.
  gate human_approval {
    prompt = "Say '{{greeting}}'?"
  }

  script say {
    run = "echo {{greeting}}"
  }

  # Runs whatever happened, also after a failure or Ctrl-C.
  always {
    script report {
      run = "echo the run has {{workflow_status}}"
    }
  }
}
`

const action = `import type { ModuleAction } from "millrace"

/** What \`call greet\` runs. It gets the inputs of the workflow, and what the steps before it gave, as texts. */
const greet: ModuleAction = ({ who = "world", prior_context = "" }) => {
  const greeting = \`Hello \${who}, it is \${prior_context.trim()}\`
  return { context: greeting, structuredOutput: { greeting } }
}

export default greet
`

/** The database, its journal, and the outputs and logs beside it. */
const databaseFiles = "millrace.db*"

const tsconfig = {
  compilerOptions: {
    target: "ES2022",
    module: "NodeNext",
    types: ["node"],
    strict: true,
    noEmit: true,
    skipLibCheck: true
  },
  include: ["actions", "*.ts"]
}

/** This program's own package: its types are what the editor shall know. */
const dependency = (): string => {
  const root = packageRoot(dirname(fileURLToPath(import.meta.url)))
  const isInstalled = root === undefined || root.split(/[/\\]/).includes("node_modules")
  return isInstalled ? `^${MILLRACE_VERSION}` : `file:${root}`
}

const packageRoot = (folder: string): string | undefined => {
  const file = join(folder, "package.json")
  if (existsSync(file) && JSON.parse(readFileSync(file, "utf8")).name === "millrace") return folder
  return dirname(folder) === folder ? undefined : packageRoot(dirname(folder))
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`

export const templateFiles = (): ReadonlyArray<TemplateFile> => [
  { path: `workflows/${workflowName}.wf`, text: workflow, about: "a workflow: scripts, an action, a gate" },
  { path: "actions/greet.ts", text: action, about: "the action that it calls" },
  {
    path: "package.json",
    text: json({
      private: true,
      type: "module",
      devDependencies: { "@types/node": ">=20", millrace: dependency() }
    }),
    about: "lets editors know the types, after `npm install`",
    lacks: (text) =>
      text.includes('"millrace"') ? "" : "`npm install --save-dev millrace` lets editors know the types"
  },
  {
    path: "tsconfig.json",
    text: json(tsconfig),
    about: "for editors, as well",
    lacks: () => ""
  },
  {
    path: ".gitignore",
    text: `node_modules/\n${databaseFiles}\n`,
    about: "keeps the database out of git",
    lacks: (text) =>
      text.split(/\r?\n/).includes(databaseFiles)
        ? ""
        : `a line \`${databaseFiles}\` in it keeps the database out of git`
  }
]
