#include "projections/timeline.hpp"

#include "events/core/text.hpp"
#include "projections/event_text.hpp"
#include "projections/rows.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace orrery::projections {

namespace {

/// Keys of the column family "timeline". A place is the record's time (8), its partition (2) and
/// seq (8), and an entry's index in the record (4): the order of each log, and of all by time.
///
/// A row holds several entries, since the price of a row is paid for each, small or large: that of
/// the first gives the row its place.
enum class prefix : std::uint8_t {
  entry = 1,       ///< place            -> entries of one record (`stored_entry`)
  by_resource = 4, ///< resource place   -> what one record has of it (`resource_row`)
  by_record = 5,   ///< partition (2) seq (8) -> time (8), of each record that has entries
};

/// Entries in one row: few enough that reading one of them costs little, some 2 KB.
constexpr std::uint32_t entries_per_row = 16;

/// Longest line about an event, in bytes: more than any of ours, and a bound for what came from
/// outside.
constexpr std::size_t detail_size_max = 1000;

constexpr std::size_t index_size = 4;
constexpr std::size_t place_size = 18 + index_size;

std::string resource_prefix(const uuid& resource) {
  auto key = key_of(prefix::by_resource);
  add_uuid(key, resource);
  return key;
}

/// The beginning of the place of all entries of a record.
void add_record(std::string& key, std::uint64_t time, partition_number where, std::uint64_t seq) {
  add_u64(key, time);
  add_u16(key, static_cast<std::uint16_t>(where));
  add_u64(key, seq);
}

void add_place(std::string& key, const folded_commit& commit, std::uint32_t index) {
  add_record(key, commit.body->decided_at(), commit.where, commit.seq);
  add_u32(key, index);
}

std::string by_record_prefix(partition_number where) {
  auto key = key_of(prefix::by_record);
  add_u16(key, static_cast<std::uint16_t>(where));
  return key;
}

std::string place_text(partition_number where, std::uint64_t seq, std::uint32_t index) {
  return to_text(where) + "/" + std::to_string(seq) + "/" + std::to_string(index);
}

// An entry as it is stored: its length (4), the ids of command and resource (16 each), and the
// entry without its position, which is its place, without the command, and with only the noun of
// the resource.

void add_entry(std::string& row, const uuid& command, const uuid& resource,
               const v1::TimelineEntry& entry) {
  const auto size = entry.ByteSizeLong();
  add_u32(row, static_cast<std::uint32_t>(2 * uuid_size + size));
  add_uuid(row, command);
  add_uuid(row, resource);
  const auto at = row.size();
  row.resize(at + size);
  entry.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(row.data() + at));
}

// What a record has of one resource: how many entries (4), the index (4) of each, and its steps
// with events: when (8), length (4), and the step.

struct resource_row {
  std::vector<std::uint32_t> entries;
  std::string_view steps;
};

resource_row split_resource_row(std::string_view row) {
  resource_row found;
  const std::size_t count = u32_at(row, 0);
  const auto entries = row.substr(std::min(row.size(), index_size));
  const auto size = std::min(entries.size(), count * index_size);
  for (std::size_t at = 0; at + index_size <= size; at += index_size)
    found.entries.push_back(u32_at(entries, at));
  found.steps = entries.substr(size);
  return found;
}

void add_step(std::string& steps, std::uint64_t at, const v1::Step& step) {
  const auto size = step.ByteSizeLong();
  add_u64(steps, at);
  add_u32(steps, static_cast<std::uint32_t>(size));
  const auto begin = steps.size();
  steps.resize(begin + size);
  step.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(steps.data() + begin));
}

/// The entries of a row, each as it is stored but without its length.
std::vector<std::string_view> split_row(std::string_view row) {
  std::vector<std::string_view> entries;
  while (row.size() >= index_size) {
    const std::size_t size = u32_at(row, 0);
    entries.push_back(row.substr(index_size, size));
    row.remove_prefix(std::min(row.size(), index_size + size));
  }
  return entries;
}

