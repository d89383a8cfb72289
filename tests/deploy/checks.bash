# shellcheck shell=bash
# Checks of the shell tests: "ok TEXT" or "not ok TEXT" each, "N passed, N failed" at the end.
# Sourced.

passed=0 failed=0

# check TEXT COMMAND...: the command's words are shown when it fails.
check() {
  local text=$1 words status=0
  shift
  words=$("$@" 2>&1) || status=$?
  if ((status == 0)); then
    passed=$((passed + 1))
    printf 'ok %s\n' "$text"
  else
    failed=$((failed + 1))
    printf 'not ok %s\n' "$text"
    printf '%s: exit code %d\n%s\n' "$*" "$status" "$(tail -n 12 <<<"$words")" | sed 's/^/    /'
  fi
}

# refuses CODE PATTERN COMMAND...: fails with that exit code and says why and what to do.
refuses() {
  local code=$1 pattern=$2 words status=0
  shift 2
  words=$("$@" 2>&1) || status=$?
  printf '%s\n' "$words"
  ((status == code)) && grep -qE "$pattern" <<<"$words"
}

no() { ! "$@"; }
same() { [[ $1 == "$2" ]] || { printf "'%s' is not '%s'\n" "$1" "$2" && false; }; }

# within SECONDS COMMAND...: generous limits, the machine may be busy.
within() {
  local began=$SECONDS limit=$1
  shift
  "$@" && ((SECONDS - began <= limit))
}

finished=''

# The last lines; fails when a check did.
tell_result() {
  finished=1
  printf '%d passed, %d failed\n' "$passed" "$failed"
  ((failed == 0))
}

# For the trap on EXIT: a script that ended early must not look like one that passed.
tell_unfinished() {
  if [[ -n $finished ]]; then return 0; fi
  printf 'not ok the test ended before its end\n'
  printf '%d passed, %d failed\n' "$passed" "$((failed + 1))"
}
