// check_log DIRECTORY [--world DIRECTORY]…
// check_log --kafka SERVERS --prefix PREFIX [--world DIRECTORY]… : what must hold of a stopped
// orreryd's log, after whatever was done to it.
//
// Reads the log as any reader does (acceptance rule, fold), runs every invariant, compares with
// simulated worlds (one directory a node, named by its id), and prints `state <SHA-256 of the
// folded state>`, `commits <count>`. Exit status 1 with a line for each violation.

#include "drivers/simulated/store.hpp"
#include "events/log/history.hpp"
#include "events/log/kafka_identity.hpp"
#include "events/log/segment_log.hpp"
#include "tests/support/invariants.hpp"

#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace orrery;

struct folded_log {
  support::commit_list commits;
  domain::partition_state state;
  std::uint64_t records = 0;
};

struct source {
  std::unique_ptr<log::log> log;
  log::log_identity identity;
};

result<source> open_directory(const std::string& directory) {
  log::open_report report;
  log::open_options options;
  options.read_only = true;
  auto opened = log::segment_log::open(directory, options, report);
  if (!opened)
    return opened.error();
  const auto identity = (*opened)->identity();
  return source{std::move(*opened), identity};
}

result<source> open_kafka(const std::string& servers, const std::string& prefix) {
  log::kafka_options options;
  options.target.servers = servers;
  options.check_settings = false; // how the topic is set up is not what is asked
  auto opened = log::open_by_prefix(options, prefix);
  if (!opened)
    return opened.error();
  return source{std::move(opened->log), opened->identity};
}

result<folded_log> fold(const source& from) {
  folded_log made;
  log::history reader(from.identity, partition_number{0});
  constexpr std::size_t chunk = 4 * 1024 * 1024;
  const auto end = from.log->end(partition_number{0});
  if (!end)
    return end.error();
  while (true) {
    if (made.records >= *end)
      return made;
    auto read = from.log->read(partition_number{0}, made.records, chunk, std::chrono::seconds(10));
    if (!read)
      return read.error();
    if (read->empty())
      return error{error_code::unavailable, "a record that is there does not come", true};
    for (const auto& record : *read) {
      ++made.records;
      const auto judged = reader.take(record.bytes);
      if (std::holds_alternative<log::stopped>(judged))
        return error{error_code::unknown_record, "the reader stops at a record", false};
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
  const auto folded = fold(*from);
  if (!folded)
    return fail(folded.error());
  auto violations = support::check_invariants(folded->commits, folded->state);
  std::vector<support::guest> guests;
  for (const auto& world : worlds) {
    const auto found = guests_in(world);
    if (!found)
      return fail(found.error());
    guests.insert(guests.end(), found->begin(), found->end());
  }
  if (!worlds.empty()) {
    auto more = support::check_guests(folded->state, guests);
    violations.insert(violations.end(), more.begin(), more.end());
  }
  std::printf("state %s\n", log::to_text(log::sha256_of(folded->state.to_bytes())).c_str());
  std::printf("commits %zu\n", folded->commits.size());
  std::fputs(support::to_text(violations).c_str(), stdout);
  return violations.empty() ? 0 : 1;
}