/// The whole entry from what is stored; false and a `failure` of the reader when it makes no sense.
bool whole_entry(const reader& rows, std::string_view place, std::string_view stored,
                 v1::TimelineEntry& entry) {
  constexpr std::size_t ids_size = 2 * uuid_size;
  if (!from_row(rows, stored.substr(std::min(stored.size(), ids_size)), entry))
    return false;
  entry.set_position(place_text(static_cast<partition_number>(u16_at(place, 8)), u64_at(place, 10),
                                u32_at(place, 18)));
  entry.set_command("command_" + to_text(uuid_at(stored, 0)));
  entry.set_resource(resource_text(entry.resource(), uuid_at(stored, uuid_size)));
  return true;
}

/// The rows as if each entry had one of its own, under its own place.
class single_rows final : public reader {
public:
  explicit single_rows(const reader& rows) : x_rows(rows) {}

  [[nodiscard]] std::optional<std::string> find(std::string_view key) const override {
    const auto before_index = key.size() - std::min(key.size(), index_size);
    const auto index = u32_at(key, before_index);
    std::string row_key(key.substr(0, before_index));
    add_u32(row_key, index - index % entries_per_row);
    const auto row = x_rows.find(row_key);
    const auto entries = row ? split_row(*row) : std::vector<std::string_view>();
    if (entries.size() <= index % entries_per_row)
      return std::nullopt;
    return std::string(entries[index % entries_per_row]);
  }

  void scan(const key_range& range, const visitor& visit) const override {
    const bool ascending = range.order == direction::ascending;
    auto rows = range;
    if (ascending && range.after.size() > place_size)
      rows.after.resize(range.after.size() - index_size); // before all rows of that record
    x_rows.scan(rows, [&](std::string_view key, std::string_view row) {
      auto singles = split(key, row);
      if (!ascending)
        std::ranges::reverse(singles);
      return std::ranges::all_of(singles, [&](const auto& one) {
        const bool is_behind =
            range.after.empty() || (ascending ? one.first > range.after : one.first < range.after);
        return !is_behind || visit(one.first, one.second);
      });
    });
  }

private:
  static std::vector<std::pair<std::string, std::string_view>> split(std::string_view key,
                                                                     std::string_view row) {
    std::vector<std::pair<std::string, std::string_view>> found;
    const auto before_index = key.size() - std::min(key.size(), index_size);
    const auto add = [&](std::uint32_t index, std::string_view value) {
      std::string single(key.substr(0, before_index));
      add_u32(single, index);
      found.emplace_back(std::move(single), value);
    };
    if (static_cast<prefix>(key.front()) == prefix::by_resource) {
      for (const auto index : split_resource_row(row).entries)
        add(index, {});
      return found;
    }
    auto index = u32_at(key, before_index);
    for (const auto& entry : split_row(row))
      add(index++, entry);
    return found;
  }

  const reader& x_rows;
};

/// Writes the entries of one commit.
class entry_fold {
public:
  entry_fold(const folded_commit& commit, writer& rows)
      : x_commit(commit), x_touched(commit), x_rows(rows) {}

  void fold() {
    std::uint64_t steps = 0; // as domain::for_each_step counts the time
    for (const auto& decision : x_commit.body->decisions()) {
      const auto first_at = x_commit.body->decided_at() + steps;
      if (decision.steps().empty())
        fold_refusal(decision, from_micros(first_at));
      else
        fold_steps(decision, first_at);
      steps += static_cast<std::uint64_t>(std::max(decision.steps_size(), 1));
    }
    write_entries();
    write_resources();
    if (x_next > 0)
      write_time();
  }

private:
  void fold_refusal(const v1::Decision& decision, utc_time at) {
    const auto& command = decision.command();
    if (decision.reply().code() == 0)
      return; // allowed, and changed nothing
    const auto entity = domain::from_proto(command.entity());
    auto& entry = begin(decision, noun_of(command), at);
    entry.set_type(std::string(refused_type));
    set_time(entry.mutable_effective_at(), at);
    entry.set_detail(
        printable(type_of(command) + ": " +
                      std::string(name_of(static_cast<error_code>(decision.reply().code()))) +
                      ": " + decision.reply().text(),
                  detail_size_max));
    add(decision, entity);
  }

