#include "pvip/apply/host_network.hpp"

#include "pvip/apply/arp_announcer.hpp"
#include "pvip/apply/arp_probe.hpp"
#include "pvip/apply/converge.hpp"
#include "pvip/apply/guest_services.hpp"
#include "pvip/apply/linux_kernel.hpp"
#include "pvip/apply/namespace_thread.hpp"
#include "pvip/apply/nft_helper.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace orrery::pvip {

namespace {

constexpr std::size_t link_prefix_bytes_max = 8;

bool is_link_prefix(const std::string& prefix) {
  return !prefix.empty() && prefix.size() <= link_prefix_bytes_max &&
         std::ranges::all_of(prefix, [](char c) { return c >= 'a' && c <= 'z'; });
}

class linux_host_network final : public host_network {
public:
  linux_host_network(std::unique_ptr<namespace_thread> thread, std::string link_prefix,
                     std::string helper)
      : x_prefix(std::move(link_prefix)), x_helper(std::move(helper)), x_thread(std::move(thread)) {
  }

  result<apply_report> reconcile(std::vector<port> ports) override {
    return x_thread->run([&] { return make_right(std::move(ports)); });
  }

  result<apply_report> recheck() override {
    return x_thread->run([&]() -> result<apply_report> {
      return x_is_whole ? make_right(ports_there()) : result(apply_report{});
    });
  }

  std::unordered_set<std::string> announced() override {
    auto links = x_thread->run([&] {
      std::unordered_set<std::string> found;
      for (const auto& [link, each] : x_ports) {
        if (each.announced) {
          found.insert(link);
        }
      }
      return result(std::move(found));
    });
    return links ? *std::move(links) : std::unordered_set<std::string>();
  }

  result<apply_report> answer_on(const std::string& uplink) override {
    return x_thread->run([&]() -> result<apply_report> {
      const bool is_new = x_uplink != uplink;
      x_uplink = uplink;
      return is_new && x_is_whole ? make_right(ports_there()) : result(apply_report{});
    });
  }

  result<void> ensure(const port& wanted) override {
    return x_thread->run([&] { return make_one_right(wanted); });
  }

  result<void> announce(const std::string& link, bool announced) override {
    return x_thread->run([&]() -> result<void> {
      const auto known = x_ports.find(link);
      if (known == x_ports.end() || known->second.announced == announced) {
        return {};
      }
      port changed = known->second;
      changed.announced = announced;
      changed.awaited = changed.awaited && !announced;
      return make_one_right(changed);
    });
  }

  result<void> amend(const port& wanted) override {
    return x_thread->run([&]() -> result<void> {
      const auto known = x_ports.find(wanted.link);
      if (known == x_ports.end()) {
        return {};
      }
      known->second = standing_as(wanted, known->second);
      return make_one_right(known->second);
    });
  }

  result<void> remove(const std::string& link) override {
    return x_thread->run([&]() -> result<void> {
      auto on = kernel_of_now();
      if (!on) {
        return on.error();
      }
      const apply_scope scope =
          concerns_no_other(link) ? apply_scope::one_port : apply_scope::whole_node;
      x_ports.erase(link);
      x_services->remove(link);
      return remove_port(**on, link, x_prefix, scope);
    });
  }

  result<bool> answers_arp(const port& wanted, std::chrono::milliseconds patience) override {
    // Only the socket is made in the namespace; waiting for guests is done by the caller's thread,
    // so that a guest that is slow to boot holds up nobody else.
    return probe_arp(wanted, patience,
                     [&] { return x_thread->run([&] { return open_arp_socket(wanted.link); }); });
  }

  std::map<std::string, guest_counts> guest_counts_of_ports() override {
    auto counted = x_thread->run([&] {
      return result(x_services == nullptr ? std::map<std::string, guest_counts>()
                                          : x_services->counts());
    });
    return counted ? *std::move(counted) : std::map<std::string, guest_counts>();
  }

