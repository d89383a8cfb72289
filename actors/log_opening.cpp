#include "actors/log_opening.hpp"

#include "events/log/kafka_bus.hpp"
#include "events/log/kafka_identity.hpp"
#include "events/log/new_identity.hpp"
#include "events/log/segment_log.hpp"

#include <chrono>
#include <cstdio>

namespace orrery::actors {

namespace {

/// For brokers to answer when a process starts.
constexpr std::chrono::milliseconds kafka_patience{30'000};

result<opened_log> open_embedded(const config& settings) {
  const auto directory = settings.data_directory + "/log";
  log::open_options options;
  options.read_only = settings.is_read_only;
  if (settings.segment_size > 0)
    options.segment_size = settings.segment_size;
  log::open_report report;
  auto opened = log::segment_log::open(directory, options, report);
  if (!opened && opened.error().code == error_code::not_found && !settings.is_read_only)
    opened = log::segment_log::create(directory, log::new_identity(), options);
  if (!opened)
    return opened.error();
  if (report.torn)
    std::fprintf(stderr,
                 "warn: log: a torn end %s: %s, byte %llu, %llu bytes, none of them acknowledged\n",
                 settings.is_read_only ? "is there" : "was cut off", report.torn->file.c_str(),
                 static_cast<unsigned long long>(report.torn->position),
                 static_cast<unsigned long long>(report.torn->bytes));
  opened_log made;
  made.identity = (*opened)->identity();
  made.incarnation = (*opened)->incarnation();
  made.partitions = embedded_partitions;
  made.log = std::move(*opened);
  return made;
}

result<opened_log> open_kafka(const config& settings) {
  log::kafka_options options;
  options.target.servers = settings.kafka.servers;
  auto read = log::read_kafka_settings(settings.kafka.settings_file);
  if (!read)
    return read.error();
  options.target.settings = std::move(*read);
  options.wanted.replication = settings.kafka.replication;
  options.open_limit = kafka_patience;
  auto opened = log::open_by_prefix(options, settings.kafka.prefix);
  if (!opened)
    return opened.error();
  opened_log made;
  made.identity = opened->identity;
  made.partitions = opened->partitions;
  made.log = std::move(opened->log);
  if (settings.is_read_only)
    return made;
  log::kafka_bus_options carrying;
  carrying.target = options.target;
  carrying.topics = log::topics_of(settings.kafka.prefix);
  carrying.open_limit = kafka_patience;
  auto bus = log::kafka_bus::open(carrying);
  if (!bus)
    return bus.error();
  std::shared_ptr<log::kafka_bus> shared(std::move(*bus));
  made.commands = shared;
  made.heartbeats = std::move(shared);
  return made;
}

} // namespace

result<opened_log> open_log(const config& settings) {
  return settings.kafka.servers.empty() ? open_embedded(settings) : open_kafka(settings);
}

} // namespace orrery::actors
