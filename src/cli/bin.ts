#!/usr/bin/env node
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { loadBundle } from "./CodeCache.ts"
import type { main } from "./Main.ts"

const bundle = join(dirname(fileURLToPath(import.meta.url)), "main.js")
const words = process.argv.slice(2)
// SAFETY: built from Main.ts (scripts/build.mjs).
const program = loadBundle(bundle, words[0] ?? "") as { readonly main: typeof main }
void program.main(words)
