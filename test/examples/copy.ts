/** A copy of an example, without what whoever tried it left in it. */
import { cpSync } from "node:fs"
import { join, relative } from "node:path"

const examples = join(import.meta.dirname, "../../examples")

export const copyExample = (name: string, folder: string): void => {
  const example = join(examples, name)
  const isOwn = (file: string): boolean => !/^site($|\/)|\.db(-\w+)?($|\/)/.test(relative(example, file))
  cpSync(example, folder, { recursive: true, filter: isOwn })
}