  void fold_steps(const v1::Decision& decision, std::uint64_t first_at) {
    // Of each step: the index of its first event; of a step without events, that of its cause.
    std::vector<std::optional<std::uint32_t>> firsts;
    for (int index = 0; index < decision.steps_size(); ++index) {
      const auto& step = decision.steps(index);
      const auto caused_by = static_cast<std::size_t>(step.caused_by());
      const auto cause = caused_by < firsts.size() ? firsts[caused_by] : std::nullopt;
      firsts.push_back(step.events().empty() ? cause : x_next);
      const auto at = first_at + static_cast<std::uint64_t>(index);
      if (!step.events().empty())
        x_resources.push_back({domain::from_proto(step.entity()), x_next, &step, at});
      fold_step(decision, step, cause ? place_text(x_commit.where, x_commit.seq, *cause) : "",
                from_micros(at));
    }
  }

  void fold_step(const v1::Decision& decision, const v1::Step& step, const std::string& cause,
                 utc_time at) {
    const auto entity = domain::from_proto(step.entity());
    for (const auto& event : step.events()) {
      auto& entry = begin(decision, domain::noun_of(event), at);
      entry.set_type(domain::type_of(event));
      set_time(entry.mutable_effective_at(),
               event.effective_at() == 0 ? at : from_micros(event.effective_at()));
      entry.set_cause(cause);
      entry.set_detail(printable(detail_of(x_touched, entity, event), detail_size_max));
      add(decision, entity);
    }
  }

  /// The entry in the making: one for all, so that the memory of its texts is used again.
  v1::TimelineEntry& begin(const v1::Decision& decision, std::string_view noun, utc_time at) {
    auto& entry = x_entry;
    entry.Clear();
    set_time(entry.mutable_time(), at);
    entry.set_resource(std::string(noun));
    entry.set_who(who(decision.command().principal()));
    return entry;
  }

  void add(const v1::Decision& decision, const uuid& entity) {
    add_entry(x_row, domain::from_proto(decision.command().id()), entity, x_entry);
    x_resources.push_back({entity, x_next++, nullptr, 0});
    if (x_next % entries_per_row == 0)
      write_entries();
  }

  /// The row of the entries made last.
  void write_entries() {
    if (x_row.empty())
      return;
    auto key = key_of(prefix::entry);
    add_place(key, x_commit, (x_next - 1) / entries_per_row * entries_per_row);
    x_rows.put(std::move(key), std::exchange(x_row, {}));
  }

  void write_resources() {
    // A step stands before its entries, and both in the order of the record.
    std::ranges::stable_sort(x_resources, {}, &mention::resource);
    for (auto at = x_resources.begin(); at != x_resources.end();) {
      const auto& resource = at->resource;
      auto key = resource_prefix(resource);
      add_place(key, x_commit, at->index);
      std::uint32_t count = 0;
      std::string indices;
      std::string steps;
      for (; at != x_resources.end() && at->resource == resource; ++at)
        if (at->step != nullptr) {
          add_step(steps, at->at, *at->step);
        } else {
          add_u32(indices, at->index);
          ++count;
        }
      std::string row;
      row.reserve(index_size + indices.size() + steps.size());
      add_u32(row, count);
      x_rows.put(std::move(key), std::move(row.append(indices).append(steps)));
    }
  }

  /// A step with events, or an entry.
  struct mention {
    uuid resource;
    std::uint32_t index = 0;        ///< of the entry; of a step: of its first
    const v1::Step* step = nullptr; ///< null for an entry
    std::uint64_t at = 0;           ///< of the step, in microseconds
  };

  void write_time() {
    auto key = by_record_prefix(x_commit.where);
    add_u64(key, x_commit.seq);
    std::string time;
    add_u64(time, x_commit.body->decided_at());
    x_rows.put(std::move(key), std::move(time));
  }

