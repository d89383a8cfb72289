# shellcheck shell=bash
# What the scripts of deploy/ share: messages, locks and the identity of processes. Sourced, never
# run. A process is named by its id *and* its start time, since ids are reused; start times begin
# again at each boot, so a list of processes also carries the id of the boot.

# fail THING REASON WAY_OUT: the one form of error of these scripts.
fail() {
  printf '%s: %s: %s. %s\n' "${0##*/}" "$1" "$2" "$3" >&2
  exit 1
}

# usage_error TEXT: a wrong command line; exit code 2 tells it from a failed run.
usage_error() {
  printf '%s: %s. See %s --help.\n' "${0##*/}" "$1" "$0" >&2
  exit 2
}

require_root() {
  [[ $EUID -eq 0 ]] ||
    fail "this script" "needs root (namespaces, taps, cgroups)" "Run it with sudo"
}

# require_command COMMAND PACKAGE_SET
require_command() {
  command -v "$1" >/dev/null ||
    fail "$1" "is not installed" "Run deploy/lib/install-packages $2"
}

# listens PORT: somebody does, on the loopback.
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

require_free_port() {
  if listens "$1"; then
    fail "port $1" "is in use by another program" "Choose another with --port"
  fi
}

boot_id() { cat /proc/sys/kernel/random/boot_id; }

# process_start PID: field 22 of /proc/PID/stat, in clock ticks since boot; empty when there is no
# such process or only its zombie. The name in field 2 may hold blanks and brackets, so cut it off.
process_start() {
  local stat
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
  local -a field
  read -r -a field <<<"${stat##*) }"
  [[ ${field[0]} != Z ]] && printf '%s' "${field[19]}"
  return 0
}

# process_is PID START: true while exactly that process lives.
process_is() {
  [[ -n $1 && -n $2 && $(process_start "$1") == "$2" ]]
}

# wait_for SECONDS COMMAND...: polls; false when the time is over. 50 ms is well below what a
# person notices and costs nothing beside the starts that are waited for.
wait_for() {
  local deadline=$((SECONDS + $1 + 1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

# Closes what a daemon would inherit and hold for ever: locks, pipes of whoever runs the script.
# For a subshell about to exec; 255 is bash's own and is closed by exec.
close_descriptors() {
  local descriptor
  for descriptor in "/proc/$BASHPID/fd"/*; do
    descriptor=${descriptor##*/}
    if ((descriptor > 2 && descriptor != 255)); then exec {descriptor}>&-; fi
  done
}

process_gone() { ! process_is "$1" "$2"; }

# end_process PID START SECONDS: asks, waits, then forces. Silent about a process already gone.
end_process() {
  process_is "$1" "$2" || return 0
  kill -TERM "$1" 2>/dev/null || true
  wait_for "$3" process_gone "$1" "$2" && return 0
  process_is "$1" "$2" && kill -KILL "$1" 2>/dev/null
  wait_for 5 process_gone "$1" "$2" ||
    fail "process $1" "does not end, not even by SIGKILL" "See /proc/$1/stack and end it by hand"
}

# become_service RECORD COMMAND...: this process becomes the command, in a session of its own and
# with a small environment. It writes down who it is before: there is no moment in which nobody
# knows it.
become_service() {
  # shellcheck disable=SC2016  # expanded by the inner shell
  exec setsid env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root bash -c '
    source "$1"
    printf "%s %s %s\n" "$(boot_id)" "$$" "$(process_start $$)" >"$2"
    shift 2
    exec "$@"' service "${BASH_SOURCE[0]}" "$@"
}

# service_process RECORD: "PID START" of the service when it lives. Start times count from the boot,
# so the record names it.
service_process() {
  local boot pid start
  [[ -f $1 ]] || return 0
  read -r boot pid start <"$1" || return 0
  if [[ $boot == "$(boot_id)" ]] && process_is "$pid" "$start"; then
    printf '%s %s' "$pid" "$start"
  fi
}

# stop_service RECORD SECONDS
stop_service() {
  local who
  who=$(service_process "$1")
  if [[ -n $who ]]; then end_process "${who% *}" "${who#* }" "$2"; fi
  rm -f "$1"
}

# check_node_name NAME: it becomes a host name, a namespace and a cgroup; 40 keeps each of them far
# from its limit.
check_node_name() {
  [[ $1 =~ ^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$ ]] ||
    usage_error "node name '$1' is not of small letters, digits and '-' (at most 40)"
}
