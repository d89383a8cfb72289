#pragma once

#include "tools/orrery/command_tree.hpp"
#include "tools/orrery/views.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

// What nouns and verbs are made of; for this folder's own files.

namespace CLI { // NOLINT(readability-identifier-naming): their name
class Validator;
}

namespace orrery::cli {

inline constexpr std::size_t list_limit_max = 1'000'000;

[[nodiscard]] CLI::App& noun(tree& t, const std::string& name, const std::string& help);

/// `examples` stand in its help, by line.
CLI::App& verb(tree& t, CLI::App& parent, const std::string& name, const std::string& help,
               const std::string& examples, std::function<void()> run);

/// The name or id that it is about, of what: "vm", "job".
void add_name(tree& t, CLI::App& to, const std::string& what);

/// Flags of every command that changes something.
void add_wait_flags(tree& t, CLI::App& to);

/// A verb that changes something, with these flags.
CLI::App& changing(tree& t, CLI::App& parent, const std::string& name, const std::string& help,
                   const std::string& examples, std::function<change(api&)> wanted);

/// What a list may be narrowed down by: a flag, and the API's parameter of the same name.
struct list_filter {
  const char* name;
  std::string words::*text;
  const char* help;
};

using list_filters = std::vector<list_filter>;

/// A word that a script has left empty means all, or any: surely not what was meant.
[[nodiscard]] CLI::Validator something();

/// The verbs that each noun has.
void add_list_and_get(tree& t, CLI::App& parent, const view& what,
                      const list_filters& filters = {});

} // namespace orrery::cli
