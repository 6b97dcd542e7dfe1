/**
 * The trigger source `scheduled`: runs at the times of a cron expression, which the project's configuration gives for
 * each workflow (`schedules`).
 *
 * Every process that runs triggers has the same events, and each time starts one run. Times that pass while no process
 * runs are not made up for; of those that pass while the machine sleeps, the first is.
 */
import * as Clock from "effect/Clock"
import * as Cron from "effect/Cron"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import { isRequired, type Texts, type WorkflowDefinition } from "../workflow/Definition.ts"
import { nearest } from "../workflow/Suggest.ts"
import type { TriggerEvent, TriggerSource } from "./TriggerSource.ts"

/** The trigger that workflows with a schedule have. */
export const scheduledTrigger = "scheduled"

export interface Schedule {
  readonly cron: Cron.Cron
  readonly inputs: Texts
}

/**
 * Reads a cron expression: minute, hour, day of month, month, weekday, and optionally seconds in front. `timeZone` is
 * an IANA name or an offset; absent: that of the machine. Left: what is wrong, as the end of a sentence.
 */
export const readCron = (expression: string, timeZone?: string): Either.Either<Cron.Cron, string> =>
  Either.flatMap(
    Either.mapLeft(
      Cron.parse(expression, timeZone ?? localZone()),
      ({ message }) => `is no cron expression: ${message}`
    ),
    (cron) =>
      Either.try({
        try: () => {
          Cron.next(cron, new Date())
          return cron
        },
        catch: () => "has no time that ever comes"
      })
  )

/** By name: the machine's offset of today is not that of next summer. */
const localZone = (): string => new Intl.DateTimeFormat().resolvedOptions().timeZone

/** The source of the schedules of workflows by name. */
export const scheduleSource = (schedules: ReadonlyMap<string, Schedule>): TriggerSource => ({
  events: ({ name }) => {
    const schedule = schedules.get(name)
    if (schedule !== undefined) return Stream.repeatEffect(nextTime(schedule))
    const warning = `workflow '${name}' is never run: its trigger is scheduled, but the configuration has no \`schedules.${name}\``
    return Stream.execute(Effect.logWarning(warning))
  }
})

/** What is wrong with schedules: those that no workflow with this trigger has, and inputs that are missing. */
export const scheduleProblems = (
  schedules: ReadonlyMap<string, Schedule>,
  workflows: ReadonlyMap<string, WorkflowDefinition>
): ReadonlyArray<string> =>
  [...schedules].flatMap(([name, { inputs }]) => {
    const workflow = workflows.get(name)
    if (workflow === undefined) {
      const near = nearest(name, workflows.keys())
      return [
        `\`schedules.${name}\`: there is no such workflow${near === undefined ? "" : `; did you mean '${near}'?`}`
      ]
    }
    if (workflow.trigger !== scheduledTrigger) {
      return [
        `\`schedules.${name}\` is ignored: the workflow's trigger is ${workflow.trigger}; write \`meta { trigger = scheduled }\``
      ]
    }
    return workflow.inputs
      .filter((input) => isRequired(input) && !Object.hasOwn(inputs, input.name))
      .map((input) => `\`schedules.${name}\`: the required input '${input.name}' is missing`)
  })

/** Waits for the next time. */
const nextTime = ({ cron, inputs }: Schedule): Effect.Effect<TriggerEvent> =>
  Effect.gen(function* () {
    const due = Cron.next(cron, yield* Clock.currentTimeMillis).getTime()
    yield* sleepUntil(due)
    return { id: `${scheduledTrigger}:${new Date(due).toISOString()}`, inputs }
  })

/** Longer sleeps are cut: clocks are set, and no timer of Node's is longer than 24 days. */
const longestSleep = 3_600_000

const sleepUntil = (time: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (;;) {
      const now = yield* Clock.currentTimeMillis
      if (now >= time) return
      yield* Effect.sleep(Math.min(time - now, longestSleep))
    }
  })
