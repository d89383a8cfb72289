#include "drivers/simulated/store.hpp"

#include "drivers/guest_spec_check.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <sstream>
#include <system_error>

namespace orrery::drivers {

namespace {

constexpr std::string_view file_ending = ".guest";
constexpr std::string_view turns_name = "turns";
constexpr std::string_view first_line = "orrery simulated guest 1";
// A spec has a dozen short fields; anything longer was not written by us.
constexpr std::uintmax_t file_size_max = 8192;

error damaged(std::string text) {
  return {.code = error_code::damaged, .text = std::move(text), .retryable = false};
}

error io_failed(const std::string& what, const std::filesystem::path& path,
                const std::error_code& why) {
  return {.code = error_code::io_failed,
          .text = what + " " + path.string() + ": " + why.message(),
          .retryable = true};
}

using fields = std::map<std::string, std::string, std::less<>>;

void put(std::string& text, std::string_view key, std::string_view value) {
  text.append(key).append(" ").append(value).append("\n");
}

void put(std::string& text, std::string_view key, std::uint64_t value) {
  put(text, key, std::to_string(value));
}

void put(std::string& text, std::string_view key, std::chrono::system_clock::time_point when) {
  const auto since = when.time_since_epoch();
  put(text, key,
      static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::microseconds>(since).count()));
}

void put_spec(std::string& text, const std::string& prefix, const guest_spec& spec) {
  put(text, prefix + "installation", to_text(spec.installation));
  put(text, prefix + "name", spec.name);
  put(text, prefix + "vcpus", spec.vcpus.count);
  put(text, prefix + "memory_mib", spec.memory.count);
  put(text, prefix + "image", spec.image);
  put(text, prefix + "link", spec.port.link);
  put(text, prefix + "mac", to_text(spec.port.mac));
  put(text, prefix + "address", to_text(spec.port.address));
  put(text, prefix + "prefix_length", spec.port.prefix_length);
  put(text, prefix + "gateway", to_text(spec.port.gateway));
  put(text, prefix + "address6", to_text(spec.port.address6));
}

/// Reads fields one after another and remembers the first that failed.
class field_reader {
public:
  explicit field_reader(const fields& source) : x_source(source) {}

  std::string text(const std::string& key) {
    const auto found = x_source.find(key);
    if (found == x_source.end()) {
      fail(key);
      return {};
    }
    return found->second;
  }

  std::uint64_t number(const std::string& key, std::uint64_t max) {
    const auto digits = text(key);
    std::uint64_t value = 0;
    const auto* end = digits.data() + digits.size();
    const auto [stop, failure] = std::from_chars(digits.data(), end, value);
    if (failure == std::errc{} && stop == end && value <= max)
      return value;
    fail(key);
    return 0;
  }

  std::chrono::system_clock::time_point moment(const std::string& key) {
    constexpr std::uint64_t micros_max = INT64_MAX / 1000; // the clock counts nanoseconds
    const auto micros = static_cast<std::int64_t>(number(key, micros_max));
    return std::chrono::system_clock::time_point(std::chrono::microseconds(micros));
  }

  template <class T> T parsed(const std::string& key, result<T> (*parse)(std::string_view)) {
    auto value = parse(text(key));
    if (value)
      return *value;
    fail(key);
    return T{};
  }

  [[nodiscard]] const std::string& failed() const { return x_failed; }

private:
  void fail(const std::string& key) {
    if (x_failed.empty())
      x_failed = key;
  }

