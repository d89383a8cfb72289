#include "events/core/check.hpp"
#include "pvip/apply/nft_reply.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

/// A listing is read or refused, and what was read of a port names that port.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)orrery::pvip::has_table(text, "t");
  orrery::pvip::traffic_of_ports traffic;
  for (const auto& kind : orrery::pvip::filter_set_kinds) {
    (void)orrery::pvip::read_traffic(text, kind.set, traffic);
  }
  const auto found = orrery::pvip::read_filter(text, "t");
  if (found) {
    ORRERY_CHECK(found->filter.base != orrery::pvip::base_state::missing);
    for (const auto& [link, port] : found->filter.ports) {
      ORRERY_CHECK(std::ranges::is_sorted(port.elements));
      for (const auto& element : port.elements) {
        ORRERY_CHECK(element.link == link);
      }
    }
  }
  return 0;
}
