#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace orrery::pvip {

/// The ones' complement sum of RFC 1071, of big-endian halves, not folded: sums of parts may be
/// added, as long as each part but the last has an even length. At most 64 KiB in all.
[[nodiscard]] std::uint32_t sum_of(std::span<const std::byte> bytes);

/// A sum in 16 bits: 0xffff where a checksum lies among what was summed, and is right.
[[nodiscard]] std::uint16_t folded(std::uint32_t sum);

/// What makes the sum right.
[[nodiscard]] inline std::uint16_t checksum_of(std::uint32_t sum) {
  return static_cast<std::uint16_t>(~folded(sum) & 0xffff);
}

} // namespace orrery::pvip