  const folded_commit& x_commit;
  touched_index x_touched;
  writer& x_rows;
  std::uint32_t x_next = 0; ///< index of the next entry
  v1::TimelineEntry x_entry;
  std::string x_row; ///< entries that are not written yet
  std::vector<mention> x_resources;
};

} // namespace

void timeline::apply(commit_span commits, writer& rows) const {
  for (const auto& commit : commits)
    entry_fold(*commit, rows).fold();
}

result<listing<v1::TimelineEntry>> list_events(const reader& rows, const event_terms& terms,
                                               const page& wanted) {
  const auto at = positions_of(rows);
  const std::string query =
      std::string(terms.order == direction::ascending ? "events up " : "events down ") +
      (terms.resource ? to_text(*terms.resource) : std::string());
  const auto start = open_page(query, wanted, at);
  if (!start)
    return start.error();
  key_range range;
  range.prefix = terms.resource ? resource_prefix(*terms.resource) : key_of(prefix::entry);
  range.order = terms.order;
  listing<v1::TimelineEntry> found;
  const single_rows singles(rows);
  const auto take = [&](std::string_view key, std::string_view value) {
    const auto place = key.substr(key.size() - std::min(key.size(), place_size));
    std::optional<std::string> row;
    if (terms.resource) {
      row = singles.find(key_of(prefix::entry).append(place));
      if (!row)
        return row_fate::passed_over;
      value = *row;
    }
    v1::TimelineEntry entry;
    if (!whole_entry(rows, place, value, entry))
      return row_fate::passed_over;
    found.items.push_back(std::move(entry));
    return row_fate::taken;
  };
  found.next_token = walk_page(singles, query, *start, range, at, take);
  found.at = at;
  return found;
}

void for_each_step(const reader& rows, const uuid& resource,
                   const std::function<bool(const told_step&)>& visit) {
  key_range range;
  range.prefix = resource_prefix(resource);
  rows.scan(range, [&](std::string_view key, std::string_view row) {
    constexpr std::size_t head_size = 12;
    const auto place = key.substr(key.size() - std::min(key.size(), place_size));
    told_step told;
    told.recorded_at = from_micros(u64_at(place, 0));
    told.where = static_cast<partition_number>(u16_at(place, 8));
    told.seq = u64_at(place, 10);
    auto steps = split_resource_row(row).steps;
    while (steps.size() >= head_size) {
      const std::size_t size = u32_at(steps, 8);
      told.at = from_micros(u64_at(steps, 0));
      if (!from_row(rows, steps.substr(head_size, size), told.step) || !visit(told))
        return false;
      steps.remove_prefix(std::min(steps.size(), head_size + size));
    }
    return true;
  });
}

// Following
// -------------------------------------------------------------------------------------------------

namespace {

/// Records of one partition that are looked up at once.
constexpr std::size_t records_listed_max = 64;

/// The records of one partition that have entries behind a place.
class record_cursor {
public:
  record_cursor(const reader& rows, partition_number where, const entry_place& after,
                std::uint64_t last_seq)
      : x_where(where), x_after(after) {
    key_range range;
    range.prefix = by_record_prefix(where);
    range.after = range.prefix;
    // A record of which some entries are to come yet is looked at once more.
    const auto passed = after.entry && after.seq > 0 ? after.seq - 1 : after.seq;
    add_u64(range.after, passed);
    rows.scan(range, [&](std::string_view key, std::string_view value) {
      const auto seq = u64_at(key, range.prefix.size());
      if (seq > last_seq)
        return false;
      x_records.push_back({seq, u64_at(value, 0)});
      return x_records.size() < records_listed_max;
    });
    x_is_whole = x_records.size() < records_listed_max;
  }

  [[nodiscard]] partition_number where() const { return x_where; }

  [[nodiscard]] bool is_at_end() const { return x_next == x_records.size(); }

  /// At the end, but not of all that there is.
  [[nodiscard]] bool is_cut() const { return is_at_end() && !x_is_whole; }

