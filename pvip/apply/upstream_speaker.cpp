#include "pvip/apply/upstream_speaker.hpp"

#include "pvip/apply/bird.hpp"
#include "pvip/apply/namespace_thread.hpp"
#include "pvip/apply/system_error.hpp"
#include "pvip/plan/plan.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace orrery::pvip {

namespace {

error not_there(std::string text) {
  return {.code = error_code::not_found, .text = std::move(text), .retryable = true};
}

using listed_addresses = std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)>;

/// Of a link in the namespace of the calling thread, with its flags.
result<listed_addresses> addresses_of(const std::string& link) {
  if (::if_nametoindex(link.c_str()) == 0) {
    return not_there("there is no link " + link + " on the node to speak with routers over");
  }
  ifaddrs* listed = nullptr;
  if (::getifaddrs(&listed) != 0) {
    return system_error("the addresses of " + link + " cannot be read", errno);
  }
  return listed_addresses(listed, &::freeifaddrs);
}

template <class Socket> Socket read_as(const ifaddrs& from) {
  Socket read{};
  std::memcpy(&read, from.ifa_addr, sizeof(read));
  return read;
}

/// Those of `settings` from which it speaks. The kernel lists a link's addresses as they were
/// given, so the first is the one that it sends from.
result<void> put_own_addresses(const std::string& link, routed_upstream& settings) {
  const auto all = addresses_of(link);
  if (!all) {
    return all.error();
  }
  settings.own_address.reset();
  settings.own_address6.reset();
  for (const ifaddrs* each = all->get(); each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr || link != each->ifa_name) {
      continue;
    }
    if (each->ifa_addr->sa_family == AF_INET && !settings.own_address) {
      settings.own_address = ipv4{ntohl(read_as<sockaddr_in>(*each).sin_addr.s_addr)};
    } else if (each->ifa_addr->sa_family == AF_INET6 && !settings.own_address6) {
      const auto socket = read_as<sockaddr_in6>(*each);
      ipv6 address;
      std::memcpy(address.bytes.data(), &socket.sin6_addr, address.bytes.size());
      if (can_be_host(address)) {
        settings.own_address6 = address;
      }
    }
  }
  if (!settings.own_address) {
    return not_there("the node's link " + link +
                     " to the routers has no IPv4 address; give it one");
  }
  if (needs_own_address6(settings) && !settings.own_address6) {
    return not_there("the node's link " + link +
                     " to the routers has no IPv6 address beside its link-local one; give it one");
  }
  return {};
}

result<void> check_carrier(const std::string& link) {
  const auto all = addresses_of(link);
  if (!all) {
    return all.error();
  }
  for (const ifaddrs* each = all->get(); each != nullptr; each = each->ifa_next) {
    if (link == each->ifa_name && (each->ifa_flags & IFF_RUNNING) != 0) {
      return {};
    }
  }
  return not_there("the node's link " + link + " to the routers is down, or has no carrier");
}

class bird_speaker final : public upstream_speaker {
public:
  bird_speaker(std::string namespace_name, bird_place place)
      : x_namespace(std::move(namespace_name)), x_place(std::move(place)) {}

  router_standing ensure(const std::string& uplink,
                         result<std::optional<upstream>> wanted) override {
    const auto done = wanted ? made_right(uplink, *std::move(wanted)) : wanted.error();
    if (done) {
      return *done;
    }
    return {.neighbours = neighbours_of_before(), .problem = done.error().text};
  }

private:
  result<router_standing> made_right(const std::string& uplink, std::optional<upstream> wanted) {
    auto* routed = wanted ? std::get_if<routed_upstream>(&*wanted) : nullptr;
    if (routed != nullptr) {
      return spoken(uplink, *routed);
    }
    if (auto stopped = stop(); !stopped) {
      return stopped.error();
    }
    if (!wanted) {
      return router_standing{};
    }
    if (auto opened = open_thread(); !opened) {
      return opened.error();
    }
    const auto carried = x_thread->run([&uplink] { return check_carrier(uplink); });
    return carried ? router_standing{} : result<router_standing>(carried.error());
  }

  result<router_standing> spoken(const std::string& uplink, routed_upstream& settings) {
    if (auto opened = open(); !opened) {
      return opened.error();
    }
    const auto own = x_thread->run([&] { return put_own_addresses(uplink, settings); });
    if (!own) {
      return own.error();
    }
    if (auto done = x_bird->ensure(settings); !done) {
      return done.error();
    }
    auto found = x_bird->neighbours(settings);
    if (!found) {
      return found.error();
    }
    router_standing standing{.neighbours = *std::move(found)};
    standing.problem = silence_on(uplink, settings, standing.neighbours);
    standing.is_silence = !standing.problem.empty();
    return standing;
  }

  /// OSPF finds its routers itself, so that none is no session that fails. Nodes hear each other,
  /// too, but only with a router are they full neighbours. Of version 3 they have IPv6 addresses.
  static std::string silence_on(const std::string& uplink, const routed_upstream& settings,
                                const std::vector<neighbour_state>& found) {
    const auto* ospf = std::get_if<ospf_upstream>(&settings.protocol);
    const auto has_router = [&found](bool of_ipv6) {
      return std::ranges::any_of(found, [of_ipv6](const neighbour_state& each) {
        return std::holds_alternative<ipv6>(each.address) == of_ipv6 &&
               each.info.starts_with("Full/");
      });
    };
    const bool has_ipv4 = has_router(false);
    if (ospf == nullptr || (has_ipv4 && (!ospf->with_ipv6 || has_router(true)))) {
      return {};
    }
    return std::string("no router is the node's full neighbour in OSPF") +
           (has_ipv4 ? " for IPv6" : "") + " on " + uplink +
           "; compare area, hello and dead time, password and MTU with the routers'";
  }

  std::vector<neighbour_state> neighbours_of_before() {
    if (!has_folder() || !open()) {
      return {};
    }
    auto found = x_bird->neighbours();
    return found ? *std::move(found)
                 : std::vector<neighbour_state>(); // the problem is told already
  }

  [[nodiscard]] bool has_folder() const {
    struct stat found {};

    return ::stat(x_place.folder.c_str(), &found) == 0;
  }

  result<void> open_thread() {
    if (x_thread == nullptr) {
      auto thread = namespace_thread::start(x_namespace);
      if (!thread) {
        return thread.error();
      }
      x_thread = *std::move(thread);
    }
    return {};
  }

  result<void> open() {
    if (auto opened = open_thread(); !opened) {
      return opened;
    }
    if (x_bird == nullptr) {
      auto opened = bird::open(x_namespace, x_place);
      if (!opened) {
        return opened.error();
      }
      x_bird = *std::move(opened);
    }
    x_may_speak = true;
    return {};
  }

  result<void> stop() {
    if (!x_may_speak) {
      return {};
    }
    // Without a BIRD in the machine there is none to open.
    if (x_bird != nullptr || has_folder() || bird::is_there(x_place)) {
      if (auto opened = open(); !opened) {
        return opened;
      }
      if (auto stopped = x_bird->stop(); !stopped) {
        return stopped;
      }
    }
    x_may_speak = false;
    return {};
  }

  std::string x_namespace;
  bird_place x_place;
  std::unique_ptr<namespace_thread> x_thread;
  std::unique_ptr<bird> x_bird;
  bool x_may_speak = true; ///< a BIRD of ours may run
};

} // namespace

std::unique_ptr<upstream_speaker> make_upstream_speaker(std::string namespace_name,
                                                        bird_place place) {
  return std::make_unique<bird_speaker>(std::move(namespace_name), std::move(place));
}

} // namespace orrery::pvip
