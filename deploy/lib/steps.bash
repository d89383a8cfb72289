# shellcheck shell=bash
# Steps with a tick and a time, for scripts that do much and must say little. Sourced.
#
# A step is a function; what it prints goes to its log, and what it writes to descriptor 3 is shown
# beside its tick. It runs in the background so that "set -e" holds in it (it does not inside "if")
# and so that a person at a terminal sees the last line of its log meanwhile.

case ${LC_ALL:-${LC_CTYPE:-${LANG:-}}} in
  *UTF-8 | *utf8 | *UTF8 | '') readonly tick='✔' cross='✘' ;;
  *) readonly tick='ok' cross='failed:' ;;
esac

seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", b - a }'; }

show_progress() {
  local log=$1 began=$2 name=$3 line
  [[ -t 1 ]] || return 0
  line=$(tail -n 1 "$log" 2>/dev/null | tr -d '\000-\037' || true)
  printf '\r\033[K… %-12s %s  %s' "$name" "$(seconds_since "$began")" "${line:0:50}"
}

end_step() {
  if [[ -n ${step_process:-} ]]; then kill -TERM -- "-$step_process" 2>/dev/null || true; fi
  step_process=''
}

# run_step NAME LOG_DIRECTORY WAY_OUT FUNCTION [ARGUMENT...]
run_step() {
  local name=$1 log=$2/$1.log way_out=$3 began=$EPOCHREALTIME status=0 detail
  shift 3
  : >"$log"
  : >"$log.detail"
  # Its own process group, so that an interrupt ends what the step has started, too.
  set -m
  ( set -e; "$@" ) </dev/null >>"$log" 2>&1 3>"$log.detail" &
  step_process=$!
  set +m
  local shown=0
  while kill -0 "$step_process" 2>/dev/null; do
    if ((SECONDS > shown)); then show_progress "$log" "$began" "$name" && shown=$SECONDS; fi
    sleep 0.05
  done
  wait "$step_process" || status=$?
  step_process=''
  detail=$(tail -n 1 "$log.detail")
  rm -f "$log.detail"
  if [[ -t 1 ]]; then printf '\r\033[K'; fi
  if ((status == 0)); then
    printf '%s %-12s %s  (%s)\n' "$tick" "$name" "${detail:-done}" "$(seconds_since "$began")"
    return 0
  fi
  printf '%s %-12s after %s; the last lines of %s:\n' \
    "$cross" "$name" "$(seconds_since "$began")" "$log"
  tail -n 15 "$log" | sed 's/^/    /'
  printf 'What to do: %s\n' "$way_out"
  exit 1
}
