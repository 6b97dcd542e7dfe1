#!/usr/bin/env node
/**
 * Stands in for a coding agent, so that the example runs offline: a program that takes a prompt on its standard input,
 * says what it does while it does it, works on files, and prints its result at the end. All that it knows is in the
 * prompt: the heading says what to do, lines with `- ` are rules, the sentence behind the heading names the page.
 *
 * To see what happens when an agent goes wrong:
 *   AGENT_HANGS=write  calls a tool that never answers in tasks with this heading
 *   AGENT_LAZY=fix     changes nothing in tasks with this heading
 */
import { spawn } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"

const prompt = readFileSync(0, "utf8")
const [asked = ""] = prompt.split("\nWhen you have finished")
const task = /^# (\w+)$/m.exec(asked)?.[1]?.toLowerCase() ?? "nothing"
const [page = ""] = /\bsite\/[\w-]+\.md\b/.exec(asked) ?? []

/** Agents think: there is time to interrupt them. */
const say = async (line) => {
  console.log(line)
  await pause(20)
}

/** In a dry run there is no page. */
const text = () => (existsSync(page) ? readFileSync(page, "utf8") : "")

const save = (content) => {
  if (!asked.startsWith("This is a dry run")) writeFileSync(page, content)
}

/** The lines of the page that are not done yet. */
const todos = () =>
  text()
    .split("\n")
    .flatMap((line, index) => (line.startsWith("TODO") ? [{ severity: "low", line: index + 1, text: line }] : []))

const plan = () => {
  const [, ref = "", title = "", labels = ""] = /ticket (#\S+): (.*) \(labels: (.*)\)/.exec(asked) ?? []
  const steps = ["read what there is", "write the page"]
  // Now and then it gives a text where a list was asked for; told so, it obeys.
  const isSloppy = ref === "#install" && !asked.includes("steps: expected")
  return {
    summary: `${title}.`,
    steps: isSloppy ? steps.join(", then ") : steps,
    parts: { steps: "what to do, one by one", pitfalls: "what may go wrong" },
    risk: labels.includes("breaking") ? "high" : "low"
  }
}

const write = () => {
  const [, title = ""] = /ticket #\S+: (.*)\.$/m.exec(asked) ?? []
  const [, chosen = ""] = asked.split("not all of them:")
  const all = ["steps", "pitfalls"]
  const some = all.filter((part) => chosen.includes(part))
  const parts = some.length === 0 ? all : some
  const sections = parts.map((part) => `## The ${part}\n\nTODO: the ${part}\n`)
  save(`# ${title}\n\nBy ${process.env.AUTHOR ?? "nobody"}.\n\n${sections.join("\n")}`)
  return { context: `wrote ${page} with ${parts.join(" and ")}`, page, num_turns: 2, output_tokens: 120 }
}

const review = () => {
  const findings = asked.includes("reads badly") ? [] : todos()
  const summary = findings.length === 0 ? `${page} is fine` : `${page} has ${findings.length} open TODOs`
  return { approved: findings.length === 0, findings, summary, num_turns: 1, output_tokens: 40 }
}

/** One at a time, as a careful agent does. */
const fix = () => {
  const [first] = process.env.AGENT_LAZY === task ? [] : todos()
  if (first === undefined) return { context: "found nothing to do" }
  save(text().replace(first.text, `Here are ${first.text.slice("TODO: ".length)}.`))
  return { context: `did "${first.text}"`, num_turns: 1, output_tokens: 60 }
}

const summarize = () => {
  const [heading = "", ...lines] = text().split("\n")
  return { title: heading.slice(2), summary: lines.find((line) => line.startsWith("Here")) ?? "Nothing yet." }
}

const tasks = { plan, write, review, fix, summarize }

await say(`arguments: ${process.argv.slice(2).join(" ")}`)
if (asked.startsWith("The attempt before")) await say("the last attempt was not good enough: looking at what was wrong")
for (const [, rule] of asked.matchAll(/^- (.*)$/gm)) await say(`rule: ${rule}`)
await say(`${task} ${page}`.trim())
if (process.env.AGENT_HANGS === task) {
  await say("calling a tool that never answers")
  await new Promise((done) => spawn("sleep", ["600"], { stdio: "inherit" }).on("exit", done))
}
if (!Object.hasOwn(tasks, task)) {
  console.error(`what am I to do? ${asked.slice(0, 100)}`)
  process.exit(1)
}
const answer = tasks[task]()
await say("done")
console.log(`<<<FLOW_OUTPUT>>>\n${JSON.stringify(answer)}\n<<<END_FLOW_OUTPUT>>>`)
