/**
 * What a configuration file exports, checked: all that is wrong is told, with its key.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type { Texts } from "../workflow/Definition.ts"
import { isObject, kind } from "../workflow/Json.ts"
import { nearest } from "../workflow/Suggest.ts"
import { defaultLeaseTtl, type EngineOptions, engineOptions } from "./EngineOptions.ts"
import { type FlowLimits, problemOf } from "./FlowLimits.ts"
import { type AgentArgument, type AgentConfig, isAgentVariable, unknownVariables } from "./AgentCommand.ts"
import type { ActionFunction } from "./ModuleAction.ts"
import type { GateFunction } from "./ProjectGates.ts"
import type { DescribedItems } from "./ProjectItems.ts"
import type { IdentityVariables } from "./Resolvers.ts"
import { readCron, type Schedule } from "./ScheduleSource.ts"
import { type Declared, isDeclared } from "./TypedAction.ts"
import type { TriggerSource } from "./TriggerSource.ts"
import { settle } from "./UserFunction.ts"

/** A configuration that was checked. */
export interface LoadedConfig {
  /** As messages show it; undefined: there is none. */
  readonly file: string | undefined
  readonly actions: ReadonlyMap<string, ActionFunction | Declared>
  readonly providers: ReadonlyMap<string, DescribedItems<unknown>>
  readonly gates: ReadonlyMap<string, GateFunction<unknown>>
  readonly scriptEnvironment: IdentityVariables | undefined
  readonly agent: AgentConfig | undefined
  readonly schedules: ReadonlyMap<string, Schedule>
  readonly limits: ReadonlyMap<string, FlowLimits<Texts>>
  readonly triggers: ReadonlyMap<string, TriggerSource>
  readonly layer: Layer.Layer<never, unknown> | undefined
  readonly targets: ReadonlyArray<string> | undefined
  readonly onWaiting: string | undefined
  readonly maxDatabaseBytes: number | undefined
  readonly engine: EngineOptions
}

export const noConfig: LoadedConfig = {
  file: undefined,
  actions: new Map(),
  providers: new Map(),
  gates: new Map(),
  scriptEnvironment: undefined,
  agent: undefined,
  schedules: new Map(),
  limits: new Map(),
  triggers: new Map(),
  layer: undefined,
  targets: undefined,
  onWaiting: undefined,
  maxDatabaseBytes: undefined,
  engine: {}
}

const keys = [
  "actions",
  "providers",
  "gates",
  "scriptEnvironment",
  "agent",
  "schedules",
  "limits",
  "triggers",
  "layer",
  "targets",
  "onWaiting",
  "maxDatabaseBytes",
  "engine"
] as const

/** The tables alone need a tenth of it. */
const leastDatabaseBytes = 1_048_576

/** Reads what a file exports by default; left: all problems. */
export const readConfig = (file: string, value: unknown): Either.Either<LoadedConfig, ReadonlyArray<string>> => {
  if (!isObject(value)) {
    return Either.left([`its default export is ${shown(value)}, not \`defineConfig({ … })\``])
  }
  const reader = new Reader(file, value)
  const config = reader.config()
  return reader.problems.length === 0 ? Either.right(config) : Either.left(reader.problems)
}

const shown = (value: unknown): string => (typeof value === "function" ? "a function" : kind(value))

type Check<A> = (value: unknown, at: string, name: string) => A | undefined

class Reader {
  readonly problems: Array<string> = []

  constructor(
    private readonly file: string,
    private readonly value: { readonly [key: string]: unknown }
  ) {}

