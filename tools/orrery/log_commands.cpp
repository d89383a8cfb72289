#include "tools/orrery/log_commands.hpp"

#include "events/core/text.hpp"
#include "events/log/inspect.hpp"
#include "events/schema/json.hpp"
#include "events/schema/record.pb.h"
#include "tools/orrery/kafka_commands.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>
#include <string>

namespace orrery::cli {

namespace {

constexpr int exit_failed = 1;
constexpr int exit_check_failed = 3;

[[noreturn]] void fail(const error& why) {
  const auto code = name_of(why.code);
  std::fprintf(stderr, "error: %s (%.*s)\n", why.text.c_str(), static_cast<int>(code.size()),
               code.data());
  throw CLI::RuntimeError(exit_failed);
}

unsigned long long number(std::uint64_t value) { return value; }

void show_partition(partition_number where, const log::partition_summary& seen) {
  std::printf("partition %u: %llu records, %llu claims, %llu commits accepted; epoch %llu, next "
              "record %llu\n",
              static_cast<unsigned>(where), number(seen.records), number(seen.claims),
              number(seen.commits), number(seen.head.epoch), number(seen.head.next));
  std::printf("  head %s\n", log::to_text(seen.head.hash).c_str());
  for (std::size_t reason = 0; reason < log::void_reason_count; ++reason)
    if (seen.voids[reason] > 0)
      std::printf("  void %-13s %llu\n",
                  std::string(log::name_of(static_cast<log::void_reason>(reason))).c_str(),
                  number(seen.voids[reason]));
  if (seen.alarm)
    std::printf("  ALARM at record %llu: %s; %llu records behind it are read by nobody\n",
                number(seen.alarm_at), std::string(log::name_of(*seen.alarm)).c_str(),
                number(seen.after_alarm));
}

void verify(const std::string& directory) {
  const auto seen = log::inspect(directory, {});
  if (!seen)
    fail(seen.error());
  std::printf("%s\n%s\n", to_text(seen->identity.installation).c_str(),
              to_text(seen->identity.log).c_str());
  std::printf("%llu files, %llu frames, %llu bytes of records\n", number(seen->files),
              number(seen->frames), number(seen->bytes));
  for (const auto& [where, partition] : seen->partitions)
    show_partition(where, partition);
  if (seen->torn)
    std::printf("torn end: %s, byte %llu, %llu bytes that no record behind them proves to have "
                "been synced; the next start cuts them off\n",
                seen->torn->file.c_str(), number(seen->torn->position), number(seen->torn->bytes));
  if (seen->found_damage)
    std::printf("DAMAGED: %s, byte %llu: %s; restore the log from a backup\n",
                seen->found_damage->file.c_str(), number(seen->found_damage->position),
                seen->found_damage->text.c_str());
  std::puts(seen->is_good() ? "good" : "NOT GOOD");
  if (!seen->is_good())
    throw CLI::RuntimeError(exit_check_failed);
}

template <class Body> std::string body_text(std::string_view bytes) {
  Body body;
  if (!body.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return "\"unreadable\"";
  return to_json(body);
}

/// One record as a line of JSON.
void dump_record(const log::inspected_record& record) {
  std::printf("{\"partition\":%u,\"offset\":%llu,\"file\":\"%s\",\"byte\":%llu,",
              static_cast<unsigned>(record.where), number(record.at),
              printable(record.file, 4096).c_str(), number(record.position));
  if (const auto* claim = std::get_if<log::accepted_claim>(&record.judged))
    std::printf("\"kind\":\"claim\",\"seq\":%llu,\"body\":%s}\n", number(claim->after.next - 1),
                body_text<v1::ClaimBody>(claim->body).c_str());
  else if (const auto* commit = std::get_if<log::accepted_commit>(&record.judged))
    std::printf("\"kind\":\"commit\",\"seq\":%llu,\"epoch\":%llu,\"head\":\"%s\",\"body\":%s}\n",
                number(commit->header.seq), number(commit->header.epoch),
                log::to_text(commit->after.hash).c_str(),
                body_text<v1::CommitBody>(commit->body).c_str());
  else if (const auto* nothing = std::get_if<log::voided>(&record.judged))
    std::printf("\"kind\":\"void\",\"reason\":\"%s\"}\n",
                std::string(log::name_of(nothing->reason)).c_str());
  else
    std::printf("\"kind\":\"stop\",\"reason\":\"%s\"}\n",
                std::string(log::name_of(std::get<log::stopped>(record.judged).reason)).c_str());
}

void dump(const std::string& directory) {
  const auto seen = log::inspect(directory, dump_record);
  if (!seen)
    fail(seen.error());
  if (!seen->is_good())
    throw CLI::RuntimeError(exit_check_failed);
}

} // namespace

void add_log_commands(CLI::App& root) {
  auto* log = root.add_subcommand("log", "Look into a log, or make one on Kafka");
  log->require_subcommand(1);
  log->footer("These need no running orreryd, and for verify and dump none may run on the "
              "directory.\n\n"
              "Examples:\n"
              "  orrery log verify /var/lib/orrery/log\n"
              "  orrery log dump /var/lib/orrery/log | tail -1 | jq .");
  auto directory = std::make_shared<std::string>();
  auto* check = log->add_subcommand(
      "verify", "Check every frame, the chain of hashes and the acceptance rule");
  check->footer("Exit status 3 when it is damaged.\n\nExample:\n"
                "  orrery log verify /var/lib/orrery/log");
  check->add_option("directory", *directory, "the folder with log.meta")->required();
  check->callback([directory] { verify(*directory); });
  auto* show = log->add_subcommand("dump", "Print every record as a line of JSON");
  show->footer("Exit status 3 when it is damaged.\n\nExample:\n"
               "  orrery log dump /var/lib/orrery/log | jq 'select(.kind == \"commit\")'");
  show->add_option("directory", *directory, "the folder with log.meta")->required();
  show->callback([directory] { dump(*directory); });
  add_kafka_commands(*log);
}

} // namespace orrery::cli
