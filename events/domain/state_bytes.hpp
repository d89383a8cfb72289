#pragma once

#include "events/core/id.hpp"
#include "events/core/net.hpp"
#include "events/core/persistent_map.hpp"
#include "events/core/rare.hpp"
#include "events/core/time.hpp"
#include "events/core/units.hpp"

#include <google/protobuf/message_lite.h>

#include <array>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace orrery::domain {

// States as bytes with one meaning, for digests and snapshots. A state names its members once, in
// one order, for both ways; what it can make of them itself, it makes in `complete`:
//
//   template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
//     bytes.all(of.name, of.nodes, …);
//   }
//   void complete(); // after reading
//
// Whatever changes how the bytes look, or what folding makes of a record, raises
// `partition_state::fold_version`.

template <class Value>
concept plain_number = std::integral<Value> || std::is_enum_v<Value>;

/// Writes. Numbers take seven bits a byte, the lowest first, in as few bytes as will do.
class state_bytes {
public:
  template <class... Values> void all(const Values&... values) { (add(values), ...); }

  template <plain_number Value> void add(Value value) {
    auto left = static_cast<std::uint64_t>(value);
    for (; left >= 0x80; left >>= 7)
      x_bytes += static_cast<char>((left & 0x7f) | 0x80);
    x_bytes += static_cast<char>(left);
  }

  void add(std::string_view text) {
    add(text.size());
    x_bytes += text;
  }

  void add(const std::string& text) { add(std::string_view(text)); }

  void add(const uuid& value) {
    fixed(value.a);
    fixed(value.b);
  }

  void add(utc_time when) { add(to_micros(when)); }

  void add(ipv4 address) { fixed(address.bits); }

  void add(const ipv4_prefix& prefix) { all(prefix.base, prefix.length); }

  void add(const ipv6& address) { add(address.bytes); }

  void add(const ipv6_prefix& prefix) { all(prefix.base, prefix.length); }

  void add(const mac_address& address) { add(address.bytes); }

  template <std::size_t Size> void add(const std::array<std::uint8_t, Size>& bytes) {
    for (const auto byte : bytes)
      x_bytes += static_cast<char>(byte);
  }

  template <class Tag, class Rep> void add(quantity<Tag, Rep> value) { add(value.count); }

  /// A message that is never null; its bytes are the same for equal ones of one process at least.
  template <std::derived_from<google::protobuf::MessageLite> Message>
  void add(const std::shared_ptr<const Message>& message) {
    add(message->SerializeAsString());
  }

  template <class Value> void add(const rare<Value>& value) {
    add(static_cast<bool>(value));
    if (value)
      add(*value);
  }

  template <class Value> void add(const std::optional<Value>& value) {
    add(value.has_value());
    if (value)
      add(*value);
  }

  template <class Value> void add(const std::vector<Value>& values) {
    add(values.size());
    for (const auto& value : values)
      add(value);
  }

  template <class Key, class Value> void add(const persistent_map<Key, Value>& map) {
    add(map.size());
    map.for_each([this](const Key& key, const Value& value) { all(key, value); });
  }

  /// A state, or a part of one.
  template <class Part>

  requires requires(state_bytes& out, const Part& part) { Part::members(out, part); }

  void add(const Part& part) { Part::members(*this, part); }

  /// A number whose bytes are all there: of what is random anyway.
  template <std::unsigned_integral Number> void fixed(Number number) {
    for (std::size_t byte = 0; byte < sizeof(Number); ++byte)
      x_bytes += static_cast<char>((number >> (8 * byte)) & 0xff);
  }

  [[nodiscard]] const std::string& bytes() const { return x_bytes; }

  [[nodiscard]] std::string take() { return std::move(x_bytes); }

private:
  std::string x_bytes;
};

/// Reads what `state_bytes` wrote. Bytes that nothing wrote give some state or other and are not
/// `is_good`; they never take more memory than a small multiple of their own size.
class state_source {
public:
  explicit state_source(std::string_view bytes) : x_left(bytes) {}

  template <class... Values> void all(Values&... values) { (add(values), ...); }

