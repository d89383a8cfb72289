#include "tools/orrery/cli.hpp"

#include "tools/orrery/command_tree.hpp"
#include "tools/orrery/jobs.hpp"
#include "tools/orrery/units.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <map>

namespace orrery::cli {

namespace {

/// The command that was named last, whatever of it was missing.
CLI::App* last_named(tree& t) {
  CLI::App* here = &t.root;
  while (!here->get_subcommands().empty())
    here = here->get_subcommands().back();
  return here;
}

std::string full_name(CLI::App* command) {
  std::string made = command->get_name();
  while ((command = command->get_parent()) != nullptr)
    made.insert(0, command->get_name() + " ");
  return made;
}

/// The verbs or nouns that could stand next, for people who typed another one.
std::string known_words(CLI::App* command) {
  std::string made;
  for (const auto* one : command->get_subcommands([](const CLI::App*) { return true; }))
    made += (made.empty() ? "" : ", ") + one->get_name();
  return made;
}

failure usage_of(tree& t, const CLI::ParseError& why) {
  auto* command = last_named(t);
  std::string text = why.what();
  const auto known = known_words(command);
  if (const auto extra = t.root.remaining(true); !extra.empty() && !known.empty())
    text = "'" + extra.front() + "' is not a command of " + full_name(command) +
           "; it knows: " + known;
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  return {exit_code::usage, "usage", text + ". Help: " + full_name(command) + " --help"};
}

output_format format_of(const std::string& text) {
  static const std::map<std::string, output_format> known{
      {"table", output_format::table}, {"wide", output_format::wide}, {"json", output_format::json},
      {"yaml", output_format::yaml},   {"name", output_format::name}, {"csv", output_format::csv}};
  const auto found = known.find(text);
  if (found == known.end())
    throw failure(exit_code::usage, "usage",
                  "-o: '" + text + "' is not an output format: want table, wide, json, yaml, name");
  return found->second;
}

/// What the texts of the flags mean. Throws `failure`.
void understand(tree& t) {
  t.how.format = format_of(t.said.output);
  if (t.how.format == output_format::csv && !t.takes_csv)
    throw failure(exit_code::usage, "usage", "-o: csv is for 'orrery usage list' only");
  t.how.wait = !t.said.no_wait;
  t.how.timeout = wait_max;
  if (t.said.timeout.empty())
    return;
  const auto timeout = parse_duration(t.said.timeout);
  if (!timeout)
    throw failure(exit_code::usage, "usage", "--timeout: " + timeout.error().text);
  t.how.timeout = *timeout;
}

/// Parses, and carries the command out.
exit_code carry_out(tree& t, int argc, const char* const* argv) {
  t.root.parse(argc, argv);
  if (!t.chosen) {
    auto* command = last_named(t);
    if (known_words(command).empty())
      return exit_code::done; // it ran while it was parsed
    std::fputs(t.root.help().c_str(), stderr);
    return exit_code::usage;
  }
  understand(t);
  t.chosen();
  return exit_code::done;
}

/// True when the command line asks for JSON, also where it could not be parsed.
bool wants_json(int argc, const char* const* argv) {
  std::string_view before;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word(argv[i]);
    if (word == "-ojson" || word == "-o=json" || word == "--output=json" ||
        (word == "json" && (before == "-o" || before == "--output")))
      return true;
    before = word;
  }
  return false;
}

} // namespace

int run_cli(int argc, const char* const* argv) {
  tree t;
  try {
    build(t);
    return static_cast<int>(carry_out(t, argc, argv));
  } catch (const CLI::Success& help) { // --help, --version
    return t.root.exit(help);
  } catch (const CLI::RuntimeError& ended) { // of a command that ran while it was parsed
    return ended.get_exit_code();
  } catch (const CLI::ParseError& why) {
    const auto wrong = usage_of(t, why);
    std::fputs(failure_text(wrong, wants_json(argc, argv), this_terminal().colours).c_str(),
               stderr);
    return static_cast<int>(wrong.exit);
  } catch (const failure& why) {
    std::fputs(failure_text(why, wants_json(argc, argv), this_terminal().colours).c_str(), stderr);
    return static_cast<int>(why.exit);
  }
}

} // namespace orrery::cli
