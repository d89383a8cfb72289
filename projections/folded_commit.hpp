#pragma once

#include "events/core/error.hpp"
#include "events/core/id.hpp"
#include "events/domain/partition_state.hpp"
#include "events/log/history.hpp"
#include "events/schema/record.pb.h"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace orrery::projections {

/// An accepted commit as the partition hands it out: the record's body, and what folding it
/// changed. Immutable once shared.
struct folded_commit {
  partition_number where{};
  std::uint64_t seq = 0;                      ///< of the record; rises, but claims take numbers too
  std::array<std::uint8_t, 32> head{};        ///< hash of the log after the record
  std::shared_ptr<const v1::CommitBody> body; ///< never null
  std::size_t bytes = 0;                      ///< of the body in its record
  std::vector<domain::touched> touched;       ///< as `partition_state::fold` gives it
};

/// Folds an accepted commit into its partition's state, telling what that changed.
[[nodiscard]] inline std::shared_ptr<folded_commit>
fold_commit(domain::partition_state& state, partition_number where, const log::chain_head& after,
            std::size_t bytes, std::shared_ptr<const v1::CommitBody> body) {
  auto made = std::make_shared<folded_commit>();
  made->where = where;
  made->seq = after.next - 1;
  made->head = after.hash;
  made->bytes = bytes;
  made->touched = state.fold(*body, made->seq);
  made->body = std::move(body);
  return made;
}

/// Commits of any partitions; those of one partition in the order of its log.
using commit_span = std::span<const std::shared_ptr<const folded_commit>>;

/// The log has another commit with that number than the one that a projection in the folder `path`
/// was built from: `log_cut`, with the way out.
[[nodiscard]] error built_from_another(const std::string& path, std::string_view projection,
                                       const folded_commit& in_log,
                                       const std::array<std::uint8_t, 32>& built_from);

/// What a commit touched, by entity. Refers to the commit, which must live longer. One thread: made
/// with the first question, since most commits lead to none.
class touched_index {
public:
  explicit touched_index(const folded_commit& commit) : x_commit(commit) {}

  /// The state before or after the commit, or null when it was of another noun or not touched.
  template <class State> [[nodiscard]] const State* before(const uuid& entity) const {
    const auto* one = find(entity);
    return one == nullptr || one->before == nullptr ? nullptr : std::get_if<State>(&*one->before);
  }

  /// The state before the commit, whatever its noun; null when there was none.
  [[nodiscard]] const domain::entity_state* before(const uuid& entity) const {
    const auto* one = find(entity);
    return one == nullptr ? nullptr : one->before.get();
  }

  template <class State> [[nodiscard]] const State* after(const uuid& entity) const {
    const auto* one = find(entity);
    return one == nullptr || one->after == nullptr ? nullptr : std::get_if<State>(&*one->after);
  }

private:
  [[nodiscard]] const domain::touched* find(const uuid& entity) const {
    if (x_index.empty())
      for (const auto& one : x_commit.touched)
        x_index.emplace(one.entity, &one);
    const auto at = x_index.find(entity);
    return at == x_index.end() ? nullptr : at->second;
  }

  const folded_commit& x_commit;
  mutable std::unordered_map<uuid, const domain::touched*> x_index;
};

/// Up to which record of a partition something is right: its number and the hash of the log after
/// it. Number 0: nothing was folded yet.
struct log_position {
  std::uint64_t seq = 0;
  std::array<std::uint8_t, 32> head{};

  friend bool operator==(const log_position&, const log_position&) = default;
};

/// The same over all partitions; one that is not in it stands at 0.
class log_positions {
public:
  [[nodiscard]] const log_position& at(partition_number where) const;

  /// Number 0 takes it out.
  void set(partition_number where, const log_position& position);

  /// All that do not stand at 0, ascending by partition.
  [[nodiscard]] const std::vector<std::pair<partition_number, log_position>>& all() const {
    return x_all;
  }

  /// The numbers of all partitions added: grows with each record that is folded.
  [[nodiscard]] std::uint64_t total() const;

  friend bool operator==(const log_positions&, const log_positions&) = default;

private:
  std::vector<std::pair<partition_number, log_position>> x_all;
};

} // namespace orrery::projections
