// Any bytes as the manifest of a backup, and as a log.meta. A random change never has a good
// checksum, so an input that begins with '+' gets one. What is taken is what is written again.

#include "events/core/check.hpp"
#include "events/log/backup_manifest.hpp"
#include "events/log/checked_text.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace orrery::log {

namespace {

void parse(std::string_view text) {
  const auto manifest = parse_manifest(text);
  if (const auto* parsed = std::get_if<backup_manifest>(&manifest))
    ORRERY_CHECK(encode_manifest(*parsed) == text);
  else
    ORRERY_CHECK(std::get<meta_failure>(manifest).position <= text.size());
  const auto meta = parse_meta(text);
  if (const auto* failure = std::get_if<meta_failure>(&meta))
    ORRERY_CHECK(failure->position <= text.size());
}

/// What the search starts from.
std::string sample() {
  backup_manifest made;
  made.meta = {{installation_id{uuid{1, 2}}, log_id{uuid{3, 4}}}, 5};
  made.partitions[partition_number{0}] = {12, {1, 13, digest{}}};
  made.partitions[partition_number{7}] = {1, {}};
  return "+" + std::string(without_checksum(encode_manifest(made)).lines);
}

} // namespace

} // namespace orrery::log

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  orrery::log::parse(text);
  if (text.starts_with('+'))
    orrery::log::parse(orrery::log::with_checksum(std::string(text.substr(1))));
  return 0;
}

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned int seed) {
  static const std::string sample = orrery::log::sample();
  if ((size < 2 || seed % 16 == 0) && sample.size() <= size_max) {
    sample.copy(reinterpret_cast<char*>(data), sample.size());
    size = sample.size();
  }
  return LLVMFuzzerMutate(data, size, size_max);
}
