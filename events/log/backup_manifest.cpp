#include "events/log/backup_manifest.hpp"

#include "events/log/checked_text.hpp"

#include <optional>

namespace orrery::log {

namespace {

constexpr std::uint64_t manifest_format = 1;
constexpr std::string_view start_key = "orrery backup, format ";
constexpr std::string_view installation_key = "\ninstallation ";
constexpr std::string_view log_key = "\nlog ";
constexpr std::string_view incarnation_key = "\nincarnation ";
constexpr std::string_view made_key = "\nmade ";
constexpr std::string_view frames_key = "\nframes ";
constexpr std::string_view partition_key = "\npartition ";
constexpr std::string_view records_key = " records ";
constexpr std::string_view epoch_key = " epoch ";
constexpr std::string_view next_key = " next ";
constexpr std::string_view head_key = " head ";

std::optional<std::uint64_t> take_number(text_reader& in, std::string_view key) {
  return in.take(key) ? in.take_number() : std::nullopt;
}

std::optional<uuid> take_uuid(text_reader& in, std::string_view key) {
  return in.take(key) ? in.take_uuid() : std::nullopt;
}

bool take_partition(text_reader& in, backup_manifest& to) {
  const auto where = in.take_number();
  const auto records = take_number(in, records_key);
  const auto epoch = take_number(in, epoch_key);
  const auto next = take_number(in, next_key);
  if (!where || *where > partition_number_max || !records || !epoch || !next || !in.take(head_key))
    return false;
  const auto hash = in.take_digest();
  if (!hash)
    return false;
  to.partitions[static_cast<partition_number>(*where)] = {*records, {*epoch, *next, *hash}};
  return true;
}

/// What stands behind the first line; false at the first thing that is not a manifest's.
bool take_rest(text_reader& in, backup_manifest& to) {
  const auto installation = take_uuid(in, installation_key);
  const auto log = take_uuid(in, log_key);
  const auto incarnation = take_number(in, incarnation_key);
  if (!installation || !log || !incarnation || *incarnation == 0 || *incarnation > incarnation_max)
    return false;
  to.meta = {{installation_id{*installation}, log_id{*log}}, *incarnation};
  const auto made = take_number(in, made_key);
  const auto frames = take_number(in, frames_key);
  if (!made || *made > INT64_MAX || !frames)
    return false;
  to.made = from_micros(*made);
  to.frames = *frames;
  while (in.take(partition_key))
    if (!take_partition(in, to))
      return false;
  return true;
}

} // namespace

std::uint64_t backup_manifest::records() const {
  std::uint64_t sum = 0;
  for (const auto& [where, one] : partitions)
    sum += one.records;
  return sum;
}

std::string encode_manifest(const backup_manifest& manifest) {
  std::string text(start_key);
  const auto add = [&text](std::string_view key, const std::string& value) {
    text.append(key).append(value);
  };
  text += std::to_string(manifest_format);
  add(installation_key, to_text(manifest.meta.identity.installation.value));
  add(log_key, to_text(manifest.meta.identity.log.value));
  add(incarnation_key, std::to_string(manifest.meta.incarnation));
  add(made_key, std::to_string(to_micros(manifest.made)));
  add(frames_key, std::to_string(manifest.frames));
  for (const auto& [where, one] : manifest.partitions) {
    add(partition_key, to_text(where));
    add(records_key, std::to_string(one.records));
    add(epoch_key, std::to_string(one.head.epoch));
    add(next_key, std::to_string(one.head.next));
    add(head_key, to_text(one.head.hash));
  }
  return with_checksum(text + "\n");
}

std::variant<backup_manifest, meta_failure> parse_manifest(std::string_view text) {
  const auto [lines, is_good] = without_checksum(text);
  text_reader in(lines);
  const auto format = take_number(in, start_key);
  if (format && *format > manifest_format)
    return meta_failure{is_good, is_good ? 0 : start_key.size()};
  backup_manifest parsed;
  if (!format || !take_rest(in, parsed) || !is_good || encode_manifest(parsed) != text)
    return meta_failure{false, in.position()};
  return parsed;
}

} // namespace orrery::log
