#include "events/log/segment_index.hpp"

#include "events/log/append_check.hpp"

#include <algorithm>

namespace orrery::log {

namespace {

/// One place is kept for so many bytes of a file: a read from any offset walks at most this far,
/// and a terabyte needs 16 million places.
constexpr std::uint64_t sparse_distance = std::uint64_t{64} * 1024;

} // namespace

void segment_index::add_file(const segment_info& added) {
  const std::lock_guard hold(x_lock);
  x_files.push_back(added);
  x_end_position = segment_header_size;
}

void segment_index::load(const placed_record& found) { add(found); }

void segment_index::publish(const std::vector<placed_record>& records, std::uint64_t end_position) {
  {
    const std::lock_guard hold(x_lock);
    for (const auto& one : records)
      add(one);
    x_end_position = end_position;
  }
  x_grown.notify_all();
}

void segment_index::add(const placed_record& record) {
  auto& known = x_partitions[record.where];
  const bool far = known.sparse.empty() || known.sparse.back().place.file != record.place.file ||
                   record.place.position - known.sparse.back().place.position >= sparse_distance;
  if (far)
    known.sparse.push_back({record.at, record.place});
  known.end = record.at + 1;
}

offset segment_index::end(partition_number where) const {
  const std::lock_guard hold(x_lock);
  const auto found = x_partitions.find(where);
  return found == x_partitions.end() ? 0 : found->second.end;
}

result<std::optional<segment_index::start>>
segment_index::find(partition_number where, offset from, std::chrono::milliseconds patience) {
  std::unique_lock hold(x_lock);
  const auto& known = x_partitions[where];
  if (from > known.end)
    return read_above_end(where, from, known.end);
  if (!x_grown.wait_for(hold, patience, [&] { return known.end > from; }))
    return std::optional<start>();
  const auto above =
      std::upper_bound(known.sparse.begin(), known.sparse.end(), from,
                       [](offset wanted, const known_place& one) { return wanted < one.at; });
  auto best = *std::prev(above);
  for (const auto& reader : known.readers)
    if (reader.at > best.at && reader.at <= from)
      best = reader;
  return std::optional<start>({best.at, known.end, best.place});
}

std::optional<segment_index::window> segment_index::file_at(std::size_t index) const {
  const std::lock_guard hold(x_lock);
  if (index >= x_files.size())
    return std::nullopt;
  const bool last = index + 1 == x_files.size();
  return window{x_files[index].name, last ? x_end_position : x_files[index].size};
}

std::size_t segment_index::file_count() const {
  const std::lock_guard hold(x_lock);
  return x_files.size();
}

void segment_index::remember(partition_number where, offset at, frame_place place) {
  const std::lock_guard hold(x_lock);
  auto& known = x_partitions[where];
  known.readers[known.reader_next] = {at, place};
  known.reader_next = (known.reader_next + 1) % reader_count;
}

} // namespace orrery::log
