#pragma once

#include "tools/orrery/commands.hpp"
#include "tools/orrery/upstream.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// The command line as a tree of nouns and verbs; for this folder's own files.

namespace CLI { // NOLINT(readability-identifier-naming): their name
class App;
}

namespace orrery::cli {

/// What the flags and positionals of all commands write to; one command runs, so one is enough.
struct words {
  std::string name;
  std::string cluster;
  std::string network;
  std::string hypervisor;
  std::string libvirt_socket;
  std::string network_namespace;
  std::string prefix;
  std::string gateway;
  std::string quarantine;
  std::string prefix6;
  std::optional<std::uint32_t> mtu;
  std::vector<std::string> name_servers;
  std::string classless_routes;
  std::string rate;
  upstream_words upstream;
  std::string address;
  std::vector<std::string> ranges;
  std::string file;
  std::string note;
  std::string image;
  std::string memory;
  std::string resource;
  std::string after;
  std::string node;
  std::string observed;
  std::string label;
  std::vector<std::string> labels;
  std::string state;
  std::string limited;
  std::uint32_t figure = 0;
  std::string as_of;
  std::string backup;
  std::string data;
  std::optional<std::uint32_t> vcpus;
  std::size_t lines = 20;
  std::size_t limit = 0;
  std::string output = "table";
  std::string timeout;
  std::string from;
  std::string to;
  std::string vm;
  std::string meter;
  bool sum = false;
  bool intervals = false;
  bool no_wait = false;
  bool no_name_servers = false;
};

/// The command line while it is built and parsed.
struct tree {
  tree();
  tree(const tree&) = delete;
  tree& operator=(const tree&) = delete;
  ~tree();

  const std::unique_ptr<CLI::App> owned_root;
  CLI::App& root = *owned_root;
  words said;
  settings how;
  std::function<void()> chosen; ///< the command, set when its words were seen
  bool takes_csv = false;       ///< it can print CSV
};

/// Adds every noun, verb and flag.
void build(tree& t);

} // namespace orrery::cli
