import { describe, expect, it } from "@effect/vitest"
import { declaredSecrets, joined, type Secrets, tooShort, withValues } from "../../src/workflow/Secrets.ts"

const declared = (name: string, options: { readonly secret?: boolean; readonly boolean?: boolean } = {}) => ({
  name,
  secret: options.secret ?? false,
  boolean: options.boolean ?? false,
  required: false
})

const secret = (name: string) => declared(name, { secret: true })

const secrets = (inputs: ReadonlyArray<string>, ...values: ReadonlyArray<string>): Secrets => ({ inputs, values })

describe("the secrets that a workflow declares", () => {
  it("are the values of its secret inputs, once each", () => {
    const declarations = [declared("a"), secret("token"), secret("key"), secret("absent")]
    expect(declaredSecrets(declarations, { a: "plain", token: "hunter2", key: "hunter2" })).toEqual(
      secrets(["token", "key", "absent"], "hunter2")
    )
    expect(declaredSecrets([declared("a")], { a: "plain" })).toBeUndefined()
  })

  it("are known by name alone where the value would be found everywhere", () => {
    const declarations = [secret("pin"), declared("flag", { secret: true, boolean: true }), secret("empty")]
    const inputs = { pin: "123", flag: "false", empty: "" }
    expect(declaredSecrets(declarations, inputs)).toEqual(secrets(["pin", "flag", "empty"]))
    expect(tooShort(declarations, inputs)).toEqual(["pin"])
  })
})

describe("secrets from elsewhere", () => {
  it("are added, and the same where nothing is new", () => {
    const own = secrets(["token"], "hunter2")
    expect(withValues(own, ["other-secret", "abc"])).toEqual(secrets(["token"], "hunter2", "other-secret"))
    expect(withValues(own, ["hunter2"])).toBe(own)
    expect(withValues(undefined, [])).toBeUndefined()
    expect(withValues(undefined, ["hunter2"])).toEqual(secrets([], "hunter2"))
  })

  it("are joined with a run's own", () => {
    const own = secrets(["token"], "hunter2")
    expect(joined(own, secrets([], "hunter2"))).toBe(own)
    expect(joined(own, undefined)).toBe(own)
    expect(joined(undefined, own)).toBe(own)
    expect(joined(own, secrets(["key"], "other"))).toEqual(secrets(["token", "key"], "hunter2", "other"))
  })
})
