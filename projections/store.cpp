#include "projections/store.hpp"

#include "events/core/check.hpp"
#include "events/core/text.hpp"
#include "projections/database.hpp"
#include "projections/row_digest.hpp"
#include "projections/rows.hpp"
#include "projections/usage.hpp"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>

namespace orrery::projections {

namespace {

/// One projection and where it stands. Its family has the same place in the database.
struct fold_line {
  std::unique_ptr<const projection> fold;
  log_positions at;
};

/// Of a wrong name in an error.
constexpr std::size_t shown_name_max = 40;

} // namespace

error no_projection(std::string_view name) {
  return {error_code::not_found,
          "there is no projection '" + printable(name, shown_name_max) +
              "': `orrery projection list` shows what there is",
          false};
}

struct store::implementation {
  std::string path;
  std::vector<fold_line> lines; ///< `at` is guarded by `mutex`; only the applying thread changes it
  std::unique_ptr<database> rows;

  std::mutex applying; ///< held by the one thread that applies
  mutable std::mutex mutex;
  mutable std::condition_variable moved;
  std::optional<error> stalled; ///< guarded by `mutex`

  [[nodiscard]] result<void> open();
  [[nodiscard]] std::vector<log_positions> positions() const;
  [[nodiscard]] result<std::size_t> apply_batch(commit_span commits);
  void stall(const error& why);
  [[nodiscard]] result<void> write(database::changes& changes,
                                   const std::vector<log_positions>& reached);

  template <class View>
  [[nodiscard]] result<answer<View>> find(std::string_view name_or_id, const as_of& when) const;

  /// The family of a projection.
  [[nodiscard]] std::size_t family_of(std::string_view name) const {
    const auto found =
        std::ranges::find_if(lines, [name](const auto& one) { return one.fold->name() == name; });
    ORRERY_CHECK(found != lines.end());
    return static_cast<std::size_t>(found - lines.begin());
  }
};

// Opening
// -------------------------------------------------------------------------------------------------

result<void> store::implementation::open() {
  std::vector<family_wish> families;
  for (const auto& line : lines)
    families.push_back({std::string(line.fold->name()), line.fold->version()});
  auto opened = database::open(path, std::move(families));
  if (!opened)
    return opened.error();
  rows = std::move(*opened);
  const auto now = rows->now();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto stored = now->rows(i);
    lines[i].at = positions_of(*stored);
    if (stored->failure())
      return *stored->failure();
  }
  return {};
}

result<std::unique_ptr<store>> store::open(const std::string& path, projection_list projections) {
  auto made = std::make_unique<implementation>();
  made->path = path;
  for (auto& fold : projections)
    made->lines.push_back({std::move(fold), {}});
  if (const auto opened = made->open(); !opened)
    return opened.error();
  return std::unique_ptr<store>(new store(std::move(made)));
}

store::store(std::unique_ptr<implementation> made) : x_implementation(std::move(made)) {}

store::~store() = default;

// Folding
// -------------------------------------------------------------------------------------------------

std::vector<log_positions> store::implementation::positions() const {
  const std::lock_guard lock(mutex);
  std::vector<log_positions> found;
  found.reserve(lines.size());
  for (const auto& line : lines)
    found.push_back(line.at);
  return found;
}

result<void> store::implementation::write(database::changes& changes,
                                          const std::vector<log_positions>& reached) {
  const bool has_moved = !std::ranges::equal(reached, lines, {}, {}, &fold_line::at);
  if (!has_moved)
    return {};
  for (std::size_t i = 0; i < lines.size(); ++i)
    for (const auto& [where, position] : reached[i].all())
      if (position != lines[i].at.at(where))
        changes.rows(i).put(position_key(where), to_row(position));
  if (auto written = rows->write(changes); !written)
    return written;
  const std::lock_guard lock(mutex);
  stalled.reset();
  for (std::size_t i = 0; i < lines.size(); ++i)
    lines[i].at = reached[i];
  moved.notify_all();
  return {};
}

