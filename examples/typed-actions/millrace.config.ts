import { defineConfig } from "millrace"
import { Assess, handlers, PayBack } from "./actions.ts"

export default defineConfig({
  // What `millrace validate` knows of them: what they take, and which texts they give.
  actions: { assess: Assess, "pay-back": PayBack },
  // What runs them. Without the layer of one of the two this does not compile.
  layer: handlers("ledger.txt")
})
