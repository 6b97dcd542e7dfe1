#!/usr/bin/env node
import * as module from "node:module"

// Newer versions of Node keep compiled code between starts; to find it they must know before the rest is loaded.
if ("enableCompileCache" in module && typeof module.enableCompileCache === "function") module.enableCompileCache()

const { main } = await import("./Main.ts")
await main(process.argv.slice(2))
