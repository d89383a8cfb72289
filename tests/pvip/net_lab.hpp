#pragma once

#include "events/core/net.hpp"
#include "pvip/apply/file_descriptor.hpp"
#include "pvip/apply/namespace_thread.hpp"
#include "pvip/guest/dhcp.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace orrery::pvip {

/// A network namespace of its own, made and looked at by iproute2, so that our netlink code is
/// judged by other code. Its name holds our pid; those of dead tests are removed first.
class net_lab {
public:
  net_lab();
  net_lab(const net_lab&) = delete;
  net_lab& operator=(const net_lab&) = delete;

  /// Removes the namespace, and with it all that is in it.
  ~net_lab();

  [[nodiscard]] const std::string& name() const { return x_name; }

  /// `ip -n NAME …`, words separated by single spaces; its output. A failure fails the test.
  std::string ip(const std::string& words) const;

  /// `nft …` inside, the same: what our helper did is judged by nftables' own program.
  std::string nft(const std::string& words) const;

  /// Another program inside, the same.
  std::string command(const std::string& words) const;

  /// A value below /proc/sys as seen in the namespace; and its change. Empty on failure.
  [[nodiscard]] std::string setting(const std::string& path) const;
  void set(const std::string& path, const std::string& value) const;

  /// Removes the namespace; and makes it again under the same name.
  void destroy();
  void make();

  /// A thread in the namespace.
  [[nodiscard]] namespace_thread& inside() const { return *x_inside; }

private:
  std::string x_name;
  std::unique_ptr<namespace_thread> x_inside;
};

/// A guest as far as ARP goes: holds the tap `link` of `lab` and answers for `address` with `mac`,
/// until destroyed. Keeps a count of the questions that it saw.
class arp_guest {
public:
  arp_guest(const net_lab& lab, const std::string& link, mac_address mac, ipv4 address);
  arp_guest(const arp_guest&) = delete;
  arp_guest& operator=(const arp_guest&) = delete;
  ~arp_guest();

  [[nodiscard]] int questions() const { return x_questions; }

private:
  void work(mac_address mac, ipv4 address);

  file_descriptor x_tap;
  file_descriptor x_stop;
  std::atomic<int> x_questions = 0;
  std::thread x_thread;
};

/// A guest that asks and listens: holds the tap `link` of `lab`, until destroyed.
class asking_guest {
public:
  asking_guest(const net_lab& lab, const std::string& link);

  void send(std::span<const std::byte> frame);

  /// The next frame that comes; none within `patience`.
  [[nodiscard]] std::optional<std::vector<std::byte>> hear(std::chrono::milliseconds patience);

  /// Sends a frame and gives what came back that is a reply of DHCP; none within `patience`.
  [[nodiscard]] std::optional<dhcp_message> ask(std::span<const std::byte> frame,
                                                std::chrono::milliseconds patience);

private:
  file_descriptor x_tap;
};

} // namespace orrery::pvip
