#include "actors/log_opening.hpp"

#include "events/log/kafka_bus.hpp"
#include "events/log/kafka_identity.hpp"
#include "events/log/kafka_log.hpp"
#include "events/log/segment_log.hpp"

#include <sys/random.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace orrery::actors {

namespace {

/// For brokers to answer when a process starts.
constexpr std::chrono::milliseconds kafka_patience{30'000};

/// What a settings file may hold at most; certificates are named in it, not written.
constexpr std::size_t settings_bytes_max = 65'536;

uuid new_id() {
  std::uint64_t value = 0;
  // 8 bytes: never short, never interrupted (getrandom(2)).
  ORRERY_CHECK(getrandom(&value, sizeof value, 0) == sizeof value);
  const auto now =
      std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
  return make_uuid(now, partition_number{0}, value);
}

result<opened_log> open_embedded(const config& settings) {
  const auto directory = settings.data_directory + "/log";
  log::open_options options;
  options.read_only = settings.is_read_only;
  if (settings.segment_size > 0)
    options.segment_size = settings.segment_size;
  log::open_report report;
  auto opened = log::segment_log::open(directory, options, report);
  if (!opened && opened.error().code == error_code::not_found && !settings.is_read_only) {
    log::log_identity identity;
    identity.installation.value = new_id();
    identity.log.value = new_id();
    opened = log::segment_log::create(directory, identity, options);
  }
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
  made.log = std::move(*opened);
  return made;
}

result<std::vector<log::kafka_setting>> read_settings(const std::string& path) {
  if (path.empty())
    return std::vector<log::kafka_setting>{};
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file || text.str().size() > settings_bytes_max)
    return error{error_code::config_invalid,
                 "the settings file " + path + " cannot be read: is it there, and below 64 KiB?",
                 false};
  auto settings = log::parse_kafka_settings(text.str());
  if (!settings)
    return error{settings.error().code, path + ": " + settings.error().text, false};
  return settings;
}

result<opened_log> open_kafka(const config& settings) {
  const auto topics = log::topics_of(settings.kafka.prefix);
  log::kafka_options options;
  options.target.servers = settings.kafka.servers;
  options.target.topic = topics.events;
  auto read = read_settings(settings.kafka.settings_file);
  if (!read)
    return read.error();
  options.target.settings = std::move(*read);
  const auto identity =
      log::read_identity(log::with_topic(options.target, topics.meta), kafka_patience);
  if (!identity)
    return identity.error();
  options.wanted.partitions = identity->partitions;
  options.wanted.replication = settings.kafka.replication;
  options.open_limit = kafka_patience;
  opened_log made;
  made.identity = identity->log;
  auto opened = log::kafka_log::open(options);
  if (!opened)
    return opened.error();
  made.log = std::move(*opened);
  if (settings.is_read_only)
    return made;
  log::kafka_bus_options carrying;
  carrying.target = options.target;
  carrying.topics = topics;
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
