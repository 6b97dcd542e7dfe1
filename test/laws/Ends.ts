/**
 * The set of ends to which a play may come: it is played once for each way in which what is left open may fall.
 */
import { type Choose, type Process, Timeline } from "./Timeline.ts"

/** Lines, sorted. */
export type End = ReadonlyArray<string>

/** What happens on a timeline; it says its end line by line. */
export type Story = (time: Timeline, say: (line: string) => void) => Process<void>

/** Every end, the likely ones first; one may come more than once. */
export const endsOf = (story: Story): Generator<End> => allOrders((choose) => told(story, choose, () => {}))

/** Whether a story may come to an end: only what may is played further. */
export const comesTo = (story: Story, end: End): boolean => {
  const lines = new Set(end)
  const check = (line: string): void => {
    if (!lines.has(line)) throw elsewhere
  }
  for (const found of allOrders((choose) => unlessElsewhere(() => told(story, choose, check)))) {
    if (found?.join("\n") === end.join("\n")) return true
  }
  return false
}

/** Thrown at the first line that is not in the end that is looked for. */
const elsewhere = new Error("this play comes to another end")

const unlessElsewhere = (play: () => End): End | undefined => {
  try {
    return play()
  } catch (thrown) {
    if (thrown === elsewhere) return undefined
    throw thrown
  }
}

const told = (story: Story, choose: Choose, check: (line: string) => void): End => {
  const lines: Array<string> = []
  const time = new Timeline(choose)
  const say = (line: string): void => {
    check(line)
    lines.push(line)
  }
  time.play(story(time, say))
  return lines.sort()
}

/** Plays something once for each way in which its choices may fall, the first options first. */
function* allOrders<A>(play: (choose: Choose) => A): Generator<A> {
  let tape: Array<{ taken: number; readonly among: number }> = []
  for (;;) {
    let at = 0
    yield play((among) => {
      const known = tape[at] ?? { taken: 0, among }
      tape[at] = known
      at += 1
      return known.taken
    })
    tape = tape.slice(0, at)
    while (tape.length > 0 && (tape.at(-1)?.taken ?? 0) + 1 >= (tape.at(-1)?.among ?? 0)) tape.pop()
    const last = tape.at(-1)
    if (last === undefined) return
    last.taken += 1
  }
}
