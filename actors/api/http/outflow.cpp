#include "actors/api/http/outflow.hpp"

#include <algorithm>

namespace orrery::http {

std::vector<std::string_view> outflow::begin_write() {
  x_is_writing = true;
  std::vector<std::string_view> pieces;
  for (std::size_t i = 0; i < std::min(x_queue.size(), gather_count_max); ++i)
    pieces.push_back(std::string_view(*x_queue[i]).substr(i == 0 ? x_sent : 0));
  return pieces;
}

bool outflow::wrote(std::size_t size) {
  x_is_writing = false;
  x_sent += size;
  while (!x_queue.empty() && x_sent >= x_queue.front()->size()) {
    x_sent -= x_queue.front()->size();
    x_queue.pop_front();
  }
  return x_waiting->fetch_sub(size) == size;
}

void outflow::keep_what_is_begun() {
  const auto begun = x_is_writing ? gather_count_max : std::size_t{x_sent > 0 ? 1U : 0U};
  x_queue.resize(std::min(x_queue.size(), begun));
}

} // namespace orrery::http
