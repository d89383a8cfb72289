#include "actors/snapshot_files.hpp"

#include "actors/private_files.hpp"
#include "events/log/sha256.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>

namespace orrery::actors {

namespace {

namespace files = std::filesystem;

constexpr std::string_view suffix = ".snapshot";

/// Digits of a number in a name, so that names sort as numbers do.
constexpr std::size_t partition_digits = 4;
constexpr std::size_t seq_digits = 20;

std::string padded(std::uint64_t number, std::size_t digits) {
  auto text = std::to_string(number);
  return std::string(digits - std::min(digits, text.size()), '0') + text;
}

std::string prefix_of(partition_number where) {
  return padded(static_cast<std::uint64_t>(where), partition_digits) + "-";
}

struct snapshot_file {
  std::string path;
  std::uint64_t seq = 0;
};

/// Those of a partition, the newest first.
std::vector<snapshot_file> files_of(const std::string& directory, partition_number where) {
  std::vector<snapshot_file> found;
  std::error_code missing;
  const auto prefix = prefix_of(where);
  for (const auto& one : files::directory_iterator(directory, missing)) {
    const auto name = one.path().filename().string();
    if (!name.starts_with(prefix) || !name.ends_with(suffix))
      continue;
    const auto digits =
        std::string_view(name).substr(prefix.size(), name.size() - prefix.size() - suffix.size());
    snapshot_file file{one.path().string()};
    const auto [end, failed] =
        std::from_chars(digits.data(), digits.data() + digits.size(), file.seq);
    if (failed == std::errc() && end == digits.data() + digits.size())
      found.push_back(std::move(file));
  }
  std::ranges::sort(found, std::ranges::greater(), &snapshot_file::seq);
  return found;
}

error damaged(std::string text) { return {error_code::damaged, std::move(text), false}; }

/// Whether the log still has the records that the snapshot was made of.
result<void> check_chain(const partition_snapshot& snapshot, log::log& from) {
  const auto cut = [&](const std::string& what) {
    return error{error_code::log_cut,
                 "the log of partition " + to_text(snapshot.where) + " " + what +
                     ", but a snapshot was made of record " + std::to_string(snapshot.seq()) +
                     ": acknowledged records are lost. Restore the log; delete the snapshots and "
                     "projections only if you accept the loss",
                 false};
  };
  const auto end = from.end(snapshot.where);
  if (!end)
    return end.error();
  if (snapshot.next == 0 || *end < snapshot.next)
    return cut("ends before that");
  const auto read = from.read(snapshot.where, snapshot.next - 1, 1, std::chrono::milliseconds(0));
  if (!read)
    return read.error();
  if (read->empty() ||
      log::sha256_of(log::bytes_of(snapshot.before), read->front().bytes) != snapshot.head.hash)
    return cut("has another record there");
  return {};
}

result<partition_snapshot> read_snapshot(const std::string& path,
                                         const log::log_identity& identity) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const auto size = file ? static_cast<std::streamoff>(file.tellg()) : 0;
  std::string bytes(static_cast<std::size_t>(size), '\0');
  if (!file.seekg(0).read(bytes.data(), size))
    return damaged(path + " cannot be read");
  auto read = decode_snapshot(bytes, identity);
  if (!read)
    return error{read.error().code, path + ": " + read.error().text, false};
  return read;
}

/// What a killed process left of a partition's snapshots before they had their names.
std::vector<files::path> partial_files_of(const std::string& directory, partition_number where) {
  std::vector<files::path> found;
  std::error_code missing;
  for (const auto& one : files::directory_iterator(directory, missing)) {
    const auto name = one.path().filename().string();
    if (name.starts_with(prefix_of(where)) && name.ends_with(partial_suffix))
      found.push_back(one.path());
  }
  return found;
}

/// Removes what nobody needs once `newest` is there: all but the newest ones, what has a higher
/// number (no good one has: it was made of another log, or is damaged), and what is not whole.
void remove_useless(const std::string& directory, const partition_snapshot& newest) {
  std::error_code ignored; // one that stays is removed the next time
  std::size_t kept = 0;
  for (const auto& file : files_of(directory, newest.where))
    if (file.seq > newest.seq() || ++kept > snapshots_kept)
      files::remove(file.path, ignored);
  for (const auto& path : partial_files_of(directory, newest.where))
    files::remove(path, ignored);
}

} // namespace

result<void> write_snapshot(const std::string& directory, const log::log_identity& identity,
                            const partition_snapshot& snapshot) {
  if (auto made = make_directory(directory); !made)
    return made;
  const auto name = directory + "/" + prefix_of(snapshot.where) +
                    padded(snapshot.seq(), seq_digits) + std::string(suffix);
  if (auto written = write_durably(name, encode_snapshot(identity, snapshot)); !written)
    return written;
  remove_useless(directory, snapshot);
  return {};
}

result<std::optional<partition_snapshot>>
find_snapshot(const std::string& directory, const log::log_identity& identity,
              partition_number where, std::uint64_t seq_max, log::log& from,
              const std::function<void(const error&)>& tell) {
  const auto end = from.end(where);
  if (!end)
    return end.error();
  for (const auto& file : files_of(directory, where)) {
    // One that the log does not reach is looked at all the same: it shows what was lost.
    if (file.seq > seq_max && file.seq <= *end)
      continue;
    auto read = read_snapshot(file.path, identity);
    if (read && (read->where != where || read->seq() != file.seq))
      read = damaged(file.path + " is not what its name says");
    if (!read) {
      tell(read.error());
      continue;
    }
    if (auto checked = check_chain(*read, from); !checked)
      return checked.error();
    return std::optional(std::move(*read));
  }
  return std::optional<partition_snapshot>();
}

} // namespace orrery::actors
