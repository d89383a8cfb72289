#include "events/log/segment_frame.hpp"

#include "events/log/bytes.hpp"
#include "events/log/checked_text.hpp"
#include "events/log/log.hpp"

#include <isa-l/crc.h>

#include <algorithm>
#include <charconv>

namespace orrery::log {

namespace {

constexpr std::string_view segment_magic = "OrrSeg1\n";
constexpr std::string_view frame_magic = "oFr1";
constexpr std::uint64_t meta_format = 2; ///< written; it reads 1 to this one
constexpr std::string_view meta_start = "orrery log, format ";
constexpr std::string_view installation_key = "\ninstallation ";
constexpr std::string_view log_key = "\nlog ";
constexpr std::string_view incarnation_key = "\nincarnation ";

constexpr std::size_t header_crc_at = 40;
constexpr std::size_t header_zero_at = 44;
static_assert(segment_header_size == header_zero_at + 4);
static_assert(frame_header_size == header_zero_at + 4);

constexpr std::size_t name_digits = 20; // of 2^64 - 1
constexpr std::string_view name_end = ".seg";

bool kind_is_known(std::uint8_t kind) {
  return kind >= static_cast<std::uint8_t>(frame_kind::record) &&
         kind <= static_cast<std::uint8_t>(frame_kind::continued);
}

/// Fields that no correct writer sets together.
bool is_sensible(const frame_header& header) {
  if (header.synced_to > header.number)
    return false;
  if (header.kind == frame_kind::record)
    return header.body_size > 0 && header.body_size <= record_size_max &&
           static_cast<std::uint16_t>(header.partition) <= partition_number_max;
  return header.body_size == 0 && header.offset == 0 && header.body_crc == 0 &&
         header.partition == partition_number{0};
}

/// Format 1 had no incarnation.
std::string encode_meta(const log_meta& meta, std::uint64_t format) {
  std::string text(meta_start);
  text += std::to_string(format);
  text += std::string(installation_key) + to_text(meta.identity.installation.value);
  text += std::string(log_key) + to_text(meta.identity.log.value);
  if (format > 1)
    text += std::string(incarnation_key) + std::to_string(meta.incarnation);
  return with_checksum(text + "\n");
}

} // namespace

std::uint32_t crc32c(std::uint32_t seed, std::string_view bytes) {
  // The library's interface takes a pointer to non-const bytes, which it only reads.
  auto* const data = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
  return crc32_iscsi(data, static_cast<int>(bytes.size()), seed);
}

frame_seed seed_of(const log_id& log) {
  std::string bytes;
  add_uuid(bytes, log.value);
  return {crc32c(0xffffffff, bytes)};
}

std::string encode(const segment_header& header) {
  std::string bytes(segment_magic);
  add_uuid(bytes, header.log.value);
  add_number(bytes, header.first);
  add_number(bytes, header.size);
  add_number(bytes, crc32c(0xffffffff, bytes));
  add_number(bytes, std::uint32_t{0});
  return bytes;
}

std::optional<segment_header> parse_segment_header(std::string_view bytes) {
  if (bytes.size() < segment_header_size || !bytes.starts_with(segment_magic) ||
      number_at<std::uint32_t>(bytes, header_crc_at) !=
          crc32c(0xffffffff, bytes.substr(0, header_crc_at)) ||
      number_at<std::uint32_t>(bytes, header_zero_at) != 0)
    return std::nullopt;
  const segment_header parsed{log_id{uuid_at(bytes, 8)}, number_at<std::uint64_t>(bytes, 24),
                              number_at<std::uint64_t>(bytes, 32)};
  if (parsed.size < segment_header_size + frame_header_size || parsed.size % frame_alignment != 0)
    return std::nullopt;
  return parsed;
}

void encode_frame(std::string& bytes, frame_header header, std::string_view body, frame_seed seed) {
  const auto start = bytes.size();
  bytes += frame_magic;
  add_number(bytes, static_cast<std::uint32_t>(body.size()));
  add_number(bytes, header.number);
  add_number(bytes, header.offset);
  add_number(bytes, header.synced_to);
  add_number(bytes, static_cast<std::uint16_t>(header.partition));
  add_number(bytes, static_cast<std::uint8_t>(header.kind));
  add_number(bytes, std::uint8_t{0});
  add_number(bytes, body.empty() ? 0 : crc32c(seed.value, body));
  add_number(bytes, crc32c(seed.value, std::string_view(bytes).substr(start, header_crc_at)));
  add_number(bytes, std::uint32_t{0});
  bytes += body;
  bytes.append(start + frame_size(body.size()) - bytes.size(), '\0');
}

std::optional<frame_header> parse_frame_header(std::string_view bytes, frame_seed seed) {
  if (bytes.size() < frame_header_size || !bytes.starts_with(frame_magic))
    return std::nullopt;
  const auto kind = number_at<std::uint8_t>(bytes, 34);
  if (number_at<std::uint32_t>(bytes, header_crc_at) !=
          crc32c(seed.value, bytes.substr(0, header_crc_at)) ||
      number_at<std::uint32_t>(bytes, header_zero_at) != 0 ||
      number_at<std::uint8_t>(bytes, 35) != 0 || !kind_is_known(kind))
    return std::nullopt;
  const frame_header parsed{.kind = static_cast<frame_kind>(kind),
                            .body_size = number_at<std::uint32_t>(bytes, 4),
                            .number = number_at<std::uint64_t>(bytes, 8),
                            .offset = number_at<std::uint64_t>(bytes, 16),
                            .synced_to = number_at<std::uint64_t>(bytes, 24),
                            .partition =
                                static_cast<partition_number>(number_at<std::uint16_t>(bytes, 32)),
                            .body_crc = number_at<std::uint32_t>(bytes, 36)};
  if (!is_sensible(parsed))
    return std::nullopt;
  return parsed;
}

bool body_is_good(const frame_header& header, std::string_view rest, frame_seed seed) {
  if (rest.size() != frame_size(header.body_size) - frame_header_size)
    return false;
  const auto body = rest.substr(0, header.body_size);
  return (body.empty() || crc32c(seed.value, body) == header.body_crc) &&
         std::ranges::all_of(rest.substr(body.size()), [](char byte) { return byte == '\0'; });
}

std::string segment_name(std::uint64_t first) {
  const auto digits = std::to_string(first);
  return std::string(name_digits - digits.size(), '0') + digits + std::string(name_end);
}

std::optional<std::uint64_t> parse_segment_name(std::string_view name) {
  if (name.size() != name_digits + name_end.size() || !name.ends_with(name_end))
    return std::nullopt;
  std::uint64_t first = 0;
  const auto* const end = name.data() + name_digits;
  const auto [stopped, failed] = std::from_chars(name.data(), end, first);
  if (failed != std::errc{} || stopped != end)
    return std::nullopt;
  return first;
}

std::string encode_meta(const log_meta& meta) { return encode_meta(meta, meta_format); }

std::variant<log_meta, meta_failure> parse_meta(std::string_view text) {
  const auto [lines, is_good] = without_checksum(text);
  text_reader in(lines);
  const auto wrong = [&in] { return meta_failure{false, in.position()}; };
  if (!in.take(meta_start))
    return wrong();
  const auto format = in.take_number();
  if (!format || *format == 0)
    return wrong();
  if (*format > meta_format)
    return meta_failure{is_good, is_good ? 0 : meta_start.size()};
  log_meta parsed;
  if (!in.take(installation_key))
    return wrong();
  const auto installation = in.take_uuid();
  if (!installation || !in.take(log_key))
    return wrong();
  const auto log = in.take_uuid();
  if (!log)
    return wrong();
  parsed.identity = {installation_id{*installation}, log_id{*log}};
  if (*format > 1) {
    if (!in.take(incarnation_key))
      return wrong();
    const auto incarnation = in.take_number();
    if (!incarnation || *incarnation == 0 || *incarnation > incarnation_max)
      return wrong();
    parsed.incarnation = *incarnation;
  }
  if (!is_good || encode_meta(parsed, *format) != text)
    return wrong();
  return parsed;
}

} // namespace orrery::log