  /// At the end it is later than any.
  [[nodiscard]] std::uint64_t time() const {
    return is_at_end() ? std::numeric_limits<std::uint64_t>::max() : x_records[x_next].time;
  }

  [[nodiscard]] std::uint64_t seq() const { return x_records[x_next].seq; }

  /// The last entry of the record that is known already.
  [[nodiscard]] std::optional<std::uint32_t> known() const {
    return x_after.entry && x_after.seq == seq() ? x_after.entry : std::nullopt;
  }

  void pass() { ++x_next; }

private:
  struct record {
    std::uint64_t seq = 0;
    std::uint64_t time = 0;
  };

  partition_number x_where;
  entry_place x_after;
  std::vector<record> x_records;
  std::size_t x_next = 0;
  bool x_is_whole = false;
};

/// One for each partition in which something may follow.
std::vector<record_cursor> cursors_behind(const reader& rows, const entry_places& after,
                                          const log_positions& upto) {
  std::vector<record_cursor> made;
  for (const auto& [where, end] : upto.all()) {
    const auto at = after.find(where);
    const auto place = at == after.end() ? entry_place{} : at->second;
    if (place.seq < end.seq || place.entry)
      made.emplace_back(rows, where, place, end.seq);
  }
  return made;
}

/// Adds what is to come of the record under the cursor, up to `count_max` entries in `found`. False
/// when there are more.
bool add_record_entries(const reader& rows, const record_cursor& from, following_entries& found,
                        std::size_t count_max) {
  key_range range;
  range.prefix = key_of(prefix::entry);
  add_record(range.prefix, from.time(), from.where(), from.seq());
  if (const auto known = from.known()) {
    range.after = range.prefix;
    add_u32(range.after, *known);
  }
  bool is_cut = false;
  std::optional<std::uint32_t> last;
  single_rows(rows).scan(range, [&](std::string_view key, std::string_view value) {
    if (found.entries.size() == count_max) {
      is_cut = true;
      return false;
    }
    const auto place = key.substr(key.size() - place_size);
    v1::TimelineEntry entry;
    if (!whole_entry(rows, place, value, entry))
      return false;
    last = u32_at(place, place_size - index_size);
    found.entries.push_back({std::move(entry), from.where(), {from.seq(), last}});
    return true;
  });
  if (is_cut && !last)
    return false; // nothing of it
  if (last && !is_cut)
    found.entries.back().at.entry.reset();
  found.reached[from.where()] = {from.seq(), is_cut ? last : std::nullopt};
  return !is_cut;
}

} // namespace

bool is_before(const entry_places& places, const log_positions& upto) {
  return std::ranges::any_of(upto.all(), [&places](const auto& one) {
    const auto at = places.find(one.first);
    return at == places.end() || at->second.seq < one.second.seq || at->second.entry;
  });
}

following_entries list_following(const reader& rows, const entry_places& after,
                                 const log_positions& upto, std::size_t count_max) {
  following_entries found;
  found.reached = after;
  auto cursors = cursors_behind(rows, after, upto);
  // Where one has come to the end of what it looked up, what comes next there may be older than the
  // others'.
  while (std::ranges::none_of(cursors, &record_cursor::is_cut)) {
    const auto first = std::ranges::min_element(cursors, {}, &record_cursor::time);
    if (first == cursors.end() || first->is_at_end())
      break;
    if (found.entries.size() == count_max || !add_record_entries(rows, *first, found, count_max))
      return found;
    first->pass();
  }
  if (std::ranges::any_of(cursors, &record_cursor::is_cut))
    return found;
  for (const auto& [where, end] : upto.all()) // records without entries lie behind the last ones
    found.reached[where] = {end.seq, std::nullopt};
  return found;
}

bool has_events(const reader& rows, const uuid& resource) {
  bool any = false;
  key_range range;
  range.prefix = resource_prefix(resource);
  rows.scan(range, [&any](std::string_view, std::string_view) {
    any = true;
    return false;
  });
  return any;
}

} // namespace orrery::projections
