#include "pvip/apply/kernel_settings.hpp"

#include "pvip/apply/file_descriptor.hpp"
#include "pvip/apply/system_error.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace orrery::pvip {

namespace {

/// Values below /proc/sys/net are numbers.
constexpr std::size_t setting_bytes_max = 64;

} // namespace

std::vector<write_setting> settings_of_proxies(const std::string& link, const ip_address& of) {
  if (std::holds_alternative<ipv4>(of)) {
    return {{.path = path_of(link_settings.front(), link), .value = "0"}};
  }
  return {{.path = "/proc/sys/net/ipv6/neigh/" + link + "/proxy_delay", .value = "0"},
          {.path = "/proc/sys/net/ipv6/conf/" + link + "/proxy_ndp", .value = "1"}};
}

result<std::optional<std::string>> read_setting(const std::string& path) {
  const file_descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) {
    if (errno == ENOENT) {
      return std::optional<std::string>();
    }
    return system_error(path + " cannot be read", errno);
  }
  std::array<char, setting_bytes_max> bytes{};
  const auto count = ::read(file.number(), bytes.data(), bytes.size());
  if (count < 0) {
    return system_error(path + " cannot be read", errno);
  }
  std::string_view text(bytes.data(), static_cast<std::size_t>(count));
  text = text.substr(0, text.find('\n'));
  return std::optional<std::string>(text);
}

result<void> write_to_kernel(const write_setting& what) {
  const file_descriptor file(::open(what.path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.is_open()) {
    if (errno == ENOENT && what.optional) {
      return {};
    }
    return system_error(what.path + " cannot be written", errno);
  }
  if (::write(file.number(), what.value.data(), what.value.size()) < 0) {
    return system_error(what.path + " cannot be set to " + what.value, errno);
  }
  return {};
}

result<std::vector<std::string>> read_router_listeners() {
  const auto forwarding = read_setting(std::string(ipv6_forwarding_path));
  if (!forwarding) {
    return forwarding.error();
  }
  std::vector<std::string> listeners;
  if (*forwarding != "0") {
    return listeners;
  }
  const std::string folder = "/proc/sys/net/ipv6/conf";
  std::error_code failure;
  for (std::filesystem::directory_iterator each(folder, failure), end; each != end && !failure;
       each.increment(failure)) {
    const std::string name = each->path().filename();
    if (name == "all" || name == "default" || name == loopback) {
      continue;
    }
    const auto listens = read_setting(path_of_router_listening(name));
    if (!listens) {
      return listens.error();
    }
    const auto forwards = read_setting(each->path() / "forwarding");
    if (!forwards) {
      return forwards.error();
    }
    if (*listens == "1" && *forwards == "0") {
      listeners.push_back(name);
    }
  }
  std::ranges::sort(listeners);
  if (failure) {
    return system_error(folder + " cannot be read", failure.value());
  }
  return listeners;
}

} // namespace orrery::pvip