/// What `store::stalled` says until the next write.
void store::implementation::stall(const error& why) {
  if (!why.retryable)
    return;
  const std::lock_guard lock(mutex);
  stalled = why;
  moved.notify_all();
}

/// Folds as many of the commits as one batch takes, and writes them; says how many that were.
result<std::size_t> store::implementation::apply_batch(commit_span commits) {
  const auto changes = rows->begin_changes();
  auto reached = positions();
  std::size_t folded = 0;
  for (std::size_t bytes = 0;
       folded < std::min(commits.size(), batch_commits_max) && bytes < batch_bytes_max; ++folded) {
    ORRERY_CHECK(commits[folded]->body != nullptr);
    bytes += commits[folded]->bytes;
  }
  commits = commits.first(folded);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::vector<std::shared_ptr<const folded_commit>> wanted; // most often all
    wanted.reserve(commits.size());
    for (const auto& commit : commits) {
      const auto& at = reached[i].at(commit->where);
      if (commit->seq == at.seq && commit->head != at.head)
        return built_from_another(path, lines[i].fold->name(), *commit, at.head);
      if (commit->seq <= at.seq)
        continue;
      reached[i].set(commit->where, {commit->seq, commit->head});
      wanted.push_back(commit);
    }
    if (!wanted.empty())
      lines[i].fold->apply(wanted, changes->rows(i));
  }
  if (const auto written = write(*changes, reached); !written)
    return written.error();
  return folded;
}

result<void> store::apply(commit_span commits) {
  const std::lock_guard lock(x_implementation->applying);
  while (!commits.empty()) {
    const auto folded = x_implementation->apply_batch(commits);
    if (!folded) {
      x_implementation->stall(folded.error());
      return folded.error();
    }
    commits = commits.subspan(*folded);
  }
  return {};
}

std::optional<error> store::stalled() const {
  const std::lock_guard lock(x_implementation->mutex);
  return x_implementation->stalled;
}

result<void> store::check(partition_number where, std::uint64_t seq,
                          const std::array<std::uint8_t, 32>& head) const {
  const std::lock_guard lock(x_implementation->mutex);
  for (const auto& line : x_implementation->lines)
    if (const auto& at = line.at.at(where); at.seq == seq && at.head != head && seq != 0) {
      folded_commit one;
      one.where = where;
      one.seq = seq;
      one.head = head;
      return built_from_another(x_implementation->path, line.fold->name(), one, at.head);
    }
  return {};
}

result<void> store::check_log_end(partition_number where, std::uint64_t last_seq) const {
  const auto positions = x_implementation->positions();
  for (std::size_t i = 0; i < positions.size(); ++i)
    if (const auto seq = positions[i].at(where).seq; seq > last_seq)
      return error{
          error_code::log_cut,
          "the log of partition " + to_text(where) + " ends with record " +
              std::to_string(last_seq) + ", before record " + std::to_string(seq) +
              " that projection '" + std::string(x_implementation->lines[i].fold->name()) +
              "' in " + x_implementation->path +
              " was built from: acknowledged records are lost. Restore the log; delete that folder "
              "only if you accept the loss",
          false};
  return {};
}

std::vector<projection_status> store::status() const {
  const auto positions = x_implementation->positions();
  std::vector<projection_status> found;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const auto& line = x_implementation->lines[i];
    found.push_back({line.fold->name(), line.fold->version(), positions[i],
                     x_implementation->rows->was_dropped(i)});
  }
  return found;
}

std::optional<log_positions> store::positions(std::string_view projection) const {
  for (const auto& one : status())
    if (one.name == projection)
      return one.at;
  return std::nullopt;
}

log_position store::lowest_position(partition_number where) const {
  return lowest_positions().at(where);
}

log_positions store::lowest_positions() const {
  const auto positions = x_implementation->positions();
  log_positions lowest;
  if (positions.empty())
    return lowest;
  for (const auto& [where, first] : positions.front().all()) {
    auto at = first;
    for (const auto& other : positions)
      at = std::min(at, other.at(where), [](auto& x, auto& y) { return x.seq < y.seq; });
    lowest.set(where, at);
  }
  return lowest;
}

