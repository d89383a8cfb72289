#pragma once

#include "events/domain/command_run.hpp"
#include "events/domain/entity.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace orrery::domain {

/// Which numbers of one origin were decided: the highest and a bitmap below it. Older than the
/// window counts as decided.
class origin_window {
public:
  /// How many numbers back a repetition is told from a new command: at 10,000 commands a second, 6
  /// seconds of reordering.
  static constexpr std::uint64_t size = 65'536;

  [[nodiscard]] bool contains(std::uint64_t number) const;
  void add(std::uint64_t number);

  [[nodiscard]] std::uint64_t highest() const { return x_highest; }

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.x_highest, of.x_bits);
  }

  /// After reading: a window of another size would be none.
  void complete() {
    if (!x_bits.empty())
      x_bits.resize(size / 64);
  }

private:
  std::uint64_t x_highest = 0;
  std::vector<std::uint64_t> x_bits; ///< a ring, made with the first number
};

/// What is remembered of a command with a client's key.
struct keyed_command {
  std::uint64_t body_hash = 0;
  uuid command;
  std::uint64_t seq = 0; ///< of the commit record that holds the reply
  utc_time decided_at;
  std::shared_ptr<const v1::Reply> reply; ///< never null

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.fixed(of.body_hash);
    bytes.all(of.command, of.seq, of.decided_at, of.reply);
  }
};

/// A commit's body from its bytes, null when they are not one. All its messages lie in a few blocks
/// of memory, so reading and forgetting it costs no allocation for each of them.
[[nodiscard]] std::shared_ptr<const v1::CommitBody> parse_commit(std::string_view bytes);

/// What to say of an accepted commit whose bytes are none.
[[nodiscard]] error unreadable_commit(std::uint64_t seq);

/// An entity that a commit changed.
struct touched {
  uuid entity;
  entity_ptr before; ///< null when it was made
  entity_ptr after;  ///< null when it ended
};

/// Everything that one partition's accepted records say: the one fold that all else is derived
/// from.
class partition_state {
public:
  /// How long a client's key is remembered, in log time.
  static constexpr std::chrono::hours key_age_max{7 * 24};
  /// How many keys: about 200 MB; above it, keyed commands are refused rather than old keys
  /// forgotten early.
  static constexpr std::size_t keys_max = 1'000'000;
  /// Origins (process lives) remembered, by last use: a restart a minute for most of a day.
  static constexpr std::size_t origins_max = 1'024;

  [[nodiscard]] entity_ptr find(const uuid& entity) const;

  [[nodiscard]] std::size_t size() const { return x_entities.size(); }

  /// Folds an accepted commit with sequence number `seq`; gives what it changed, each entity once,
  /// in order of first touch.
  std::vector<touched> fold(const v1::CommitBody& body, std::uint64_t seq);

  /// The same, telling nothing: for a replay that nobody follows. States that nobody else holds are
  /// changed in place, which takes half the time.
  void fold_alone(const v1::CommitBody& body, std::uint64_t seq);

  [[nodiscard]] bool was_decided(const v1::Origin& origin) const;

  /// The number of the last message in the stream from here to `target`; 0 for none.
  [[nodiscard]] std::uint64_t last_sent(partition_number target) const;

  /// The number of the last message from `source` that was decided here; 0 for none.
  [[nodiscard]] std::uint64_t last_taken(partition_number source) const;

  /// The same of all sources.
  [[nodiscard]] const std::map<partition_number, std::uint64_t>& taken() const { return x_taken; }

  /// True for an observation of a connection to a node that has been replaced by a newer one: to be
  /// dropped undecided. The VM cannot tell by itself, since a newer word that changes nothing is
  /// not recorded.
  [[nodiscard]] bool is_outdated(const v1::Command& command) const;

  /// The command that used a client's key, or null.
  [[nodiscard]] const keyed_command* find_key(std::uint64_t key_hash) const;

  [[nodiscard]] bool keys_are_full() const { return x_keys.size() >= keys_max; }

  /// The time of the last step folded; 1970 for none.
  [[nodiscard]] utc_time head_time() const { return x_head_time; }

  /// Calls `visit(id, state)` for every entity, in any order.
  template <class Visitor> void for_each_unordered(Visitor visit) const {
    for (const auto& [entity, state] : x_entities)
      visit(entity, state);
  }

  /// Calls `visit(id, state)` for every entity, by ascending id.
  template <class Visitor> void for_each(Visitor visit) const {
    for (const auto& entity : sorted_ids())
      visit(entity, find(entity));
  }

  /// Of what `to_bytes` gives: raised when that looks different, and when folding the same records
  /// gives another state than before, so that no snapshot of the old ways is believed.
  static constexpr std::uint32_t fold_version = 7;

  /// Everything as bytes with one meaning: equal bytes, equal state. For digests and snapshots;
  /// large.
  [[nodiscard]] std::string to_bytes() const;

  /// The state whose bytes they are; nothing when they are not those of any.
  [[nodiscard]] static std::optional<partition_state> from_bytes(std::string_view bytes);

private:
  [[nodiscard]] std::vector<uuid> sorted_ids() const;
  /// What a commit says besides its events.
  void remember(const v1::CommitBody& body, std::uint64_t seq);
  void remember_origin(const v1::Origin& origin, std::uint64_t seq);
  void remember_key(const v1::Decision& decision, std::uint64_t seq, utc_time decided_at);
  void forget_old_keys(utc_time now);

  struct origin_state {
    origin_window window;
    std::uint64_t last_seq = 0;
  };

  std::unordered_map<uuid, entity_ptr> x_entities;
  std::map<std::uint64_t, origin_state> x_origins;
  std::map<partition_number, std::uint64_t> x_sent;
  std::map<partition_number, std::uint64_t> x_taken;
  std::unordered_map<std::uint64_t, keyed_command> x_keys;
  std::deque<std::uint64_t> x_keys_by_age;
  utc_time x_head_time;
};

} // namespace orrery::domain
