#include "projections/usage_query.hpp"

#include "events/core/wide.hpp"
#include "projections/rows.hpp"
#include "projections/usage_rows.hpp"
#include "projections/views.hpp"

#include <algorithm>
#include <array>
#include <compare>
#include <map>
#include <utility>
#include <vector>

namespace orrery::projections {

namespace {

struct meter_words {
  meter what;
  std::string_view name;
  std::string_view unit;
};

constexpr std::array<meter_words, 4> meters{{{meter::nic_address, "nic.address", "address"},
                                             {meter::vm_memory, "vm.memory", "MiB"},
                                             {meter::vm_state, "vm.state", "vm"},
                                             {meter::vm_vcpu, "vm.vcpu", "vcpu"}}};

const meter_words& words_of(meter what) {
  return *std::ranges::find(meters, what, &meter_words::what);
}

/// How much of a meter a VM has, all its life: nothing changes its size yet. Of addresses: at
/// least.
std::uint64_t amount_of(const usage_life& life, meter what) {
  switch (what) {
  case meter::vm_memory:
    return life.memory_mib;
  case meter::vm_vcpu:
    return life.vcpus;
  case meter::vm_state:
  case meter::nic_address:
    break;
  }
  return 1;
}

/// The order of lists: by creation. It never changes, so a VM that ends while a list is read page
/// by page is neither missed nor told twice.
struct life_order {
  micros created = 0;
  uuid vm;

  friend auto operator<=>(const life_order&, const life_order&) = default;
};

life_order order_of(const usage_life& life) { return {life.created, life.vm}; }

life_order order_of(const life_place& place) { return {place.created, place.vm}; }

life_order next(life_order order) {
  if (++order.vm.b == 0)
    ++order.vm.a; // ids of 128 ones are not UUIDs
  return order;
}

// Where a page of intervals begins: behind the interval of this VM and meter that began then.
struct interval_place {
  life_order life;
  std::uint8_t what = 0;
  micros start = 0;
};

std::string to_key(const interval_place& place) {
  std::string key;
  add_u64(key, place.life.created);
  add_uuid(key, place.life.vm);
  add_u8(key, place.what);
  add_u64(key, place.start);
  return key;
}

interval_place interval_place_from(std::string_view key) {
  interval_place place;
  place.life = {u64_at(key, 0), uuid_at(key, 8)};
  place.what = key.size() > 24 ? static_cast<std::uint8_t>(key[24]) : 0;
  place.start = u64_at(key, 25);
  return place;
}

std::string to_key(const life_order& order) {
  std::string key;
  add_u64(key, order.created);
  add_uuid(key, order.vm);
  return key;
}

/// What lies within the asked time of a life.
struct span_of_life {
  micros begin = 0;
  micros end = 0;
  bool open = false; ///< ends with the log, not with the life nor as asked

  [[nodiscard]] bool is_empty() const { return begin >= end; }
};

/// Some lives in order.
struct found_lives {
  std::vector<usage_life> lives;
  std::optional<life_order> more_after; ///< nothing: these were the last
};

/// The rows, as one question reads them.
class usage_reader {
public:
  usage_reader(const reader& rows, const usage_terms& terms)
      : x_rows(rows), x_terms(terms), x_from(to_micros(terms.from)), x_to(to_micros(terms.to)) {}

  /// The first lives that overlap the asked time, not before `least`.
  [[nodiscard]] found_lives find_lives(const life_order& least, std::size_t wanted) const {
    walk found{least, wanted, {}, {}};
    if (x_terms.vm)
      walk_vm(found);
    else
      for (std::uint8_t life_class = 0; life_class < life_classes; ++life_class)
        walk_class(life_class, found);
    auto& places = found.places;
    std::ranges::sort(places, {}, [](const life_place& one) { return order_of(one); });
    found_lives made;
    if (found.known_until) {
      std::erase_if(places, [&](const auto& one) { return order_of(one) > *found.known_until; });
      made.more_after = found.known_until;
    }
    if (places.size() > wanted) {
      places.resize(wanted);
      made.more_after = order_of(places.back());
    }
    for (const auto& place : places)
      if (auto life = read(place))
        made.lives.push_back(std::move(*life));
    return made;
  }

  [[nodiscard]] span_of_life span_of(const usage_life& life, micros since) {
    span_of_life span;
    span.begin = std::max({life.created, x_from, since});
    const auto known = life.end ? *life.end : std::max(head_of(life.vm), life.last.end());
    span.end = std::min(known, x_to);
    span.open = !life.end && known < x_to;
    return span;
  }

