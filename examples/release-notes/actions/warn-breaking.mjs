/** Says in the record that whoever accepts the notes should look twice. */
export default () => ({ context: "the notes name breaking changes: look twice before they are accepted" })
