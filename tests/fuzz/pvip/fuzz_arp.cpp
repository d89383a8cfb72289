#include "events/core/check.hpp"
#include "pvip/apply/arp.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

/// Whatever is read as ARP is written as the same bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  if (const auto frame = orrery::pvip::read_arp(bytes)) {
    const auto again = orrery::pvip::write_arp(*frame);
    constexpr std::ptrdiff_t without_padding = 42;
    ORRERY_CHECK(std::equal(again.begin(), again.begin() + without_padding, bytes.begin()));
  }
  return 0;
}
