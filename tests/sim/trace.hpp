#pragma once

#include "tests/sim/timeline.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace orrery::sim {

/// What happened, as one number that is the same for the same run, and as text for whoever asked.
class trace {
public:
  explicit trace(const timeline& time) : x_time(time) {}

  /// From now on each line goes to `to` as well.
  void show(std::function<void(const std::string&)> to) { x_to = std::move(to); }

  /// Something happened: `what` is one word, `bytes` and `number` tell which.
  void note(std::string_view what, std::uint64_t number = 0, std::string_view bytes = {});

  /// The same, with a text that is made only when somebody reads it.
  template <class Text> void tell(std::string_view what, std::uint64_t number, Text text) {
    note(what, number);
    if (x_to)
      write(what, number, text());
  }

  [[nodiscard]] std::uint64_t hash() const { return x_hash; }

private:
  void write(std::string_view what, std::uint64_t number, const std::string& text) const;

  const timeline& x_time;
  std::uint64_t x_hash = 0xcbf29ce484222325ULL;
  std::function<void(const std::string&)> x_to;
};

} // namespace orrery::sim
