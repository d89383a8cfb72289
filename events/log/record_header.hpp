#pragma once

#include "events/core/id.hpp"
#include "events/log/sha256.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace orrery::log {

struct log_tag {
  static constexpr std::string_view prefix = "log";
};

/// Made with the log, random, never changed: tells one log's records from another's.
using log_id = id<log_tag>;

// The header of a record: all that the acceptance rule reads, so that old and new readers never
// differ on what is void. The layout never changes; what may change is the body, whose format the
// claim of its epoch names. Little endian, no gaps:
//
//   at  size
//    0    4  magic "Orr1"
//    4    1  kind: 1 claim, 2 commit
//    5    3  zero
//    8   16  log id
//   24    8  epoch          } zero in a claim: whoever claims cannot know its own number,
//   32    8  seq            } the record's place gives it
//   40   32  prev_hash      }
//   72    8  after_epoch    } claim only
//   80    4  format         }
//   72/84 4  body length    exactly what follows
//   76/88    body (protobuf, opaque here)

inline constexpr std::size_t commit_header_size = 76;
inline constexpr std::size_t claim_header_size = 88;

/// The wish to be the owner from now on.
struct claim_header {
  log_id log;
  std::uint64_t after_epoch = 0; ///< the epoch that it ends; 0 when there was none
  std::uint32_t format = 0;      ///< of the bodies of its epoch

  friend bool operator==(const claim_header&, const claim_header&) = default;
};

/// One atomic commit of an owner.
struct commit_header {
  log_id log;
  std::uint64_t epoch = 0; ///< the number of its owner's claim
  std::uint64_t seq = 0;   ///< its own number
  digest prev_hash{};      ///< the head that it was made on

  friend bool operator==(const commit_header&, const commit_header&) = default;
};

/// The header's bytes for a body of `body_size` bytes, which the caller appends.
[[nodiscard]] std::string encode(const claim_header& header, std::size_t body_size);
[[nodiscard]] std::string encode(const commit_header& header, std::size_t body_size);

/// Header and body in one.
[[nodiscard]] std::string make_record(const claim_header& header, std::string_view body);
[[nodiscard]] std::string make_record(const commit_header& header, std::string_view body);

struct parsed_claim {
  claim_header header;
  std::string_view body; ///< points into the parsed bytes
};

struct parsed_commit {
  commit_header header;
  std::string_view body; ///< points into the parsed bytes
};

using parsed_record = std::variant<parsed_claim, parsed_commit>;

/// Parses any bytes; nothing when they are not exactly one record (magic, kind, zeros, length).
/// Total and strict: a record has one form.
[[nodiscard]] std::optional<parsed_record> parse_record(std::string_view bytes);

} // namespace orrery::log