  config(): LoadedConfig {
    this.#unknownKeys(this.value, keys, "")
    return {
      file: this.file,
      actions: this.#named("actions", (value, at, name) => this.#action(value, at, name)),
      providers: this.#named("providers", (value, at) => this.#provider(value, at)),
      gates: this.#named("gates", (value, at) => this.#function<GateFunction<unknown>>(value, at)),
      scriptEnvironment: this.#optional("scriptEnvironment", (value, at) => this.#scriptEnvironment(value, at)),
      agent: this.#optional("agent", (value, at) => this.#agent(value, at)),
      schedules: this.#named("schedules", (value, at) => this.#schedule(value, at)),
      limits: this.#named("limits", (value, at, name) => this.#limits(value, at, name)),
      triggers: this.#named("triggers", (value, at) => this.#trigger(value, at)),
      layer: this.#optional("layer", (value, at) => this.#layer(value, at)),
      targets: this.#optional("targets", (value, at) => this.#texts(value, at)),
      onWaiting: this.#optional("onWaiting", (value, at) => this.#text(value, at)),
      maxDatabaseBytes: this.#optional("maxDatabaseBytes", (value, at) => this.#bytes(value, at)),
      engine: this.#optional("engine", (value, at) => this.#engine(value, at)) ?? {}
    }
  }

