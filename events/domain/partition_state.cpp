#include "events/domain/partition_state.hpp"

#include "events/core/safety.hpp"

#include <google/protobuf/arena.h>

#include <algorithm>

namespace orrery::domain {

namespace {

/// A parsed commit is about so much larger than its bytes.
constexpr std::size_t arena_bytes_per_byte = 4;
constexpr std::size_t arena_block_min = 1024;
constexpr std::size_t arena_block_max = std::size_t{1024} * 1024;

/// Most commands are an observation: of one VM, nothing else.
constexpr std::size_t steps_usual = 1;

/// Of what a snapshot holds, at least: so that its counts are known to be wrong before memory is
/// taken for them.
constexpr std::size_t uuid_bytes = 16;
constexpr std::size_t origin_bytes_min = 8;
constexpr std::size_t key_bytes_min = 8;

/// Calls `visit(step, decided_at)` for each step with events.
template <class Visitor> void for_each_change(const v1::CommitBody& body, Visitor visit) {
  for_each_step(body, [&](const v1::Decision&, const v1::Step& step, int, utc_time decided_at) {
    if (step.events_size() > 0)
      visit(step, decided_at);
  });
}

} // namespace

bool origin_window::contains(std::uint64_t number) const {
  if (number > x_highest || x_bits.empty())
    return false;
  if (x_highest - number >= size)
    return true;
  const auto bit = number % size;
  return ((x_bits[bit / 64] >> (bit % 64)) & 1) != 0;
}

void origin_window::add(std::uint64_t number) {
  if (x_bits.empty())
    x_bits.assign(size / 64, 0);
  if (number > x_highest) {
    const auto steps = std::min(number - x_highest, size);
    for (std::uint64_t step = 1; step <= steps; ++step) {
      const auto bit = (number - steps + step) % size;
      x_bits[bit / 64] &= ~(std::uint64_t{1} << (bit % 64));
    }
    x_highest = number;
  }
  if (x_highest - number >= size)
    return;
  const auto bit = number % size;
  x_bits[bit / 64] |= std::uint64_t{1} << (bit % 64);
}

entity_ptr partition_state::find(const uuid& entity) const {
  const auto at = x_entities.find(entity);
  return at == x_entities.end() ? nullptr : at->second;
}

std::shared_ptr<const v1::CommitBody> parse_commit(std::string_view bytes) {
  struct on_arena {
    google::protobuf::Arena arena;
    v1::CommitBody* body;

    explicit on_arena(const google::protobuf::ArenaOptions& options)
        : arena(options), body(google::protobuf::Arena::CreateMessage<v1::CommitBody>(&arena)) {}
  };

  google::protobuf::ArenaOptions options;
  options.start_block_size =
      std::clamp(bytes.size() * arena_bytes_per_byte, arena_block_min, arena_block_max);
  options.max_block_size = arena_block_max;
  const auto made = std::make_shared<on_arena>(options);
  if (!made->body->ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return nullptr;
  return {made, made->body};
}

error unreadable_commit(std::uint64_t seq) {
  return {error_code::unknown_record,
          "record " + std::to_string(seq) +
              " is part of the log but its body cannot be read: it was written by another version, "
              "or damaged before it was written",
          false};
}

std::vector<touched> partition_state::fold(const v1::CommitBody& body, std::uint64_t seq) {
  // All are found before the first is changed, as in `fold_alone`.
  std::vector<touched> changed;
  std::vector<std::size_t> index_of_step;
  std::unordered_map<uuid, std::size_t> index_of;
  const auto usual = static_cast<std::size_t>(body.decisions_size()) * steps_usual;
  changed.reserve(usual);
  index_of_step.reserve(usual);
  index_of.reserve(usual);
  for_each_change(body, [&](const v1::Step& step, utc_time) {
    const auto entity = from_proto(step.entity());
    const auto [at, first] = index_of.emplace(entity, changed.size());
    if (first) {
      const auto state = find(entity);
      __builtin_prefetch(state.get());
      changed.push_back({entity, state, state});
    }
    index_of_step.push_back(at->second);
  });
  auto next = index_of_step.begin();
  for_each_change(body, [&](const v1::Step& step, utc_time decided_at) {
    auto& after = changed[*next++].after;
    after = evolve(std::move(after), step.events(), decided_at);
  });
  for (const auto& one : changed) {
    if (one.after == nullptr)
      x_entities.erase(one.entity);
    else
      x_entities[one.entity] = one.after;
  }
  remember(body, seq);
  return changed;
}

void partition_state::fold_alone(const v1::CommitBody& body, std::uint64_t seq) {
  // All are found before the first is changed, so that the processor waits for many of them at
  // once: in a large map each is in nobody's cache.
  std::vector<std::pair<const uuid, entity_ptr>*> found;
  found.reserve(static_cast<std::size_t>(body.decisions_size()) * steps_usual);
  for_each_change(body, [&](const v1::Step& step, utc_time) {
    auto& one = *x_entities.try_emplace(from_proto(step.entity())).first;
    __builtin_prefetch(one.second.get());
    found.push_back(&one);
  });
  auto next = found.begin();
  for_each_change(body, [&](const v1::Step& step, utc_time decided_at) {
    auto& state = (*next++)->second;
    state = evolve(std::move(state), step.events(), decided_at);
  });
  std::vector<uuid> ended;
  for (const auto* one : found)
    if (one->second == nullptr)
      ended.push_back(one->first);
  for (const auto& entity : ended)
    x_entities.erase(entity);
  remember(body, seq);
}

void partition_state::remember(const v1::CommitBody& body, std::uint64_t seq) {
  const auto decided_at = from_micros(body.decided_at());
  forget_old_keys(decided_at);
  for (const auto& decision : body.decisions()) {
    remember_origin(decision.command().origin(), seq);
    remember_key(decision, seq, decided_at);
    if (decision.command().has_stream())
      x_taken[source_of(decision.command())] = decision.command().stream().number();
  }
  for (const auto& sent : body.outbox())
    x_sent[target_of(sent)] = sent.stream().number();
  x_head_time = std::max(x_head_time, last_time(body));
}

bool partition_state::was_decided(const v1::Origin& origin) const {
  const auto at = x_origins.find(origin.nonce());
  return at != x_origins.end() && at->second.window.contains(origin.number()) &&
         safety::holds(safety::line::origin_window);
}

std::uint64_t partition_state::last_sent(partition_number target) const {
  const auto at = x_sent.find(target);
  return at == x_sent.end() ? 0 : at->second;
}

std::uint64_t partition_state::last_taken(partition_number source) const {
  const auto at = x_taken.find(source);
  return at == x_taken.end() ? 0 : at->second;
}

bool partition_state::is_outdated(const v1::Command& command) const {
  if (!command.has_vm() || !command.vm().has_observe())
    return false;
  const auto& seen = command.vm().observe();
  const auto node = find(from_proto(seen.node()));
  const auto* state = node == nullptr ? nullptr : std::get_if<node_state>(node.get());
  return state != nullptr && seen.node_epoch() < state->epoch &&
         safety::holds(safety::line::new_connection);
}

void partition_state::remember_origin(const v1::Origin& origin, std::uint64_t seq) {
  if (origin.nonce() == 0)
    return; // the partition's own timers: made at most once by generation
  if (x_origins.size() >= origins_max && !x_origins.contains(origin.nonce())) {
    const auto oldest = std::ranges::min_element(
        x_origins, {}, [](const auto& one) { return one.second.last_seq; });
    x_origins.erase(oldest);
  }
  auto& state = x_origins[origin.nonce()];
  state.window.add(origin.number());
  state.last_seq = seq;
}

const keyed_command* partition_state::find_key(std::uint64_t key_hash) const {
  const auto at = x_keys.find(key_hash);
  return at == x_keys.end() || !safety::holds(safety::line::client_key) ? nullptr : &at->second;
}

void partition_state::remember_key(const v1::Decision& decision, std::uint64_t seq,
                                   utc_time decided_at) {
  const auto& command = decision.command();
  if (!command.has_key() || x_keys.contains(command.key().key_hash()))
    return;
  keyed_command keyed;
  keyed.body_hash = command.key().body_hash();
  keyed.command = from_proto(command.id());
  keyed.seq = seq;
  keyed.decided_at = decided_at;
  keyed.reply = std::make_shared<const v1::Reply>(decision.reply());
  x_keys.emplace(command.key().key_hash(), std::move(keyed));
  x_keys_by_age.push_back(command.key().key_hash());
}

void partition_state::forget_old_keys(utc_time now) {
  while (!x_keys_by_age.empty()) {
    const auto at = x_keys.find(x_keys_by_age.front());
    if (at->second.decided_at + key_age_max > now)
      return;
    x_keys.erase(at);
    x_keys_by_age.pop_front();
  }
}

std::vector<uuid> partition_state::sorted_ids() const {
  std::vector<uuid> ids;
  ids.reserve(x_entities.size());
  for (const auto& [entity, state] : x_entities)
    ids.push_back(entity);
  std::ranges::sort(ids);
  return ids;
}

std::string partition_state::to_bytes() const {
  state_bytes out;
  out.add(x_entities.size());
  for (const auto& entity : sorted_ids()) {
    out.add(entity);
    write(out, *find(entity));
  }
  out.add(x_origins.size());
  for (const auto& [nonce, state] : x_origins) {
    out.fixed(nonce);
    out.all(state.last_seq, state.window);
  }
  out.add(x_keys_by_age.size());
  for (const auto key : x_keys_by_age) {
    out.fixed(key);
    out.add(x_keys.at(key));
  }
  for (const auto* marks : {&x_sent, &x_taken}) {
    out.add(marks->size());
    for (const auto& [partition, number] : *marks)
      out.all(partition, number);
  }
  out.add(x_head_time);
  return out.take();
}

std::optional<partition_state> partition_state::from_bytes(std::string_view bytes) {
  state_source in(bytes);
  partition_state made;
  const auto entities = in.take_size(uuid_bytes);
  made.x_entities.reserve(entities);
  for (std::size_t i = 0; i < entities && in.is_good(); ++i) {
    uuid entity;
    in.add(entity);
    made.x_entities.emplace(entity, read_entity(in));
  }
  for (auto left = in.take_size(origin_bytes_min); left > 0 && in.is_good(); --left) {
    std::uint64_t nonce = 0;
    in.fixed(nonce);
    auto& origin = made.x_origins[nonce];
    in.all(origin.last_seq, origin.window);
  }
  for (auto left = in.take_size(key_bytes_min); left > 0 && in.is_good(); --left) {
    std::uint64_t key = 0;
    in.fixed(key);
    in.add(made.x_keys[key]);
    made.x_keys_by_age.push_back(key);
  }
  for (auto* marks : {&made.x_sent, &made.x_taken})
    for (auto left = in.take_size(2); left > 0 && in.is_good(); --left) {
      partition_number partition{};
      in.add(partition);
      in.add((*marks)[partition]);
    }
  in.add(made.x_head_time);
  const bool is_whole =
      in.is_good() && in.is_at_end() && made.x_keys.size() == made.x_keys_by_age.size();
  return is_whole ? std::optional(std::move(made)) : std::nullopt;
}

} // namespace orrery::domain
