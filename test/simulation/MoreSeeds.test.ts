import { playHalf } from "./support.ts"

playHalf(2)
