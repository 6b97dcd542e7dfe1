/** Does something so many times, never more than `atOnce` of them at the same time. */
export const repeat = async (times, atOnce, use) => {
  let next = 0
  const worker = async () => {
    while (next < times) await use(next++)
  }
  await Promise.all(Array.from({ length: Math.min(times, atOnce) }, worker))
}