bool store::wait_for(partition_number where, std::uint64_t seq,
                     std::chrono::milliseconds timeout) const {
  std::unique_lock lock(x_implementation->mutex);
  const auto is_reached = [this, where, seq] {
    return std::ranges::all_of(x_implementation->lines, [where, seq](const auto& line) {
      return line.at.at(where).seq >= seq;
    });
  };
  static_cast<void>(x_implementation->moved.wait_for(
      lock, timeout, [&] { return is_reached() || x_implementation->stalled; }));
  return is_reached();
}

bool store::wait_for_thing(const uuid& id, std::chrono::milliseconds timeout) const {
  const auto is_there = [this, &id] {
    const auto now = x_implementation->rows->now();
    return is_known(*now->rows(x_implementation->family_of(inventory::family)), id);
  };
  std::unique_lock lock(x_implementation->mutex);
  static_cast<void>(x_implementation->moved.wait_for(
      lock, timeout, [&] { return is_there() || x_implementation->stalled; }));
  return is_there();
}

result<std::string> store::digest() const {
  const auto now = x_implementation->rows->now();
  std::vector<std::string_view> names;
  for (const auto& line : x_implementation->lines)
    names.push_back(line.fold->name());
  std::ranges::sort(names);
  row_digest made;
  for (const auto& name : names) {
    const auto rows = now->rows(x_implementation->family_of(name));
    made.add(name, *rows);
    if (rows->failure())
      return *rows->failure();
  }
  return made.finish();
}

// Folding again
// -------------------------------------------------------------------------------------------------

result<std::unique_ptr<refolding>>
store::begin_refolding(std::string_view projection, refold_aim aim, std::size_t gathered_bytes) {
  auto& own = *x_implementation;
  const auto known = std::ranges::find_if(
      own.lines, [projection](const auto& one) { return one.fold->name() == projection; });
  if (known == own.lines.end())
    return no_projection(projection);
  const auto family = own.family_of(projection);
  auto rows = own.rows->begin_bulk(family);
  if (!rows)
    return rows.error();
  auto old = aim == refold_aim::compare ? own.rows->now()->rows(family) : nullptr;
  return std::make_unique<refolding>(*known->fold, own.path, std::move(*rows), std::move(old),
                                     gathered_bytes);
}

std::unique_lock<std::mutex> store::hold() { return std::unique_lock(x_implementation->applying); }

result<void> store::replace(const std::unique_lock<std::mutex>& held, refolding& made) {
  auto& own = *x_implementation;
  auto& line = own.lines[own.family_of(made.name())];
  ORRERY_CHECK(held.mutex() == &own.applying && held.owns_lock());
  ORRERY_CHECK(made.is_at_least(line.at));
  if (auto written = made.write_out(); !written)
    return written;
  if (auto replaced = own.rows->replace(*made.x_rows); !replaced)
    return replaced;
  const std::lock_guard lock(own.mutex);
  line.at = made.at();
  own.moved.notify_all();
  return {};
}

// Questions
// -------------------------------------------------------------------------------------------------

namespace {

/// The answer, unless one of the rows that it came from could not be read.
template <class Answer> Answer judged(Answer said, std::initializer_list<const reader*> from) {
  for (const auto* rows : from)
    if (rows->failure())
      return *rows->failure();
  return said;
}

} // namespace

result<listing<v1::Vm>> store::list_vms(const vm_filter& filter, const page& wanted) const {
  const auto now = x_implementation->rows->now();
  const auto rows = now->rows(x_implementation->family_of(inventory::family));
  return judged(projections::list_vms(*rows, filter, wanted), {rows.get()});
}

result<listing<v1::Cluster>> store::list_clusters(const inventory_filter& filter,
                                                  const page& wanted) const {
  const auto now = x_implementation->rows->now();
  const auto rows = now->rows(x_implementation->family_of(inventory::family));
  return judged(projections::list_clusters(*rows, filter, wanted), {rows.get()});
}

