/**
 * What shells run on a TAB. Each of the scripts hands the line to `millrace __complete`, which knows the commands, and
 * gives its answer to the shell: so a script that somebody keeps need not be made anew with a new release.
 */

export const shells = ["bash", "zsh", "fish"] as const
export type Shell = (typeof shells)[number]

/** Works in bash 3.2 too, which has neither `mapfile` nor `compopt`: blanks behind words come with the words. */
const bash = `# Completion of millrace for bash. In ~/.bashrc: source <(millrace completions bash)
_millrace() {
  local reply
  COMPREPLY=()
  while IFS= read -r reply; do
    COMPREPLY+=("$reply")
  done < <("$1" __complete bash "$COMP_TYPE" "$COMP_WORDBREAKS" "\${COMP_LINE:0:COMP_POINT}" 2>/dev/null </dev/null)
}
complete -o nospace -F _millrace millrace
`

const zsh = `#compdef millrace
# Completion of millrace for zsh. In ~/.zshrc, below compinit: source <(millrace completions zsh)
# or, as a file _millrace in a folder of $fpath: millrace completions zsh
_millrace() {
  local typed=\${(Q)PREFIX} word about
  local -a whole open
  [[ $typed == "~/"* ]] && typed=$HOME/\${typed#??}
  while IFS=$'\\t' read -r word about; do
    # A colon parts a word and what it is; behind some words no blank follows.
    if [[ $word == *[=/,] ]]; then
      open+=("\${word//:/\\\\:}:$about")
    else
      whole+=("\${word//:/\\\\:}:$about")
    fi
  done < <("\${(Q)words[1]}" __complete zsh "\${(@Q)words[2,CURRENT-1]}" "$typed" 2>/dev/null </dev/null)
  # They are all meant, also where they begin in another way than what is typed: -U.
  _describe -V millrace whole -U
  _describe -V millrace open -U -S ''
}
if [[ \${funcstack[1]} == _millrace ]]; then
  _millrace "$@"
else
  compdef _millrace millrace
fi
`

const fish = `# Completion of millrace for fish: millrace completions fish > ~/.config/fish/completions/millrace.fish
function __millrace_complete
    set -l words (commandline -opc)
    set -l program $words[1]
    set -e words[1]
    # Without the quote that it begins with, and without backslashes.
    set -l typed (string unescape -- (string replace -r '^["\\']' '' -- (commandline -ct)))
    $program __complete fish $words "$typed" 2>/dev/null </dev/null
end
complete -c millrace -f -k -a '(__millrace_complete)'
`

export const scripts: Readonly<Record<Shell, string>> = { bash, zsh, fish }
