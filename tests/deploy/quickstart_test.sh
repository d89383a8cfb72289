#!/bin/bash
# README's first command for real, in a directory, on a port and under names of its own: twice,
# after kills, and down again. Builds what is not built. Needs root and a minute beside the build.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
readonly root=${here%/tests/deploy}
# shellcheck source=deploy/lib/common.bash
source "$root/deploy/lib/common.bash"
# shellcheck source=tests/deploy/checks.bash
source "$here/checks.bash"

scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/orrery-quickstart.XXXXXX")
chmod 755 "$scratch"
readonly scratch directory=$scratch/state node=qs$$
readonly command=$scratch/bin/orrery socket=$directory/nodes/$node/run/libvirt/libvirt-sock
mkdir -p "$scratch/bin" "$scratch/home"

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 10000))
    [[ -n $(ss -Hltn "sport = :$port") ]] || break
  done
  printf '%s' "$port"
}
port=$(free_port)
readonly port

quickstart() {
  env -u XDG_CONFIG_HOME HOME="$scratch/home" "$root/deploy/quickstart" --dir "$directory" \
    --name "$node" --port "$port" --command "$command" "$@"
}

# As a person calls it afterwards: no flags, no variables.
orrery() {
  env -u XDG_CONFIG_HOME -u ORRERY_URL -u ORRERY_TOKEN_FILE HOME="$scratch/home" "$command" "$@"
}

clean_up() {
  tell_unfinished
  if [[ -e $directory ]]; then quickstart --down >/dev/null || true; fi
  rm -rf --one-file-system "$scratch"
}

daemon_pid() { awk '{ print $2 }' "$directory/orreryd.process"; }
virsh_of_node() { virsh -q -c "qemu+unix:///system?socket=$socket" "$@"; }
said() { grep -qE "$1" "$scratch/said"; }
run_quickstart() { quickstart "$@" >"$scratch/said" 2>&1 || { cat "$scratch/said" && false; }; }
state_of_vm() { orrery vm get web-1 -o json | jq -r .observed.state; }
vm_is() { [[ $(state_of_vm) == "$1" ]]; }

test_refusals() {
  mkdir "$directory" && touch "$directory/precious"
  check "a directory of somebody else is refused" refuses 1 'not made by quickstart' quickstart
  check "also by --down" refuses 1 'nothing was touched' quickstart --down
  check "and left as it is" test -f "$directory/precious"
  rm -r "$directory"
  check "a port that is none is refused" refuses 2 'not a port' quickstart --port 99999
}

test_first_run() {
  check "quickstart comes to a guest that answers" run_quickstart
  check "it says where the guest answers" said "10\.99\.0\.[0-9]+ answers from orrery-$node"
  check "it shows the console" said 'orrery-guest: ready 10\.99\.0\.'
  check "it shows the events" said 'vm\.reachable'
  check "it says where the API is" said "API http://127\.0\.0\.1:$port"
  check "orrery works without flags" refuses 0 'web-1 .*REACHABLE' orrery vm list
  check "the token is for its owner alone" same "$(stat -c %a "$directory/token")" 600
  check "so is the context" \
    same "$(stat -c %a "$scratch/home/.config/orrery/context.toml")" 600
  check "the API is on the loopback only" \
    same "$(ss -Hltn "sport = :$port" | awk '{ print $4 }')" "127.0.0.1:$port"
}

test_again() {
  local pid domains
  pid=$(daemon_pid)
  domains=$(virsh_of_node list --uuid)
  check "a second run takes less than a minute" within 60 run_quickstart
  check "and keeps the daemon" same "$pid" "$(daemon_pid)"
  check "and the guest" same "$domains" "$(virsh_of_node list --uuid)"
  kill -KILL "$pid"
  check "it starts a killed daemon again" within 60 run_quickstart
  check "which knows the same guest" same "$domains" "$(virsh_of_node list --uuid)"
  virsh_of_node destroy "$(virsh_of_node list --name | head -n 1)"
  check "a guest that was switched off is seen to be" wait_for 30 vm_is STOPPED
  check "it starts a guest that is off" within 60 run_quickstart
  check "which answers" vm_is REACHABLE
}

test_down() {
  local pid start
  pid=$(daemon_pid)
  start=$(process_start "$pid")
  check "--down ends it all" quickstart --down
  check "the daemon is gone" no process_is "$pid" "$start"
  check "the namespace is gone" no test -e "/run/netns/orrery-$node"
  check "no process of it is left" no pgrep -f "$directory"
  check "the directory is gone" no test -e "$directory"
  check "the command is gone" no test -e "$command"
  check "the context is gone" no test -e "$scratch/home/.config/orrery/context.toml"
  check "a second --down is harmless" quickstart --down
}

prometheus_says() { curl -s "http://127.0.0.1:$((port + 3))/api/v1/$1" | jq -e "$2" >/dev/null; }

# What Prometheus sees of it, once it has asked twice.
test_prometheus() {
  local up='.data.result | length == 1 and .[0].value[1] == "1"'
  check "Prometheus is on the loopback only" same \
    "$(ss -Hltn "sport = :$((port + 3))" | awk '{ print $4 }')" "127.0.0.1:$((port + 3))"
  check "it reaches orreryd" wait_for 60 prometheus_says 'query?query=up' "$up"
  check "it sees the guest" wait_for 60 prometheus_says \
    'query?query=sum(orrery_vms%7Bobserved="reachable"%7D)' "$up"
  check "it has the alerts" prometheus_says rules '[.data.groups[].rules[].name] | length >= 10'
  check "and none of them fires" prometheus_says alerts \
    '[.data.alerts[] | select(.state == "firing")] == []'
}

# The same with the log on Kafka, killed whole in the middle.
test_kafka() {
  local record
  check "quickstart --kafka comes to a guest that answers" run_quickstart --kafka --prometheus
  test_prometheus
  check "it says where the broker is" said "kafka .*one broker on 127\.0\.0\.1:$((port + 1))"
  check "the broker is on the loopback only" same \
    "$(ss -Hltn "sport = :$((port + 1))" | awk '{ print $4 }' | tr -d '[]' | sed 's/::ffff://')" \
    "127.0.0.1:$((port + 1))"
  check "the log is not in the directory" no test -e "$directory/data/log"
  check "the other engine is refused" refuses 1 'on the other engine .kafka.' quickstart
  local domains
  domains=$(virsh_of_node list --uuid)
  for record in "$directory/kafka/kafka.process" "$directory/orreryd.process"; do
    kill -KILL "$(awk '{ print $2 }' "$record")"
  done
  check "it starts a killed broker and a killed daemon again" within 60 run_quickstart --kafka
  check "which knows the same guest" same "$domains" "$(virsh_of_node list --uuid)"
  check "--down ends it all" quickstart --down
  check "no process of it is left" no pgrep -f "$directory"
  check "the directory is gone" no test -e "$directory"
}

main() {
  require_root
  trap clean_up EXIT
  test_refusals
  test_first_run
  test_again
  test_down
  test_kafka
  tell_result
}

main "$@"
