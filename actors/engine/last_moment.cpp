#include "actors/engine/last_moment.hpp"

#include "events/core/check.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace orrery::actors {

namespace {

constexpr std::array<char, 8> magic{'o', 'r', 'l', 'm', 'o', 'm', '0', '1'};

/// The memory is read by the next life: no store may be left out, or wait until after the decision.
void set(std::uint32_t& field, std::uint32_t value) {
  std::atomic_ref(field).store(value, std::memory_order_seq_cst);
}

} // namespace

last_moment::last_moment(std::span<std::byte> memory, std::string_view version)
    : x_page(reinterpret_cast<page*>(memory.data())) {
  ORRERY_CHECK(memory.size() >= size);
  std::array<char, sizeof(page::version)> mine{};
  version.copy(mine.data(), mine.size());
  if (x_page->magic != magic || x_page->version != mine || x_page->deciding > suspects_max) {
    *x_page = page{};
    x_page->magic = magic;
    x_page->version = mine;
  }
  x_died_deciding = x_page->is_deciding_many != 0 || x_page->deciding != 0;
  if (x_page->deciding != 0)
    ++x_page->suspects[x_page->deciding - 1].deaths;
  let_go();
  look_for_suspects();
}

void last_moment::look_for_suspects() {
  x_has_suspects =
      std::ranges::any_of(x_page->suspects, [](const suspect& one) { return one.deaths > 0; });
}

last_moment::suspect* last_moment::find(const command_kind& kind) const {
  const auto found = std::ranges::find_if(x_page->suspects, [&](const suspect& one) {
    return one.verb == kind.verb && uuid{one.entity_a, one.entity_b} == kind.entity;
  });
  return found == x_page->suspects.end() ? nullptr : &*found;
}

std::uint32_t last_moment::deaths(const command_kind& kind) const {
  const auto* known = find(kind);
  return known == nullptr ? 0 : known->deaths;
}

void last_moment::begin_one(const command_kind& kind) {
  auto* place = find(kind);
  if (place == nullptr) {
    // Who ended the fewest lives makes room; a free place has ended none.
    place = &*std::ranges::min_element(x_page->suspects, {}, &suspect::deaths);
    *place = {kind.entity.a, kind.entity.b, kind.verb, 0};
  }
  set(x_page->deciding, static_cast<std::uint32_t>(place - x_page->suspects.data()) + 1);
}

void last_moment::begin_many() { set(x_page->is_deciding_many, 1); }

void last_moment::end() {
  if (x_page->deciding != 0) {
    x_page->suspects[x_page->deciding - 1].deaths = 0;
    look_for_suspects();
  }
  let_go();
}

void last_moment::let_go() {
  set(x_page->is_deciding_many, 0);
  set(x_page->deciding, 0);
}

void last_moment::forgive(const command_kind& kind) {
  if (auto* known = find(kind); known != nullptr && known->deaths > 0)
    --known->deaths;
  look_for_suspects();
}

} // namespace orrery::actors
