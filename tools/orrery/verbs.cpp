#include "tools/orrery/verbs.hpp"

#include <CLI/CLI.hpp>

#include <utility>

namespace orrery::cli {

CLI::App& noun(tree& t, const std::string& name, const std::string& help) {
  auto* made = t.root.add_subcommand(name, help);
  made->require_subcommand(0, 1);
  return *made;
}

CLI::App& verb(tree& t, CLI::App& parent, const std::string& name, const std::string& help,
               const std::string& examples, std::function<void()> run) {
  auto* made = parent.add_subcommand(name, help);
  made->footer("Examples:\n" + examples +
               "\nGlobal flags (-o, --context, --url, --token-file, …): orrery --help");
  made->callback([&t, run = std::move(run)] { t.chosen = run; });
  return *made;
}

void add_name(tree& t, CLI::App& to, const std::string& what) {
  to.add_option(what == "job" ? "ID" : "NAME", t.said.name,
                what == "job" ? "id of the job" : "name or id of the " + what)
      ->required();
}

void add_wait_flags(tree& t, CLI::App& to) {
  to.add_flag("--no-wait", t.said.no_wait, "print the job and return, do not wait for its end");
  to.add_option("--timeout", t.said.timeout,
                "wait at most so long (90s, 10m; default 10m), then exit with 8; the job goes on");
}

CLI::App& changing(tree& t, CLI::App& parent, const std::string& name, const std::string& help,
                   const std::string& examples, std::function<change(api&)> wanted) {
  auto& made = verb(t, parent, name, help, examples,
                    [&t, wanted = std::move(wanted)] { make_change(t.how, wanted); });
  add_wait_flags(t, made);
  return made;
}

CLI::Validator something() {
  return CLI::Validator([](const std::string& word) { return word.empty() ? "it is empty" : ""; },
                        "");
}

void add_list_and_get(tree& t, CLI::App& parent, const view& what, const list_filters& filters) {
  const std::string name(what.noun);
  const std::string many(what.collection);
  auto& list = verb(t, parent, "list", "List " + many,
                    "  orrery " + name + " list\n  orrery " + name + " list -o wide\n  orrery " +
                        name + " list -o json",
                    [&t, &what, filters] {
                      parameters asked;
                      for (const auto& one : filters)
                        if (const auto& text = t.said.*one.text; !text.empty())
                          asked.emplace_back(one.name, text);
                      list_things(t.how, what, t.said.limit, asked);
                    });
  for (const auto& one : filters)
    list.add_option("--" + std::string(one.name), t.said.*one.text, one.help)->check(something());
  list.add_option("--limit", t.said.limit, "at most so many (default: all)")
      ->check(CLI::Range(std::size_t{1}, list_limit_max));
  auto& get = verb(
      t, parent, "get", "Show one " + name,
      "  orrery " + name + " get " + (name == "job" ? "job_01993f0e-…" : "NAME") + "\n  orrery " +
          name + " get NAME -o yaml" +
          (name == "job" ? "" : "\n  orrery " + name + " get NAME --as-of 2026-11-28T12:00:00Z"),
      [&t, &what] { get_thing(t.how, what, t.said.name, t.said.as_of); });
  add_name(t, get, name);
  if (name != "job")
    get.add_option("--as-of", t.said.as_of,
                   "as it was at a time (2026-11-28T12:00:00Z) or a position (1/118)");
}

} // namespace orrery::cli
