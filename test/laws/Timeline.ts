/**
 * The time of the model: processes that sleep, wait for each other and are cut off, in virtual milliseconds.
 *
 * Shares nothing with the engine. What happens at the same millisecond may happen in any order: where the order can
 * matter, the timeline asks `choose`, so that whoever drives it can play all of them (`Ends`).
 */

/** A process: it yields where it waits, and is cut off where it waits. */
export type Process<A> = Generator<Pause, A, void>

interface Pause {
  /** ms; undefined: until a process that it spawned has ended. */
  readonly at: number | undefined
  /** What comes next may cut off others: what else is due then may come before it, or not. */
  readonly isOpen: boolean
  /** Nothing cuts it off here. */
  readonly isShielded: boolean
}

/** Thrown into a process that is cut off, where it waits. */
export class Cut {
  constructor(readonly reason: "cancelled" | "timeout") {}

  /** What was thrown, if it is one. */
  static of(thrown: unknown): Cut {
    if (thrown instanceof Cut) return thrown
    throw thrown
  }
}

/** One of `n` things that may happen, from 0. */
export type Choose = (n: number) => number

export interface Task<A = unknown> {
  readonly process: Process<A>
  readonly parent: Task | undefined
  /** What happens in it may cut off others. */
  readonly isOpen: boolean
  pause: Pause | undefined
  /** It is cut off where it next waits. */
  pending: Cut | undefined
  end: { readonly value: A } | { readonly cut: Cut } | undefined
}

export interface Pool<A> {
  readonly limit: number
  readonly next: () => Process<A> | undefined
  readonly isOpen?: boolean
  readonly stops?: (end: A) => boolean
}

export class Timeline {
  /** ms since the beginning. */
  now = 0
  readonly #live = new Set<Task>()
  #current: Task | undefined

  constructor(private readonly choose: Choose) {}

  /** Plays a process, and all that it spawns, to its end. */
  play<A>(process: Process<A>): A {
    const task = this.spawn(process)
    while (task.end === undefined) this.#next()
    return valueOf(task)
  }

  /** What comes first, or is done, of `n` things that the spec leaves open. */
  among(n: number): number {
    return n > 1 ? this.choose(n) : 0
  }

  /** Whether what happens at one time comes before what happens at another: either may, where they are the same. */
  isBefore(one: number, other: number): boolean {
    return one < other || (one === other && one < Infinity && this.among(2) === 0)
  }

