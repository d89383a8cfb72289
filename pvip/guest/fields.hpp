#pragma once

#include "events/core/check.hpp"
#include "events/core/net.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

namespace orrery::pvip {

/// Writes the fields of a frame one after the other, in network byte order. The caller gives room
/// for all of them.
class field_writer {
public:
  explicit field_writer(std::span<std::byte> to) : x_to(to) {}

  void byte(std::uint8_t value) { room(1)[0] = static_cast<std::byte>(value); }

  void number(std::uint16_t value) {
    byte(static_cast<std::uint8_t>(value >> 8));
    byte(static_cast<std::uint8_t>(value & 0xff));
  }

  void long_number(std::uint32_t value) {
    number(static_cast<std::uint16_t>(value >> 16));
    number(static_cast<std::uint16_t>(value & 0xffff));
  }

  /// At most those of 136 years.
  void seconds(std::chrono::seconds value) {
    long_number(static_cast<std::uint32_t>(value.count()));
  }

  void mac(const mac_address& value) {
    for (const std::uint8_t each : value.bytes) {
      byte(each);
    }
  }

  void address(ipv4 value) { long_number(value.bits); }

  void address(const ipv6& value) { bytes(std::as_bytes(std::span(value.bytes))); }

  void bytes(std::span<const std::byte> value) {
    std::ranges::copy(value, room(value.size()).begin());
  }

  /// Leaves so many bytes as they are.
  void skip(std::size_t count) { (void)room(count); }

  [[nodiscard]] std::size_t written() const { return x_at; }

private:
  std::span<std::byte> room(std::size_t count) {
    ORRERY_CHECK(count <= x_to.size() - x_at);
    x_at += count;
    return x_to.subspan(x_at - count, count);
  }

  std::span<std::byte> x_to;
  std::size_t x_at = 0;
};

/// Reads the fields of a frame one after the other. The caller asks `left` before it reads.
class field_reader {
public:
  explicit field_reader(std::span<const std::byte> from) : x_from(from) {}

  [[nodiscard]] std::size_t left() const { return x_from.size(); }

  std::span<const std::byte> bytes(std::size_t count) {
    ORRERY_CHECK(count <= x_from.size());
    const auto taken = x_from.first(count);
    x_from = x_from.subspan(count);
    return taken;
  }

  std::uint8_t byte() { return std::to_integer<std::uint8_t>(bytes(1)[0]); }

  std::uint16_t number() {
    const auto high = static_cast<unsigned>(byte());
    return static_cast<std::uint16_t>(high << 8 | byte());
  }

  std::uint32_t long_number() {
    const std::uint32_t high = number();
    return high << 16 | number();
  }

  mac_address mac() {
    mac_address value;
    for (std::uint8_t& each : value.bytes) {
      each = byte();
    }
    return value;
  }

  ipv4 address() { return ipv4{long_number()}; }

  ipv6 address6() {
    ipv6 value;
    for (std::uint8_t& each : value.bytes) {
      each = byte();
    }
    return value;
  }

private:
  std::span<const std::byte> x_from;
};

} // namespace orrery::pvip
