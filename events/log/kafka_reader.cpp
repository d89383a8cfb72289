#include "events/log/kafka_reader.hpp"

#include "events/log/append_check.hpp"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <utility>

namespace orrery::log {

namespace {

using std::chrono::milliseconds;

/// What one fetch takes over at most before it gives what it has, unless one record is larger.
constexpr std::size_t pull_bytes_max = std::size_t{1024} * 1024;

/// What a cursor keeps for other readers; above one pull and one record of the largest size.
constexpr std::size_t window_bytes_max = 2 * pull_bytes_max;

/// What all cursors together may fetch ahead, and one of them at most and at least. librdkafka
/// stops for a second when one is full, so one holds what is read in that time.
constexpr std::size_t ahead_bytes_max = std::size_t{1024} * 1024 * 1024;
constexpr std::size_t ahead_bytes_max_each = std::size_t{256} * 1024 * 1024;
constexpr std::size_t ahead_bytes_min_each = std::size_t{4} * 1024 * 1024;

/// How long one thread fetches before it looks whether another reader needs the cursor.
constexpr milliseconds fetch_step{100};

/// The place in time by which Kafka is asked for the end of a partition, and for its begin.
constexpr std::int64_t at_end = -1;
constexpr std::int64_t at_begin = -2;

/// An idle long poll of the reader: an answer comes with data.
constexpr milliseconds fetch_wait{100};

/// What one of so many partitions may have fetched ahead, in bytes.
std::size_t ahead_bytes_of_each(std::size_t partitions) {
  return std::clamp(ahead_bytes_max / kafka_reader::lanes / std::max<std::size_t>(1, partitions),
                    ahead_bytes_min_each, ahead_bytes_max_each);
}

/// A list of partitions of one topic as the library wants it; freed at the end of the scope.
class partition_list {
public:
  partition_list() : x_list(rd_kafka_topic_partition_list_new(1)) {}

  partition_list(const partition_list&) = delete;
  partition_list& operator=(const partition_list&) = delete;

  ~partition_list() { rd_kafka_topic_partition_list_destroy(x_list); }

  void add(const std::string& topic, std::size_t partition, std::int64_t time) {
    rd_kafka_topic_partition_list_add(x_list, topic.c_str(), static_cast<std::int32_t>(partition))
        ->offset = time;
  }

