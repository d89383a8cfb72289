#include "tests/events/log/history_search.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <vector>

namespace orrery::log::exploration {

namespace {

constexpr std::size_t owner_count = 2;
constexpr std::uint8_t claim_count = 2;
constexpr std::uint8_t command_count = 3;
constexpr std::uint8_t delivery_count = 2;
constexpr std::size_t record_count = claim_count + command_count;
constexpr std::size_t log_size_max = record_count * delivery_count;

constexpr log_identity identity{installation_id{uuid{1, 2}}, log_id{uuid{3, 4}}};
constexpr partition_number where{0};

// Records and heads are kept once and named by small numbers, so that a state of the world is a
// few bytes and a (head, record) pair is judged once.
using record_number = std::uint16_t;
using head_number = std::uint16_t;
constexpr record_number none = 0xffff;

struct known_record {
  std::string bytes;
  std::uint8_t author = 0;
  bool is_claim = false;
};

enum class fate : std::uint8_t { claim_accepted, commit_accepted, voided, stopped };

struct outcome {
  fate what = fate::voided;
  head_number after = 0;                          // when accepted
  void_reason reason = void_reason::malformed;    // when voided
  stop_reason alarm = stop_reason::hash_mismatch; // when stopped
  std::uint64_t number = 0;                       // seq of an accepted commit
  bool chained = true;                            // an accepted commit names the head before it
};

struct owner {
  std::uint8_t read = 0;          // entries of the log read so far
  bool owning = false;            // the claim in force, as far as it has read, is its own
  bool claiming = false;          // it sent a claim: it writes nothing more in its epoch
  head_number epoch_head = 0;     // the head that its last accepted claim made; 0: none
  record_number in_flight = none; // its last commit, not read back yet
  head_number speculative = 0;    // the head that `in_flight` would make
};

struct sent {
  record_number what = none;
  std::uint8_t left = 0; // deliveries
};

struct world {
  std::array<record_number, log_size_max> entries{};
  std::array<head_number, log_size_max + 1> heads{}; // heads[i]: before entry i
  std::uint8_t size = 0;
  bool stopped = false;
  std::array<sent, record_count> pool{};
  std::uint8_t sent_count = 0;
  std::array<owner, owner_count> owners{};
  std::uint8_t claims_left = claim_count;
  std::uint8_t commands_left = command_count;
  std::array<record_number, log_size_max> accepted{};
  std::array<std::uint64_t, log_size_max> accepted_numbers{};
  std::uint8_t accepted_count = 0;
  std::uint8_t claimed_by = 0; // author of the claim in force
  bool claimed = false;
};

class search {
public:
  search(const rule_lines& lines, const owner_faults& faults) : x_lines(lines), x_faults(faults) {}

  search_result run() {
    world start;
    start.heads[0] = number_of(first_head(identity, where));
    visit(start);
    while (!x_open.empty() && x_result.violation.empty()) {
      const auto next = x_open.back();
      x_open.pop_back();
      expand(next);
    }
    x_result.states = x_seen.size();
    return x_result;
  }

private:
  /// What an owner reads shows only in what it writes, so it reads as far as it likes (it may lag
  /// by any number of records) just before it writes, and reading alone makes no state of its own.
  void expand(const world& from) {
    const bool can_deliver = deliveries(from);
    const bool can_write = from.claims_left > 0 || from.commands_left > 0;
    for (std::uint8_t who = 0; can_write && who < owner_count; ++who) {
      auto reading = from;
      while (true) {
        claim(reading, who);
        commits(reading, who);
        if (reading.owners[who].read == reading.size)
          break;
        read(reading, who);
      }
    }
    const bool ended = !can_deliver && !can_write;
    x_result.histories += ended ? 1 : 0;
    if (ended || all_correct())
      fold_again(from);
  }

  // ---- the network: any record, any time, up to twice, or never