  /// Calls `visit(phase)` for the phases from `span.begin` on, cut at both ends; stops when it
  /// gives false.
  template <class Visitor>
  void visit_phases(const usage_life& life, const span_of_life& span, Visitor visit) const {
    bool goes_on = true;
    const auto show = [&](usage_phase phase) {
      phase.start = std::max(phase.start, span.begin);
      phase.end = std::min(phase.end, span.end);
      goes_on = phase.start >= phase.end || visit(phase);
      return goes_on;
    };
    if (span.begin < life.last.start) {
      key_range range;
      range.prefix = run_prefix(life.vm);
      range.after = run_key(life.vm, run_start(life, span.begin));
      range.after.pop_back(); // sorts before that key, and behind all that are too early
      x_rows.scan(range, [&](std::string_view key, std::string_view row) {
        const auto run = read_run(key, row);
        if (!run || run->start >= std::min(span.end, life.last.start))
          return false;
        if (run->end() > span.begin)
          static_cast<void>(run->walk(show));
        return goes_on;
      });
    }
    if (goes_on)
      static_cast<void>(life.last.walk(show));
    if (!goes_on || life.end)
      return;
    auto now = life.now();
    now.end = span.end;
    static_cast<void>(show(now));
  }

  /// Calls `visit(start, end, count)` for how many addresses it has from when to when within a
  /// span; neighbours have other counts. Stops when it gives false.
  template <class Visitor>
  void visit_addresses(const usage_life& life, const span_of_life& span, Visitor visit) const {
    if (life.address_at == 0)
      return;
    micros start = life.address_at;
    std::uint64_t count = 1;
    bool goes_on = true;
    const auto show = [&](micros end) {
      const auto first = std::max(start, span.begin);
      const auto last = std::min(end, span.end);
      goes_on = first >= last || count == 0 || visit(first, last, count);
    };
    if (life.has_further_addresses)
      x_rows.scan({.prefix = addresses_prefix(life.vm), .after = {}},
                  [&](std::string_view key, std::string_view row) {
                    const auto at = u64_at(key, 1 + uuid_size);
                    const auto next = u32_at(row, 0);
                    if (at >= span.end)
                      return false;
                    if (next == count)
                      return true;
                    show(at);
                    start = std::max(at, start);
                    count = next;
                    return goes_on;
                  });
    if (goes_on)
      show(span.end);
  }

  /// Microseconds in each state within a span.
  [[nodiscard]] time_in_states times_in(const usage_life& life, const span_of_life& span) const {
    auto times = times_until(life, span.end);
    const auto before = times_until(life, span.begin);
    for (std::size_t i = 0; i < times.size(); ++i)
      times[i] -= before[i];
    return times;
  }

private:
  struct walk {
    life_order least;
    std::size_t wanted = 0;
    std::vector<life_place> places;
    std::optional<life_order> known_until; ///< some class was not read further
  };

  [[nodiscard]] bool fits(const life_place& place) const {
    return place.created < x_to && (place.end == 0 || place.end > x_from) &&
           (!x_terms.cluster || place.cluster == *x_terms.cluster);
  }

  void walk_vm(walk& found) const {
    const auto add = [&](const usage_life& life) {
      const auto place = place_of(life);
      if (order_of(place) >= found.least && fits(place))
        found.places.push_back(place);
    };
    key_range range;
    range.prefix = ended_prefix(*x_terms.vm);
    x_rows.scan(range, [&](std::string_view, std::string_view row) {
      if (const auto life = checked(life_from_row(*x_terms.vm, row)))
        add(*life);
      return true; // an id has one life, but for logs that were made up
    });
    if (const auto row = x_rows.find(living_key(*x_terms.vm)))
      if (const auto life = checked(life_from_row(*x_terms.vm, *row)))
        add(*life);
  }

  void walk_class(std::uint8_t life_class, walk& found) const {
    const auto limit = length_limit(life_class);
    life_place first;
    first.life_class = life_class;
    first.created = std::max(found.least.created, x_from > limit ? x_from - limit : 0);
    if (first.created == found.least.created)
      first.vm = found.least.vm;
    key_range range;
    range.prefix = class_prefix(life_class);
    range.after = place_key(first);
    range.after.pop_back(); // sorts before that key, and behind all that are too early
    std::size_t taken = 0;
    std::uint32_t visited = 0;
    life_order last;
    x_rows.scan(range, [&](std::string_view key, std::string_view row) {
      const auto place = checked(place_from_row(key, row));
      if (!place || place->created >= x_to)
        return false;
      if (order_of(*place) < found.least)
        return true;
      if (taken > found.wanted || visited == lives_visited_max) {
        found.known_until = std::min(found.known_until.value_or(last), last);
        return false;
      }
      ++visited;
      last = order_of(*place);
      if (fits(*place)) {
        ++taken;
        found.places.push_back(*place);
      }
      return true;
    });
  }

