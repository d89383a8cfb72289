#include "projections/usage_rows.hpp"

#include "projections/rows.hpp"

#include <limits>
#include <utility>

namespace orrery::projections {

namespace {

constexpr std::size_t number_size = 8;
constexpr std::size_t times_size = usage_states.size() * number_size;

// A run: previous (8), before (32), and of each phase end (8) and state (1).
constexpr std::size_t run_head_size = number_size + times_size;
constexpr std::size_t phase_size = number_size + 1;

// A life: created (8), end (8, 0: living), cluster (16), vcpus (4), memory (8), address_at (8),
// state (1), start of the last run (8), count of its phases (1), addresses (4), whether there are
// rows of more (1), the run, the name.
constexpr std::size_t life_head_size = 5 * number_size + uuid_size + 4 + 2 + 4 + 1;

// A place: its key is class (1), created (8), vm (16) behind the prefix; its value end (8),
// cluster.
constexpr std::size_t place_key_size = 1 + 1 + number_size + uuid_size;
constexpr std::size_t place_row_size = number_size + uuid_size;

constexpr micros shortest_class = 60'000'000; // a minute

std::string key_with(usage_prefix which, const uuid& vm) {
  auto key = key_of(which);
  add_uuid(key, vm);
  return key;
}

bool is_state(std::uint8_t number) {
  return number >= v1::UsageInterval::ABSENT && number <= v1::UsageInterval::UNKNOWN;
}

} // namespace

micros length_limit(std::uint8_t life_class) {
  if (life_class == 0 || life_class + 1 >= life_classes)
    return std::numeric_limits<micros>::max();
  return shortest_class << (2 * (life_class - 1));
}

std::string living_key(const uuid& vm) { return key_with(usage_prefix::living, vm); }

std::string ended_prefix(const uuid& vm) { return key_with(usage_prefix::ended, vm); }

std::string ended_key(const uuid& vm, micros created) {
  auto key = ended_prefix(vm);
  add_u64(key, created);
  return key;
}

std::string run_prefix(const uuid& vm) { return key_with(usage_prefix::run, vm); }

std::string run_key(const uuid& vm, micros start) {
  auto key = run_prefix(vm);
  add_u64(key, start);
  return key;
}

std::string addresses_prefix(const uuid& vm) { return key_with(usage_prefix::addresses, vm); }

std::string addresses_key(const uuid& vm, micros at) {
  auto key = addresses_prefix(vm);
  add_u64(key, at);
  return key;
}

std::string class_prefix(std::uint8_t life_class) {
  auto key = key_of(usage_prefix::by_life);
  add_u8(key, life_class);
  return key;
}

std::string head_key(partition_number where) {
  auto key = key_of(usage_prefix::head);
  add_u16(key, static_cast<std::uint16_t>(where));
  return key;
}

std::string to_row(const phase_run& run) {
  std::string bytes;
  bytes.reserve(run_head_size + run.phases.size() * phase_size);
  add_u64(bytes, run.previous);
  for (const auto time : run.before)
    add_u64(bytes, time);
  for (const auto& phase : run.phases) {
    add_u64(bytes, phase.end);
    add_u8(bytes, static_cast<std::uint8_t>(phase.state));
  }
  return bytes;
}

std::optional<phase_run> run_from_row(micros start, std::string_view bytes) {
  if (bytes.size() < run_head_size || (bytes.size() - run_head_size) % phase_size != 0)
    return std::nullopt;
  phase_run run;
  run.start = start;
  run.previous = u64_at(bytes, 0);
  for (std::size_t i = 0; i < run.before.size(); ++i)
    run.before[i] = u64_at(bytes, number_size * (1 + i));
  for (auto at = run_head_size; at < bytes.size(); at += phase_size) {
    const auto state = static_cast<std::uint8_t>(bytes[at + number_size]);
    const auto end = u64_at(bytes, at);
    if (!is_state(state) || end <= run.end())
      return std::nullopt;
    run.phases.push_back({end, static_cast<usage_state>(state)});
  }
  return run;
}

std::string to_row(const usage_life& life) {
  std::string bytes;
  bytes.reserve(life_head_size + run_head_size + life.last.phases.size() * phase_size +
                life.name.size());
  add_u64(bytes, life.created);
  add_u64(bytes, life.end.value_or(0));
  add_uuid(bytes, life.cluster);
  add_u32(bytes, life.vcpus);
  add_u64(bytes, life.memory_mib);
  add_u64(bytes, life.address_at);
  add_u8(bytes, static_cast<std::uint8_t>(life.state));
  add_u64(bytes, life.last.start);
  add_u8(bytes, static_cast<std::uint8_t>(life.last.phases.size()));
  add_u32(bytes, life.addresses);
  add_u8(bytes, life.has_further_addresses ? 1 : 0);
  bytes += to_row(life.last);
  bytes += life.name;
  return bytes;
}

std::optional<usage_life> life_from_row(const uuid& vm, std::string_view bytes) {
  if (bytes.size() < life_head_size)
    return std::nullopt;
  usage_life life;
  life.vm = vm;
  life.created = u64_at(bytes, 0);
  if (const auto end = u64_at(bytes, 8); end != 0)
    life.end = end;
  life.cluster = uuid_at(bytes, 16);
  life.vcpus = u32_at(bytes, 32);
  life.memory_mib = u64_at(bytes, 36);
  life.address_at = u64_at(bytes, 44);
  const auto state = static_cast<std::uint8_t>(bytes[52]);
  life.addresses = u32_at(bytes, 62);
  life.has_further_addresses = bytes[66] != 0;
  const auto run_size = run_head_size + static_cast<std::uint8_t>(bytes[61]) * phase_size;
  if (!is_state(state) || bytes.size() < life_head_size + run_size)
    return std::nullopt;
  auto run = run_from_row(u64_at(bytes, 53), bytes.substr(life_head_size, run_size));
  if (!run)
    return std::nullopt;
  life.state = static_cast<usage_state>(state);
  life.last = std::move(*run);
  life.name = bytes.substr(life_head_size + run_size);
  return life;
}

life_place place_of(const usage_life& life) {
  life_place place{0, life.created, life.vm, life.end.value_or(0), life.cluster};
  if (life.end) {
    place.life_class = 1;
    while (*life.end - life.created >= length_limit(place.life_class))
      ++place.life_class;
  }
  return place;
}

std::string place_key(const life_place& place) {
  auto key = class_prefix(place.life_class);
  add_u64(key, place.created);
  add_uuid(key, place.vm);
  return key;
}

std::string place_row(const life_place& place) {
  std::string bytes;
  add_u64(bytes, place.end);
  add_uuid(bytes, place.cluster);
  return bytes;
}

std::optional<life_place> place_from_row(std::string_view key, std::string_view value) {
  if (key.size() != place_key_size || value.size() != place_row_size)
    return std::nullopt;
  life_place place;
  place.life_class = static_cast<std::uint8_t>(key[1]);
  place.created = u64_at(key, 2);
  place.vm = uuid_at(key, 2 + number_size);
  place.end = u64_at(value, 0);
  place.cluster = uuid_at(value, number_size);
  return place;
}

} // namespace orrery::projections
