#include "pvip/apply/simulated_host_network.hpp"

#include "pvip/apply/converge.hpp"
#include "pvip/apply/memory_kernel.hpp"

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <utility>

namespace orrery::pvip {

namespace {

/// What of a port its node's kernel would know, in half the room: there are a hundred thousand of
/// them in one process. Guests of simulated nodes ask for nothing by DHCP, and no routers hear of
/// them.
class kept_port {
public:
  explicit kept_port(const port& of)
      : x_address(of.address), x_address6(of.address6), x_gateway(of.gateway),
        x_tap_owner_uid(of.tap_owner_uid), x_mac(of.mac), x_prefix_length(of.prefix_length),
        x_announced(of.announced) {
    of.link.copy(x_link.data(), x_link.size() - 1); // `plan` takes no longer one
  }

  [[nodiscard]] std::string_view link() const { return x_link.data(); }

  [[nodiscard]] bool announced() const { return x_announced; }

  [[nodiscard]] port whole() const {
    port made;
    made.link = link();
    made.mac = x_mac;
    made.address = x_address;
    made.address6 = x_address6;
    made.gateway = x_gateway;
    made.tap_owner_uid = x_tap_owner_uid;
    made.announced = x_announced;
    made.prefix_length = x_prefix_length;
    return made;
  }

private:
  std::array<char, link_name_bytes_max + 1> x_link{};
  ipv4 x_address;
  std::optional<ipv6> x_address6;
  ipv4 x_gateway;
  std::uint32_t x_tap_owner_uid = 0;
  mac_address x_mac;
  std::uint8_t x_prefix_length = 0;
  bool x_announced = true;
};

/// Ports by their link, which is in them already.
struct hash_of_link {
  using is_transparent = void;

  std::size_t operator()(const kept_port& one) const { return (*this)(one.link()); }

  std::size_t operator()(std::string_view link) const {
    return std::hash<std::string_view>{}(link);
  }
};

struct same_link {
  using is_transparent = void;

  static std::string_view link_of(const kept_port& one) { return one.link(); }

  static std::string_view link_of(std::string_view link) { return link; }

  template <class Left, class Right> bool operator()(const Left& left, const Right& right) const {
    return link_of(left) == link_of(right);
  }
};

/// Keeps the ports only: tens of thousands of them are in one process, and a kernel that holds them
/// can be made of them whenever one is needed.
class simulated_host_network final : public host_network {
public:
  simulated_host_network(std::string link_prefix, answer_rule answers)
      : x_prefix(std::move(link_prefix)), x_answers(std::move(answers)) {}

  result<apply_report> reconcile(std::vector<port> ports) override {
    const std::lock_guard guard(x_lock);
    std::vector<port> before;
    before.reserve(x_ports.size());
    for (const kept_port& each : x_ports) {
      before.push_back(each.whole());
    }
    std::optional<memory_kernel> kernel(std::in_place);
    if (!converge(*kernel, std::move(before), x_prefix, std::nullopt)) {
      kernel.emplace(); // they contradict each other: all are made anew
    }
    auto report = converge(*kernel, ports, x_prefix, std::nullopt);
    if (report) {
      x_ports.clear();
      for (const port& each : ports) {
        keep(each);
      }
    }
    return report;
  }

  result<void> ensure(const port& wanted) override {
    memory_kernel kernel;
    if (auto done = converge(kernel, {wanted}, x_prefix, wanted.link); !done) {
      return done.error();
    }
    const std::lock_guard guard(x_lock);
    keep(wanted);
    return {};
  }

  result<void> announce(const std::string& link, bool announced) override {
    const std::lock_guard guard(x_lock);
    const auto known = x_ports.find(std::string_view(link));
    if (known != x_ports.end()) {
      port changed = known->whole();
      changed.announced = announced;
      keep(changed);
    }
    return {};
  }

  /// Nothing is kept of what it changes.
  result<void> amend(const port& /*wanted*/) override { return {}; }

  std::unordered_set<std::string> announced() override {
    const std::lock_guard guard(x_lock);
    std::unordered_set<std::string> found;
    for (const kept_port& each : x_ports) {
      if (each.announced()) {
        found.emplace(each.link());
      }
    }
    return found;
  }

  result<apply_report> answer_on(const std::string& /*uplink*/) override { return apply_report{}; }

  result<void> remove(const std::string& link) override {
    memory_kernel kernel;
    if (auto done = remove_port(kernel, link, x_prefix); !done) {
      return done;
    }
    const std::lock_guard guard(x_lock);
    if (const auto known = x_ports.find(std::string_view(link)); known != x_ports.end()) {
      x_ports.erase(known);
    }
    return {};
  }

  result<bool> answers_arp(const port& wanted, std::chrono::milliseconds patience) override {
    if (!exists(wanted.link)) {
      return error{.code = error_code::not_found,
                   .text = "link " + wanted.link + " does not exist; make the port first",
                   .retryable = true};
    }
    return x_answers(wanted, patience);
  }

private:
  void keep(const port& one) {
    if (const auto known = x_ports.find(std::string_view(one.link)); known != x_ports.end()) {
      x_ports.erase(known);
    }
    x_ports.emplace(one);
  }

  bool exists(const std::string& link) {
    const std::lock_guard guard(x_lock);
    return x_ports.contains(std::string_view(link));
  }

  std::mutex x_lock;
  std::unordered_set<kept_port, hash_of_link, same_link> x_ports;
  std::string x_prefix;
  answer_rule x_answers;
};

} // namespace

std::unique_ptr<host_network> make_simulated_host_network(std::string link_prefix,
                                                          answer_rule answers) {
  return std::make_unique<simulated_host_network>(std::move(link_prefix), std::move(answers));
}

} // namespace orrery::pvip