  result<traffic_of_ports> traffic() override {
    return x_thread->run([&]() -> result<traffic_of_ports> {
      if (auto on = kernel_of_now(); !on) {
        return on.error();
      }
      return x_kernel->traffic();
    });
  }

private:
  /// Whether the port can go without a look at others: the node is known, one of them uses its
  /// gateway, and it has no tail. Within tasks only.
  [[nodiscard]] bool concerns_no_other(const std::string& link) const {
    const auto known = x_ports.find(link);
    return x_is_whole && known != x_ports.end() && !known->second.tail &&
           std::ranges::any_of(x_ports, [&](const auto& other) {
             return other.first != link && other.second.gateway == known->second.gateway;
           });
  }

  [[nodiscard]] std::vector<port> ports_there() const {
    std::vector<port> ports;
    ports.reserve(x_ports.size());
    for (const auto& [link, each] : x_ports) {
      ports.push_back(each);
    }
    return ports;
  }

  /// Makes or repairs one port. Within tasks only.
  result<void> make_one_right(port wanted) {
    auto on = kernel_of_now();
    if (!on) {
      return on.error();
    }
    wanted.arp_uplink = x_uplink.value_or(wanted.arp_uplink);
    const auto known = x_ports.find(wanted.link);
    const auto former =
        known != x_ports.end() && known->second.tail ? former_tail::perhaps : former_tail::none;
    if (auto done = converge(**on, {wanted}, x_prefix, wanted.link, former); !done) {
      return done.error();
    }
    x_ports.insert_or_assign(wanted.link, wanted);
    x_services->put(wanted);
    return {};
  }

  /// Makes the node what these ports want, and them what is wanted. Within tasks only.
  result<apply_report> make_right(std::vector<port> ports) {
    auto on = kernel_of_now();
    if (!on) {
      return on.error();
    }
    for (port& each : ports) {
      each.arp_uplink = x_uplink.value_or(each.arp_uplink);
    }
    auto report = converge(**on, ports, x_prefix, std::nullopt);
    // When something is in the way of one port, the others are there and served.
    if (report || report.error().code != error_code::invalid_argument) {
      x_is_whole = true;
      x_ports.clear();
      for (const port& each : ports) {
        x_ports.emplace(each.link, each);
      }
      x_services->replace(std::move(ports));
    }
    return report;
  }

  /// Also begins to serve guests. Within tasks only.
  result<kernel*> kernel_of_now() {
    if (x_kernel == nullptr || x_kernel_entry != x_thread->entries()) {
      auto announcer = std::make_unique<arp_announcer>();
      auto opened = linux_kernel::open(x_prefix, x_helper, *announcer);
      if (!opened) {
        return opened.error();
      }
      auto serving = guest_services::open();
      if (!serving) {
        return serving.error();
      }
      x_services = *std::move(serving);
      x_kernel.reset(); // before what it uses
      x_announcer = std::move(announcer);
      x_kernel = std::make_unique<linux_kernel>(*std::move(opened));
      x_kernel_entry = x_thread->entries();
    }
    return static_cast<kernel*>(x_kernel.get());
  }

  std::string x_prefix;
  std::string x_helper;
  std::unique_ptr<arp_announcer> x_announcer;
  std::unique_ptr<linux_kernel> x_kernel;
  std::unique_ptr<guest_services> x_services;
  std::map<std::string, port> x_ports; // as they were last wanted, by link
  std::optional<std::string> x_uplink; // of all ports, once it was said
  bool x_is_whole = false;             // they are all that there shall be: after `reconcile`
  std::uint64_t x_kernel_entry = 0;
  std::unique_ptr<namespace_thread> x_thread; // last: its tasks use what stands above
};

} // namespace

result<std::unique_ptr<host_network>>
host_network::open(std::string namespace_name, std::string link_prefix, std::string nft_helper) {
  if (!is_link_prefix(link_prefix)) {
    return error{.code = error_code::invalid_argument,
                 .text = "\"" + link_prefix + "\": a link prefix is 1 to 8 of a-z"};
  }
  if (nft_helper.empty()) {
    auto beside_us = nft_helper_beside_us();
    if (!beside_us) {
      return beside_us.error();
    }
    nft_helper = *std::move(beside_us);
  }
  auto thread = namespace_thread::start(std::move(namespace_name));
  if (!thread) {
    return thread.error();
  }
  return std::unique_ptr<host_network>(std::make_unique<linux_host_network>(
      *std::move(thread), std::move(link_prefix), std::move(nft_helper)));
}

} // namespace orrery::pvip
