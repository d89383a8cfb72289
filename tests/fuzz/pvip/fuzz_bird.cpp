#include "events/core/check.hpp"
#include "pvip/apply/bird_reply.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

/// A reply is read or refused, the same whether it came at once or in two pieces, and never larger
/// than its limits.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace orrery::pvip;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  bird_reply_reader at_once;
  const auto whole = at_once.take(text);
  bird_reply_reader piecewise;
  const auto first = piecewise.take(text.substr(0, size / 2));
  if (first && !*first) {
    const auto second = piecewise.take(text.substr(size / 2));
    ORRERY_CHECK(second.has_value() == whole.has_value());
    if (whole) {
      ORRERY_CHECK(*second == *whole);
    }
  }
  if (whole && *whole) {
    ORRERY_CHECK(!(**whole).empty());
    ORRERY_CHECK((**whole).size() <= bird_reply_reader::lines_max);
    const bgp_upstream wanted{
        .as = 1, .neighbours = {{.address = orrery::ipv4{0xc0000201U}, .password = {}}}};
    ORRERY_CHECK(read_bgp_neighbours(**whole, wanted).size() == 1);
    ORRERY_CHECK(
        std::ranges::is_sorted(read_bgp_neighbours(**whole), {}, &neighbour_state::address));
    ORRERY_CHECK(
        std::ranges::is_sorted(read_ospf_neighbours(**whole), {}, &neighbour_state::address));
  }
  return 0;
}
