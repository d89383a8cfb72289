#pragma once

#include "events/core/id.hpp"

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace orrery::log {

// Little-endian fields of the stored formats. The caller has checked that the bytes are there.
static_assert(std::endian::native == std::endian::little,
              "stored formats are little endian; a big-endian machine needs swaps here");

template <class Number> [[nodiscard]] Number number_at(std::string_view bytes, std::size_t at) {
  Number value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

template <class Number> void add_number(std::string& bytes, Number value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

[[nodiscard]] inline uuid uuid_at(std::string_view bytes, std::size_t at) {
  return {number_at<std::uint64_t>(bytes, at), number_at<std::uint64_t>(bytes, at + 8)};
}

inline void add_uuid(std::string& bytes, const uuid& value) {
  add_number(bytes, value.a);
  add_number(bytes, value.b);
}

} // namespace orrery::log