  bool deliveries(const world& from) {
    bool any = false;
    if (from.stopped)
      return any;
    for (std::uint8_t at = 0; at < from.sent_count && x_result.violation.empty(); ++at) {
      if (from.pool[at].left == 0)
        continue;
      any = true;
      auto to = from;
      --to.pool[at].left;
      deliver(to, to.pool[at].what);
      visit(to);
    }
    return any;
  }

  void deliver(world& to, record_number what) {
    ++x_result.deliveries;
    const auto& judged = judged_on(to.heads[to.size], what);
    const auto author = x_records[what].author;
    to.entries[to.size] = what;
    to.heads[to.size + 1] = to.heads[to.size];
    ++to.size;
    switch (judged.what) {
    case fate::claim_accepted:
      accept(to, what, judged, x_heads[judged.after].epoch);
      to.claimed = true;
      to.claimed_by = author;
      return;
    case fate::commit_accepted:
      if (!to.claimed || to.claimed_by != author)
        broken(to, "a commit was accepted without a claim of its owner in force");
      if (!judged.chained)
        broken(to, "an accepted commit does not follow the accepted record before it");
      accept(to, what, judged, judged.number);
      return;
    case fate::voided:
      if (is_bug(judged.reason) && all_correct())
        broken(to, "correct owners caused void " + std::string(name_of(judged.reason)));
      return;
    case fate::stopped:
      to.stopped = true;
      if (all_correct())
        broken(to, "correct owners caused the alarm " + std::string(name_of(judged.alarm)));
      return;
    }
  }

  void accept(world& to, record_number what, const outcome& judged, std::uint64_t number) {
    to.heads[to.size] = judged.after;
    for (std::uint8_t at = 0; at < to.accepted_count; ++at) {
      if (to.accepted[at] == what)
        broken(to, "a record was accepted twice");
      if (to.accepted_numbers[at] == number)
        broken(to, "two records were accepted for one number");
    }
    to.accepted[to.accepted_count] = what;
    to.accepted_numbers[to.accepted_count] = number;
    ++to.accepted_count;
  }

  static bool is_bug(void_reason reason) {
    return reason != void_reason::old_epoch && reason != void_reason::duplicate &&
           reason != void_reason::claim_stale;
  }

  bool all_correct() const {
    return !x_faults.hasty && !x_faults.stubborn && !x_faults.doubting && !x_faults.pipelined &&
           !x_faults.renumber;
  }

  // ---- the owners

  void read(world& in, std::uint8_t who) {
    auto& me = in.owners[who];
    const auto at = me.read++;
    const auto what = in.entries[at];
    const auto& judged = judged_on(in.heads[at], what);
    if (judged.what == fate::claim_accepted) {
      me.owning = x_records[what].author == who;
      me.in_flight = none;
      me.speculative = 0;
      if (me.owning) {
        me.epoch_head = judged.after;
        me.claiming = false;
      }
    } else if (judged.what == fate::commit_accepted && what == me.in_flight) {
      me.in_flight = none;
      me.speculative = 0;
    }
  }

  void claim(const world& from, std::uint8_t who) {
    const auto& me = from.owners[who];
    if (from.claims_left == 0 || has_stopped(from, me))
      return;
    auto to = from;
    --to.claims_left;
    to.owners[who].claiming = true;
    const claim_header header{identity.log, head_of(from, me).epoch, body_format};
    send(to, who, make_record(header, name(who, "claim", to.claims_left)), true);
    visit(to);
  }

