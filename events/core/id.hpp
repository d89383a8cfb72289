#pragma once

#include "events/core/error.hpp"
#include "events/core/time.hpp"

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace orrery {

/// A partition of the log: 0 to 4,095 (12 bits, since it is stored inside every id).
enum class partition_number : std::uint16_t {};

/// The largest partition number: `rand_a` of a UUIDv7 has 12 bits.
inline constexpr std::uint16_t partition_number_max = 4095;

/// As people read it: "3".
[[nodiscard]] inline std::string to_text(partition_number where) {
  return std::to_string(static_cast<std::uint16_t>(where));
}

/// A UUIDv7 (RFC 9562) as two big-endian halves. Its 12 bits `rand_a` are the partition of the
/// entity, chosen when it was created, so an entity's place never changes. All zero means "none".
struct uuid {
  std::uint64_t a = 0; ///< 48 bits of Unix time in ms, version 7, 12 bits of partition
  std::uint64_t b = 0; ///< variant bits 10, 62 random bits

  friend auto operator<=>(const uuid&, const uuid&) = default;

  [[nodiscard]] bool is_none() const { return a == 0 && b == 0; }

  [[nodiscard]] partition_number partition() const {
    return static_cast<partition_number>(a & partition_number_max);
  }
};

/// Makes a UUIDv7. Pure: the caller brings the time and 62 random bits (higher bits are ignored).
[[nodiscard]] uuid make_uuid(utc_time now, partition_number where, std::uint64_t random);

/// The canonical form, 36 characters, lower case.
[[nodiscard]] std::string to_text(const uuid& value);

/// Parses the canonical form (36 characters, any case). Errors: `invalid_argument`.
[[nodiscard]] result<uuid> parse_uuid(std::string_view text);

/// An id of one kind of thing. `Tag` gives the prefix of the text form: `vm_01993f0e-7c1a-…`.
template <class Tag> struct id {
  uuid value;

  friend auto operator<=>(const id&, const id&) = default;

  [[nodiscard]] bool is_none() const { return value.is_none(); }
};

struct installation_tag {
  static constexpr std::string_view prefix = "installation";
};

struct cluster_tag {
  static constexpr std::string_view prefix = "cluster";
};

struct node_tag {
  static constexpr std::string_view prefix = "node";
};

struct network_tag {
  static constexpr std::string_view prefix = "network";
};

struct subnet_tag {
  static constexpr std::string_view prefix = "subnet";
};

struct nic_tag {
  static constexpr std::string_view prefix = "nic";
};

struct vm_tag {
  static constexpr std::string_view prefix = "vm";
};

struct job_tag {
  static constexpr std::string_view prefix = "job";
};

using installation_id = id<installation_tag>;
using cluster_id = id<cluster_tag>;
using node_id = id<node_tag>;
using network_id = id<network_tag>;
using subnet_id = id<subnet_tag>;
using nic_id = id<nic_tag>;
using vm_id = id<vm_tag>;
using job_id = id<job_tag>;

/// The text form with its prefix: `vm_01993f0e-7c1a-7000-8000-000000000001`.
template <class Tag> [[nodiscard]] std::string to_text(const id<Tag>& value) {
  return std::string(Tag::prefix) + "_" + to_text(value.value);
}

/// Parses `<prefix>_<uuid>`, or the bare UUID. Errors: `invalid_argument`.
template <class Tag> [[nodiscard]] result<id<Tag>> parse_id(std::string_view text) {
  const auto prefix_size = Tag::prefix.size() + 1;
  if (text.size() > prefix_size && text.starts_with(Tag::prefix) && text[prefix_size - 1] == '_')
    text.remove_prefix(prefix_size);
  auto parsed = parse_uuid(text);
  if (!parsed)
    return parsed.error();
  return id<Tag>{*parsed};
}

struct uuid_hash {
  std::size_t operator()(const uuid& value) const noexcept {
    // rand_b is random already; the time part only mixes in ids that a test made by hand.
    return static_cast<std::size_t>(value.b ^ (value.a * 0x9e3779b97f4a7c15ULL));
  }
};

} // namespace orrery

template <> struct std::hash<orrery::uuid> : orrery::uuid_hash {};
