/** Sizes of files as messages say them: `812 bytes`, `4.2 KB`, `64.0 GB`, with 1,024 bytes in a KB. */
export const shownBytes = (bytes: number): string => {
  if (bytes < 1_024) return `${bytes} bytes`
  const power = Math.min(units.length, Math.floor(Math.log2(bytes) / 10))
  return `${(bytes / 1_024 ** power).toFixed(1)} ${units[power - 1]}`
}

const units = ["KB", "MB", "GB", "TB"]