  *sleep(ms: number): Process<void> {
    yield { at: this.now + ms, isOpen: this.#current?.isOpen === true, isShielded: false }
  }

  /**
   * Starts a process beside the one that asks for it, which has to join it. `isOpen`: what happens in it, or in what it
   * starts, may cut off what goes on beside it.
   */
  spawn<A>(process: Process<A>, opens = false): Task<A> {
    const parent = this.#current
    const isOpen = opens || parent?.isOpen === true
    const task: Task<A> = { process, parent, isOpen, pause: undefined, pending: undefined, end: undefined }
    this.#live.add(task)
    this.#step(task)
    return task
  }

  cut(task: Task, reason: Cut["reason"]): void {
    if (task.end === undefined && task.pause?.isShielded === false) this.#step(task, new Cut(reason))
  }

  /** The process that asks for it is cut off where it next waits. */
  defer(cut: Cut): void {
    if (this.#current !== undefined) this.#current.pending = cut
  }

  /** Waits for the end of one of these. Cut off, it cuts them off, waits for them all, and is then cut off itself. */
  *anyOf(tasks: Iterable<Task>, until = Infinity): Process<void> {
    const at = until === Infinity ? undefined : until
    try {
      while (this.now !== until && ![...tasks].some(hasEnded)) yield { at, isOpen: true, isShielded: false }
    } catch (thrown) {
      const cut = Cut.of(thrown)
      yield* this.cutAll([...tasks], "cancelled")
      throw cut
    }
  }

  /** Cuts these off, some of what is due now having come first, and waits until they have ended. */
  *cutAll(tasks: ReadonlyArray<Task>, reason: Cut["reason"]): Process<void> {
    const asked = new Set<Task>()
    const isBelow = (task: Task | undefined): boolean =>
      task !== undefined && (tasks.includes(task) || isBelow(task.parent))
    for (
      let other: Task | undefined;
      (other = this.#due().find((it) => !asked.has(it) && isBelow(it))) !== undefined;
    ) {
      if (this.among(2) === 0) asked.add(other)
      else this.#step(other)
    }
    for (const task of tasks) this.cut(task, reason)
    let cut: Cut | undefined
    while (!tasks.every(hasEnded)) {
      try {
        yield { at: undefined, isOpen: false, isShielded: false }
      } catch (thrown) {
        cut = Cut.of(thrown)
      }
    }
    if (cut !== undefined) throw cut
  }

  /**
   * Runs what `next` gives, at most `limit` at once, until it gives nothing more, or an end `stops` the others: these are
   * cut off. `isOpen`: what happens in one matters to the others.
   */
  *pool<A>({ isOpen = false, limit, next, stops }: Pool<A>): Process<void> {
    const live = new Set<Task<A>>()
    for (;;) {
      for (let process: Process<A> | undefined; live.size < limit && (process = next()) !== undefined; ) {
        live.add(this.spawn(process, isOpen))
      }
      if (live.size === 0) return
      yield* this.anyOf(live)
      const done = [...live].filter(hasEnded)
      for (const task of done) live.delete(task)
      if (done.some((task) => stops?.(valueOf(task)))) return yield* this.cutAll([...live], "cancelled")
    }
  }

  /** What happens next: of what is due at the same time, what may cut others off goes first, or last. */
  #next(): void {
    const times = [...this.#live].flatMap(({ pause }) => pause?.at ?? [])
    if (times.length === 0) throw new Error("the model waits for nothing")
    this.now = Math.min(...times)
    const due = this.#due()
    const open = due.filter(({ pause }) => pause?.isOpen === true)
    const first = open[this.among(open.length)]
    if (first === undefined) return this.#step(due[0])
    const later = new Set(open)
    for (let other = due[0]; (other = this.#due().find((task) => !later.has(task))) !== undefined; ) {
      if (this.among(2) === 0) later.add(other)
      else this.#step(other)
    }
    if (first.pause?.at === this.now) this.#step(first)
  }

  #due(): ReadonlyArray<Task> {
    return [...this.#live].filter(({ pause }) => pause?.at === this.now)
  }

  #step(task: Task | undefined, cut?: Cut): void {
    if (task === undefined) return
    const outer = this.#current
    this.#current = task
    task.pause = undefined
    try {
      const { done, value } = cut === undefined ? task.process.next() : task.process.throw(cut)
      if (done === true) task.end = { value }
      else task.pause = value
    } catch (thrown) {
      task.end = { cut: Cut.of(thrown) }
    }
    this.#current = outer
    if (task.end === undefined) return this.#cutPending(task)
    this.#live.delete(task)
    // One that is at work looks by itself.
    if (task.parent?.pause !== undefined) this.#step(task.parent)
  }

  #cutPending(task: Task): void {
    const { pending } = task
    if (pending === undefined || task.pause?.isShielded !== false) return
    task.pending = undefined
    this.#step(task, pending)
  }
}

/** Lets a process go on to its end, whatever happens around it. */
export function* shielded<A>(process: Process<A>): Process<A> {
  for (;;) {
    const { done, value } = process.next()
    if (done === true) return value
    yield { ...value, isShielded: true }
  }
}

const hasEnded = (task: Task): boolean => task.end !== undefined

export const valueOf = <A>({ end }: Task<A>): A => {
  if (end === undefined || "cut" in end) throw end?.cut ?? new Error("a process of the model has not ended")
  return end.value
}

/** Starts something for each, from the front. */
export const each =
  <T, A>(queue: Array<T>, start: (it: T) => Process<A>): Pool<A>["next"] =>
  () => {
    const it = queue.shift()
    return it === undefined ? undefined : start(it)
  }
