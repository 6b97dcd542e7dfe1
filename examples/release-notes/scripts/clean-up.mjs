#!/usr/bin/env node
/** Removes what the run left behind, however it ended. */
import { rmSync } from "node:fs"
import { workFolder } from "./git.mjs"

rmSync(workFolder(), { recursive: true, force: true })
console.log(`the run ${process.env.STATUS}; ${workFolder()} is removed`)