  const fields& x_source;
  std::string x_failed;
};

guest_spec read_spec(field_reader& in, const std::string& prefix, vm_id vm) {
  guest_spec spec;
  spec.vm = vm;
  spec.installation = in.parsed(prefix + "installation", &parse_uuid);
  spec.name = in.text(prefix + "name");
  spec.vcpus.count = static_cast<std::uint32_t>(in.number(prefix + "vcpus", UINT32_MAX));
  spec.memory.count = in.number(prefix + "memory_mib", UINT64_MAX);
  spec.image = in.text(prefix + "image");
  spec.port.link = in.text(prefix + "link");
  spec.port.mac = in.parsed(prefix + "mac", &parse_mac);
  spec.port.address = in.parsed(prefix + "address", &parse_ipv4);
  spec.port.prefix_length = static_cast<std::uint8_t>(in.number(prefix + "prefix_length", 32));
  spec.port.gateway = in.parsed(prefix + "gateway", &parse_ipv4);
  spec.port.address6 = in.parsed(prefix + "address6", &parse_ipv6);
  return spec;
}

result<fields> split(std::string_view text) {
  fields out;
  bool is_first = true;
  while (!text.empty()) {
    const auto line_end = text.find('\n');
    if (line_end == std::string_view::npos)
      return damaged("the last line is cut");
    const auto line = text.substr(0, line_end);
    text.remove_prefix(line_end + 1);
    if (is_first) {
      if (line != first_line)
        return damaged("the first line is not '" + std::string(first_line) + "'");
      is_first = false;
      continue;
    }
    const auto space = line.find(' ');
    if (space == std::string_view::npos)
      return damaged("a line without a value");
    out.emplace(line.substr(0, space), line.substr(space + 1));
  }
  if (is_first)
    return damaged("the file is empty");
  return out;
}

result<std::string> read_file(const std::filesystem::path& path) {
  std::error_code failure;
  const auto size = std::filesystem::file_size(path, failure);
  if (failure)
    return io_failed("cannot read", path, failure);
  if (size > file_size_max)
    return damaged("longer than any guest's file");
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in)
    return io_failed("cannot read", path, std::make_error_code(std::errc::io_error));
  return text.str();
}

} // namespace

std::string to_text(vm_id vm, const simulated_guest& guest) {
  std::string text = std::string(first_line) + "\n";
  put(text, "vm", to_text(vm.value));
  put(text, "defined", guest.defined ? 1 : 0);
  if (guest.defined)
    put_spec(text, "", guest.spec);
  put(text, "condition", static_cast<std::uint64_t>(guest.condition));
  put(text, "cause", static_cast<std::uint64_t>(guest.cause));
  put(text, "generation", guest.generation.count);
  put(text, "token_incarnation", guest.token.incarnation);
  put(text, "token_epoch", guest.token.epoch);
  put(text, "boot_count", guest.boot_count);
  put(text, "fate", static_cast<std::uint64_t>(guest.fate));
  if (guest.fate != simulated_fate::none)
    put(text, "fate_due_us", guest.fate_due);
  const auto what = guest.pending ? guest.pending->what : simulated_change::none;
  put(text, "pending", static_cast<std::uint64_t>(what));
  if (!guest.pending)
    return text;
  const auto& pending = *guest.pending;
  put(text, "pending_generation", pending.generation.count);
  put(text, "pending_incarnation", pending.token.incarnation);
  put(text, "pending_epoch", pending.token.epoch);
  put(text, "pending_due_us", pending.due);
  if (pending.what == simulated_change::define)
    put_spec(text, "pending_", pending.spec);
  return text;
}

result<std::pair<vm_id, simulated_guest>> parse_simulated_guest(std::string_view text) {
  auto parts = split(text);
  if (!parts)
    return parts.error();
  field_reader in(*parts);
  simulated_guest guest;
  const vm_id vm{in.parsed("vm", &parse_uuid)};
  guest.defined = in.number("defined", 1) == 1;
  if (guest.defined)
    guest.spec = read_spec(in, "", vm);
  guest.condition = static_cast<guest_condition>(
      in.number("condition", static_cast<std::uint64_t>(guest_condition::running)));
  guest.cause =
      static_cast<stop_cause>(in.number("cause", static_cast<std::uint64_t>(stop_cause::crashed)));
  guest.generation.count = in.number("generation", UINT64_MAX);
  guest.token.incarnation = in.number("token_incarnation", UINT64_MAX);
  guest.token.epoch = in.number("token_epoch", UINT64_MAX);
  guest.boot_count = in.number("boot_count", UINT64_MAX);
  guest.fate = static_cast<simulated_fate>(
      in.number("fate", static_cast<std::uint64_t>(simulated_fate::crash)));
  if (guest.fate != simulated_fate::none)
    guest.fate_due = in.moment("fate_due_us");
  simulated_operation pending;
  pending.what = static_cast<simulated_change>(
      in.number("pending", static_cast<std::uint64_t>(simulated_change::fence)));
  if (pending.what != simulated_change::none) {
    pending.generation.count = in.number("pending_generation", UINT64_MAX);
    pending.token.incarnation = in.number("pending_incarnation", UINT64_MAX);
    pending.token.epoch = in.number("pending_epoch", UINT64_MAX);
    pending.due = in.moment("pending_due_us");
    if (pending.what == simulated_change::define)
      pending.spec = read_spec(in, "pending_", vm);
    guest.pending = std::make_shared<const simulated_operation>(std::move(pending));
  }
  if (!in.failed().empty())
    return damaged("field '" + in.failed() + "' is missing or wrong");
  return std::pair{vm, std::move(guest)};
}