  [[nodiscard]] std::optional<usage_life> read(const life_place& place) const {
    const auto row =
        x_rows.find(place.end == 0 ? living_key(place.vm) : ended_key(place.vm, place.created));
    return checked(row ? life_from_row(place.vm, *row) : std::nullopt);
  }

  /// Up to where the log of a VM's partition was read.
  [[nodiscard]] micros head_of(const uuid& vm) {
    const auto [at, is_new] = x_heads.try_emplace(vm.partition(), 0);
    if (is_new)
      if (const auto row = x_rows.find(head_key(vm.partition())))
        at->second = u64_at(*row, 0);
    return at->second;
  }

  /// Start of the run in a row that holds a time: the last one that begins no later.
  [[nodiscard]] micros run_start(const usage_life& life, micros time) const {
    key_range range;
    range.prefix = run_prefix(life.vm);
    range.after = run_key(life.vm, time + 1);
    range.order = direction::descending;
    auto found = life.created;
    x_rows.scan(range, [&](std::string_view key, std::string_view) {
      found = std::max(found, u64_at(key, 1 + uuid_size));
      return false;
    });
    return found;
  }

  /// Microseconds in each state from creation to a time that is not behind what is known.
  [[nodiscard]] time_in_states times_until(const usage_life& life, micros time) const {
    if (const auto now = life.now(); time >= now.start) {
      auto times = now.before;
      if (!life.end)
        in(times, now.state) += time - now.start;
      return times;
    }
    if (time >= life.last.start)
      return times_until(life.last, time);
    const auto start = run_start(life, time);
    const auto row = x_rows.find(run_key(life.vm, start));
    const auto run = checked(row ? run_from_row(start, *row) : std::nullopt);
    return run ? times_until(*run, time) : time_in_states{};
  }

  static time_in_states times_until(const phase_run& run, micros time) {
    std::uint64_t rest = 0;
    usage_state state = v1::UsageInterval::ABSENT;
    auto times = run.walk([&](const usage_phase& phase) {
      state = phase.state;
      rest = time - std::min(time, phase.start);
      return phase.end <= time;
    });
    if (time < run.end())
      in(times, state) += rest;
    return times;
  }

  [[nodiscard]] std::optional<phase_run> read_run(std::string_view key,
                                                  std::string_view row) const {
    return checked(run_from_row(u64_at(key, 1 + uuid_size), row));
  }

  template <class Row> [[nodiscard]] std::optional<Row> checked(std::optional<Row> row) const {
    if (!row)
      x_rows.fail(error{error_code::damaged,
                        "a stored row of the usage makes no sense: stop, delete the projections' "
                        "folder and start again; it is rebuilt from the log",
                        false});
    return row;
  }

  const reader& x_rows;
  const usage_terms& x_terms;
  micros x_from;
  micros x_to;
  std::map<partition_number, micros> x_heads;
};

bool is_wanted(const usage_terms& terms, meter what) { return !terms.what || *terms.what == what; }

/// Calls `visit(words, state, amount, unit microseconds)` for each meter and state of a life within
/// a span: how much there is, at most, and that much times how long.
template <class Visitor>
void visit_sums(const usage_reader& from, const usage_terms& terms, const usage_life& life,
                const span_of_life& span, Visitor visit) {
  std::optional<time_in_states> times; // mostly read once for several meters
  for (const auto& words : meters) {
    if (!is_wanted(terms, words.what))
      continue;
    if (words.what == meter::nic_address) {
      std::uint64_t most = 0;
      uint128 sum = 0; // of at most 32 bits times 64
      from.visit_addresses(life, span, [&](micros start, micros end, std::uint64_t count) {
        most = std::max(most, count);
        sum += uint128{count} * (end - start);
        return true;
      });
      if (most != 0)
        visit(words, v1::UsageInterval::STATE_UNSPECIFIED, most, sum);
      continue;
    }
    if (!times)
      times = from.times_in(life, span);
    for (const auto state : usage_states)
      if (const auto time = in(*times, state); time != 0) {
        const auto amount = amount_of(life, words.what);
        visit(words, state, amount, uint128{amount} * time);
      }
  }
}

template <class Row> void name(Row& row, const usage_life& life) {
  row.mutable_resource()->set_id(to_text(vm_id{life.vm}));
  row.mutable_resource()->set_name(life.name);
  row.mutable_cluster()->set_id(to_text(cluster_id{life.cluster}));
}

result<void> check(const usage_terms& terms) {
  if (terms.from >= terms.to)
    return error{error_code::invalid_argument,
                 "'from' (" + to_text(terms.from) + ") is not before 'to' (" + to_text(terms.to) +
                     ")",
                 false};
  if (terms.to - terms.from > usage_range_max)
    return error{error_code::invalid_argument,
                 "from " + to_text(terms.from) + " to " + to_text(terms.to) + " is longer than " +
                     std::to_string(usage_range_max.count()) + " days: ask for a shorter time",
                 false};
  return {};
}

/// What tells one list from others, for its tokens.
std::string query_text(std::string_view how, const usage_terms& terms) {
  return "usage " + std::string(how) + " " + to_text(terms.from) + " " + to_text(terms.to) + " " +
         (terms.vm ? to_text(*terms.vm) : "") + " " +
         (terms.cluster ? to_text(*terms.cluster) : "") + " " +
         std::string(terms.what ? name_of(*terms.what) : "");
}

/// A page of intervals while it is filled.
class interval_page {
public:
  interval_page(std::uint32_t size, listing<v1::UsageInterval>& found)
      : x_size(size), x_found(found) {}

