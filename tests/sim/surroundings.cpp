#include "tests/sim/surroundings.hpp"

namespace orrery::sim {

namespace {

/// The same for every seed: an installation and its log.
constexpr log::log_identity ours{installation_id{uuid{0x0193000000007000, 0x8000000000000001}},
                                 log::log_id{uuid{0x0193000000007000, 0x8000000000000002}}};

} // namespace

surroundings::surroundings(const settings& wanted)
    : given(wanted), random(wanted.seed), seen(time), identity(ours) {
  constexpr std::uint64_t partitions_max = 3;
  const auto drawn = 1 + random.below(partitions_max);
  const auto count = wanted.partitions != 0 ? wanted.partitions : drawn;
  for (std::uint16_t number = 0; number < count; ++number) {
    const partition_number where{number};
    referees.try_emplace(where, identity, where, time);
  }
  store = std::make_shared<plain_log>([this] { return wall_clock(time); },
                                      [this](partition_number where, const log::record& record) {
                                        seen.note("stored", record.at, record.bytes);
                                        if (truth(where).on_stored(record))
                                          for (const auto& found : broken_space(false))
                                            truth(where).fail(found.check, found.text);
                                        if (stored)
                                          stored(where);
                                      });
}

bool surroundings::strikes(fault what, std::uint32_t odds) {
  // Drawn also when the fault is off, so that one kind does not move another's.
  const bool is_drawn = random.below(1000) < odds;
  if (!is_drawn || !has(what))
    return false;
  count(what);
  return true;
}

micros surroundings::between(micros least, micros most) {
  const auto range = static_cast<std::uint64_t>((most - least).count());
  return least + micros(random.below(range + 1));
}

std::string surroundings::broken_streams(bool is_settled) const {
  std::map<partition_number, support::commit_list> commits;
  for (const auto& [where, truth] : referees)
    commits.emplace(where, truth.history());
  return support::to_text(support::check_streams(commits, is_settled));
}

std::vector<support::violation> surroundings::broken_space(bool is_settled) const {
  support::all_states states;
  for (const auto& [where, truth] : referees)
    states[where] = &truth.state();
  return support::check_space(states, is_settled);
}

const broken_promise* surroundings::broken() const {
  for (const auto& [where, one] : referees)
    if (one.broken())
      return &*one.broken();
  return nullptr;
}

} // namespace orrery::sim