  [[nodiscard]] rd_kafka_topic_partition_list_t* get() const { return x_list; }

private:
  rd_kafka_topic_partition_list_t* x_list;
};

/// None when the topic has its records' times from whoever sends them: `orrery log check` refuses
/// that.
std::optional<utc_time> appended_at(const rd_kafka_message_t& message) {
  rd_kafka_timestamp_type_t kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  const auto millis = rd_kafka_message_timestamp(&message, &kind);
  if (kind != RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME || millis < 0)
    return std::nullopt;
  return utc_time(milliseconds(millis));
}

} // namespace

kafka_reader::kafka_reader(const kafka_target& target, milliseconds fetch_limit, kafka_ends& ends)
    : x_target(target), x_fetch_limit(fetch_limit), x_ends(ends) {
  for (std::size_t count = 0; count < ends.partitions(); ++count)
    x_partitions.push_back(std::make_unique<partition>());
}

result<std::unique_ptr<kafka_reader>> kafka_reader::make(const kafka_target& target,
                                                         milliseconds open_limit,
                                                         milliseconds fetch_limit,
                                                         kafka_ends& ends) {
  std::unique_ptr<kafka_reader> made(new kafka_reader(target, fetch_limit, ends));
  if (auto asked = made->ask_ends(open_limit); !asked)
    return asked.error();
  return made;
}

kafka_reader::~kafka_reader() {
  for (std::size_t number = 0; number < lanes; ++number)
    for (std::size_t where = 0; x_lanes[number] && where < x_partitions.size(); ++where)
      if (x_partitions[where]->cursors[number].is_started)
        rd_kafka_consume_stop(x_lanes[number]->topic(), static_cast<std::int32_t>(where));
}

result<std::shared_ptr<kafka_handle>> kafka_reader::lane(std::size_t number) {
  const std::lock_guard hold(x_lanes_lock);
  if (!x_lanes[number]) {
    // A place that is gone is an error, never skipped.
    auto made = kafka_handle::make(
        kafka_handle::role::consumer, x_target,
        consumer_settings("error", fetch_wait, ahead_bytes_of_each(x_ends.partitions())));
    if (!made)
      return made.error();
    x_lanes[number] = std::move(*made);
  }
  return x_lanes[number];
}

/// Asks until every partition's leader answered: for a moment after an election, or after the topic
/// was made, some do not know yet that they lead.
result<void> kafka_reader::ask_ends(milliseconds limit) {
  const auto handle = lane(0);
  if (!handle)
    return handle.error();
  const auto deadline = clock::now() + limit;
  while (true) {
    auto asked = ask_ends_once(**handle, left_until(deadline));
    if (asked || left_until(deadline).count() == 0)
      return asked;
    const auto code = asked.error().code;
    if (code != error_code::unavailable && code != error_code::not_found)
      return asked;
    (*handle)->poll(milliseconds(20));
  }
}

/// Asks for the begins and ends of all partitions, all at once.
result<void> kafka_reader::ask_ends_once(kafka_handle& handle, milliseconds limit) {
  for (const auto time : {at_begin, at_end}) {
    partition_list all;
    for (std::size_t where = 0; where < x_partitions.size(); ++where)
      all.add(x_target.topic, where, time);
    const auto asked = rd_kafka_offsets_for_times(handle.get(), all.get(),
                                                  std::max(1, static_cast<int>(limit.count())));
    if (asked != RD_KAFKA_RESP_ERR_NO_ERROR)
      return kafka_failure(asked, "the ends of topic " + x_target.topic + handle.last_trouble());
    for (int at = 0; at < all.get()->cnt; ++at) {
      const auto& one = all.get()->elems[at];
      const auto where = static_cast<partition_number>(one.partition);
      if (one.err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_failure(one.err, name_of_partition(x_target, where));
      if (time == at_begin && one.offset > 0)
        return error{error_code::log_cut,
                     name_of_partition(x_target, where) + " begins at offset " +
                         std::to_string(one.offset) +
                         ", not at 0: its first records were deleted; restore the topic",
                     false};
      if (time == at_end)
        x_ends.raise(where, static_cast<offset>(std::max<std::int64_t>(0, one.offset)));
    }
  }
  return {};
}

/// Asks the leader where a partition ends now.
result<offset> kafka_reader::ask_end(partition_number where) {
  const auto handle = lane(0);
  if (!handle)
    return handle.error();
  auto end = ask_end_of(**handle, x_target, where, x_fetch_limit);
  if (end)
    x_ends.raise(where, *end);
  return end;
}

void kafka_reader::refresh_end(partition_number where) {
  for (std::size_t number = 0; number < lanes; ++number) {
    std::shared_ptr<kafka_handle> handle;
    {
      const std::lock_guard hold(x_lanes_lock);
      handle = x_lanes[number];
    }
    std::int64_t begin = 0;
    std::int64_t end = 0;
    if (handle &&
        rd_kafka_get_watermark_offsets(handle->get(), x_target.topic.c_str(),
                                       static_cast<std::int32_t>(where), &begin,
                                       &end) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        end > 0)
      x_ends.raise(where, static_cast<offset>(end));
  }
}

result<std::vector<record>> kafka_reader::read(partition_number where, offset from,
                                               std::size_t bytes_max, milliseconds patience) {
  const auto began = clock::now();
  auto& of = *x_partitions[static_cast<std::size_t>(where)];
  const wish wanted{where, from, bytes_max};
  if (from > x_ends.known(where)) {
    const auto end = ask_end(where);
    if (!end)
      return end.error();
    if (from > *end)
      return read_above_end(where, from, *end);
  }
  std::unique_lock hold(of.lock);
  bool was_fetched = false;
  while (true) {
    std::vector<record> found;
    if (x_ends.is_cut(where))
      return kafka_cut(x_target, where);
    if (take(of, wanted, found))
      return found;
    const bool must_be_there = from < x_ends.known(where);
    const auto left =
        left_until(began + (must_be_there ? std::max(patience, x_fetch_limit) : patience));
    if (left.count() == 0 && was_fetched) {
      if (must_be_there)
        return error{error_code::unavailable,
                     name_of_partition(x_target, where) + " has a record " + std::to_string(from) +
                         ", but no broker gives it: are the brokers up?",
                     true};
      return found;
    }
    const auto number = choose(of, from);
    if (number == lanes) { // another thread fetches the same, or all are busy
      of.changed.wait_for(hold, std::max(left, milliseconds(1)));
      was_fetched = true;
      continue;
    }
    of.cursors[number].is_busy = true;
    of.cursors[number].used = ++of.used;
    hold.unlock();
    auto fetched = fetch(of, number, wanted, std::min(left, fetch_step));
    hold.lock();
    of.cursors[number].is_busy = false;
    of.changed.notify_all();
    if (!fetched)
      return fetched.error();
    was_fetched = true;
  }
}

/// Needs the lock. Copies what some window holds from `wanted.from` on; false: none holds it.
bool kafka_reader::take(partition& from, const wish& wanted, std::vector<record>& found) {
  for (auto& one : from.cursors) {
    if (one.window.empty() || wanted.from < one.window.front().at || wanted.from >= one.next)
      continue;
    one.used = ++from.used;
    std::size_t bytes = 0;
    for (auto at = static_cast<std::size_t>(wanted.from - one.window.front().at);
         at < one.window.size(); ++at) {
      const auto& next = one.window[at];
      if (!found.empty() && bytes + next.bytes.size() > wanted.bytes_max)
        break;
      bytes += next.bytes.size();
      found.push_back(next);
    }
    return true;
  }
  return false;
}

/// Needs the lock. The cursor that goes on at `from`, else the free one that was used longest ago;
/// `lanes` when the reader must wait for another's fetch.
std::size_t kafka_reader::choose(partition& of, offset from) {
  std::size_t oldest = lanes;
  for (std::size_t number = 0; number < lanes; ++number) {
    const auto& one = of.cursors[number];
    if (one.is_started && one.next == from)
      return one.is_busy ? lanes : number;
    if (one.is_busy)
      continue;
    if (oldest == lanes || one.used < of.cursors[oldest].used)
      oldest = number;
  }
  return oldest;
}

/// Without the lock, by the one thread that made the cursor busy. Others may read its window
/// meanwhile, so that is changed under the lock only.
result<void> kafka_reader::fetch(partition& of, std::size_t number, const wish& wanted,
                                 milliseconds patience) {
  const auto held = lane(number);
  if (!held)
    return held.error();
  auto& handle = **held;
  auto& with = of.cursors[number];
  handle.poll(milliseconds(0));
  const auto breaks = handle.breaks();
  const bool is_there = with.next == wanted.from && (with.is_started || !with.window.empty());
  if (!is_there || !with.is_started || breaks != with.breaks)
    if (auto moved = move(of, number, wanted, is_there, breaks); !moved)
      return moved;
  auto records = pull(handle, wanted, patience);
  handle.poll(milliseconds(0));
  const std::lock_guard hold(of.lock);
  if (handle.breaks() != breaks) // whether these come from the log as it was is shown next time
    return {};
  if (!records) {
    with.breaks = breaks - 1; // start anew, should somebody ask again
    return records.error();
  }
  return absorb(wanted.where, with, std::move(*records));
}

/// Makes a cursor fetch from `wanted.from` on; one that was there already, from its last record on,
/// to see that it is still the same one.
result<void> kafka_reader::move(partition& of, std::size_t number, const wish& wanted,
                                bool is_there, std::uint64_t breaks) {
  const auto held = lane(number);
  if (!held)
    return held.error();
  const auto where = static_cast<std::int32_t>(wanted.where);
  auto& moved = of.cursors[number];
  std::unique_lock hold(of.lock);
  if (std::exchange(moved.is_started, false)) {
    hold.unlock();
    rd_kafka_consume_stop((*held)->topic(), where); // waits for a thread of the library
    hold.lock();
  }
  if (!is_there) {
    moved.window.clear();
    moved.window_bytes = 0;
    moved.next = wanted.from;
  }
  moved.must_verify = !moved.window.empty();
  const auto at = static_cast<std::int64_t>(moved.must_verify ? moved.next - 1 : moved.next);
  if (rd_kafka_consume_start((*held)->topic(), where, at) != 0)
    return kafka_failure(rd_kafka_last_error(),
                         "reading " + name_of_partition(x_target, wanted.where));
  moved.is_started = true;
  moved.breaks = breaks;
  return {};
}

/// Takes records over from the library: waits for the first one only.
result<std::vector<record>> kafka_reader::pull(kafka_handle& handle, const wish& wanted,
                                               milliseconds patience) {
  std::vector<record> found;
  std::size_t bytes = 0;
  const auto enough = std::min(wanted.bytes_max, pull_bytes_max);
  auto wait = static_cast<int>(patience.count());
  while (found.empty() || bytes < enough) {
    auto* message = rd_kafka_consume(handle.topic(), static_cast<std::int32_t>(wanted.where), wait);
    wait = 0;
    if (message == nullptr)
      break;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      const auto code = message->err;
      rd_kafka_message_destroy(message);
      if (!found.empty())
        break; // the good ones first; the cursor starts anew and meets it again
      return failure(handle, wanted.where, code);
    }
    found.push_back({static_cast<offset>(message->offset),
                     std::string(static_cast<const char*>(message->payload), message->len),
                     appended_at(*message)});
    bytes += message->len;
    rd_kafka_message_destroy(message);
  }
  return found;
}

/// Needs the lock. Offsets are dense, so anything but the next one means that records are gone.
result<void> kafka_reader::absorb(partition_number where, cursor& into,
                                  std::vector<record> records) {
  for (auto& one : records) {
    if (std::exchange(into.must_verify, false)) {
      const auto& last = into.window.back();
      if (one.at == last.at && one.bytes == last.bytes)
        continue;
      x_ends.mark_cut(where);
      return kafka_cut(x_target, where);
    }
    if (one.at != into.next) {
      --into.breaks; // start anew, should somebody ask again
      return error{error_code::log_cut,
                   name_of_partition(x_target, where) + " has no record " +
                       std::to_string(into.next) + ": offset " + std::to_string(one.at) +
                       " comes next; offsets are dense, so records are gone, or somebody wrote "
                       "with transactions or turned compaction on; restore the topic",
                   false};
    }
    into.next = one.at + 1;
    into.window_bytes += one.bytes.size();
    into.window.push_back(std::move(one));
  }
  x_ends.raise(where, into.next);
  while (into.window.size() > 1 && into.window_bytes > window_bytes_max) {
    into.window_bytes -= into.window.front().bytes.size();
    into.window.pop_front();
  }
  return {};
}

error kafka_reader::failure(kafka_handle& handle, partition_number where, int code) const {
  if (code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
    return kafka_cut(x_target, where);
  return kafka_failure(code,
                       "reading " + name_of_partition(x_target, where) + handle.last_trouble());
}

} // namespace orrery::log