  void commits(const world& from, std::uint8_t who) {
    const auto& me = from.owners[who];
    if (from.commands_left == 0 || has_stopped(from, me))
      return;
    const auto head = head_of(from, me);
    const auto epoch = me.epoch_head == 0 ? 0 : x_heads[me.epoch_head].epoch;
    const bool may_write = me.owning && !me.claiming;
    if (may_write && me.in_flight == none)
      commit(from, who, {epoch, head.next, head.hash});
    if (x_faults.hasty && epoch == 0)
      commit(from, who, {0, head.next, head.hash});
    if (x_faults.stubborn && epoch != 0 && !may_write)
      commit(from, who, {epoch, head.next, head.hash});
    if (x_faults.doubting && may_write && me.in_flight != none)
      commit(from, who, {epoch, head.next, head.hash});
    if (x_faults.renumber && may_write)
      commit(from, who, {epoch, head.next - 1, head.hash});
    if (x_faults.pipelined && may_write && me.in_flight != none) {
      const auto ahead = x_heads[me.speculative];
      commit(from, who, {epoch, ahead.next, ahead.hash});
    }
  }

  void commit(const world& from, std::uint8_t who, const chain_head& on) {
    auto to = from;
    --to.commands_left;
    const commit_header header{identity.log, on.epoch, on.next, on.hash};
    auto bytes = make_record(header, name(who, "command", to.commands_left));
    const chain_head would_be{on.epoch, on.next + 1, sha256_of(bytes_of(on.hash), bytes)};
    to.owners[who].in_flight = send(to, who, std::move(bytes), false);
    to.owners[who].speculative = number_of(would_be);
    visit(to);
  }

  static bool has_stopped(const world& in, const owner& me) {
    return in.stopped && me.read == in.size;
  }

  chain_head head_of(const world& in, const owner& me) const { return x_heads[in.heads[me.read]]; }

  static std::string name(std::uint8_t who, std::string_view what, std::uint8_t number) {
    return std::to_string(who) + std::string(what) + std::to_string(number);
  }

  record_number send(world& to, std::uint8_t who, std::string bytes, bool is_claim) {
    const auto [found, fresh] =
        x_record_numbers.try_emplace(bytes, static_cast<record_number>(x_records.size()));
    if (fresh)
      x_records.push_back({std::move(bytes), who, is_claim});
    to.pool[to.sent_count] = {found->second, delivery_count};
    ++to.sent_count;
    return found->second;
  }

  // ---- judging, remembering

  head_number number_of(const chain_head& head) {
    const auto key = std::make_tuple(head.epoch, head.next, head.hash);
    const auto [found, fresh] =
        x_head_numbers.try_emplace(key, static_cast<head_number>(x_heads.size()));
    if (fresh)
      x_heads.push_back(head);
    return found->second;
  }

  const outcome& judged_on(head_number on, record_number what) {
    const auto key = std::uint32_t{on} << 16 | what;
    if (const auto found = x_judged.find(key); found != x_judged.end())
      return found->second;
    const auto head = x_heads[on];
    const auto judged = judge(identity.log, head, x_records[what].bytes, x_lines);
    outcome made;
    if (const auto* claim = std::get_if<accepted_claim>(&judged)) {
      made.what = fate::claim_accepted;
      made.after = number_of(claim->after);
    } else if (const auto* commit = std::get_if<accepted_commit>(&judged)) {
      made.what = fate::commit_accepted;
      made.after = number_of(commit->after);
      made.number = commit->header.seq;
      made.chained = commit->header.prev_hash == head.hash;
    } else if (const auto* skipped = std::get_if<voided>(&judged)) {
      made.reason = skipped->reason;
    } else {
      made.what = fate::stopped;
      made.alarm = std::get<stopped>(judged).reason;
    }
    return x_judged.emplace(key, made).first->second;
  }

  /// Whether reading an entry changes an owner: void records do not.
  static bool matters(const world& in, std::uint8_t at) {
    return in.heads[at] != in.heads[at + 1u] || (in.stopped && at + 1u == in.size);
  }

