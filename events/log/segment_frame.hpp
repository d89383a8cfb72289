#pragma once

#include "events/core/error.hpp"
#include "events/core/id.hpp"
#include "events/log/history.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace orrery::log {

// The stored form of the embedded log, as pure functions over bytes. A directory holds
//
//   log.meta                     which log this is (text, below)
//   00000000000000000000.seg     frames 0, 1, 2 …; the file's name is the number of its first frame
//   00000000000000004711.seg     frames 4711 …
//   next.new                     the next file, being prepared
//
// One file holds the records of all partitions of the process, so that one sync makes all of them
// durable. A file has its full size from the start (it never grows and is never cut short), a
// header, frames without gaps, zeros. Everything is little endian and aligned to 8 bytes.
//
//   file header, 48 bytes        frame header, 48 bytes, then the body, then zeros up to 8 bytes
//    0   8  magic "OrrSeg1\n"     0   4  magic "oFr1"
//    8  16  log id                4   4  length of the body
//   24   8  first frame number    8   8  number of the frame in the log, dense from 0
//   32   8  size of the file     16   8  offset of the record in its partition
//   40   4  crc32c of 0 to 40    24   8  synced_to: every frame below was synced when this was
//   44   4  zero                         written
//                                32   2  partition
//                                34   1  kind: 1 record, 2 synced, 3 continued
//                                35   1  zero
//                                36   4  crc32c of the body
//                                40   4  crc32c of 0 to 40
//                                44   4  zero
//
// `synced` frames are the proof that what is before them was synced and acknowledged: one is
// written after each sync, before the append is answered. `continued` is the last frame of a file
// that has a successor. Both have no body. Checksums of frames start from a value made of the
// random log id, so a record's body cannot hold bytes that pass for a frame.

inline constexpr std::size_t segment_header_size = 48;
inline constexpr std::size_t frame_header_size = 48;
inline constexpr std::size_t frame_alignment = 8;

enum class frame_kind : std::uint8_t { record = 1, synced = 2, continued = 3 };

struct segment_header {
  log_id log;
  std::uint64_t first = 0; ///< number of the first frame
  std::uint64_t size = 0;  ///< of the whole file in bytes, header included

  friend bool operator==(const segment_header&, const segment_header&) = default;
};

struct frame_header {
  frame_kind kind = frame_kind::record;
  std::uint32_t body_size = 0;
  std::uint64_t number = 0;
  std::uint64_t offset = 0;
  std::uint64_t synced_to = 0;
  partition_number partition{0};
  std::uint32_t body_crc = 0;

  friend bool operator==(const frame_header&, const frame_header&) = default;
};

/// Where the checksums of one log's frames start.
struct frame_seed {
  std::uint32_t value = 0;
};

[[nodiscard]] frame_seed seed_of(const log_id& log);

/// crc32c (Castagnoli) of `bytes`, going on from `seed`.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t seed, std::string_view bytes);

[[nodiscard]] std::string encode(const segment_header& header);

/// Nothing when the bytes (at least `segment_header_size`) are not a good header.
[[nodiscard]] std::optional<segment_header> parse_segment_header(std::string_view bytes);

/// Bytes of a frame on disk: header, body, zeros.
[[nodiscard]] constexpr std::uint64_t frame_size(std::uint64_t body_size) {
  return frame_header_size + (body_size + frame_alignment - 1) / frame_alignment * frame_alignment;
}

/// Appends a whole frame to `bytes`; sets `body_size` and `body_crc` itself.
void encode_frame(std::string& bytes, frame_header header, std::string_view body, frame_seed seed);

/// Nothing when the first `frame_header_size` bytes are not a good header. Total.
[[nodiscard]] std::optional<frame_header> parse_frame_header(std::string_view bytes,
                                                             frame_seed seed);

/// Whether `rest` (everything after the header, `frame_size - frame_header_size` bytes) is the body
/// that the header announces, with zeros after it.
[[nodiscard]] bool body_is_good(const frame_header& header, std::string_view rest, frame_seed seed);

/// `00000000000000004711.seg`
[[nodiscard]] std::string segment_name(std::uint64_t first);

/// The number in such a name; nothing for any other name.
[[nodiscard]] std::optional<std::uint64_t> parse_segment_name(std::string_view name);

/// The largest incarnation; far above any second since 1970.
inline constexpr std::uint64_t incarnation_max = INT64_MAX;

/// What `log.meta` says.
struct log_meta {
  log_identity identity;

  /// 1 when the log is made, and higher with each restore from a backup: the first part of the
  /// token that drivers compare, so that a predecessor on the old directory loses its guests.
  std::uint64_t incarnation = 1;

  friend bool operator==(const log_meta&, const log_meta&) = default;
};

/// The text of `log.meta`: format, installation id, log id, incarnation, checksum, a line each.
[[nodiscard]] std::string encode_meta(const log_meta& meta);

/// Why a text is no `log.meta`.
struct meta_failure {
  bool newer = false;       ///< a good file of a newer format
  std::size_t position = 0; ///< else: of the first byte that is wrong, as far as it can be told
};

/// Parses exactly what `encode_meta` writes, and wrote before there were incarnations (format 1).
[[nodiscard]] std::variant<log_meta, meta_failure> parse_meta(std::string_view text);

} // namespace orrery::log
