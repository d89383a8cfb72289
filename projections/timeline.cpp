#include "projections/timeline.hpp"

#include "events/core/text.hpp"
#include "projections/event_text.hpp"
#include "projections/rows.hpp"

#include <algorithm>

namespace orrery::projections {

namespace {

/// Keys of the column family "timeline". A place is the record's time (8), its partition (2) and
/// seq (8), and the entry's index in the record (4): the order of each log, and of all by time.
enum class prefix : std::uint8_t {
  entry = 1,       ///< place            -> v1::TimelineEntry
  by_resource = 4, ///< resource place   -> nothing
};

/// Longest line about an event, in bytes: more than any of ours, and a bound for what came from
/// outside.
constexpr std::size_t detail_size_max = 1000;

constexpr std::size_t place_size = 22;

std::string resource_prefix(const uuid& resource) {
  auto key = key_of(prefix::by_resource);
  add_uuid(key, resource);
  return key;
}

void add_place(std::string& key, const folded_commit& commit, std::uint32_t index) {
  add_u64(key, commit.body->decided_at());
  add_u16(key, static_cast<std::uint16_t>(commit.where));
  add_u64(key, commit.seq);
  add_u32(key, index);
}

std::string place_text(const folded_commit& commit, std::uint32_t index) {
  return to_text(commit.where) + "/" + std::to_string(commit.seq) + "/" + std::to_string(index);
}

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
  }

private:
  void fold_refusal(const v1::Decision& decision, utc_time at) {
    const auto& command = decision.command();
    if (decision.reply().code() == 0)
      return; // allowed, and changed nothing
    const auto entity = domain::from_proto(command.entity());
    auto& entry = begin(decision, noun_of(command), entity, at);
    entry.set_type(std::string(refused_type));
    set_time(entry.mutable_effective_at(), at);
    entry.set_detail(
        printable(type_of(command) + ": " +
                      std::string(name_of(static_cast<error_code>(decision.reply().code()))) +
                      ": " + decision.reply().text(),
                  detail_size_max));
    write(entity, entry);
  }

  void fold_steps(const v1::Decision& decision, std::uint64_t first_at) {
    // Of each step: the position of its first event; of a step without events, that of its cause.
    std::vector<std::string> first_places;
    for (int index = 0; index < decision.steps_size(); ++index) {
      const auto& step = decision.steps(index);
      const auto caused_by = static_cast<std::size_t>(step.caused_by());
      const auto cause = caused_by < first_places.size() ? first_places[caused_by] : std::string();
      first_places.push_back(step.events().empty() ? cause : place_text(x_commit, x_next));
      fold_step(decision, step, cause, from_micros(first_at + static_cast<std::uint64_t>(index)));
    }
  }

  void fold_step(const v1::Decision& decision, const v1::Step& step, const std::string& cause,
                 utc_time at) {
    const auto entity = domain::from_proto(step.entity());
    for (const auto& event : step.events()) {
      auto& entry = begin(decision, domain::noun_of(event), entity, at);
      entry.set_type(domain::type_of(event));
      set_time(entry.mutable_effective_at(),
               event.effective_at() == 0 ? at : from_micros(event.effective_at()));
      entry.set_cause(cause);
      entry.set_detail(printable(detail_of(x_touched, entity, event), detail_size_max));
      write(entity, entry);
    }
  }

  /// The entry in the making: one for all, so that the memory of its texts is used again.
  v1::TimelineEntry& begin(const v1::Decision& decision, std::string_view noun, const uuid& entity,
                           utc_time at) {
    auto& entry = x_entry;
    entry.Clear();
    entry.set_position(place_text(x_commit, x_next));
    set_time(entry.mutable_time(), at);
    entry.set_resource(resource_text(noun, entity));
    entry.set_who(who(decision.command().principal()));
    entry.set_command("command_" + to_text(domain::from_proto(decision.command().id())));
    return entry;
  }

  void write(const uuid& entity, const v1::TimelineEntry& entry) {
    const auto index = x_next++;
    auto key = key_of(prefix::entry);
    add_place(key, x_commit, index);
    x_rows.put(std::move(key), to_row(entry));
    auto index_key = resource_prefix(entity);
    add_place(index_key, x_commit, index);
    x_rows.put(std::move(index_key), {});
  }

  const folded_commit& x_commit;
  touched_index x_touched;
  writer& x_rows;
  std::uint32_t x_next = 0;
  v1::TimelineEntry x_entry;
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
  const auto take = [&](std::string_view key, std::string_view value) {
    std::optional<std::string> row;
    if (terms.resource) {
      auto entry_key = key_of(prefix::entry);
      entry_key += key.substr(key.size() - std::min(key.size(), place_size));
      row = rows.find(entry_key);
      if (!row)
        return row_fate::passed_over;
      value = *row;
    }
    v1::TimelineEntry entry;
    if (!from_row(rows, value, entry))
      return row_fate::passed_over;
    found.items.push_back(std::move(entry));
    return row_fate::taken;
  };
  found.next_token = walk_page(rows, query, *start, range, at, take);
  found.at = at;
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
