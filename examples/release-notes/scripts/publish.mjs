#!/usr/bin/env node
/** Writes the notes, as a whole or not at all. */
import { mkdirSync, renameSync, writeFileSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { fail, flowOutput, input } from "./git.mjs"

const { NOTES = "", FEEDBACK = "" } = process.env
if (NOTES === "") fail("there are no notes to write")
const file = resolve(input("output"))
const remark = FEEDBACK === "" ? "" : `\n> ${FEEDBACK.replaceAll("\n", "\n> ")}\n`

mkdirSync(dirname(file), { recursive: true })
writeFileSync(`${file}.part`, `${NOTES.trimEnd()}\n${remark}`)
renameSync(`${file}.part`, file)
flowOutput({ context: `wrote ${file}`, written: file })