result<listing<v1::Node>> store::list_nodes(const inventory_filter& filter,
                                            const page& wanted) const {
  const auto now = x_implementation->rows->now();
  const auto rows = now->rows(x_implementation->family_of(inventory::family));
  return judged(projections::list_nodes(*rows, filter, wanted), {rows.get()});
}

result<listing<v1::Network>> store::list_networks(const inventory_filter& filter,
                                                  const page& wanted) const {
  const auto now = x_implementation->rows->now();
  const auto rows = now->rows(x_implementation->family_of(inventory::family));
  return judged(projections::list_networks(*rows, filter, wanted), {rows.get()});
}

template <class View>
result<answer<View>> store::implementation::find(std::string_view name_or_id,
                                                 const as_of& when) const {
  const auto now = rows->now();
  const auto things = now->rows(family_of(inventory::family));
  if (when.is_now())
    return judged(find_thing<View>(*things, name_or_id), {things.get()});
  const auto history = now->rows(family_of(timeline::family));
  return judged(find_thing<View>(*things, *history, name_or_id, when),
                {things.get(), history.get()});
}

result<answer<v1::Vm>> store::find_vm(std::string_view name_or_id, const as_of& when) const {
  return x_implementation->find<v1::Vm>(name_or_id, when);
}

result<answer<v1::Cluster>> store::find_cluster(std::string_view name_or_id,
                                                const as_of& when) const {
  return x_implementation->find<v1::Cluster>(name_or_id, when);
}

result<answer<v1::Node>> store::find_node(std::string_view name_or_id, const as_of& when) const {
  return x_implementation->find<v1::Node>(name_or_id, when);
}

result<answer<v1::Network>> store::find_network(std::string_view name_or_id,
                                                const as_of& when) const {
  return x_implementation->find<v1::Network>(name_or_id, when);
}

result<answer<v1::Installation>> store::find_installation(const uuid& id) const {
  const auto now = x_implementation->rows->now();
  const auto rows = now->rows(x_implementation->family_of(inventory::family));
  return judged(projections::find_installation(*rows, id), {rows.get()});
}

result<listing<v1::Job>> store::list_jobs(const job_filter& filter, const page& wanted) const {
  const auto now = x_implementation->rows->now();
  const auto things = now->rows(x_implementation->family_of(inventory::family));
  const auto rows = now->rows(x_implementation->family_of(jobs::family));
  job_terms terms;
  terms.state = filter.state;
  if (!filter.resource.empty()) {
    const auto found = find_resource(*things, filter.resource);
    if (!found)
      return judged(result<listing<v1::Job>>(found.error()), {things.get()});
    terms.resource = *found;
  }
  return judged(projections::list_jobs(*rows, terms, wanted), {things.get(), rows.get()});
}

result<answer<v1::Job>> store::find_job(std::string_view id) const {
  const auto now = x_implementation->rows->now();
  const auto rows = now->rows(x_implementation->family_of(jobs::family));
  return judged(projections::find_job(*rows, id), {rows.get()});
}

namespace {

/// A thing that is, was, or has events.
result<uuid> find_eventful(const reader& things, const reader& events,
                           std::string_view name_or_id) {
  auto found = find_resource(things, name_or_id);
  if (!found || is_known(things, *found) || has_events(events, *found))
    return found;
  return error{error_code::not_found,
               "there is and was no resource " + to_text(*found) +
                   ": `orrery vm list`, `orrery node list` and so on show what there is",
               false};
}

} // namespace

result<uuid> store::id_of_resource(std::string_view name_or_id) const {
  const auto now = x_implementation->rows->now();
  const auto things = now->rows(x_implementation->family_of(inventory::family));
  const auto rows = now->rows(x_implementation->family_of(timeline::family));
  return judged(find_eventful(*things, *rows, name_or_id), {things.get(), rows.get()});
}

