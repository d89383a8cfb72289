// check_log DIRECTORY [--world DIRECTORY]…
// check_log --kafka SERVERS --prefix PREFIX [--world DIRECTORY]… : what must hold of a stopped
// orreryd's log, after whatever was done to it.
//
// Reads the log as any reader does (acceptance rule, fold), runs every invariant, compares with
// simulated worlds (one directory a node, named by its id), and prints `state <SHA-256 over the
// folded states of all partitions>`, `commits <count>` and, for records that count for nothing,
// `void <reason> <count>`. Exit status 1 with a line for each violation.

#include "drivers/simulated/store.hpp"
#include "events/log/history.hpp"
#include "events/log/kafka_identity.hpp"
#include "events/log/segment_log.hpp"
#include "events/log/sha256.hpp"
#include "tests/support/invariants.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace orrery;

struct folded_log {
  support::commit_list commits;
  domain::partition_state state;
  std::uint64_t records = 0;
  std::map<std::string_view, std::uint64_t> voids; ///< by reason
};

struct source {
  std::unique_ptr<log::log> log;
  log::log_identity identity;
  std::size_t partitions = partition_number_max + 1; ///< at most
};

result<source> open_directory(const std::string& directory) {
  log::open_report report;
  log::open_options options;
  options.read_only = true;
  auto opened = log::segment_log::open(directory, options, report);
  if (!opened)
    return opened.error();
  const auto identity = (*opened)->identity();
  return source{std::move(*opened), identity, partition_number_max + 1};
}

result<source> open_kafka(const std::string& servers, const std::string& prefix) {
  log::kafka_options options;
  options.target.servers = servers;
  options.check_settings = false; // how the topic is set up is not what is asked
  auto opened = log::open_by_prefix(options, prefix);
  if (!opened)
    return opened.error();
  return source{std::move(opened->log), opened->identity, opened->partitions};
}

result<folded_log> fold(const source& from, partition_number where) {
  folded_log made;
  log::history reader(from.identity, where);
  constexpr std::size_t chunk = 4 * 1024 * 1024;
  const auto end = from.log->end(where);
  if (!end)
    return end.error();
  while (true) {
    if (made.records >= *end)
      return made;
    auto read = from.log->read(where, made.records, chunk, std::chrono::seconds(10));
    if (!read)
      return read.error();
    if (read->empty())
      return error{error_code::unavailable, "a record that is there does not come", true};
    for (const auto& record : *read) {
      ++made.records;
      const auto judged = reader.take(record.bytes);
      if (std::holds_alternative<log::stopped>(judged))
        return error{error_code::unknown_record, "the reader stops at a record", false};
      if (const auto* one = std::get_if<log::voided>(&judged))
        ++made.voids[log::name_of(one->reason)];
      const auto* commit = std::get_if<log::accepted_commit>(&judged);
      if (commit == nullptr)
        continue;
      v1::CommitBody body;
      if (!body.ParseFromArray(commit->body.data(), static_cast<int>(commit->body.size())))
        return error{error_code::unknown_record, "a body cannot be parsed", false};
      made.state.fold(body, commit->header.seq);
      made.commits.emplace_back(commit->header.seq, std::move(body));
    }
  }
}

result<std::vector<support::guest>> guests_in(const std::string& world) {
  const auto node = parse_uuid(std::filesystem::path(world).filename().string());
  if (!node)
    return node.error();
  const auto found = drivers::simulated_store(world).load();
  if (!found)
    return found.error();
  std::vector<support::guest> guests;
  for (const auto& [vm, guest] : *found)
    if (guest.defined)
      guests.push_back({vm.value, *node});
  return guests;
}

int fail(const error& why) {
  std::printf("error: %s\n", why.text.c_str());
  return 1;
}

/// Every partition's invariants, and those between them. Prints what the states are.
result<std::vector<support::violation>> judge(const source& from,
                                              const std::vector<std::string>& worlds) {
  std::vector<support::guest> guests;
  for (const auto& world : worlds) {
    const auto found = guests_in(world);
    if (!found)
      return found.error();
    guests.insert(guests.end(), found->begin(), found->end());
  }
  std::vector<support::violation> violations;
  const auto note = [&violations](std::vector<support::violation> more) {
    violations.insert(violations.end(), more.begin(), more.end());
  };
  std::map<partition_number, support::commit_list> commits;
  std::map<partition_number, domain::partition_state> states;
  std::map<partition_number, std::string> digests;
  std::map<std::string_view, std::uint64_t> voids;
  std::size_t count = 0;
  for (std::size_t i = 0; i < from.partitions; ++i) {
    const auto where = static_cast<partition_number>(i);
    auto folded = fold(from, where);
    if (!folded)
      return folded.error();
    note(support::check_invariants(folded->commits, folded->state));
    std::vector<support::guest> here;
    std::ranges::copy_if(guests, std::back_inserter(here), [where](const support::guest& one) {
      return one.vm.partition() == where;
    });
    if (!worlds.empty())
      note(support::check_guests(folded->state, here));
    for (const auto& [reason, times] : folded->voids)
      voids[reason] += times;
    if (folded->commits.empty())
      continue;
    count += folded->commits.size();
    digests[where] = log::to_text(log::sha256_of(folded->state.to_bytes()));
    commits[where] = std::move(folded->commits);
    states[where] = std::move(folded->state);
  }
  note(support::check_streams(commits, true));
  support::all_states all;
  for (const auto& [where, state] : states)
    all[where] = &state;
  note(support::check_space(all, true));
  std::printf("state %s\n", log::combine(digests).c_str());
  std::printf("commits %zu\n", count);
  for (const auto& [reason, times] : voids)
    std::printf("void %s %llu\n", std::string(reason).c_str(),
                static_cast<unsigned long long>(times));
  return violations;
}

} // namespace

int main(int count, char** values) {
  std::string directory;
  std::string servers;
  std::string prefix;
  std::vector<std::string> worlds;
  for (int i = 1; i < count; ++i) {
    if (std::string_view(values[i]) == "--world" && i + 1 < count)
      worlds.emplace_back(values[++i]);
    else if (std::string_view(values[i]) == "--kafka" && i + 1 < count)
      servers = values[++i];
    else if (std::string_view(values[i]) == "--prefix" && i + 1 < count)
      prefix = values[++i];
    else
      directory = values[i];
  }
  const auto from = servers.empty() ? open_directory(directory) : open_kafka(servers, prefix);
  if (!from)
    return fail(from.error());
  auto judged = judge(*from, worlds);
  if (!judged)
    return fail(judged.error());
  std::fputs(support::to_text(*judged).c_str(), stdout);
  return judged->empty() ? 0 : 1;
}
