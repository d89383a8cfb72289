#include "events/log/record_header.hpp"

#include "events/core/check.hpp"
#include "events/log/bytes.hpp"

#include <algorithm>
#include <limits>

namespace orrery::log {

namespace {

constexpr std::string_view magic = "Orr1";
constexpr std::uint8_t claim_kind = 1;
constexpr std::uint8_t commit_kind = 2;

constexpr std::size_t kind_at = 4;
constexpr std::size_t log_at = 8;
constexpr std::size_t epoch_at = 24;
constexpr std::size_t seq_at = 32;
constexpr std::size_t prev_hash_at = 40;
constexpr std::size_t common_size = 72;
constexpr std::size_t after_epoch_at = common_size;
constexpr std::size_t format_at = 80;

std::string start(std::uint8_t kind, const log_id& log, std::size_t size) {
  std::string bytes;
  bytes.reserve(size);
  bytes += magic;
  add_number(bytes, kind);
  bytes.append(log_at - bytes.size(), '\0');
  add_uuid(bytes, log.value);
  return bytes;
}

void add_body_size(std::string& bytes, std::size_t body_size) {
  ORRERY_CHECK(body_size <= std::numeric_limits<std::uint32_t>::max());
  add_number(bytes, static_cast<std::uint32_t>(body_size));
}

bool is_zero(std::string_view bytes) {
  return std::ranges::all_of(bytes, [](char byte) { return byte == '\0'; });
}

/// What follows a header of `header_size` bytes, when the length at the header's end is right.
std::optional<std::string_view> body_after(std::string_view bytes, std::size_t header_size) {
  if (bytes.size() < header_size)
    return std::nullopt;
  const auto body = bytes.substr(header_size);
  if (number_at<std::uint32_t>(bytes, header_size - 4) != body.size())
    return std::nullopt;
  return body;
}

std::optional<parsed_record> parse_claim(std::string_view bytes) {
  const auto body = body_after(bytes, claim_header_size);
  if (!body || !is_zero(bytes.substr(epoch_at, common_size - epoch_at)))
    return std::nullopt;
  return parsed_claim{{log_id{uuid_at(bytes, log_at)},
                       number_at<std::uint64_t>(bytes, after_epoch_at),
                       number_at<std::uint32_t>(bytes, format_at)},
                      *body};
}

std::optional<parsed_record> parse_commit(std::string_view bytes) {
  const auto body = body_after(bytes, commit_header_size);
  if (!body)
    return std::nullopt;
  parsed_commit parsed{{log_id{uuid_at(bytes, log_at)},
                        number_at<std::uint64_t>(bytes, epoch_at),
                        number_at<std::uint64_t>(bytes, seq_at),
                        {}},
                       *body};
  std::ranges::copy(bytes.substr(prev_hash_at, parsed.header.prev_hash.size()),
                    parsed.header.prev_hash.begin());
  return parsed;
}

} // namespace

std::string encode(const claim_header& header, std::size_t body_size) {
  auto bytes = start(claim_kind, header.log, claim_header_size + body_size);
  bytes.append(after_epoch_at - bytes.size(), '\0');
  add_number(bytes, header.after_epoch);
  add_number(bytes, header.format);
  add_body_size(bytes, body_size);
  return bytes;
}

std::string encode(const commit_header& header, std::size_t body_size) {
  auto bytes = start(commit_kind, header.log, commit_header_size + body_size);
  add_number(bytes, header.epoch);
  add_number(bytes, header.seq);
  bytes += bytes_of(header.prev_hash);
  add_body_size(bytes, body_size);
  return bytes;
}

std::string make_record(const claim_header& header, std::string_view body) {
  return encode(header, body.size()).append(body);
}

std::string make_record(const commit_header& header, std::string_view body) {
  return encode(header, body.size()).append(body);
}

std::optional<parsed_record> parse_record(std::string_view bytes) {
  if (bytes.size() < common_size || !bytes.starts_with(magic) ||
      !is_zero(bytes.substr(kind_at + 1, log_at - kind_at - 1)))
    return std::nullopt;
  switch (number_at<std::uint8_t>(bytes, kind_at)) {
  case claim_kind:
    return parse_claim(bytes);
  case commit_kind:
    return parse_commit(bytes);
  }
  return std::nullopt;
}

} // namespace orrery::log