  /// What can still matter: the head (its hash holds the accepted records), what can still be
  /// delivered, and, while somebody can write, what each owner knows and has not read.
  static std::string key_of(const world& of) {
    std::string key;
    const auto add = [&key](auto value) {
      key.append(reinterpret_cast<const char*>(&value), sizeof value);
    };
    add(of.heads[of.size]);
    add(static_cast<std::uint8_t>(of.claims_left + 8 * of.commands_left + 64 * of.stopped));
    std::vector<std::pair<record_number, std::uint8_t>> pool;
    for (std::uint8_t at = 0; at < of.sent_count; ++at)
      if (of.pool[at].left > 0)
        pool.emplace_back(of.pool[at].what, of.pool[at].left);
    std::ranges::sort(pool);
    for (const auto& [what, left] : pool) {
      add(what);
      add(left);
    }
    if (of.claims_left == 0 && of.commands_left == 0)
      return key;
    const auto from = std::min(of.owners[0].read, of.owners[1].read);
    add(none); // ends the pool
    add(of.heads[from]);
    for (auto at = from; at < of.size; ++at)
      if (matters(of, at))
        add(of.entries[at]);
    for (const auto& me : of.owners) {
      std::uint8_t ahead = 0;
      for (auto at = from; at < me.read; ++at)
        ahead = static_cast<std::uint8_t>(ahead + matters(of, at));
      add(none);
      add(ahead);
      add(static_cast<std::uint8_t>(me.owning + 2 * me.claiming));
      add(me.epoch_head);
      add(me.in_flight);
      add(me.speculative);
    }
    return key;
  }

  void visit(const world& to) {
    if (!x_result.violation.empty())
      return;
    if (x_seen.insert(key_of(to)).second)
      x_open.push_back(to);
  }

  /// A reader that comes late reads the whole log at once; it must see what the others saw.
  void fold_again(const world& of) {
    chain_head head = first_head(identity, where);
    for (std::uint8_t at = 0; at < of.size; ++at) {
      const auto judged = judge(identity.log, head, x_records[of.entries[at]].bytes, x_lines);
      if (const auto* claim = std::get_if<accepted_claim>(&judged))
        head = claim->after;
      else if (const auto* commit = std::get_if<accepted_commit>(&judged))
        head = commit->after;
      if (head != x_heads[of.heads[at + 1u]])
        broken(of, "two readers disagree on a prefix");
    }
  }

  void broken(const world& in, std::string_view what) {
    if (!x_result.violation.empty())
      return;
    x_result.violation = std::string(what) + "; log:";
    for (std::uint8_t at = 0; at < in.size; ++at) {
      const auto& bytes = x_records[in.entries[at]].bytes;
      const auto parsed = parse_record(bytes);
      if (const auto* claim = std::get_if<parsed_claim>(&*parsed))
        x_result.violation += " [" + std::string(claim->body) + " after " +
                              std::to_string(claim->header.after_epoch) + "]";
      else if (const auto* commit = std::get_if<parsed_commit>(&*parsed))
        x_result.violation += " [" + std::string(commit->body) + " epoch " +
                              std::to_string(commit->header.epoch) + " seq " +
                              std::to_string(commit->header.seq) + "]";
    }
  }

  rule_lines x_lines;
  owner_faults x_faults;
  search_result x_result;
  std::vector<world> x_open;
  std::unordered_set<std::string> x_seen;
  std::vector<known_record> x_records;
  std::map<std::string, record_number> x_record_numbers;
  std::vector<chain_head> x_heads;
  std::map<std::tuple<std::uint64_t, std::uint64_t, digest>, head_number> x_head_numbers;
  std::map<std::uint32_t, outcome> x_judged;
};

} // namespace

std::span<const needed_line> needed_lines() {
  static const std::array<needed_line, 5> lines{{
      {"r.after_epoch == E", {.after_epoch = false}, {}},
      {"E > 0", {.claimed = false}, {.hasty = true}},
      {"r.epoch == E", {.epoch = false}, {.stubborn = true}},
      {"r.seq == n", {.seq = false}, {.renumber = true}},
      {"r.prev_hash == h", {.prev_hash = false}, {.doubting = true, .pipelined = true}},
  }};
  return lines;
}

search_result search_histories(const rule_lines& lines, const owner_faults& faults) {
  return search(lines, faults).run();
}

} // namespace orrery::log::exploration
