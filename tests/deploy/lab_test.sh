#!/bin/bash
# The scripts of deploy/lib on this machine, for real: packages, images, nodes, guests. Needs root,
# the packages of deploy/packages, and about a minute. Prints "ok TEXT" or "not ok TEXT" a check.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
readonly root=${here%/tests/deploy}
readonly deploy=$root/deploy lib=$root/deploy/lib
# shellcheck source=deploy/lib/common.bash
source "$lib/common.bash"
# shellcheck source=tests/deploy/checks.bash
source "$here/checks.bash"

scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/orrery-lab.XXXXXX")
chmod 755 "$scratch" # guests read their image in it
readonly scratch nodes=$scratch/nodes images=$scratch/images
readonly one=lab$$a two=lab$$b foreign=orrery-lab$$c
bystander=''

clean_up() {
  local name
  tell_unfinished
  for name in "$one" "$two"; do
    if [[ -d $nodes/$name ]]; then "$lib/node-down" "$name" --dir "$nodes" >/dev/null || true; fi
  done
  ip netns del "$foreign" 2>/dev/null || true
  if [[ -n $bystander ]]; then kill "$bystander" 2>/dev/null || true; fi
  rm -rf --one-file-system "$scratch"
}

socket() { printf '%s' "$nodes/$1/run/libvirt/libvirt-sock"; }
virsh_of() { virsh -q -c "qemu+unix:///system?socket=$(socket "$1")" "${@:2}"; }
role_pid() { awk -v role="$2" '$1 == role { pid = $2 } END { print pid }' "$nodes/$1/pids"; }
guest_pid() { cat "$nodes/$1/run/libvirt/qemu/$2.pid"; }
console() { printf '%s' "$scratch/$1-$2.log"; }
console_says() { grep -q "$3" "$(console "$1" "$2")"; }
answers() { ip netns exec "orrery-$1" ping -c 1 -W 1 -q "$2"; }
domain_is() { [[ $(virsh_of "$1" domstate "$2") == "$3" ]]; }

# make_tap NODE DEVICE ADDRESS MAC: what orreryd does on a node for a guest.
make_tap() {
  local namespace=orrery-$1
  ip -n "$namespace" tuntap add dev "$2" mode tap user libvirt-qemu
  ip -n "$namespace" link set "$2" up
  ip -n "$namespace" addr replace 10.99.0.1/32 dev lo
  ip -n "$namespace" route add "$3/32" dev "$2" src 10.99.0.1
  ip -n "$namespace" neigh replace "$3" lladdr "$4" dev "$2" nud permanent
}

# start_guest NODE NAME IMAGE LAST: address 10.99.0.LAST
start_guest() {
  local node=$1 name=$2 image=$images/$3 address=10.99.0.$4 mac
  mac=$(printf '52:54:00:99:00:%02x' "$4")
  make_tap "$node" "tap$4" "$address" "$mac"
  cat >"$scratch/$node-$name.xml" <<END
<domain type='qemu'>
  <name>$name</name><memory unit='MiB'>192</memory><vcpu>1</vcpu>
  <cputune><period>100000</period><quota>100000</quota></cputune>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>$image/vmlinuz</kernel><initrd>$image/initrd</initrd>
    <cmdline>console=ttyS0 quiet panic=1 no_timer_check orrery.address=$address/24 \
orrery.gateway=10.99.0.1</cmdline>
  </os>
  <features><acpi/></features>
  <cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model></cpu>
  <on_poweroff>destroy</on_poweroff><on_crash>destroy</on_crash>
  <devices>
    <interface type='ethernet'>
      <mac address='$mac'/><target dev='tap$4' managed='no'/><model type='virtio'/>
      <rom enabled='no'/>
    </interface>
    <serial type='file'><source path='$(console "$node" "$name")' append='on'/></serial>
    <controller type='usb' model='none'/><memballoon model='none'/>
  </devices>
</domain>
END
  virsh_of "$node" define "$scratch/$node-$name.xml"
  virsh_of "$node" start "$name"
  # Not in the document: there it also raises the limit of locked memory, which needs
  # CAP_SYS_RESOURCE, and not every machine gives that.
  virsh_of "$node" memtune "$name" --hard-limit 720896 --live
}

# --- the scripts themselves ----------------------------------------------------------------------

