#pragma once

#include "pvip/apply/apply.hpp"
#include "pvip/apply/converge.hpp"
#include "pvip/apply/memory_kernel.hpp"
#include "tests/pvip/ports.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace orrery::pvip {

inline constexpr std::string_view prefix = "vp";

inline constexpr const char* uplink = "up0";

/// Above every number that the memory kernel gives in these tests.
inline constexpr std::uint32_t foreign_index = 1'000'000;

/// A kernel in memory, for those that do something else than it.
class other_kernel : public kernel {
public:
  result<found_state> read(const reading& wanted) override { return on.read(wanted); }

  result<outcome> apply(const operation& what) override { return on.apply(what); }

  memory_kernel on;
};

/// Refuses some operations.
class refusing final : public other_kernel {
public:
  refusing(error_code code, std::function<bool(const operation&)> which)
      : x_code(code), x_which(std::move(which)) {}

  result<outcome> apply(const operation& what) override {
    if (x_which(what)) {
      return error{.code = x_code, .text = "no"};
    }
    return on.apply(what);
  }

private:
  error_code x_code;
  std::function<bool(const operation&)> x_which;
};

/// Whether it is that operation, on the link of the port with that number.
template <class Operation> bool is_on(const operation& what, std::uint16_t number) {
  const auto* one = std::get_if<Operation>(&what);
  return one != nullptr && one->link == port_number(number).link;
}

host_state plan_of(std::vector<port> ports);

/// The same, with ARP answered for them.
std::vector<port> told_by_arp(std::vector<port> ports);

apply_report must_converge(memory_kernel& on, std::vector<port> ports);

found_link& link_of(memory_kernel& on, const std::string& name);

/// That the filter lets each guest send from its addresses and nobody else from anywhere.
void expect_filtered(const found_filter& filter, const std::vector<port>& wanted);

/// That ARP is answered for these addresses on the uplink, and for no others of ours.
void expect_answered(const found_state& state, const std::vector<ip_address>& wanted);

/// What stands in the way of no port, and must stand there as before afterwards.
void add_foreign(found_state& state);

} // namespace orrery::pvip
