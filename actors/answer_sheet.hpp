#pragma once

#include "actors/engine/deciding.hpp"

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

namespace orrery::actors {

/// What the entities that are asked side by side answer, gathered on their own threads: the
/// partition is told once, by the last of them. Told of each answer, it would be woken up hundreds
/// of times for a full record, and take the processor from those who decide.
class answer_sheet {
public:
  /// `asked`: how many entities will answer.
  explicit answer_sheet(std::size_t asked) : x_missing(asked) { x_answers.reserve(asked); }

  /// True for the last one. Any thread.
  [[nodiscard]] bool add(decide_answer answer) {
    const std::lock_guard lock(x_guard);
    x_answers.push_back(std::move(answer));
    return --x_missing == 0;
  }

  /// All answers, once the last one is there; by whoever is told.
  [[nodiscard]] const std::vector<decide_answer>& answers() const { return x_answers; }

private:
  std::mutex x_guard;
  std::vector<decide_answer> x_answers;
  std::size_t x_missing = 0;
};

} // namespace orrery::actors
