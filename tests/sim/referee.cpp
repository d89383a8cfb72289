#include "tests/sim/referee.hpp"

#include "events/log/sha256.hpp"

namespace orrery::sim {

namespace {

/// How far the log's time may be ahead of the true one: what a clock guard lets pass, twice.
constexpr std::chrono::seconds ahead_max{10};

/// Records between two looks at the whole state.
constexpr std::uint64_t look_interval = 64;

std::string number(std::uint64_t value) { return std::to_string(value); }

} // namespace

utc_time wall_clock(const timeline& time) {
  constexpr std::uint64_t beginning = 1'793'000'000'000'000; // a day in 2026, in µs since 1970
  return from_micros(beginning) + time.now();
}

std::string_view name_of(deed what) {
  switch (what) {
  case deed::fence:
    return "fence";
  case deed::define:
    return "define";
  case deed::start:
    return "start";
  case deed::shutdown:
    return "shutdown";
  case deed::kill:
    return "kill";
  case deed::undefine:
    return "undefine";
  }
  return "fence";
}

referee::referee(const log::log_identity& identity, partition_number where, const timeline& time)
    : x_time(time), x_history(identity, where) {}

void referee::fail(std::string_view check, const std::string& text) {
  if (!x_broken)
    x_broken = broken_promise{std::string(check), text, x_time.steps(), x_time.now()};
}

// Over records ------------------------------------------------------------------------------------

bool referee::on_stored(const log::record& record) {
  x_has_changed_space = false;
  const auto judged = x_history.take(record.bytes);
  if (const auto* claim = std::get_if<log::accepted_claim>(&judged)) {
    ++x_claims;
    accept(record.bytes, claim->after, nullptr);
  } else if (const auto* commit = std::get_if<log::accepted_commit>(&judged)) {
    if (auto body = domain::parse_commit(commit->body))
      accept(record.bytes, commit->after, std::move(body));
    else
      fail("readable", "an accepted commit cannot be read");
  } else if (const auto* nothing = std::get_if<log::voided>(&judged)) {
    ++x_voids;
    on_void(0, log::name_of(nothing->reason));
  } else {
    fail("no_stop", "the rule stops at record " + number(x_history.head().next) + " (" +
                        std::string(log::name_of(std::get<log::stopped>(judged).reason)) + ")");
  }
  return x_has_changed_space;
}

void referee::accept(std::string_view bytes, const log::chain_head& after,
                     std::shared_ptr<const v1::CommitBody> body) {
  const auto seq = after.next - 1;
  check(seq == x_accepted.size() + 1, "one_record_a_number",
        [&] { return "record " + number(seq) + " was accepted out of turn"; });
  check(x_bytes.insert(std::hash<std::string_view>{}(bytes)).second, "accepted_once",
        [&] { return "record " + number(seq) + " had been accepted before"; });
  x_accepted.push_back({after.hash, after.epoch, body});
  if (body == nullptr)
    return;
  check_time(*body);
  for (const auto& decision : body->decisions())
    take_decision(decision, seq);
  x_state.fold_alone(*body, seq);
  x_commits.emplace_back(seq, *body);
  if (x_commits.size() % look_interval != 0)
    return;
  ++x_checks;
  for (const auto& found : support::check_state(x_state))
    fail(found.check, found.text);
}

void referee::check_time(const v1::CommitBody& body) {
  const auto decided_at = from_micros(body.decided_at());
  check(decided_at > x_last_time, "times_rise",
        [&] { return "a commit of " + to_text(decided_at) + " is not after the one before it"; });
  check(decided_at <= wall_clock(x_time) + ahead_max, "time_is_true", [&] {
    return "a commit says " + to_text(decided_at) + ", but it is " + to_text(wall_clock(x_time));
  });
  x_last_time = domain::last_time(body);
}

void referee::take_decision(const v1::Decision& decision, std::uint64_t seq) {
  const auto& command = decision.command();
  if (command.has_stream()) {
    auto& last = x_streams[command.stream().source()];
    check(command.stream().number() == last + 1, "streams_in_order", [&] {
      return "message " + number(command.stream().number()) + " of partition " +
             number(command.stream().source()) + " was decided after message " + number(last);
    });
    last = command.stream().number();
  } else {
    check_repetition(command, seq);
  }
  for (const auto& step : decision.steps())
    for (const auto& event : step.events())
      take_event(domain::from_proto(step.entity()), event);
}

void referee::check_repetition(const v1::Command& command, std::uint64_t seq) {
  const auto id = domain::from_proto(command.id());
  check(x_commands.emplace(id, seq).second, "decided_once",
        [&] { return "command " + to_text(id) + " was decided again in record " + number(seq); });
  const auto& origin = command.origin();
  check(origin.nonce() == 0 || x_origins.emplace(origin.nonce(), origin.number()).second,
        "origin_once", [&] {
          return "number " + number(origin.number()) + " of origin " + number(origin.nonce()) +
                 " was decided again in record " + number(seq);
        });
  if (command.has_key())
    check(x_keys.emplace(command.key().key_hash(), id).second, "key_once", [&] {
      return "client key " + number(command.key().key_hash()) + " was decided again in record " +
             number(seq);
    });
}

void referee::take_event(const uuid& entity, const v1::Event& event) {
  x_has_changed_space = x_has_changed_space || event.has_network() || event.has_installation();
  if (event.has_node() && event.node().has_connected())
    x_hellos.emplace(entity, x_history.head().epoch);
  if (!event.has_vm())
    return;
  auto& wished = x_wishes[entity];
  const auto& vm = event.vm();
  check_connection(entity, vm);
  if (vm.has_start_requested())
    wished.start = vm.start_requested().generation();
  if (vm.has_shutdown_requested())
    wished.shutdown = vm.shutdown_requested().generation();
  if (vm.has_stop_requested())
    wished.off = vm.stop_requested().generation();
  if (vm.has_removal_requested()) {
    wished.off = vm.removal_requested().generation();
    wished.removal = true;
  }
  if (vm.has_job_started() &&
      (vm.job_started().kind() == v1::VM_STOP || vm.job_started().kind() == v1::VM_SHUTDOWN))
    x_stops[domain::from_proto(vm.job_started().job())] = vm.job_started().generation();
  if (vm.has_job_ended() && vm.job_ended().state() == v1::Job::DONE)
    if (const auto stop = x_stops.find(domain::from_proto(vm.job_ended().job()));
        stop != x_stops.end())
      wished.stopped = stop->second;
  if (vm.has_removed() && x_runs)
    check(!x_runs(entity), "release_by_fact", [&] {
      return "VM " + to_text(entity) + " gives its address and its room back, but its guest runs";
    });
}

/// The word of a connection to a node that was replaced in an earlier record counts no more.
void referee::check_connection(const uuid& entity, const v1::VmEvent& event) {
  const auto* source = support::source_of(event);
  if (source == nullptr)
    return;
  const auto node = x_state.find(domain::from_proto(source->node()));
  const auto* known = node == nullptr ? nullptr : std::get_if<domain::node_state>(node.get());
  check(known == nullptr || source->node_epoch() >= known->epoch, "newest_connection", [&] {
    return "a word on VM " + to_text(entity) + " of connection " + number(source->node_epoch()) +
           " counts, though connection " + number(known->epoch) + " replaced it";
  });
}

void referee::check_all() {
  for (const auto& found : support::check_invariants(x_commits, x_state))
    fail(found.check, found.text);
  x_checks += support::all_checks().size();
}

// Over readers ------------------------------------------------------------------------------------

void referee::on_folded(std::uint32_t process, std::uint64_t seq, const log::digest& head) {
  check(seq <= x_accepted.size() && x_accepted[seq - 1].hash == head, "readers_agree", [&] {
    return "process " + number(process) + " has another hash than the log after record " +
           number(seq);
  });
}

void referee::on_void(std::uint32_t process, std::string_view reason) {
  check(reason != "same_epoch" && reason != "future_epoch", "no_void_that_means_a_bug", [&] {
    return (process == 0 ? "a record" : "process " + number(process) + " found that a record") +
           " is void: " + std::string(reason);
  });
}

void referee::on_fatal(std::uint32_t process, const error& why) {
  fail("no_process_stops", "process " + number(process) + " stops: " + why.text);
}

void referee::compare(std::uint32_t process, std::uint64_t seq,
                      const domain::partition_state& state) {
  if (seq != x_accepted.size())
    return;
  check(state.to_bytes() == x_state.to_bytes(), "readers_agree", [&] {
    return "process " + number(process) + " has another state than the log after record " +
           number(seq);
  });
}

// Over answers and deeds --------------------------------------------------------------------------

void referee::on_answer(const v1::Command& asked, const actors::command_reply& said,
                        std::uint64_t seq) {
  const auto id = domain::from_proto(asked.id());
  if (said.reply.code() == static_cast<std::uint32_t>(error_code::timed_out)) {
    const auto decided = x_commands.find(id);
    check(decided == x_commands.end() || decided->second > seq, "readers_answer", [&] {
      return "command " + to_text(id) + " waited in vain at a process that has read up to record " +
             number(seq) + ", though record " + number(decided->second) + " has it";
    });
  }
  if (said.seq == 0) {
    check(said.reply.code() != 0, "answers_are_recorded",
          [&] { return "command " + to_text(id) + " was answered as done, with no record"; });
    return;
  }
  const v1::Decision* found = nullptr;
  if (said.seq <= x_accepted.size() && x_accepted[said.seq - 1].body != nullptr)
    for (const auto& decision : x_accepted[said.seq - 1].body->decisions())
      if (domain::from_proto(decision.command().id()) == said.command)
        found = &decision;
  check(found != nullptr, "answers_are_recorded", [&] {
    return "command " + to_text(id) + " was answered from record " + number(said.seq) +
           ", which does not have it";
  });
  if (found == nullptr)
    return;
  check(found->reply().SerializeAsString() == said.reply.SerializeAsString(),
        "answers_are_recorded", [&] {
          return "command " + to_text(id) + " was answered otherwise than record " +
                 number(said.seq) + " says";
        });
  const bool is_own = said.command == id;
  const bool is_key =
      asked.has_key() && found->command().key().key_hash() == asked.key().key_hash();
  check(is_own || is_key, "answers_are_recorded",
        [&] { return "command " + to_text(id) + " got the answer to another one"; });
}

void referee::on_deed(std::uint32_t process, const uuid& node, deed what, const uuid& vm,
                      generation_number generation, const drivers::fencing_token& token) {
  const auto say = [&] {
    return "process " + number(process) + " has guest " + to_text(vm) + " " +
           std::string(name_of(what)) + "ed (generation " + number(generation.count) + ", epoch " +
           number(token.epoch) + ")";
  };
  check(x_hellos.contains({node, token.epoch}), "hello_before_deeds",
        [&] { return say() + ", but its hello to the node is in no accepted record"; });
  const auto found = x_wishes.find(vm);
  const auto wished = found == x_wishes.end() ? wishes{} : found->second;
  bool is_wished = true;
  switch (what) {
  case deed::fence:
    break;
  case deed::define:
  case deed::start:
    is_wished = wished.start >= generation.count && generation.count > 0;
    break;
  case deed::shutdown:
    is_wished = wished.shutdown > 0;
    break;
  case deed::kill:
    is_wished = wished.off > 0;
    break;
  case deed::undefine:
    is_wished = wished.removal || x_state.find(vm) == nullptr; // or a stray
    break;
  }
  check(is_wished, "deeds_after_acceptance",
        [&] { return say() + ", but no accepted record wishes it"; });
}

void referee::on_started(const uuid& vm, generation_number generation) {
  const auto found = x_wishes.find(vm);
  check(found == x_wishes.end() || found->second.stopped < generation.count, "stopped_stays", [&] {
    return "guest " + to_text(vm) + " runs for wish " + number(generation.count) +
           ", though the job of wish " + number(found->second.stopped) +
           " has told that it is stopped";
  });
}

} // namespace orrery::sim