  /// Adds the intervals of a life, behind `begin` if that is in it; false when the page is full.
  bool add(usage_reader& from, const usage_terms& terms, const usage_life& life,
           const std::optional<interval_place>& begin) {
    const bool is_begun = begin && begin->life == order_of(life);
    for (const auto& words : meters) {
      const auto number = static_cast<std::uint8_t>(words.what);
      if (!is_wanted(terms, words.what) || (is_begun && number < begin->what))
        continue;
      const bool is_within = is_begun && number == begin->what;
      if (!add(from, life, words, is_within ? begin->start : 0))
        return false;
    }
    return true;
  }

  /// The last one that was taken; empty for none.
  [[nodiscard]] const std::string& last_key() const { return x_last_key; }

private:
  /// Those that began behind `after`; 0: all.
  bool add(usage_reader& from, const usage_life& life, const meter_words& words, micros after) {
    if (words.what == meter::nic_address) {
      const auto span = from.span_of(life, life.address_at);
      bool has_room = true;
      from.visit_addresses(life, span, [&](micros start, micros end, std::uint64_t count) {
        usage_phase phase;
        phase.start = start;
        phase.end = end;
        phase.state = v1::UsageInterval::STATE_UNSPECIFIED;
        has_room = start <= after || take(life, words, phase, span, count);
        return has_room;
      });
      return has_room;
    }
    auto span = from.span_of(life, after);
    bool has_room = true;
    if (!span.is_empty())
      from.visit_phases(life, span, [&](const usage_phase& phase) {
        // Of the one that was told, the rest shows up once more.
        has_room = (after != 0 && phase.start <= after) ||
                   take(life, words, phase, span, amount_of(life, words.what));
        return has_room;
      });
    return has_room;
  }

  bool take(const usage_life& life, const meter_words& words, const usage_phase& phase,
            const span_of_life& span, std::uint64_t amount) {
    if (x_found.items.size() == x_size)
      return false;
    auto& item = x_found.items.emplace_back();
    name(item, life);
    item.set_meter(std::string(words.name));
    item.set_state(phase.state);
    item.set_amount(amount);
    item.set_unit(std::string(words.unit));
    set_time(item.mutable_start(), from_micros(phase.start));
    set_time(item.mutable_end(), from_micros(phase.end));
    item.set_open(span.open && phase.end == span.end);
    item.set_microseconds(phase.end - phase.start);
    x_last_key = to_key({order_of(life), static_cast<std::uint8_t>(words.what), phase.start});
    return true;
  }

