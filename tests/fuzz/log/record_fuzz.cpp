// Any bytes as records, judged by the acceptance rule. Input: pieces, each with a length of two
// bytes before it; every piece is read as the next record of one log. Records with the right log id
// are rare in random bytes, so a piece may ask for its fields to be put right.

#include "events/core/check.hpp"
#include "events/log/bytes.hpp"
#include "events/log/history.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace orrery::log {

namespace {

constexpr log_identity ours{installation_id{uuid{1, 2}}, log_id{uuid{3, 4}}};
constexpr partition_number where{0};

/// Overwrites what a random record never gets right, as told by the bits of `wishes`.
std::string helped(std::string record, std::uint8_t wishes, const chain_head& head) {
  const auto put = [&record](std::size_t at, std::string_view bytes) {
    if (record.size() >= at + bytes.size())
      record.replace(at, bytes.size(), bytes);
  };
  const bool claim = (wishes & 1) != 0;
  const auto header_size = claim ? claim_header_size : commit_header_size;
  if (record.size() < header_size)
    return record;
  const auto body_size = record.size() - header_size;
  std::string model =
      claim ? encode(claim_header{ours.log, head.epoch, body_format}, body_size)
            : encode(commit_header{ours.log, head.epoch, head.next, head.hash}, body_size);
  if ((wishes & 2) != 0)
    put(0, std::string_view(model).substr(0, 24)); // magic, kind, log id
  if ((wishes & 4) != 0)
    put(24, std::string_view(model).substr(24, 8)); // epoch
  if ((wishes & 8) != 0)
    put(32, std::string_view(model).substr(32, 8)); // seq
  if ((wishes & 16) != 0)
    put(40, std::string_view(model).substr(40, 32)); // prev_hash
  if ((wishes & 32) != 0)
    put(72, std::string_view(model).substr(72)); // lengths and a claim's own fields
  return record;
}

/// What must hold for any record whatever.
void check(const chain_head& before, const history& reader, const verdict& judged,
           std::string_view record) {
  const auto& after = reader.head();
  const auto parsed = parse_record(record);
  if (parsed) {
    const auto again = std::holds_alternative<parsed_claim>(*parsed)
                           ? make_record(std::get<parsed_claim>(*parsed).header,
                                         std::get<parsed_claim>(*parsed).body)
                           : make_record(std::get<parsed_commit>(*parsed).header,
                                         std::get<parsed_commit>(*parsed).body);
    ORRERY_CHECK(again == record);
  }
  if (std::holds_alternative<voided>(judged) || std::holds_alternative<stopped>(judged)) {
    ORRERY_CHECK(after == before);
    return;
  }
  ORRERY_CHECK(parsed.has_value());
  ORRERY_CHECK(after.next == before.next + 1);
  ORRERY_CHECK(after.hash == sha256_of(bytes_of(before.hash), record));
  if (std::holds_alternative<accepted_claim>(judged)) {
    ORRERY_CHECK(after.epoch == before.next);
  } else {
    ORRERY_CHECK(before.epoch > 0);
    ORRERY_CHECK(after.epoch == before.epoch);
  }
}

void run(std::string_view input) {
  history reader(ours, where);
  while (input.size() >= 3) {
    const auto wishes = static_cast<std::uint8_t>(input[0]);
    const auto size = std::min<std::size_t>(number_at<std::uint16_t>(input, 1), input.size() - 3);
    const auto record = helped(std::string(input.substr(3, size)), wishes, reader.head());
    const auto before = reader.head();
    const auto judged = reader.take(record);
    check(before, reader, judged, record);
    input.remove_prefix(3 + size);
  }
}

} // namespace

} // namespace orrery::log

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  orrery::log::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
