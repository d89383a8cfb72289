#pragma once

#include "events/domain/installation.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace orrery::actors {

/// How one orreryd runs. Checked by whoever reads it from a file (tools/orreryd).
struct config {
  std::string
      data_directory; ///< log, projections, pid file; made when missing (its parent must exist)
  std::string listen = "127.0.0.1:7480"; ///< loopback only until there is TLS
  std::string token_file;                ///< made with mode 0600 when missing
  v1::Edition edition = v1::HOSTING;     ///< of an installation that is founded here
  bool is_read_only = false;
  std::uint64_t segment_size = 0;      ///< bytes of a file of the embedded log; 0: the default
  std::uint32_t scheduler_threads = 0; ///< of the actors; 0: one a processor
  /// Records of a partition from one snapshot to the next, at least 1: of 100,000 a start folds the
  /// last ones in a second or so.
  std::uint64_t snapshot_interval = 100'000;

  struct kvm {
    std::string image_directory;   ///< one folder an image: vmlinuz, initrd
    std::string console_directory; ///< serial logs
    bool use_hardware = false;     ///< domain type kvm; else tcg (full emulation)
    std::string guest_user = "libvirt-qemu";
    /// Passwords of a cluster's routers, a file each, for nobody else to read.
    std::string secrets_directory = "/etc/orrery/secrets";
    /// Of the nodes' routing daemons, a folder for each node; made when missing.
    std::string routing_directory = "/run/orrery/routing";
  };

  struct simulated {
    std::string directory; ///< guests survive a restart here; empty: in memory
    std::uint32_t verb_microseconds = 5'000;
  };

  /// The log on Kafka, shared by several processes; no servers: the embedded log.
  struct kafka {
    std::string servers;           ///< `HOST:PORT,…`
    std::string prefix = "orrery"; ///< of the topics
    std::string settings_file;     ///< TLS and login; empty: none
    std::uint16_t replication = 3; ///< that the topics must have
  };

  config::kafka kafka;
  config::kvm kvm;
  config::simulated simulated;
};

/// What the caller of `run` gets to know.
struct run_events {
  std::function<void(std::uint16_t port)> ready; ///< the API answers, the log is owned (or read)
  std::function<void()> user_signal;             ///< SIGUSR2 came; empty: it is not waited for
};

} // namespace orrery::actors
