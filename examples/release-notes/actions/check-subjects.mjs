/** Are there subjects that are too long, or say nothing? A module: plain JavaScript, no packages needed. */
export default ({ prior_contexts }) => {
  const collect = JSON.parse(prior_contexts).find(({ step }) => step === "collect")
  const { commits } = JSON.parse(collect.structured_output)
  const long = commits.filter(({ subject }) => subject.length > 72)
  const empty = commits.filter(({ subject }) => subject.trim().split(/\s+/).length < 2)
  const found = [...(long.length > 0 ? ["long_subjects"] : []), ...(empty.length > 0 ? ["empty_subjects"] : [])]
  return {
    markers: found,
    context: `${long.length} subjects of more than 72 characters, ${empty.length} of a single word`,
    structuredOutput: { weak: long.length + empty.length }
  }
}