result<following_entries> store::list_following(const entry_places& after,
                                                const log_positions& upto,
                                                std::size_t count_max) const {
  const auto now = x_implementation->rows->now();
  const auto rows = now->rows(x_implementation->family_of(timeline::family));
  return judged(
      result<following_entries>(projections::list_following(*rows, after, upto, count_max)),
      {rows.get()});
}

result<listing<v1::TimelineEntry>> store::list_events(const event_filter& filter,
                                                      const page& wanted) const {
  const auto now = x_implementation->rows->now();
  const auto things = now->rows(x_implementation->family_of(inventory::family));
  const auto rows = now->rows(x_implementation->family_of(timeline::family));
  event_terms terms;
  terms.order = filter.order;
  if (!filter.resource.empty()) {
    const auto found = find_eventful(*things, *rows, filter.resource);
    if (!found)
      return judged(result<listing<v1::TimelineEntry>>(found.error()), {things.get(), rows.get()});
    terms.resource = *found;
  }
  return judged(projections::list_events(*rows, terms, wanted), {things.get(), rows.get()});
}

namespace {

result<usage_terms> terms_of(const reader& things, const usage_filter& filter) {
  usage_terms terms{filter.from, filter.to, {}, {}, filter.what};
  if (!filter.vm.empty()) {
    const auto found = find_vm_that_was(things, filter.vm);
    if (!found)
      return found.error();
    terms.vm = *found;
  }
  if (!filter.cluster.empty()) {
    const auto found = find_thing<v1::Cluster>(things, filter.cluster);
    if (!found)
      return found.error();
    terms.cluster = parse_id<cluster_tag>(found->value.id()).value().value;
  }
  return terms;
}

/// Puts the names of clusters into rows that have their ids.
template <class Row> void join_clusters(const reader& things, std::vector<Row>& rows) {
  std::map<std::string, std::string> names;
  for (auto& row : rows) {
    const auto [at, is_new] = names.try_emplace(row.cluster().id());
    if (is_new)
      if (const auto found = find_thing<v1::Cluster>(things, at->first))
        at->second = found->value.name();
    row.mutable_cluster()->set_name(at->second);
  }
}

/// Asks the usage in one moment with the inventory.
template <class Row, class Question>
result<listing<Row>> ask_usage(const reader& things, const reader& rows, const usage_filter& filter,
                               const page& wanted, Question question) {
  const auto terms = terms_of(things, filter);
  if (!terms)
    return judged(result<listing<Row>>(terms.error()), {&things});
  auto found = question(rows, *terms, wanted);
  if constexpr (!std::is_same_v<Row, v1::UsageTotal>)
    if (found)
      join_clusters(things, found->items);
  return judged(std::move(found), {&things, &rows});
}

} // namespace

result<listing<v1::UsageInterval>> store::list_usage(const usage_filter& filter,
                                                     const page& wanted) const {
  const auto now = x_implementation->rows->now();
  const auto things = now->rows(x_implementation->family_of(inventory::family));
  const auto rows = now->rows(x_implementation->family_of(usage::family));
  return ask_usage<v1::UsageInterval>(*things, *rows, filter, wanted, projections::list_usage);
}

result<listing<v1::VmUsage>> store::list_vm_usage(const usage_filter& filter,
                                                  const page& wanted) const {
  const auto now = x_implementation->rows->now();
  const auto things = now->rows(x_implementation->family_of(inventory::family));
  const auto rows = now->rows(x_implementation->family_of(usage::family));
  return ask_usage<v1::VmUsage>(*things, *rows, filter, wanted, projections::list_vm_usage);
}

result<listing<v1::UsageTotal>> store::list_total_usage(const usage_filter& filter,
                                                        const page& wanted) const {
  const auto now = x_implementation->rows->now();
  const auto things = now->rows(x_implementation->family_of(inventory::family));
  const auto rows = now->rows(x_implementation->family_of(usage::family));
  return ask_usage<v1::UsageTotal>(*things, *rows, filter, wanted, projections::list_total_usage);
}

} // namespace orrery::projections
