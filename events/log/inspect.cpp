#include "events/log/inspect.hpp"

#include <algorithm>

namespace orrery::log {

namespace {

/// Folds the rule over the frames of all partitions.
class inspector {
public:
  inspector(inspection& made, const std::function<void(const inspected_record&)>& each)
      : x_made(made), x_each(each) {}

  void take(const scanned_frame& frame) {
    if (frame.header.kind != frame_kind::record)
      return;
    const auto where = frame.header.partition;
    const auto reader = x_readers.try_emplace(where, frame.identity, where).first;
    auto& summary = x_made.partitions[where];
    ++summary.records;
    x_made.bytes += frame.body.size();
    const auto judged = reader->second.take(frame.body);
    count(summary, judged, frame.header.offset);
    summary.head = reader->second.head();
    if (x_each)
      x_each({where, frame.header.offset, frame.in.name, frame.position, frame.body, judged});
  }

private:
  static void count(partition_summary& summary, const verdict& judged, offset at) {
    if (std::holds_alternative<accepted_claim>(judged)) {
      ++summary.claims;
    } else if (std::holds_alternative<accepted_commit>(judged)) {
      ++summary.commits;
    } else if (const auto* skipped = std::get_if<voided>(&judged)) {
      ++summary.voids[static_cast<std::size_t>(skipped->reason)];
    } else if (summary.alarm) {
      ++summary.after_alarm;
    } else {
      summary.alarm = std::get<stopped>(judged).reason;
      summary.alarm_at = at;
    }
  }

  inspection& x_made;
  const std::function<void(const inspected_record&)>& x_each;
  std::map<partition_number, history> x_readers;
};

} // namespace

bool inspection::is_good() const {
  return !found_damage && std::ranges::none_of(partitions, [](const auto& partition) {
    return partition.second.alarm.has_value();
  });
}

result<inspection> inspect(const std::string& directory,
                           const std::function<void(const inspected_record&)>& each) {
  const auto locked = log_directory::open(directory, directory_lock::shared);
  if (!locked)
    return locked.error();
  return inspect(*locked, each);
}

result<inspection> inspect(const log_directory& directory,
                           const std::function<void(const inspected_record&)>& each) {
  inspection made;
  inspector fold(made, each);
  const auto found = scan(directory, [&](const scanned_frame& frame) { fold.take(frame); });
  if (!found)
    return found.error();
  made.identity = found->identity;
  made.incarnation = found->incarnation;
  made.files = found->segments.size();
  if (!found->segments.empty())
    made.last_file = found->segments.back().name;
  made.frames = found->frames;
  made.torn = found->torn;
  made.found_damage = found->found_damage;
  return made;
}

} // namespace orrery::log
