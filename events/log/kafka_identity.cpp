#include "events/log/kafka_identity.hpp"

#include "events/core/check.hpp"
#include "events/log/bytes.hpp"
#include "events/log/kafka_producer.hpp"
#include "events/log/kafka_reader.hpp"
#include "events/log/segment_frame.hpp"

#include <future>
#include <memory>
#include <optional>

namespace orrery::log {

namespace {

using std::chrono::milliseconds;
using steady = std::chrono::steady_clock;

constexpr std::string_view magic = "OrrI";
constexpr std::uint32_t version = 1;
constexpr std::size_t version_at = 4;
constexpr std::size_t installation_at = 8;
constexpr std::size_t log_at = 24;
constexpr std::size_t partitions_at = 40;
constexpr std::size_t zero_at = 42;
constexpr std::size_t crc_at = 44;
constexpr std::uint32_t crc_seed = 0xffffffff;

constexpr partition_number only{0};

/// What closing a producer may take after it wrote its one record.
constexpr milliseconds closing_limit{1000};

error damaged(const std::string& why) {
  return {error_code::damaged, "the identity of the log is damaged: " + why, false};
}

/// The same error, with the topic that it is about and the way out.
error about(const kafka_target& target, error why) {
  if (why.code == error_code::damaged || why.code == error_code::unknown_record)
    why.text = "topic " + target.topic + ": " + why.text +
               (why.code == error_code::damaged
                    ? "; the first record must be what `orrery log init` wrote: restore the topic"
                    : "");
  return why;
}

/// The topic's partition, opened.
struct place {
  kafka_target target;
  kafka_ends ends{1};
  std::unique_ptr<kafka_reader> reader;
};

result<std::unique_ptr<place>> open(const kafka_target& target, steady::time_point deadline) {
  if (const auto partitions = topic_partitions(target, left_until(deadline)); !partitions)
    return partitions.error();
  auto made = std::make_unique<place>();
  made->target = target;
  auto reader = kafka_reader::make(target, left_until(deadline), left_until(deadline), made->ends);
  if (!reader)
    return reader.error();
  made->reader = std::move(*reader);
  return made;
}

/// What the first record says; nothing: there is no record.
result<std::optional<kafka_identity>> first(place& at) {
  if (at.ends.known(only) == 0)
    return std::optional<kafka_identity>();
  const auto read = at.reader->read(only, 0, 1, milliseconds(0));
  if (!read)
    return read.error();
  ORRERY_CHECK(!read->empty()); // the reader answers a record that is there, or an error
  const auto parsed = parse_kafka_identity(read->front().bytes);
  if (!parsed)
    return about(at.target, parsed.error());
  return std::optional(*parsed);
}

/// Writes one record and waits for its fate.
result<void> append(place& at, const std::string& bytes, steady::time_point deadline) {
  std::promise<append_outcome> told;
  auto fate = told.get_future();
  {
    auto producer = kafka_producer::make(at.target, {left_until(deadline), closing_limit}, at.ends);
    if (!producer)
      return producer.error();
    (*producer)->append(only, bytes,
                        [&](const append_outcome& outcome) { told.set_value(outcome); });
    // Its end tells what it had not told by then, so the fate is always there.
    (void)fate.wait_until(deadline);
  }
  const auto outcome = fate.get();
  if (outcome.fate == append_fate::durable)
    return {};
  auto why = outcome.failure;
  why.text = "writing the identity of the log: " + why.text + "; it may be repeated";
  return why;
}

} // namespace

std::string encode(const kafka_identity& identity) {
  ORRERY_CHECK(identity.partitions >= 1);
  ORRERY_CHECK(identity.partitions <= partition_number_max + 1);
  std::string bytes(magic);
  add_number(bytes, version);
  add_uuid(bytes, identity.log.installation.value);
  add_uuid(bytes, identity.log.log.value);
  add_number(bytes, identity.partitions);
  add_number(bytes, std::uint16_t{0});
  add_number(bytes, crc32c(crc_seed, bytes));
  ORRERY_CHECK(bytes.size() == kafka_identity_size);
  return bytes;
}

result<kafka_identity> parse_kafka_identity(std::string_view bytes) {
  if (bytes.size() < installation_at || !bytes.starts_with(magic))
    return damaged("its first record is none");
  if (const auto found = number_at<std::uint32_t>(bytes, version_at); found > version)
    return error{error_code::unknown_record,
                 "the identity of the log has format " + std::to_string(found) +
                     ", and this orrery knows up to " + std::to_string(version) +
                     ": it was made by a later one",
                 false};
  if (bytes.size() != kafka_identity_size ||
      number_at<std::uint32_t>(bytes, crc_at) != crc32c(crc_seed, bytes.substr(0, crc_at)))
    return damaged("its checksum is wrong");
  kafka_identity made;
  made.log.installation = installation_id{uuid_at(bytes, installation_at)};
  made.log.log = log_id{uuid_at(bytes, log_at)};
  made.partitions = number_at<std::uint16_t>(bytes, partitions_at);
  const bool is_sensible = number_at<std::uint32_t>(bytes, version_at) == version &&
                           number_at<std::uint16_t>(bytes, zero_at) == 0 && made.partitions >= 1 &&
                           made.partitions <= partition_number_max + 1 &&
                           !made.log.installation.is_none() && !made.log.log.is_none();
  if (!is_sensible)
    return damaged("it says what cannot be");
  return made;
}

result<kafka_identity> read_identity(const kafka_target& target, milliseconds patience) {
  const auto at = open(target, steady::now() + patience);
  if (!at)
    return at.error();
  const auto found = first(**at);
  if (!found)
    return found.error();
  if (!*found)
    return error{error_code::not_found,
                 "topic " + target.topic + " at " + target.servers +
                     " holds no identity of a log yet; `orrery log init` writes it",
                 false};
  return **found;
}

result<kafka_identity> write_identity(const kafka_target& target, const kafka_identity& wanted,
                                      milliseconds patience) {
  const auto deadline = steady::now() + patience;
  const auto at = open(target, deadline);
  if (!at)
    return at.error();
  if (const auto found = first(**at); !found)
    return found.error();
  else if (*found)
    return **found;
  if (const auto written = append(**at, encode(wanted), deadline); !written)
    return written.error();
  // Another may have been first: what counts is what stands there.
  const auto found = first(**at);
  if (!found)
    return found.error();
  ORRERY_CHECK(*found); // our own report raised the end
  return **found;
}

result<identified_log> open_by_prefix(kafka_options options, std::string_view prefix) {
  const auto topics = topics_of(prefix);
  const auto known = read_identity(with_topic(options.target, topics.meta), options.open_limit);
  if (!known)
    return known.error();
  options.target.topic = topics.events;
  options.wanted.partitions = known->partitions;
  auto opened = kafka_log::open(options);
  if (!opened)
    return opened.error();
  return identified_log{std::move(*opened), known->log, known->partitions};
}

} // namespace orrery::log
