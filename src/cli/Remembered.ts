/** Keeps what a long-lived process remembers from growing without limit: at its limit all of it is forgotten. */
export const forgetAt = (limit: number, known: { readonly size: number; readonly clear: () => void }): void => {
  if (known.size >= limit) known.clear()
}
