# shellcheck shell=bash
# A virtual node: what node-up and node-down share. Sourced after common.bash.
#
#   DIR/NAME/            state of the node
#     orrery-node        marker: without it nothing here is ever deleted
#     pids               "boot ID", then "ROLE PID START" for each process that was started
#     etc var cache log  seen by the node's daemons as /etc/libvirt, /var/lib/libvirt,
#                        /var/cache/libvirt, /var/log/libvirt
#     run                seen as /run: DIR/NAME/run/libvirt/libvirt-sock is libvirtd's socket
#
# One process, the keeper, sleeps in the node's network, mount, UTS and cgroup namespaces. The
# daemons enter them through it, so that one of them can be started again after it was killed.

# parse_node_arguments "$@": sets node_name, node_directory, namespace.
parse_node_arguments() {
  node_name='' node_parent=''
  while (($#)); do
    case $1 in
      --help | -h) help && exit 0 ;;
      --dir)
        [[ $# -ge 2 ]] || usage_error "--dir needs a directory"
        node_parent=$2 && shift
        ;;
      -*) usage_error "unknown option '$1'" ;;
      *)
        [[ -z $node_name ]] || usage_error "give one name, not '$node_name' and '$1'"
        node_name=$1
        ;;
    esac
    shift
  done
  [[ -n $node_name && -n $node_parent ]] || usage_error "give a name and --dir DIR"
  check_node_name "$node_name"
  node_parent=$(realpath -m -- "$node_parent")
  node_directory=$node_parent/$node_name
  namespace=orrery-$node_name
  pids_file=$node_directory/pids
}

# Network namespaces are named machine-wide, so the lock is too.
lock_node() {
  mkdir -p /run/lock
  exec {node_lock}>"/run/lock/orrery-node-$node_name.lock"
  flock -w 60 "$node_lock" ||
    fail "node $node_name" "another node-up or node-down works on it for over 60 s" "Wait for it"
}

is_node() { [[ -f $node_directory/orrery-node ]]; }

# recorded ROLE: "PID START" of the last process recorded for it in this boot, when it lives.
recorded() {
  local role pid start found=''
  [[ -f $pids_file ]] || return 0
  while read -r role pid start; do
    case $role in
      boot) [[ $pid == "$(boot_id)" ]] || return 0 ;;
      "$1") if process_is "$pid" "$start"; then found="$pid $start"; fi ;;
    esac
  done <"$pids_file"
  printf '%s' "$found"
}

# The identity of a network namespace is its inode; ours is only the one that we recorded.
namespace_identity() { stat -L -c %i "/run/netns/$namespace" 2>/dev/null || true; }

namespace_exists() { [[ -e /run/netns/$namespace ]]; }

namespace_is_ours() {
  [[ -f $node_directory/namespace ]] &&
    [[ "$(boot_id) $(namespace_identity)" == "$(<"$node_directory/namespace")" ]]
}

# The controllers that libvirt uses for confining guests, where the machine has cgroup v1.
readonly v1_controllers=(cpu cpuacct cpuset memory devices freezer blkio pids)

# v2 on stock Debian 12; v1 where /sys/fs/cgroup is a tmpfs of hierarchies (also when "unified" is
# beside them, since the controllers can be in one place only).
cgroup_version() {
  case $(stat -f -c %T /sys/fs/cgroup) in
    cgroup2fs) echo 2 ;;
    *) echo 1 ;;
  esac
}

# The node's own cgroups, as seen from outside.
cgroup_directories() {
  local controller
  if [[ $(cgroup_version) == 2 ]]; then
    printf '%s\n' "/sys/fs/cgroup/$namespace"
  else
    for controller in "${v1_controllers[@]}"; do
      if [[ -d /sys/fs/cgroup/$controller ]]; then
        printf '%s\n' "/sys/fs/cgroup/$controller/$namespace"
      fi
    done
  fi
}

# Every process in the node's cgroups: the daemons and, since they inherit it, all their guests.
# Nobody else's process can be in there, which is what makes this safe to end.
cgroup_processes() {
  local directory
  while read -r directory; do
    if [[ -d $directory ]]; then
      find "$directory" -name cgroup.procs -exec cat {} + 2>/dev/null || true
    fi
  done < <(cgroup_directories) | sort -nu
}

# A group can be removed some milliseconds after its last process, hence the few tries.
remove_cgroups() {
  local directory
  while read -r directory; do
    wait_for 5 remove_tree_of_groups "$directory" ||
      fail "cgroup $directory" "cannot be removed" "Look for processes in it and end them"
  done < <(cgroup_directories)
}

remove_tree_of_groups() {
  [[ ! -d $1 ]] || find "$1" -depth -type d -exec rmdir {} + 2>/dev/null
}