  std::size_t x_size;
  listing<v1::UsageInterval>& x_found;
  std::string x_last_key;
};

life_order least_of(const page_start& start) {
  return start.after.empty() ? life_order{}
                             : next({u64_at(start.after, 0), uuid_at(start.after, 8)});
}

} // namespace

std::string_view name_of(meter what) { return words_of(what).name; }

std::optional<meter> parse_meter(std::string_view name) {
  for (const auto& words : meters)
    if (words.name == name)
      return words.what;
  return std::nullopt;
}

result<listing<v1::UsageInterval>> list_usage(const reader& rows, const usage_terms& terms,
                                              const page& wanted) {
  if (const auto checked = check(terms); !checked)
    return checked.error();
  listing<v1::UsageInterval> found;
  found.at = positions_of(rows);
  const auto query = query_text("intervals", terms);
  const auto start = open_page(query, wanted, found.at);
  if (!start)
    return start.error();
  std::optional<interval_place> begin;
  if (!start->after.empty())
    begin = interval_place_from(start->after);
  usage_reader from(rows, terms);
  // Nearly every life has an interval, so a page needs no more lives than it has rows.
  const auto lives = from.find_lives(begin ? begin->life : life_order{}, start->size);
  interval_page filled(start->size, found);
  for (const auto& life : lives.lives)
    if (!filled.add(from, terms, life, begin)) {
      found.next_token = token_after(query, filled.last_key(), found.at);
      return found;
    }
  if (lives.more_after)
    found.next_token =
        token_after(query, to_key(interval_place{next(*lives.more_after), 0, 0}), found.at);
  return found;
}

result<listing<v1::VmUsage>> list_vm_usage(const reader& rows, const usage_terms& terms,
                                           const page& wanted) {
  if (const auto checked = check(terms); !checked)
    return checked.error();
  listing<v1::VmUsage> found;
  found.at = positions_of(rows);
  const auto query = query_text("vm", terms);
  const auto start = open_page(query, wanted, found.at);
  if (!start)
    return start.error();
  usage_reader from(rows, terms);
  const auto lives = from.find_lives(least_of(*start), start->size);
  for (const auto& life : lives.lives) {
    const auto span = from.span_of(life, 0);
    if (span.is_empty())
      continue;
    auto& item = found.items.emplace_back();
    name(item, life);
    set_time(item.mutable_start(), from_micros(span.begin));
    set_time(item.mutable_end(), from_micros(span.end));
    item.set_open(span.open);
    visit_sums(from, terms, life, span,
               [&](const meter_words& words, usage_state state, std::uint64_t amount,
                   const uint128& units) {
                 auto* sum = item.add_sums();
                 sum->set_meter(std::string(words.name));
                 sum->set_state(state);
                 sum->set_amount(amount);
                 sum->set_unit(std::string(words.unit));
                 sum->set_unit_microseconds(to_text(units));
               });
  }
  if (lives.more_after)
    found.next_token = token_after(query, to_key(*lives.more_after), found.at);
  return found;
}

namespace {

struct total {
  uint128 sum = 0;
  std::optional<micros> open_until;
};

using totals = std::map<std::pair<meter, usage_state>, total>;

result<void> add(totals& sums, usage_reader& from, const usage_terms& terms,
                 const usage_life& life) {
  const auto span = from.span_of(life, 0);
  if (span.is_empty())
    return {};
  bool is_too_large = false;
  visit_sums(from, terms, life, span,
             [&](const meter_words& words, usage_state state, std::uint64_t, const uint128& units) {
               auto& known = sums[{words.what, state}];
               const auto sum = sum_of(known.sum, units);
               is_too_large = is_too_large || !sum;
               known.sum = sum.value_or(known.sum);
               if (span.open)
                 known.open_until = std::min(known.open_until.value_or(span.end), span.end);
             });
  if (is_too_large)
    return error{error_code::too_large,
                 "the sum has more than 128 bits: ask for a shorter time, or for one cluster",
                 false};
  return {};
}

} // namespace

result<listing<v1::UsageTotal>> list_total_usage(const reader& rows, const usage_terms& terms,
                                                 const page& wanted) {
  if (const auto checked = check(terms); !checked)
    return checked.error();
  listing<v1::UsageTotal> found;
  found.at = positions_of(rows);
  const auto query = query_text("total", terms);
  const auto start = open_page(query, wanted, found.at);
  if (!start)
    return start.error();
  usage_reader from(rows, terms);
  const auto lives = from.find_lives(least_of(*start), lives_visited_max);
  totals sums;
  for (const auto& life : lives.lives)
    if (const auto added = add(sums, from, terms, life); !added)
      return added.error();
  for (const auto& [of, known] : sums) {
    auto& item = found.items.emplace_back();
    item.set_meter(std::string(name_of(of.first)));
    item.set_state(of.second);
    item.set_unit(std::string(words_of(of.first).unit));
    item.set_unit_microseconds(to_text(known.sum));
    item.set_open(known.open_until.has_value());
    set_time(item.mutable_until(), from_micros(known.open_until.value_or(to_micros(terms.to))));
  }
  if (lives.more_after)
    found.next_token = token_after(query, to_key(*lives.more_after), found.at);
  return found;
}

} // namespace orrery::projections
