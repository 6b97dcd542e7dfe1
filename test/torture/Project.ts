/**
 * What the torture runs: a project with a workflow for each way to end, whose steps leave a line for each execution.
 *
 * A line of `effects` is `begin RUN PATH PID TIME` or `end RUN PATH PID TIME`, appended with O_APPEND. A script holds a
 * lock for its step as long as it or a child of it lives, and says `beside` where another one has it.
 */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"

/** How a workflow's runs end, whatever befalls the processes. */
export const ends: Readonly<Record<string, "completed" | "failed" | "cancelled">> = {
  chain: "completed",
  fan: "failed",
  refused: "failed",
  slow: "completed",
  stopped: "cancelled"
}

/** Prompts that people approve, or reject. */
export const prompts = { yes: "May it go on?", no: "Is it any good?" } as const

/** People cancel the root of a run whose step of this name is at work. */
export const cancelledAt = "hold"

const script = (path: string, ...more: ReadonlyArray<string>): string =>
  `run = "./step.sh {{workflow_run_id}} ${path} ${more.join(" ")}"`

const files: Readonly<Record<string, string>> = {
  "chain.wf": `workflow chain {
    call work
    script first { ${script("/first")} }
    call flaky { retries = 3 }
    parallel {
      call left
      call right { retries = 1 }
      call flaky { retries = 2 }
    }
    do { max_iterations = 5 call again } while again.more
    gate human_review { prompt = "${prompts.yes}" }
    call workflow sub { retries = 1 }
    script last { ${script("/last")} }
    always { script tidy { ${script("/@always/tidy")} } }
  }`,
  "sub.wf": `workflow sub {
    script s { ${script("/s")} }
    gate human_approval { prompt = "${prompts.yes}" }
    call work
  }`,
  "fan.wf": `workflow fan {
    call items
    foreach each {
      over = json scope = { from = "items.list" } max_parallel = 2 workflow = item on_child_fail = continue
    }
    always { call work }
  }`,
  "item.wf": `workflow item {
    script s { ${script("/s")} }
    gate human_review { prompt = "${prompts.yes}" }
    call pass { retries = 1 }
    always { script tidy { ${script("/@always/tidy")} } }
  }`,
  "refused.wf": `workflow refused {
    script s { ${script("/s")} }
    gate human_review { prompt = "${prompts.no}" }
    call work
    always { call work script tidy { ${script("/@always/tidy")} } }
  }`,
  "slow.wf": `workflow slow {
    script late { ${script("/late", "60")} timeout = 200ms retries = 1 on_fail = continue }
    call hasty { timeout = 100ms on_fail = continue }
    call work
  }`,
  "stopped.wf": `workflow stopped {
    call work
    call workflow held
    always { script tidy { ${script("/@always/tidy")} } }
  }`,
  "held.wf": `workflow held {
    script ${cancelledAt} { ${script(`/${cancelledAt}`, "600")} }
    always { call work }
  }`,
  // Each takes as long as it likes: that is nothing that its run's records depend on.
  "lib/step.mjs": `import { appendFileSync } from "node:fs"
    const note = (what, { runId, path }) => appendFileSync("effects", [what, runId, path, process.pid, Date.now()].join(" ") + "\\n")
    export const step = async (context, time = 60 * Math.random()) => {
      note("begin", context)
      await new Promise((done) => setTimeout(done, time))
      note("end", context)
    }`,
  "actions/again.mjs": `import { step } from "../lib/step.mjs"
    export default async (_, context) => {
      await step(context)
      return context.path.includes("/@3/") ? {} : { markers: ["more", "round " + context.path] }
    }`,
  "actions/flaky.mjs": `import { step } from "../lib/step.mjs"
    export default async (_, context) => {
      await step(context)
      if (context.attempt < 3) throw new Error("not at attempt " + context.attempt)
      return { context: "at last" }
    }`,
  "actions/hasty.mjs": `import { step } from "../lib/step.mjs"
    export default (_, context) => step(context, 600)`,
  "actions/items.mjs": `import { step } from "../lib/step.mjs"
    export default async (_, context) => {
      await step(context)
      return { structuredOutput: { list: ["one", "two", "three"] } }
    }`,
  "actions/pass.mjs": `import { step } from "../lib/step.mjs"
    export default async (parameters, context) => {
      await step(context)
      if (parameters["item.id"] === "two") throw new Error("not this one")
      return { structuredOutput: { id: parameters["item.id"] } }
    }`,
  "step.sh!": `#!/bin/sh
    # RUN PATH [SECONDS]
    mkdir -p locks
    exec 9>> "locks/$1$(echo "$2" | tr / _)"
    flock -n 9 || echo "beside $1 $2 $$ $(date +%s%3N)" >> effects
    echo "begin $1 $2 $$ $(date +%s%3N)" >> effects
    # A short one heeds no TERM, nor does its child, and both hold the lock.
    test -n "$3" || trap '' TERM
    sleep "\${3:-0.05}" & wait
    echo "end $1 $2 $$ $(date +%s%3N)" >> effects
  `,
  "millrace.config.mjs": `export default {
    engine: { maxRecoveries: 1000, linger: 30, watchdogInterval: 500 }
  }`
}

const plain = ["work", "left", "right"]

/** Writes the project's files. */
export const writeProject = (folder: string): void => {
  const write = (name: string, text: string) => {
    const path = join(folder, name.replace(/!$/, ""))
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
    if (name.endsWith("!")) chmodSync(path, 0o755)
  }
  for (const [name, text] of Object.entries(files)) write(name, text)
  for (const name of plain) {
    write(
      `actions/${name}.mjs`,
      `import { step } from "../lib/step.mjs"\nexport default async (_, context) => { await step(context); return { context: "${name}" } }\n`
    )
  }
}