  template <plain_number Value> void add(Value& value) {
    std::uint64_t number = next_byte();
    bool goes_on = (number & 0x80) != 0; // most take one byte
    number &= 0x7f;
    for (int shift = 7; goes_on && shift < 64; shift += 7) {
      const auto byte = next_byte();
      number |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      goes_on = (byte & 0x80) != 0;
    }
    value = static_cast<Value>(number);
    if (goes_on || static_cast<std::uint64_t>(value) != number)
      fail();
  }

  void add(std::string& text) { text.assign(take(take_size(1))); }

  /// The text where it lies.
  void add(std::string_view& text) { text = take(take_size(1)); }

  void add(uuid& value) {
    fixed(value.a);
    fixed(value.b);
  }

  void add(utc_time& when) {
    std::uint64_t micros = 0;
    add(micros);
    when = from_micros(micros);
  }

  void add(ipv4& address) { fixed(address.bits); }

  void add(ipv4_prefix& prefix) { all(prefix.base, prefix.length); }

  void add(ipv6& address) { add(address.bytes); }

  void add(ipv6_prefix& prefix) { all(prefix.base, prefix.length); }

  void add(mac_address& address) { add(address.bytes); }

  template <std::size_t Size> void add(std::array<std::uint8_t, Size>& bytes) {
    for (auto& byte : bytes)
      byte = next_byte();
  }

  template <class Tag, class Rep> void add(quantity<Tag, Rep>& value) { add(value.count); }

  template <std::derived_from<google::protobuf::MessageLite> Message>
  void add(std::shared_ptr<const Message>& message) {
    std::string bytes;
    add(bytes);
    auto made = std::make_shared<Message>();
    if (!made->ParseFromString(bytes))
      fail();
    message = std::move(made);
  }

  template <class Value> void add(rare<Value>& value) {
    bool is_there = false;
    add(is_there);
    value.reset();
    if (is_there)
      add(value.emplace());
  }

  template <class Value> void add(std::optional<Value>& value) {
    bool is_there = false;
    add(is_there);
    value.reset();
    if (is_there)
      add(value.emplace());
  }

  template <class Value> void add(std::vector<Value>& values) {
    values.clear();
    for (auto left = take_size(1); left > 0 && x_is_good; --left)
      add(values.emplace_back());
  }

  template <class Key, class Value> void add(persistent_map<Key, Value>& map) {
    typename persistent_map<Key, Value>::ascending entries;
    for (auto left = take_size(1); left > 0 && x_is_good; --left) {
      Key key{};
      Value value{};
      all(key, value);
      if (!entries.add(std::move(key), std::move(value)))
        fail();
    }
    map = entries.take();
  }

  /// A state, or a part of one.
  template <class Part>

  requires requires(state_source& in, Part& part) { Part::members(in, part); }

  void add(Part& part) {
    Part::members(*this, part);
    if constexpr (requires { part.complete(); })
      part.complete();
  }

  template <std::unsigned_integral Number> void fixed(Number& number) {
    number = 0;
    const auto bytes = take(sizeof(Number));
    if (bytes.size() < sizeof(Number))
      return fail();
    for (std::size_t byte = 0; byte < sizeof(Number); ++byte)
      number |= static_cast<Number>(static_cast<Number>(static_cast<std::uint8_t>(bytes[byte]))
                                    << (8 * byte));
  }

  /// How many of something follow, each of at least `bytes_each` bytes; 0 when that cannot be.
  [[nodiscard]] std::size_t take_size(std::size_t bytes_each) {
    std::uint64_t count = 0;
    add(count);
    if (count <= x_left.size() / bytes_each)
      return static_cast<std::size_t>(count);
    fail();
    return 0;
  }

  void fail() { x_is_good = false; }

  /// Whether all of it was written by `state_bytes`, up to here.
  [[nodiscard]] bool is_good() const { return x_is_good; }

  [[nodiscard]] bool is_at_end() const { return x_left.empty(); }

private:
  [[nodiscard]] std::string_view take(std::size_t size) {
    const auto taken = x_left.substr(0, size);
    x_left.remove_prefix(taken.size());
    return taken;
  }

  [[nodiscard]] std::uint8_t next_byte() {
    if (x_left.empty()) {
      fail();
      return 0;
    }
    const auto byte = static_cast<std::uint8_t>(x_left.front());
    x_left.remove_prefix(1);
    return byte;
  }

  std::string_view x_left;
  bool x_is_good = true;
};

} // namespace orrery::domain
