#!/usr/bin/env node
/** Writes the index from what the runs for the pages gave: the structured output of the foreach. */
import { writeFileSync } from "node:fs"

const { items } = JSON.parse(process.env.SUMMARIES)
const lines = items.map(({ item_id: page, output }) => `- [${output.title}](${page.slice(5)}): ${output.summary}`)
writeFileSync("site/index.md", `# The site\n\n${lines.join("\n")}\n`)
console.log(`${items.length} pages`)
