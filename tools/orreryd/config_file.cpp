#include "tools/orreryd/config_file.hpp"

#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include <fstream>
#include <map>
#include <sstream>

namespace orrery::tools {

namespace {

constexpr std::size_t file_size_max = std::size_t{1024} * 1024; // a configuration is a page

constexpr std::int64_t mebibyte = std::int64_t{1024} * 1024;

/// Reads the known keys of one table and refuses the others.
class table_reader {
public:
  table_reader(const toml::table& table, std::string path, std::string file)
      : x_table(table), x_path(std::move(path)), x_file(std::move(file)) {}

  void text(const char* key, std::string& target) {
    if (const auto* node = find(key)) {
      if (const auto value = node->value<std::string>(); value && node->is_string())
        target = *value;
      else
        fail(*node, key, "is not a text in quotes");
    }
  }

  void number(const char* key, std::int64_t value_min, std::int64_t value_max,
              std::int64_t& target) {
    if (const auto* node = find(key)) {
      const auto value = node->value<std::int64_t>();
      if (node->is_integer() && value && *value >= value_min && *value <= value_max)
        target = *value;
      else
        fail(*node, key,
             "is not a whole number from " + std::to_string(value_min) + " to " +
                 std::to_string(value_max));
    }
  }

  const toml::table* table(const char* key) {
    const auto* node = find(key);
    if (node == nullptr)
      return nullptr;
    if (!node->is_table())
      fail(*node, key, "is not a table");
    return node->as_table();
  }

  /// The first error, or a key that nobody asked for.
  result<void> finish() {
    for (const auto& [key, node] : x_table) {
      if (x_known.contains(std::string(key.str())))
        continue;
      std::string known;
      for (const auto& one : x_known)
        known += (known.empty() ? "" : ", ") + one;
      fail(node, std::string(key.str()), "is not known here; there are: " + known);
    }
    if (x_error)
      return *x_error;
    return {};
  }

private:
  const toml::node* find(const char* key) {
    x_known.insert(key);
    return x_table.get(key);
  }

  void fail(const toml::node& node, const std::string& key, const std::string& what) {
    if (!x_error)
      x_error = error{error_code::config_invalid,
                      x_file + ", line " + std::to_string(node.source().begin.line) + ": '" +
                          (x_path.empty() ? key : x_path + "." + key) + "' " + what,
                      false};
  }

