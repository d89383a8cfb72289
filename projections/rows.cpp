#include "projections/rows.hpp"

#include "events/schema/bytes.hpp"

#include <algorithm>
#include <limits>

namespace orrery::projections {

namespace {

template <class Number> void add_number(std::string& key, Number number) {
  for (std::size_t left = sizeof number; left-- > 0;)
    key += static_cast<char>((number >> (left * 8)) & 0xff);
}

template <class Number> Number number_at(std::string_view bytes, std::size_t at) {
  if (at > bytes.size() || bytes.size() - at < sizeof(Number))
    return 0;
  Number number = 0;
  for (std::size_t i = 0; i < sizeof number; ++i)
    number = static_cast<Number>((number << 8) | static_cast<std::uint8_t>(bytes[at + i]));
  return number;
}

} // namespace

void add_u8(std::string& key, std::uint8_t number) { key += static_cast<char>(number); }

void add_u16(std::string& key, std::uint16_t number) { add_number(key, number); }

void add_u32(std::string& key, std::uint32_t number) { add_number(key, number); }

void add_u64(std::string& key, std::uint64_t number) { add_number(key, number); }

void add_uuid(std::string& key, const uuid& id) {
  add_number(key, id.a);
  add_number(key, id.b);
}

void add_text(std::string& key, std::string_view text) {
  const auto size = std::min<std::size_t>(text.size(), std::numeric_limits<std::uint16_t>::max());
  add_number(key, static_cast<std::uint16_t>(size));
  key += text.substr(0, size);
}

std::uint16_t u16_at(std::string_view bytes, std::size_t at) {
  return number_at<std::uint16_t>(bytes, at);
}

std::uint32_t u32_at(std::string_view bytes, std::size_t at) {
  return number_at<std::uint32_t>(bytes, at);
}

std::uint64_t u64_at(std::string_view bytes, std::size_t at) {
  return number_at<std::uint64_t>(bytes, at);
}

uuid uuid_at(std::string_view bytes, std::size_t at) {
  return uuid{u64_at(bytes, at), u64_at(bytes, at + 8)};
}

std::string to_row(const google::protobuf::MessageLite& message) { return to_bytes(message); }

bool from_row(const reader& rows, std::string_view bytes, google::protobuf::MessageLite& message) {
  if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return true;
  rows.fail(error{error_code::damaged,
                  "a stored row of the projections is not a " + message.GetTypeName() +
                      ": stop, delete the projections' folder and start again; it is rebuilt "
                      "from the log",
                  false});
  return false;
}

namespace {

std::string position_prefix() { return std::string(1, '\0') + "position"; }

} // namespace

std::string position_key(partition_number where) {
  auto key = position_prefix();
  add_u16(key, static_cast<std::uint16_t>(where));
  return key;
}

std::string version_key() { return std::string(1, '\0') + "version"; }

std::string to_row(const log_position& position) {
  std::string bytes;
  add_u64(bytes, position.seq);
  bytes.append(reinterpret_cast<const char*>(position.head.data()), position.head.size());
  return bytes;
}

log_position position_from_row(std::string_view bytes) {
  log_position made;
  if (bytes.size() != 8 + made.head.size())
    return made;
  made.seq = u64_at(bytes, 0);
  std::ranges::copy(bytes.substr(8), reinterpret_cast<char*>(made.head.data()));
  return made;
}

log_positions positions_of(const reader& rows) {
  log_positions found;
  key_range range;
  range.prefix = position_prefix();
  rows.scan(range, [&](std::string_view key, std::string_view value) {
    found.set(static_cast<partition_number>(u16_at(key, range.prefix.size())),
              position_from_row(value));
    return true;
  });
  return found;
}

} // namespace orrery::projections