  #wrong(at: string, value: unknown, wanted: string): undefined {
    this.problems.push(`\`${at}\` is ${shown(value)}, not ${wanted}`)
  }

  #unknownKeys(value: { readonly [key: string]: unknown }, known: ReadonlyArray<string>, prefix: string): void {
    for (const key of Object.keys(value)) {
      if (known.includes(key)) continue
      const near = nearest(key, known)
      const hint = near === undefined ? `there are ${known.join(", ")}` : `did you mean \`${prefix}${near}\`?`
      this.problems.push(`unknown key \`${prefix}${key}\`; ${hint}`)
    }
  }

  #optional<A>(key: (typeof keys)[number], check: Check<A>): A | undefined {
    const value = this.value[key]
    return value === undefined ? undefined : check(value, key, key)
  }

  #named<A>(key: (typeof keys)[number], check: Check<A>): ReadonlyMap<string, A> {
    const found = new Map<string, A>()
    const value = this.value[key]
    if (value === undefined) return found
    if (!isObject(value)) this.#wrong(key, value, "an object with names as keys")
    else {
      for (const [name, entry] of Object.entries(value)) {
        const checked = check(entry, `${key}.${name}`, name)
        if (checked !== undefined) found.set(name, checked)
      }
    }
    return found
  }

  #function<F>(value: unknown, at: string): F | undefined {
    // SAFETY: a function; what it takes and gives is checked when it is called.
    return typeof value === "function" ? (value as F) : this.#wrong(at, value, "a function")
  }

  /** A typed action has its name already. */
  #action(value: unknown, at: string, name: string): ActionFunction | Declared | undefined {
    if (!isDeclared(value)) {
      return typeof value === "function" ? this.#function(value, at) : this.#wrong(at, value, "a function or an action")
    }
    if (value.name === name) return value
    return void this.problems.push(`\`${at}\` is the action '${value.name}': it goes by that name`)
  }

  #text(value: unknown, at: string): string | undefined {
    if (value === "") return void this.problems.push(`\`${at}\` is empty`)
    return typeof value === "string" ? value : this.#wrong(at, value, "a text")
  }

  #bytes(value: unknown, at: string): number | undefined {
    const isSize = typeof value === "number" && Number.isSafeInteger(value) && value >= leastDatabaseBytes
    return isSize ? value : this.#wrong(at, value, `a whole number of bytes from ${leastDatabaseBytes} on`)
  }

  #texts(value: unknown, at: string): ReadonlyArray<string> | undefined {
    if (!Array.isArray(value)) return this.#wrong(at, value, "a list of texts")
    return value.flatMap((text: unknown, index) => this.#text(text, `${at}[${index}]`) ?? [])
  }

  /** A map of texts, empty ones included. */
  #textMap(value: unknown, at: string): Texts | undefined {
    if (!isObject(value)) return this.#wrong(at, value, "an object of texts")
    const entries = Object.entries(value).filter((entry): entry is [string, string] => {
      if (typeof entry[1] !== "string") this.#wrong(`${at}.${entry[0]}`, entry[1], "a text")
      return typeof entry[1] === "string"
    })
    return Object.fromEntries(entries)
  }

  #provider(value: unknown, at: string): DescribedItems<unknown> | undefined {
    if (typeof value === "function") {
      const items = this.#function<DescribedItems<unknown>["items"]>(value, at)
      return items === undefined ? undefined : { items }
    }
    if (!isObject(value)) return this.#wrong(at, value, "a function or an object with `items`")
    this.#unknownKeys(value, ["items", "ordered", "needsFilter", "check"], `${at}.`)
    const items = this.#function<DescribedItems<unknown>["items"]>(value["items"], `${at}.items`)
    for (const key of ["ordered", "needsFilter"]) {
      if (value[key] !== undefined && typeof value[key] !== "boolean") {
        this.#wrong(`${at}.${key}`, value[key], "true or false")
      }
    }
    if (value["check"] !== undefined) this.#function(value["check"], `${at}.check`)
    // SAFETY: each of its keys was checked.
    return items === undefined ? undefined : (value as unknown as DescribedItems<unknown>)
  }

  #scriptEnvironment(value: unknown, at: string): IdentityVariables | undefined {
    if (typeof value === "function") {
      const given = this.#function<(identity: string | undefined) => unknown>(value, at)
      return given === undefined ? undefined : this.#variablesFrom(given)
    }
    if (!isObject(value)) return this.#wrong(at, value, "an object of environments by identity, or a function")
    const byIdentity = new Map<string, Texts>()
    for (const [identity, entry] of Object.entries(value)) {
      const variables = this.#textMap(entry, `${at}.${identity}`)
      if (variables !== undefined) byIdentity.set(identity, variables)
    }
    return (identity) => Effect.succeed((identity === undefined ? undefined : byIdentity.get(identity)) ?? {})
  }

  /** A step must not run without the variables it needs: a function that fails fails the attempt. */
  #variablesFrom(given: (identity: string | undefined) => unknown): IdentityVariables {
    const where = `${this.file}: \`scriptEnvironment\``
    return (identity) =>
      Effect.scoped(settle(() => given(identity))).pipe(
        Effect.filterOrFail(
          (value): value is Texts => isObject(value) && Object.values(value).every((text) => typeof text === "string"),
          () => "gave no object of texts"
        ),
        Effect.catchAll((problem) =>
          Effect.die(new Error(`${where} ${problem}${identity === undefined ? "" : ` (identity '${identity}')`}`))
        )
      )
  }

  #agent(value: unknown, at: string): AgentConfig | undefined {
    if (!isObject(value)) return this.#wrong(at, value, "an object with `command`")
    this.#unknownKeys(value, ["command", "args", "env"], `${at}.`)
    const command = this.#text(value["command"], `${at}.command`)
    const args = value["args"] === undefined ? [] : this.#arguments(value["args"], `${at}.args`)
    const env = value["env"] === undefined ? {} : this.#textMap(value["env"], `${at}.env`)
    for (const [name, template] of Object.entries(env ?? {})) this.#template(template, `${at}.env.${name}`)
    return command === undefined || args === undefined || env === undefined ? undefined : { command, args, env }
  }

  #arguments(value: unknown, at: string): ReadonlyArray<AgentArgument> | undefined {
    if (!Array.isArray(value)) return this.#wrong(at, value, "a list of arguments")
    return value.flatMap((entry: unknown, index): ReadonlyArray<AgentArgument> => {
      const here = `${at}[${index}]`
      if (Array.isArray(entry)) return [this.#group(entry, here)]
      return isObject(entry) ? this.#conditional(entry, here) : this.#group([entry], here)
    })
  }

  #conditional(entry: { readonly [key: string]: unknown }, at: string): ReadonlyArray<AgentArgument> {
    this.#unknownKeys(entry, ["when", "args"], `${at}.`)
    const when = this.#text(entry["when"], `${at}.when`)
    const args = this.#texts(entry["args"], `${at}.args`)
    if (when === undefined || args === undefined) return []
    this.#template(`{{${when}}}`, `${at}.when`)
    return isAgentVariable(when) ? [{ when, args: this.#group(args, `${at}.args`) }] : []
  }

  #group(entries: ReadonlyArray<unknown>, at: string): ReadonlyArray<string> {
    return entries.flatMap((entry) => {
      if (typeof entry === "string") this.#template(entry, at)
      else this.#wrong(at, entry, "a text")
      return typeof entry === "string" ? [entry] : []
    })
  }

  #template(template: string, at: string): void {
    for (const problem of unknownVariables(template)) this.problems.push(`\`${at}\` ${problem}`)
  }

  #schedule(value: unknown, at: string): Schedule | undefined {
    const given = typeof value === "string" ? { cron: value } : value
    if (!isObject(given)) return this.#wrong(at, value, "a cron expression or an object with `cron`")
    this.#unknownKeys(given, ["cron", "timeZone", "inputs"], `${at}.`)
    const text = this.#text(given["cron"], `${at}.cron`)
    const zone = given["timeZone"] === undefined ? undefined : this.#text(given["timeZone"], `${at}.timeZone`)
    const inputs = given["inputs"] === undefined ? {} : this.#textMap(given["inputs"], `${at}.inputs`)
    if (text === undefined || inputs === undefined) return undefined
    const cron = readCron(text, zone)
    if (Either.isLeft(cron)) return void this.problems.push(`\`${at}\` ${cron.left}`)
    return { cron: cron.right, inputs }
  }

  #limits(value: unknown, at: string, name: string): FlowLimits<Texts> | undefined {
    if (!isObject(value)) return this.#wrong(at, value, "an object of limits")
    this.#unknownKeys(value, ["concurrency", "perKey", "rate"], `${at}.`)
    for (const [key, known] of Object.entries({ perKey: ["key", "concurrency"], rate: ["limit", "interval"] })) {
      const part = value[key]
      if (part === undefined) continue
      if (!isObject(part)) return this.#wrong(`${at}.${key}`, part, "an object")
      this.#unknownKeys(part, known, `${at}.${key}.`)
    }
    // SAFETY: what it holds is checked here; what a key's function gives, when it is called.
    const limits = value as FlowLimits<Texts>
    const problem = problemOf(limits)
    if (problem !== undefined) return void this.problems.push(`\`${at}\`: ${problem}`)
    const actions = this.value["actions"]
    if (!isObject(actions) || !isDeclared(actions[name])) return limits
    return void this.problems.push(`\`${at}\`: the typed action '${name}' says its limits itself`)
  }

  #engine(value: unknown, at: string): EngineOptions | undefined {
    if (!isObject(value)) return this.#wrong(at, value, "an object of numbers")
    this.#unknownKeys(value, Object.keys(engineOptions), `${at}.`)
    const options: Record<string, number> = {}
    for (const [name, least] of Object.entries(engineOptions)) {
      const given = value[name]
      if (given === undefined) continue
      if (typeof given === "number" && given >= least && Number.isFinite(given)) options[name] = given
      else {
        const is = typeof given === "number" ? given : shown(given)
        this.problems.push(`\`${at}.${name}\` is ${is}, not a number of at least ${least}`)
      }
    }
    const { leaseRefresh = 0, leaseTtl = defaultLeaseTtl } = options
    if (leaseRefresh >= leaseTtl) {
      this.problems.push(`\`${at}.leaseRefresh\` is ${leaseRefresh}, not less than the lease itself (${leaseTtl} ms)`)
    }
    return options
  }

  #trigger(value: unknown, at: string): TriggerSource | undefined {
    if (!isObject(value)) return this.#wrong(at, value, "an object with `events`")
    this.#unknownKeys(value, ["events", "taken"], `${at}.`)
    const events = this.#function<TriggerSource["events"]>(value["events"], `${at}.events`)
    if (value["taken"] === undefined) return events === undefined ? undefined : { events }
    const taken = this.#function<NonNullable<TriggerSource["taken"]>>(value["taken"], `${at}.taken`)
    return events === undefined || taken === undefined ? undefined : { events, taken }
  }

  #layer(value: unknown, at: string): Layer.Layer<never, unknown> | undefined {
    // SAFETY: a Layer; one that needs services fails when it is built, and that is told.
    return Layer.isLayer(value) ? (value as unknown as Layer.Layer<never, unknown>) : this.#wrong(at, value, "a Layer")
  }
}