test_scripts() {
  local script
  for script in "$deploy/quickstart" "$lib"/{guest-image,install-packages} \
    "$lib"/{node-up,node-down,probe-acceleration,kafka-up}; do
    check "${script##*/} --help tells its use" refuses 0 '^Usage: ' "$script" --help
    check "${script##*/} refuses an unknown option" \
      refuses 2 'unknown .*--help' "$script" --nonsense
  done
  check "the scripts are clean for shellcheck" shellcheck -x -P "$root" "$deploy/quickstart" \
    "$lib"/* "$here"/*.sh "$here"/*.bash
  check "the guest's init is clean for shellcheck" shellcheck -s dash "$deploy/guest/init"
}

test_packages() {
  check "an unknown package set is refused" \
    refuses 2 "unknown package set 'nonsense'" "$lib/install-packages" nonsense
  check "no set at all is refused" refuses 2 'at least one' "$lib/install-packages"
  check "the packages to run are there" same "$("$lib/install-packages" --dry-run run)" ""
  check "with all there, install-packages does nothing, at once" \
    within 2 "$lib/install-packages" run
}

test_images() {
  check "an image name that is a path is refused" \
    refuses 2 'image name' "$lib/guest-image" "$images" ../escape
  check "an image is made" "$lib/guest-image" "$images" demo
  check "one that never comes up is made" "$lib/guest-image" --broken "$images" never
  local before
  before=$(stat -c %i "$images/demo/initrd")
  check "a second time is a matter of moments" within 2 "$lib/guest-image" "$images" demo
  check "and does not touch it" same "$before" "$(stat -c %i "$images/demo/initrd")"
  "$lib/guest-image" "$scratch/again" demo >/dev/null
  check "the same inputs give the same bytes" \
    cmp "$images/demo/initrd" "$scratch/again/demo/initrd"
  printf 'x' >>"$scratch/again/demo/initrd"
  "$lib/guest-image" "$scratch/again" demo >/dev/null
  check "a damaged image is made again" cmp "$images/demo/initrd" "$scratch/again/demo/initrd"
  check "nothing is left beside the images" same "$(ls "$images")" $'demo\nnever'
}

test_acceleration() {
  check "an image that is none is refused" \
    refuses 1 'guest-image' "$lib/probe-acceleration" "$scratch"
  check "the acceleration is told" refuses 0 '^(kvm|tcg)$' \
    "$lib/probe-acceleration" --cache "$scratch/probe" "$images/demo"
  check "and remembered" within 1 "$lib/probe-acceleration" --cache "$scratch/probe" "$images/demo"
  check "the probe leaves no guest" no pgrep -f "qemu-system.*$images/demo"
}

# --- nodes ---------------------------------------------------------------------------------------

test_refusals() {
  check "a bad node name is refused" refuses 2 'node name' "$lib/node-up" 'A/b' --dir "$nodes"
  check "a directory that the daemons see otherwise is refused" \
    refuses 1 'Choose another --dir' "$lib/node-up" "$one" --dir /run/orrery-lab
  check "a socket path that is too long is refused" \
    refuses 1 'Choose a shorter' "$lib/node-up" "$one" --dir "$scratch/$(printf 'a%.0s' {1..90})"
  mkdir -p "$nodes/$one"
  touch "$nodes/$one/precious"
  check "a directory of somebody else is refused" \
    refuses 1 'not made by node-up' "$lib/node-up" "$one" --dir "$nodes"
  check "and not removed" refuses 1 'not made by node-up' "$lib/node-down" "$one" --dir "$nodes"
  check "nor touched" test -f "$nodes/$one/precious"
  rm -r "${nodes:?}/$one"
  ip netns add "$foreign"
  check "a namespace of somebody else is refused" \
    refuses 1 'ip netns del' "$lib/node-up" "${foreign#orrery-}" --dir "$nodes"
  check "and nothing is left of the attempt" no test -e "$nodes/${foreign#orrery-}"
}

test_start() {
  check "a node starts" "$lib/node-up" "$one" --dir "$nodes"
  local before
  before=$(<"$nodes/$one/pids")
  check "a second node-up does nothing, at once" within 1 "$lib/node-up" "$one" --dir "$nodes"
  check "and starts nothing" same "$before" "$(<"$nodes/$one/pids")"
  check "libvirt answers through its socket from outside" virsh_of "$one" version
  check "it has no port" same "$(ip netns exec "orrery-$one" ss -Hltun)" ""
  check "it has a host id of its own" \
    refuses 0 "$(<"$nodes/$one/uuid")" virsh_of "$one" capabilities
  check "its namespace has only a loopback" \
    same "$(ip -n "orrery-$one" -o link | awk '{ print $2 }')" "lo:"
  check "a guest starts" start_guest "$one" first demo 5
  check "it answers" wait_for 60 answers "$one" 10.99.0.5
  check "it said so on its console" console_says "$one" first 'orrery-guest: ready 10.99.0.5'
}

status_of() { awk -v field="$2:" '$1 == field { print $2 }' "/proc/$1/status"; }

test_confinement() {
  local pid
  pid=$(guest_pid "$one" first)
  check "the guest runs as libvirt-qemu" same "$(status_of "$pid" Uid)" "$(id -u libvirt-qemu)"
  check "without capabilities" same "$(status_of "$pid" CapEff)" 0000000000000000
  check "under seccomp" same "$(status_of "$pid" Seccomp)" 2
  check "in the node's cgroup, its own group in it" \
    grep -qE "/orrery-$one/machine/qemu-.*first" "/proc/$pid/cgroup"
  check "with a limit of memory" refuses 0 'hard_limit *: 720896' virsh_of "$one" memtune first
  check "with a limit of processor time" \
    refuses 0 'vcpu_quota *: 100000' virsh_of "$one" schedinfo first
  check "in the node's network namespace" \
    same "$(stat -L -c %i "/proc/$pid/ns/net")" "$(stat -L -c %i "/run/netns/orrery-$one")"
}

test_kills() {
  local pid
  pid=$(guest_pid "$one" first)
  kill -KILL "$(role_pid "$one" libvirtd)"
  check "a guest answers while its libvirtd is dead" answers "$one" 10.99.0.5
  check "node-up starts the killed libvirtd again" "$lib/node-up" "$one" --dir "$nodes"
  check "which knows its guest" domain_is "$one" first running
  check "which is the same process" same "$pid" "$(guest_pid "$one" first)"
  kill -KILL "$(role_pid "$one" keeper)" "$(role_pid "$one" virtlogd)" \
    "$(role_pid "$one" libvirtd)"
  check "node-up starts everything again" "$lib/node-up" "$one" --dir "$nodes"
  check "and the guest answers" answers "$one" 10.99.0.5
  check "and is known" domain_is "$one" first running
  kill -KILL "$(role_pid "$one" keeper)"
  check "node-up starts the killed keeper again" "$lib/node-up" "$one" --dir "$nodes"
  check "a guest that never comes up starts" start_guest "$one" stuck never 6
  check "it says so" wait_for 60 console_says "$one" stuck 'no root file system'
  check "and does not answer" no answers "$one" 10.99.0.6
}

test_shutdown() {
  virsh_of "$one" shutdown first
  check "a guest shuts down when asked" wait_for 60 domain_is "$one" first 'shut off'
  check "and starts again on the same tap" virsh_of "$one" start first
  check "and answers again" wait_for 60 answers "$one" 10.99.0.5
}

test_two_nodes() {
  check "a second node starts beside the first" "$lib/node-up" "$two" --dir "$nodes"
  check "with a guest of the same name and address" start_guest "$two" first demo 5
  check "which answers in its own namespace" wait_for 60 answers "$two" 10.99.0.5
  virsh_of "$two" shutdown first
  check "a guest says that it was asked to stop" \
    wait_for 60 console_says "$two" first 'power button pressed'
  check "and stops" wait_for 60 domain_is "$two" first 'shut off'
  virsh_of "$two" start first
  virsh_of "$two" destroy first
  check "stopping it leaves its namesake" answers "$one" 10.99.0.5
}

# --- the end -------------------------------------------------------------------------------------

group_of_node_exists() { find /sys/fs/cgroup -maxdepth 2 -name "orrery-$1" | grep -q .; }

test_end() {
  local pid stuck start bystander_start
  pid=$(guest_pid "$one" first) stuck=$(guest_pid "$one" stuck)
  # A process id used again: the record names this bystander with the start time of another.
  bystander_start=$(process_start "$bystander")
  printf 'libvirtd %s 1\nkeeper %s 1\n' "$bystander" "$bystander" >>"$nodes/$two/pids"
  check "node-down ends the second node" "$lib/node-down" "$two" --dir "$nodes"
  check "and spares a process that only has the id of a recorded one" \
    process_is "$bystander" "$bystander_start"
  check "the first node's guest still answers" answers "$one" 10.99.0.5
  start=$(process_start "$pid")
  check "node-down ends the first node" "$lib/node-down" "$one" --dir "$nodes"
  check "with its guest" no process_is "$pid" "$start"
  check "also the one that is deaf" same "$(process_start "$stuck")" ""
  check "its namespace is gone" no test -e "/run/netns/orrery-$one"
  check "its cgroups are gone" no group_of_node_exists "$one"
  check "its directory is gone" no test -e "$nodes/$one"
  check "nothing of it runs" no pgrep -f "node-inside .* $nodes"
  check "a second node-down is harmless" "$lib/node-down" "$one" --dir "$nodes"
  check "the bystander lives" process_is "$bystander" "$bystander_start"
  check "the foreign namespace is there" test -e "/run/netns/$foreign"
}

test_machine_untouched() {
  check "the machine's mounts are as before" same "$mounts_before" "$(mounts)"
  check "the machine's libvirt has no file of ours" \
    no grep -rqs "$scratch" /etc/libvirt /var/lib/libvirt
}

mounts() { cut -d ' ' -f 1-3 /proc/self/mounts | grep -v '^nsfs' | sort; }

main() {
  require_root
  trap clean_up EXIT
  ip netns add "$foreign" && ip netns del "$foreign" # mounts /run/netns where nobody did yet
  sleep infinity >/dev/null 2>&1 &
  bystander=$!
  mounts_before=$(mounts)
  test_scripts
  test_packages
  test_images
  test_acceleration
  test_refusals
  test_start
  test_confinement
  test_kills
  test_shutdown
  test_two_nodes
  test_end
  test_machine_untouched
  tell_result
}

main "$@"
