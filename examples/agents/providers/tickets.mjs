#!/usr/bin/env node
/** The open tickets with a label, and which has to wait for which. A real one would ask a tracker. */
import { readFileSync } from "node:fs"

const { filter, scope } = JSON.parse(readFileSync(0, "utf8"))
const tickets = JSON.parse(readFileSync(scope.file, "utf8")).filter(({ labels }) => labels.includes(filter.label))
console.log(
  JSON.stringify({
    items: tickets.map(({ id, title, labels }) => ({
      type: "ticket",
      id,
      ref: `#${id}`,
      title,
      labels: labels.join(", ")
    })),
    edges: tickets.flatMap(({ id, after = [] }) => after.map((blocker) => ({ blocker, dependent: id })))
  })
)
