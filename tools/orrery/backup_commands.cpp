#include "tools/orrery/backup_commands.hpp"

#include "events/log/backup.hpp"
#include "tools/orrery/drawn_line.hpp"

#include <array>
#include <chrono>
#include <cstdio>

namespace orrery::cli {

namespace {

utc_time now() {
  return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
}

/// "812 B", "4.2 MiB".
std::string bytes_text(std::uint64_t bytes) {
  static constexpr std::array<const char*, 6> units{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < units.size(); ++unit)
    value /= 1024;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, units.at(unit));
  return text.data();
}

log::backup_options options_for(drawn_line& line) {
  log::backup_options options;
  options.progress = [&line](std::string_view what, std::uint64_t done, std::uint64_t all) {
    line.show(std::string(what) + " " + bytes_text(done) + " of " + bytes_text(all));
  };
  return options;
}

/// Damage has an exit code of its own, as for `orrery log verify`.
[[noreturn]] void fail(const error& why) {
  failure told(why);
  if (why.code == error_code::damaged)
    told.exit = exit_code::check_failed;
  throw told;
}

/// One row: what it is about, and what it holds.
const view& backup_view() {
  static const view made{"backup",
                         "backups",
                         "path",
                         {{"PATH", {"path"}},
                          {"MADE", {"made"}, cell_kind::age},
                          {"RECORDS", {"records"}},
                          {"SIZE", {"size"}},
                          {"INCARNATION", {"incarnation"}},
                          {"LOG", {"log"}, cell_kind::text, true},
                          {"INSTALLATION", {"installation"}, cell_kind::text, true},
                          {"FILES", {"files"}, cell_kind::text, true}}};
  return made;
}

json partitions_of(const log::backup_manifest& manifest) {
  auto list = json::list();
  for (const auto& [where, one] : manifest.partitions)
    list.items.push_back(json::object()
                             .set("partition", json::of(std::uint64_t(where)))
                             .set("records", json::of(one.records))
                             .set("epoch", json::of(one.head.epoch))
                             .set("next", json::of(one.head.next))
                             .set("head", json::of(log::to_text(one.head.hash))));
  return list;
}

void show(const settings& how, const std::string& path, const log::backup_facts& facts,
          std::uint64_t incarnation) {
  const auto& manifest = facts.manifest;
  auto item = json::object();
  item.set("path", json::of(path))
      .set("made", json::of(to_text(manifest.made)))
      .set("records", json::of(manifest.records()))
      .set("bytes", json::of(facts.bytes))
      .set("files", json::of(facts.files))
      .set("incarnation", json::of(incarnation))
      .set("installation", json::of(to_text(manifest.meta.identity.installation)))
      .set("log", json::of(to_text(manifest.meta.identity.log)));
  if (how.format == output_format::json || how.format == output_format::yaml)
    item.set("partitions", partitions_of(manifest));
  else
    item.set("size", json::of(bytes_text(facts.bytes)));
  show_item(how, backup_view(), item);
}

} // namespace

void create_backup(const settings& how, const std::string& data, const std::string& backup) {
  const auto made = [&] {
    drawn_line line(how);
    return log::create_backup(data + "/log", backup, now(), options_for(line));
  }();
  if (!made)
    fail(made.error());
  show(how, backup, *made, made->manifest.meta.incarnation);
}

void verify_backup(const settings& how, const std::string& backup) {
  const auto seen = [&] {
    drawn_line line(how);
    return log::verify_backup(backup, options_for(line));
  }();
  if (!seen)
    fail(seen.error());
  show(how, backup, *seen, seen->manifest.meta.incarnation);
}

void restore_backup(const settings& how, const std::string& backup, const std::string& data) {
  const auto made = [&] {
    drawn_line line(how);
    return log::restore_backup(backup, data, now(), options_for(line));
  }();
  if (!made)
    fail(made.error());
  show(how, data + "/log", made->from, made->incarnation);
}

} // namespace orrery::cli