  const toml::table& x_table;
  std::string x_path;
  std::string x_file;
  std::set<std::string> x_known;
  std::optional<error> x_error;
};

error wrong(const std::string& name, const std::string& text) {
  return {error_code::config_invalid, name + ": " + text, false};
}

result<void> read_kvm(const toml::table& table, const std::string& name, actors::config& made) {
  table_reader reader(table, "kvm", name);
  std::string domain_type = "tcg";
  reader.text("image_directory", made.kvm.image_directory);
  reader.text("console_directory", made.kvm.console_directory);
  reader.text("domain_type", domain_type);
  reader.text("secrets_directory", made.kvm.secrets_directory);
  reader.text("routing_directory", made.kvm.routing_directory);
  reader.text("guest_user", made.kvm.guest_user);
  if (auto read = reader.finish(); !read)
    return read;
  if (domain_type != "tcg" && domain_type != "kvm")
    return wrong(name, "'kvm.domain_type' is '" + domain_type + "': want \"kvm\" or \"tcg\"");
  made.kvm.use_hardware = domain_type == "kvm";
  for (const auto* path : {&made.kvm.image_directory, &made.kvm.console_directory})
    if (!path->starts_with('/'))
      return wrong(name, "[kvm] needs image_directory and console_directory, both absolute paths");
  for (const auto* path : {&made.kvm.secrets_directory, &made.kvm.routing_directory})
    if (!path->starts_with('/'))
      return wrong(name, "secrets_directory and routing_directory of [kvm] are absolute paths");
  return {};
}

result<void> read_simulated(const toml::table& table, const std::string& name,
                            actors::config& made) {
  table_reader reader(table, "simulated", name);
  std::int64_t verb_microseconds = made.simulated.verb_microseconds;
  constexpr std::int64_t verb_microseconds_max = 60'000'000; // slower than any real one
  reader.text("directory", made.simulated.directory);
  reader.number("verb_microseconds", 0, verb_microseconds_max, verb_microseconds);
  made.simulated.verb_microseconds = static_cast<std::uint32_t>(verb_microseconds);
  return reader.finish();
}

result<void> read_kafka(const toml::table& table, const std::string& name, actors::config& made) {
  table_reader reader(table, "kafka", name);
  std::int64_t replication = made.kafka.replication;
  constexpr std::int64_t replication_max = 100;
  reader.text("servers", made.kafka.servers);
  reader.text("prefix", made.kafka.prefix);
  reader.text("settings_file", made.kafka.settings_file);
  reader.number("replication", 1, replication_max, replication);
  made.kafka.replication = static_cast<std::uint16_t>(replication);
  if (auto read = reader.finish(); !read)
    return read;
  if (made.kafka.servers.empty())
    return wrong(name, "[kafka] needs servers = \"HOST:PORT,…\"");
  return {};
}

result<v1::Edition> parse_edition(const std::string& text, const std::string& name) {
  static const std::map<std::string, v1::Edition> known{{"hosting", v1::HOSTING},
                                                        {"single_cluster", v1::SINGLE_CLUSTER},
                                                        {"multi_cluster", v1::MULTI_CLUSTER}};
  const auto found = known.find(text);
  if (found == known.end())
    return wrong(name, "'edition' is '" + text +
                           "': want \"hosting\", \"single_cluster\" or \"multi_cluster\"");
  return found->second;
}

} // namespace

result<actors::config> parse_config(const std::string& text, const std::string& name) {
  toml::table root;
  try {
    root = toml::parse(text, name);
  } catch (const toml::parse_error& failure) {
    return wrong(name, "line " + std::to_string(failure.source().begin.line) + ": " +
                           std::string(failure.description()));
  }
  actors::config made;
  table_reader reader(root, "", name);
  std::string edition = "hosting";
  std::int64_t segment_mib = 0;
  std::int64_t threads = 0;
  constexpr std::int64_t segment_mib_max = 4096;
  auto snapshot_interval = static_cast<std::int64_t>(made.snapshot_interval);
  constexpr std::int64_t threads_max = 256;
  constexpr std::int64_t snapshot_interval_max = 1'000'000'000;
  reader.text("data_directory", made.data_directory);
  reader.text("listen", made.listen);
  reader.text("token_file", made.token_file);
  reader.text("edition", edition);
  reader.number("log_segment_mib", 1, segment_mib_max, segment_mib);
  reader.number("scheduler_threads", 1, threads_max, threads);
  reader.number("snapshot_interval", 1, snapshot_interval_max, snapshot_interval);
  const auto* kafka = reader.table("kafka");
  const auto* kvm = reader.table("kvm");
  const auto* simulated = reader.table("simulated");
  if (auto read = reader.finish(); !read)
    return read.error();
  if (!made.data_directory.starts_with('/') || !made.token_file.starts_with('/'))
    return wrong(name, "it needs data_directory and token_file, both absolute paths");
  const auto parsed = parse_edition(edition, name);
  if (!parsed)
    return parsed.error();
  made.edition = *parsed;
  made.segment_size = static_cast<std::uint64_t>(segment_mib * mebibyte);
  made.scheduler_threads = static_cast<std::uint32_t>(threads);
  made.snapshot_interval = static_cast<std::uint64_t>(snapshot_interval);
  if (kafka != nullptr)
    if (auto read = read_kafka(*kafka, name, made); !read)
      return read.error();
  if (kvm != nullptr)
    if (auto read = read_kvm(*kvm, name, made); !read)
      return read.error();
  if (simulated != nullptr)
    if (auto read = read_simulated(*simulated, name, made); !read)
      return read.error();
  return made;
}

result<actors::config> read_config(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return error{error_code::io_failed, "cannot read the configuration " + path, false};
  std::ostringstream text;
  text << file.rdbuf();
  if (text.str().size() > file_size_max)
    return wrong(path, "it is larger than a configuration can be (1 MiB)");
  return parse_config(text.str(), path);
}

} // namespace orrery::tools
