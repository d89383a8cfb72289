#pragma once

#include "events/core/id.hpp"
#include "projections/projection.hpp"

#include <google/protobuf/message_lite.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::projections {

// Keys: numbers stand big endian, so that bytes sort as the numbers do.

void add_u8(std::string& key, std::uint8_t number);
void add_u16(std::string& key, std::uint16_t number);
void add_u32(std::string& key, std::uint32_t number);
void add_u64(std::string& key, std::uint64_t number);
void add_uuid(std::string& key, const uuid& id);

/// Two bytes of length in front, so that no text is the beginning of another's key. Longer ones
/// are cut at 65,535 bytes (names have at most 63).
void add_text(std::string& key, std::string_view text);

/// 0 or none where the bytes end too early.
[[nodiscard]] std::uint16_t u16_at(std::string_view bytes, std::size_t at);
[[nodiscard]] std::uint32_t u32_at(std::string_view bytes, std::size_t at);
[[nodiscard]] std::uint64_t u64_at(std::string_view bytes, std::size_t at);
[[nodiscard]] uuid uuid_at(std::string_view bytes, std::size_t at);

inline constexpr std::size_t uuid_size = 16; ///< bytes of an id in a key

template <class Prefix> [[nodiscard]] std::string key_of(Prefix prefix) {
  return std::string(1, static_cast<char>(prefix));
}

/// The bytes of a message, the same for equal messages.
[[nodiscard]] std::string to_row(const google::protobuf::MessageLite& message);

/// Fills `message`; false and a `failure` of the reader when the bytes make no sense.
[[nodiscard]] bool from_row(const reader& rows, std::string_view bytes,
                            google::protobuf::MessageLite& message);

/// The positions that a column family's rows are right for.
[[nodiscard]] log_positions positions_of(const reader& rows);

[[nodiscard]] std::string position_key(partition_number where);
[[nodiscard]] std::string version_key();
[[nodiscard]] std::string to_row(const log_position& position);
[[nodiscard]] log_position position_from_row(std::string_view bytes);

} // namespace orrery::projections