simulated_store::simulated_store(std::filesystem::path directory)
    : x_directory(std::move(directory)) {}

simulated_store::~simulated_store() {
  if (x_turns >= 0)
    ::close(x_turns);
}

std::uint64_t simulated_store::begin_turn() {
  while (::flock(x_turns, LOCK_EX) != 0 && errno == EINTR) {
  }
  std::uint64_t changes = 0;
  // A short file is that of a folder in which nothing was changed yet.
  return ::pread(x_turns, &changes, sizeof changes, 0) == sizeof changes ? changes : 0;
}

result<void> simulated_store::note(std::uint64_t changes) const {
  if (::pwrite(x_turns, &changes, sizeof changes, 0) != sizeof changes)
    return io_failed("cannot write", x_directory / turns_name,
                     std::error_code(errno, std::generic_category()));
  return {};
}

void simulated_store::end_turn() { ::flock(x_turns, LOCK_UN); }

result<std::vector<std::pair<vm_id, simulated_guest>>> simulated_store::load() {
  std::error_code failure;
  std::filesystem::create_directories(x_directory, failure);
  if (failure)
    return io_failed("cannot make", x_directory, failure);
  const auto turns = x_directory / turns_name;
  if (x_turns < 0)
    x_turns = ::open(turns.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (x_turns < 0)
    return io_failed("cannot open", turns, std::error_code(errno, std::generic_category()));
  std::vector<std::filesystem::path> paths;
  for (auto i = std::filesystem::directory_iterator(x_directory, failure);
       !failure && i != std::filesystem::directory_iterator(); i.increment(failure))
    if (i->path().extension() == file_ending)
      paths.push_back(i->path());
  if (failure)
    return io_failed("cannot list", x_directory, failure);
  std::ranges::sort(paths);
  std::vector<std::pair<vm_id, simulated_guest>> guests;
  for (const auto& path : paths) {
    auto text = read_file(path);
    if (!text)
      return damaged(path.string() + ": " + text.error().text);
    auto guest = parse_simulated_guest(*text);
    if (!guest)
      return damaged(path.string() + ": " + guest.error().text);
    const bool is_gone = !guest->second.defined && !guest->second.pending;
    const auto written = std::filesystem::last_write_time(path, failure);
    if (is_gone && !failure && std::filesystem::file_time_type::clock::now() - written > gone_kept)
      std::filesystem::remove(path, failure);
    else
      guests.push_back(std::move(*guest));
  }
  return guests;
}

result<void> simulated_store::write(vm_id vm, const simulated_guest& guest) const {
  const auto path = x_directory / (to_text(vm.value) + std::string(file_ending));
  auto beside = path;
  beside += ".new";
  {
    std::ofstream out(beside, std::ios::binary | std::ios::trunc);
    out << to_text(vm, guest);
    out.flush();
    if (!out)
      return io_failed("cannot write", beside, std::error_code(errno, std::generic_category()));
  }
  std::error_code failure;
  std::filesystem::rename(beside, path, failure);
  if (failure)
    return io_failed("cannot rename", beside, failure);
  return {};
}

result<void> simulated_store::remove(vm_id vm) const {
  const auto path = x_directory / (to_text(vm.value) + std::string(file_ending));
  std::error_code failure;
  std::filesystem::remove(path, failure);
  if (failure)
    return io_failed("cannot remove", path, failure);
  return {};
}

} // namespace orrery::drivers
