#include "tools/orrery/command_tree.hpp"

#include "tools/orrery/backup_commands.hpp"
#include "tools/orrery/log_commands.hpp"
#include "tools/orrery/projection_commands.hpp"
#include "tools/orrery/thing_commands.hpp"
#include "tools/orrery/units.hpp"
#include "tools/orrery/verbs.hpp"

#include <CLI/CLI.hpp>

#include <sstream>
#include <utility>

namespace orrery::cli {

namespace {

constexpr std::uint32_t limit_figure_max = 65'536; // as the API

/// Help without aliases: FCO's words are taken and printed nowhere.
class formatter : public CLI::Formatter {
public:
  std::string make_subcommand(const CLI::App* command) const override {
    std::stringstream out;
    CLI::detail::format_help(out, command->get_name(), command->get_description(), column_width_);
    return out.str();
  }
};

void add_job(tree& t) {
  auto& parent = noun(t, "job", "What changing commands started");
  add_list_and_get(t, parent, job_view(),
                   {{"resource", &words::resource, "only of this thing (name or id)"},
                    {"state", &words::state, "only RUNNING, DONE, FAILED or CANCELLED"}});
  auto& wait = verb(t, parent, "wait", "Wait for the end of a job, telling its steps",
                    "  orrery job wait job_01993f0e-7c1a-7000-8000-000000000001 --timeout 2m",
                    [&t] { wait_for_job(t.how, t.said.name); });
  add_name(t, wait, "job");
  wait.add_option("--timeout", t.said.timeout,
                  "wait at most so long (90s, 10m; default 10m), then exit with 8");
}

void add_installation(tree& t) {
  auto& parent = noun(t, "installation", "The whole, with everything in it");
  verb(t, parent, "get",
       "Show its edition, and how many clusters and prefixes there are and may be",
       "  orrery installation get\n  orrery installation get -o json",
       [&t] { show_members(t.how, "/v1/installation"); });
  auto& limit = changing(t, parent, "set-limit", "Set how many clusters, or prefixes, there may be",
                         "  orrery installation set-limit clusters 2000", [&t](api&) {
                           auto body = json::object();
                           body.set("limit", json::of(t.said.limited))
                               .set("figure", json::of(std::uint64_t{t.said.figure}));
                           return change{.method = "POST",
                                         .path = "/v1/installation:setLimit",
                                         .body = std::move(body),
                                         .what = &job_view()};
                         });
  limit.add_option("LIMIT", t.said.limited, "clusters or prefixes")->required();
  limit.add_option("FIGURE", t.said.figure, "so many at most")
      ->required()
      ->check(CLI::Range(std::uint32_t{1}, limit_figure_max));
  changing(t, parent, "trust-clock",
           "Say that orreryd's clock is right, after it stopped deciding (clock_untrusted)",
           "  orrery installation trust-clock", [](api&) {
             return change{.method = "POST",
                           .path = "/v1/installation:trustClock",
                           .body = json::object(),
                           .what = &job_view()};
           });
}

void add_backup(tree& t) {
  auto& parent = noun(t, "backup", "Copies of the embedded log");
  const auto takes = [&t](CLI::App& to, bool has_data) {
    to.add_option("BACKUP", t.said.backup, "the directory of the backup")->required();
    if (has_data)
      to.add_option("--data", t.said.data, "the data_directory of orreryd")->required();
  };
  takes(verb(t, parent, "create", "Copy the log, while orreryd runs or not",
             "  orrery backup create --data /var/lib/orrery /backup/orrery-2026-11-28\n\n"
             "Not of a log on Kafka, whose brokers' replication and mirroring are its backup.\n"
             "Exit status 3 when the log is damaged; then nothing is made.",
             [&t] { create_backup(t.how, t.said.data, t.said.backup); }),
        true);
  takes(verb(t, parent, "verify", "Read a backup and say whether all of it is good",
             "  orrery backup verify /backup/orrery-2026-11-28\n\n"
             "Exit status 3 when it is not good.",
             [&t] { verify_backup(t.how, t.said.backup); }),
        false);
  takes(verb(t, parent, "restore", "Make a log of a backup where there is none",
             "  orrery backup restore /backup/orrery-2026-11-28 --data /var/lib/orrery\n\n"
             "What was changed after the backup is lost. Stop the orreryd of the old log first.",
             [&t] { restore_backup(t.how, t.said.backup, t.said.data); }),
        true);
}

void add_projection(tree& t) {
  auto& parent = noun(t, "projection", "What orreryd answers from, and how it is made anew");
  verb(t, parent, "list", "List the projections, and how far each one is",
       "  orrery projection list\n  orrery projection list -o wide",
       [&t] { list_things(t.how, projection_view(), 0, {}); });
  const auto takes_name = [&t, &parent](const std::string& name, const std::string& help,
                                        const std::string& remark) {
    auto& made = verb(t, parent, name, help,
                      "  orrery projection " + name + " inventory\n  orrery projection " + name +
                          " timeline --no-wait -o json\n\n" + remark,
                      [&t, name] { refold_projection(t.how, name, t.said.name); });
    add_name(t, made, "projection");
    add_wait_flags(t, made);
  };
  takes_name("rebuild", "Make the rows of a projection anew from the whole log",
             "The old rows answer meanwhile. It needs as much memory again as orreryd's state.");
  takes_name("verify", "Compare the rows of a projection with what the whole log says",
             "Exit status 3 when they differ.");
}

void list_usage(const tree& t) {
  parameters asked{{"from", moment_text("--from", t.said.from)},
                   {"to", moment_text("--to", t.said.to)}};
  const auto add = [&asked](const char* name, const std::string& text) {
    if (!text.empty())
      asked.emplace_back(name, text);
  };
  add("resource", t.said.vm);
  add("cluster", t.said.cluster);
  add("meter", t.said.meter);
  const auto what = t.said.sum ? usage_rows::totals : usage_rows::sums_of_vms;
  list_usage(t.how, t.said.intervals ? usage_rows::intervals : what, std::move(asked));
}

void add_usage(tree& t) {
  auto& parent = noun(t, "usage", "How much was used, and how long: what bills are made of");
  auto& list =
      verb(t, parent, "list", "List what each VM used, from one moment to just before another",
           "  orrery usage list --from 2026-11-01 --to 2026-12-01\n"
           "  orrery usage list --from 2026-11-01 --to 2026-12-01 --sum -o csv\n"
           "  orrery usage list --from 2026-11-01T08:00:00Z --to 2026-11-02 --vm web-1 "
           "--intervals",
           [&t] { list_usage(t); });
  list.parse_complete_callback([&t] { t.takes_csv = true; });
  const std::string moment = "a date (its first moment in UTC) or UTC like 2026-11-01T08:30:00Z";
  list.add_option("--from", t.said.from, moment)->required();
  list.add_option("--to", t.said.to, moment)->required();
  list.add_option("--vm", t.said.vm, "only of this VM (name or id), also one that is gone");
  list.add_option("--cluster", t.said.cluster, "only of this cluster (name or id)");
  list.add_option("--meter", t.said.meter, "only nic.address, vm.memory, vm.state or vm.vcpu");
  auto* sum = list.add_flag("--sum", t.said.sum, "the sums over all VMs instead of each one's");
  list.add_flag("--intervals", t.said.intervals, "each interval instead of their sums")
      ->excludes(sum);
}

void add_others(tree& t) {
  auto& parent = noun(t, "event", "What happened, and why");
  auto& list = verb(t, parent, "list", "List events, oldest first",
                    "  orrery event list\n  orrery event list --resource web-1 -o json", [&t] {
                      parameters asked;
                      if (!t.said.resource.empty())
                        asked.emplace_back("resource", t.said.resource);
                      list_things(t.how, event_view(), t.said.limit, asked);
                    });
  list.add_option("--resource", t.said.resource, "only of this thing (name or id)");
  list.add_option("--limit", t.said.limit, "at most so many (default: all)")
      ->check(CLI::Range(std::size_t{1}, list_limit_max));
  auto& follow = verb(
      t, parent, "follow", "Print events as they happen, until Ctrl-C",
      "  orrery event follow\n  orrery event follow web-1 -o json\n  orrery event follow --after "
      "0/5,1/118    # go on where an earlier one ended\n  orrery event follow --after 0/0         "
      " # from the beginning\n\n"
      "With -o json each event is one line. When orreryd restarts it goes on by itself, with no "
      "event\nlost or told twice.",
      [&t] { follow_events(t.how, t.said.resource, t.said.after); });
  follow.add_option("RESOURCE", t.said.resource, "only of this thing (name or id)");
  follow.add_option("--after", t.said.after, "begin behind this position (default: now)");
  verb(t, t.root, "status", "Show how the installation is",
       "  orrery status\n  orrery status -o json", [&t] { show_members(t.how, "/v1/status"); });
  verb(t, t.root, "version", "Show the version of this program", "  orrery version -o json",
       [&t] { show_version(t.how); });
}

void add_globals(tree& t) {
  auto& root = t.root;
  root.set_version_flag("--version", "orrery " ORRERY_VERSION);
  root.add_option("-o,--output", t.said.output,
                  "table, wide, json, yaml or name (default table); usage list: also csv");
  root.add_option("--context", t.how.where.file,
                  "file with url and token_file (default ~/.config/orrery/context.toml, then "
                  "/etc/orrery/context.toml)");
  root.add_option("--url", t.how.where.url,
                  std::string("where the API is (or ORRERY_URL; default ") + default_url + ")");
  root.add_option("--token-file", t.how.where.token_file,
                  "file with the token (or ORRERY_TOKEN_FILE)");
  root.add_flag("-q,--quiet", t.how.quiet, "no progress on stderr");
  root.add_flag("--debug", t.how.debug, "tell each request on stderr");
}

} // namespace

tree::tree()
    : owned_root(std::make_unique<CLI::App>(
          "orrery: clusters, nodes, networks and virtual machines of one installation.",
          "orrery")) {}

tree::~tree() = default;

void build(tree& t) {
  t.root.formatter(std::make_shared<formatter>());
  t.root.require_subcommand(0, 1);
  t.root.fallthrough(); // global flags may stand anywhere
  add_globals(t);
  add_vm(t);
  add_cluster(t);
  add_node(t);
  add_network(t);
  add_job(t);
  add_installation(t);
  add_projection(t);
  add_usage(t);
  add_others(t);
  add_backup(t);
  add_log_commands(t.root);
  t.root.footer(
      "Changing commands wait for their job and tell its steps on stderr; Ctrl-C leaves the job "
      "running.\n\n"
      "Exit codes: 0 done, 1 failed, 2 detached or cancelled, 3 check failed, 4 login needed, "
      "5 not found,\n6 conflict, 7 refused, 8 time-out (the job still runs), 64 usage.\n\n"
      "Examples:\n  orrery vm list\n  orrery vm create web-1 --image debian --memory 192MiB\n  "
      "orrery event list --resource web-1");
}

} // namespace orrery::cli
