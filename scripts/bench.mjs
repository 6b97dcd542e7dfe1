/**
 * Runs a benchmark: `bench/NAME.ts`.
 *
 *     npm run bench -- [NAME] [OPTIONS]
 *     npm run bench:peers -- [OPTIONS]        peers/main
 */
import { runBundled } from "./bundled.mjs"

const [first = "", ...others] = process.argv.slice(2)
/** A word that is no option names the bench; without one it is all workloads. */
const [name, args] = first === "" || first.startsWith("-") ? ["main", process.argv.slice(2)] : [first, others]

await runBundled({
  // A profile is one of the workloads of `main`.
  entryPoints: (name === "profile" ? ["profile", "main"] : [name]).map((it) => `bench/${it}.ts`),
  args,
  nodeOptions: ["--expose-gc"]
})
