#pragma once

#include "drivers/libvirt/libvirt_hypervisor.hpp"

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace orrery::testing_support {

/// What a command did.
struct command_result {
  int status = -1; ///< exit code; -1 when it ended by a signal or never began
  std::string output;
};

/// Runs a program found in PATH and waits for it; standard output and error together.
[[nodiscard]] command_result run(const std::vector<std::string>& words);

/// A node of its own (network and mount namespace, libvirtd, virtlogd) in a scratch folder, made by
/// the product's own `deploy/lib/node-up` and removed with everything in it. Needs root.
class libvirt_node {
public:
  /// Makes the node and, unless ORRERY_TEST_IMAGES names a folder that has it, the guest image.
  /// A failure ends the process with the script's words: nothing could be tested.
  libvirt_node();
  ~libvirt_node();

  libvirt_node(const libvirt_node&) = delete;
  libvirt_node& operator=(const libvirt_node&) = delete;

  [[nodiscard]] drivers::libvirt_hypervisor::options options() const;

  /// A driver with these options (by default `options()`), not connected.
  [[nodiscard]] std::unique_ptr<drivers::libvirt_hypervisor> make_driver() const;
  [[nodiscard]] std::unique_ptr<drivers::libvirt_hypervisor>
  make_driver(drivers::libvirt_hypervisor::options settings) const;

  /// A tap of the guests' user in the node's network namespace, made anew, with its address.
  [[nodiscard]] drivers::guest_port make_port();

  /// The folder of the whole, and the node's own folder in it.
  [[nodiscard]] const std::filesystem::path& scratch() const { return x_scratch; }

  [[nodiscard]] std::filesystem::path directory() const;

  [[nodiscard]] command_result virsh(std::vector<std::string> words) const;

  /// The last process that `node-up` recorded for a role (keeper, libvirtd, virtlogd).
  [[nodiscard]] pid_t daemon_pid(const std::string& role) const;
  void kill_libvirtd() const; ///< with -9; returns when it is gone
  void start_daemons() const; ///< what was killed lives again

  /// Runs a program in the node's network namespace.
  [[nodiscard]] command_result in_network(std::vector<std::string> words) const;

  /// From now on QEMU waits, before its first instruction, while the file `hold` is in `scratch()`;
  /// the file `held` says that one waits. For all that libvirtd can tell, the start is slow.
  void make_starts_hold() const;

  /// The process of a running guest; 0 when there is none.
  [[nodiscard]] pid_t guest_pid(vm_id vm) const;

  static constexpr const char* image = "tiny";

private:
  std::filesystem::path x_scratch;
  std::filesystem::path x_images;
  std::string x_name;
  unsigned x_port_count = 0;
};

} // namespace orrery::testing_support
