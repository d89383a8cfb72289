#include "events/log/segment_log.hpp"
#include "tools/dev/bench/lines.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <filesystem>
#include <mutex>

namespace orrery::bench {

namespace {

constexpr partition_number the_partition{0};

/// Written into the plain file at once before it is measured.
constexpr std::size_t zeros_size = 1024 * 1024;

struct shape {
  std::string id;
  std::string what;
  std::size_t record_size = 0;
  std::size_t outstanding = 1; ///< appends under way at once
  std::size_t records_max = 0;
};

/// Records of this size have 1, 100 and 1,000 one-event commands.
const std::vector<shape>& shapes() {
  static const std::vector<shape> all{
      {"log_append", "synced records of 26 kB (100 commands), 8 under way", 26'000, 8, 2'000},
      {"log_append.alone", "synced records of 26 kB, one at a time, as a partition does", 26'000, 1,
       1'000},
      {"log_append.small", "synced records of 330 B (one command), one at a time", 330, 1, 1'000},
      {"log_append.large", "synced records of 260 kB (1,000 commands), one at a time", 260'000, 1,
       200},
  };
  return all;
}

struct written {
  double rate = 0; ///< records a second
  double cpu_seconds_per_million = 0;
  double per_sync = 0; ///< records
};

std::unique_ptr<log::segment_log> make_log(const std::filesystem::path& directory) {
  log::log_identity identity;
  identity.installation.value = make_uuid(utc_time{}, the_partition, 1);
  identity.log.value = make_uuid(utc_time{}, the_partition, 2);
  return must(log::segment_log::create(directory, identity));
}

/// Keeps `outstanding` appends under way until all records are durable.
class appender {
public:
  appender(log::segment_log& to, std::size_t outstanding) : x_log(to), x_room(outstanding) {}

  void append(const std::string& record) {
    {
      std::unique_lock hold(x_guard);
      x_changed.wait(hold, [this] { return x_room > 0; });
      --x_room;
    }
    x_log.append(the_partition, record, [this](const log::append_outcome& what) {
      if (what.fate != log::append_fate::durable)
        give_up(what.failure.text);
      const std::lock_guard hold(x_guard);
      ++x_room;
      x_changed.notify_one();
    });
  }

  void wait_for_room(std::size_t room) {
    std::unique_lock hold(x_guard);
    x_changed.wait(hold, [&] { return x_room >= room; });
  }

private:
  log::segment_log& x_log;
  std::mutex x_guard;
  std::condition_variable x_changed;
  std::size_t x_room;
};

written into_log(log::segment_log& log, const shape& of, std::size_t count) {
  const std::string record(of.record_size, 'r');
  const auto before = log.statistics();
  const stopwatch watch;
  appender to(log, of.outstanding);
  for (std::size_t i = 0; i < count; ++i)
    to.append(record);
  to.wait_for_room(of.outstanding);
  const auto seconds = watch.seconds();
  const auto after = log.statistics();
  const auto records = static_cast<double>(count);
  return {records / seconds, watch.cpu_seconds() / records * 1e6,
          records / static_cast<double>(std::max<std::uint64_t>(1, after.syncs - before.syncs))};
}

/// The same bytes in the same groups into a file that was filled with zeros before.
double into_file(const std::filesystem::path& path, const shape& of, std::size_t count,
                 double per_sync) {
  const log::file file(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const auto calls = log::file_calls::system();
  const auto check = [&](std::optional<error> failed) {
    if (failed)
      give_up(failed->text);
  };
  const auto total = count * of.record_size;
  const std::string zeros(zeros_size, '\0');
  for (std::size_t at = 0; at < total; at += zeros_size)
    check(log::write_all(calls, file, path.string(), zeros, at));
  if (::fsync(file.descriptor()) != 0)
    give_up("fsync failed: " + path.string());
  const auto group = std::max<std::size_t>(1, static_cast<std::size_t>(std::lround(per_sync)));
  const std::string bytes(group * of.record_size, 'r');
  const stopwatch watch;
  for (std::size_t done = 0; done < count; done += group) {
    const auto size = std::min(group, count - done) * of.record_size;
    check(log::write_all(calls, file, path.string(), std::string_view(bytes).substr(0, size),
                         done * of.record_size));
    if (::fdatasync(file.descriptor()) != 0)
      give_up("fdatasync failed: " + path.string());
  }
  const auto seconds = watch.seconds();
  ::unlink(path.c_str());
  return static_cast<double>(count) / seconds;
}

row compare(const settings& wanted, const shape& of) {
  row made;
  made.id = of.id;
  made.what = of.what;
  made.unit = "records/s";
  made.yardstick_what = "plain zero-filled file and fdatasync, same bytes and groups";
  made.load = load_average();
  const auto home = std::filesystem::path(wanted.scratch);
  const auto count = std::min(of.records_max, wanted.commands);
  const auto log = make_log(home / of.id);
  (void)into_log(*log, of, count); // past its small first files
  comparison compared;
  for (std::size_t run = 0; run < wanted.runs; ++run) {
    const auto now = into_log(*log, of, count);
    compared.add(now.rate, into_file(home / "plain-file", of, count, now.per_sync),
                 now.cpu_seconds_per_million);
  }
  compared.fill(made);
  return made;
}

} // namespace

std::vector<row> log_append(const settings& wanted) {
  std::vector<row> rows;
  for (const auto& of : shapes()) {
    rows.push_back(compare(wanted, of));
    std::filesystem::remove_all(std::filesystem::path(wanted.scratch) / of.id);
  }
  return rows;
}

} // namespace orrery::bench
