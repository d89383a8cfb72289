#include "tools/orrery/command_tree.hpp"

#include "tools/orrery/backup_commands.hpp"
#include "tools/orrery/jobs.hpp"
#include "tools/orrery/labels.hpp"
#include "tools/orrery/log_commands.hpp"
#include "tools/orrery/projection_commands.hpp"
#include "tools/orrery/ranges.hpp"
#include "tools/orrery/units.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <sstream>
#include <utility>

namespace orrery::cli {

namespace {

constexpr std::size_t list_limit_max = 1'000'000;
constexpr std::size_t console_line_count_max = 1'000; // as the API
constexpr std::uint32_t limit_figure_max = 65'536;    // as the API

/// Help without aliases: FCO's words are taken and printed nowhere.
class formatter : public CLI::Formatter {
public:
  std::string make_subcommand(const CLI::App* command) const override {
    std::stringstream out;
    CLI::detail::format_help(out, command->get_name(), command->get_description(), column_width_);
    return out.str();
  }
};

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

/// Flags of every command that changes something.
void add_wait_flags(tree& t, CLI::App& to) {
  to.add_flag("--no-wait", t.said.no_wait, "print the job and return, do not wait for its end");
  to.add_option("--timeout", t.said.timeout,
                "wait at most so long (90s, 10m; default 10m), then exit with 8; the job goes on");
}

std::string path_of(const view& what, const std::string& name) {
  if (name.empty())
    throw failure(exit_code::usage, "usage", "the name is empty");
  return "/v1/" + std::string(what.collection) + "/" + url_encode(name);
}

CLI::App& changing(tree& t, CLI::App& parent, const std::string& name, const std::string& help,
                   const std::string& examples, std::function<change(api&)> wanted) {
  auto& made = verb(t, parent, name, help, examples,
                    [&t, wanted = std::move(wanted)] { make_change(t.how, wanted); });
  add_wait_flags(t, made);
  return made;
}

/// What a list may be narrowed down by: a flag, and the API's parameter of the same name.
struct list_filter {
  const char* name;
  std::string words::*text;
  const char* help;
};

using list_filters = std::vector<list_filter>;

/// A word that a script has left empty means all, or any: surely not what was meant.
CLI::Validator something() {
  return CLI::Validator([](const std::string& word) { return word.empty() ? "it is empty" : ""; },
                        "");
}

const list_filter in_cluster{"cluster", &words::cluster, "only of this cluster (name or id)"};
const list_filter labelled{"label", &words::label,
                           "only those with these labels: KEY=VALUE or KEY, commas between"};

void add_list_and_get(tree& t, CLI::App& parent, const view& what,
                      const list_filters& filters = {}) {
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

/// Sets and removes labels of one thing.
void add_label(tree& t, CLI::App& parent, const view& what) {
  const std::string name(what.noun);
  auto& made =
      changing(t, parent, "label", "Set or remove labels of a " + name,
               "  orrery " + name + " label NAME env=prod team=web\n  orrery " + name +
                   " label NAME team-    # removes it\n  orrery " + name + " list --label env=prod",
               [&t, &what](api&) {
                 return change{.method = "POST",
                               .path = path_of(what, t.said.name) + ":setLabels",
                               .body = labels_to_change(t.said.labels),
                               .what = &what};
               });
  add_name(t, made, name);
  made.add_option("LABEL", t.said.labels, "KEY=VALUE to set one, KEY- to remove it")->required();
}

change create(const view& what, json body) {
  return {.method = "POST",
          .path = "/v1/" + std::string(what.collection),
          .body = std::move(body),
          .what = &what};
}

void set_if(json& body, std::string_view name, const std::string& text) {
  if (!text.empty())
    body.set(name, json::of(text));
}

change remove(const view& what, const std::string& name) {
  return {.method = "DELETE", .path = path_of(what, name), .body = {}, .what = &what, .gone = true};
}

std::string cluster_of(const tree& t, api& from) {
  return t.said.cluster.empty() ? only_one(from, cluster_view(), {}) : t.said.cluster;
}

/// The value of --memory in MiB, where it was given.
void set_memory(json& body, const std::string& text) {
  if (text.empty())
    return;
  const auto size = parse_memory(text);
  if (!size)
    throw failure(exit_code::usage, "usage", "--memory: " + size.error().text);
  body.set("memoryMib", json::of(size->count));
}

void add_cluster(tree& t) {
  auto& parent = noun(t, "cluster", "Hosts of one kind of hypervisor");
  auto& make = changing(
      t, parent, "create", "Create a cluster", "  orrery cluster create local --hypervisor kvm",
      [&t](api&) {
        auto body = json::object();
        body.set("name", json::of(t.said.name)).set("hypervisor", json::of(t.said.hypervisor));
        return create(cluster_view(), std::move(body));
      });
  add_name(t, make, "cluster");
  make.add_option("--hypervisor", t.said.hypervisor, "kind of hypervisor: kvm or simulated")
      ->required();
  add_list_and_get(t, parent, cluster_view(), {labelled});
  add_label(t, parent, cluster_view());
}

void add_node(tree& t) {
  auto& parent = noun(t, "node", "Hosts that run virtual machines");
  auto& make = changing(
      t, parent, "create", "Add a node to a cluster",
      "  orrery node create node-1 --cluster local \\\n"
      "    --libvirt-socket /run/orrery/node-1/libvirt-sock \\\n"
      "    --network-namespace orrery-node-1 --vcpus 4 --memory 4GiB",
      [&t](api& from) {
        auto body = json::object();
        set_memory(body, t.said.memory);
        body.set("name", json::of(t.said.name)).set("cluster", json::of(cluster_of(t, from)));
        set_if(body, "libvirtSocket", t.said.libvirt_socket);
        set_if(body, "networkNamespace", t.said.network_namespace);
        if (t.said.vcpus.has_value())
          body.set("vcpus", json::of(std::uint64_t{*t.said.vcpus}));
        set_memory(body, t.said.memory);
        return create(node_view(), std::move(body));
      });
  add_name(t, make, "node");
  make.add_option("--cluster", t.said.cluster, "name or id of its cluster (default: the only one)");
  make.add_option("--libvirt-socket", t.said.libvirt_socket, "path of its libvirtd's unix socket");
  make.add_option("--network-namespace", t.said.network_namespace,
                  "name of the network namespace it lives in");
  make.add_option("--vcpus,--cpu", t.said.vcpus,
                  "virtual processors to hand out (default: all of the host)");
  make.add_option("--memory", t.said.memory,
                  "memory to hand out, for instance 4GiB (default: all of the host)");
  add_list_and_get(t, parent, node_view(), {in_cluster, labelled});
  add_label(t, parent, node_view());
}

json quarantine_of(const tree& t) {
  if (t.said.quarantine == "0")
    return json::of(std::uint64_t{0});
  const auto wanted = parse_duration(t.said.quarantine);
  if (!wanted)
    throw failure(exit_code::usage, "usage", "quarantine: " + wanted.error().text);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*wanted);
  if (seconds != *wanted)
    throw failure(exit_code::usage, "usage",
                  "quarantine: '" + t.said.quarantine + "' is no whole number of seconds");
  return json::of(static_cast<std::uint64_t>(seconds.count()));
}

/// What happens to addresses of a network: a verb of the API and what it wants.
CLI::App& add_address_verb(tree& t, CLI::App& parent, const std::string& name,
                           const std::string& help, const std::string& examples,
                           const std::string& path_end, const std::function<json()>& body) {
  auto& made = changing(t, parent, name, help, examples, [&t, path_end, body](api&) {
    return change{.method = "POST",
                  .path = path_of(network_view(), t.said.name) + path_end,
                  .body = body(),
                  .what = &network_view()};
  });
  add_name(t, made, "network");
  return made;
}

void add_addressing(tree& t, CLI::App& parent) {
  auto& reserve = add_address_verb(
      t, parent, "reserve", "Keep addresses from being given to VMs that do not ask for them",
      "  orrery network reserve lan 10.99.0.2-10.99.0.9 --note printers\n"
      "  orrery network reserve lan --file in-use.txt --note 'before Orrery'",
      ":reserve", [&t] {
        auto body = json::object();
        body.set("ranges", ranges_of(t.said.ranges, t.said.file));
        set_if(body, "note", t.said.note);
        return body;
      });
  reserve.add_option("--note", t.said.note, "who has them");
  auto& free =
      add_address_verb(t, parent, "free", "Give reserved addresses back to VMs that ask for none",
                       "  orrery network free lan 10.99.0.2-10.99.0.9", ":free", [&t] {
                         auto body = json::object();
                         body.set("ranges", ranges_of(t.said.ranges, t.said.file));
                         return body;
                       });
  for (auto* one : {&reserve, &free}) {
    one->add_option("RANGE", t.said.ranges, "FIRST-LAST, or one address");
    one->add_option("--file", t.said.file, "a file with one RANGE a line; - is standard input");
  }
  auto& rest = add_address_verb(
      t, parent, "quarantine", "Let released addresses rest before another VM is given them",
      "  orrery network quarantine lan 10m\n  orrery network quarantine lan 0", ":setQuarantine",
      [&t] {
        auto body = json::object();
        body.set("seconds", quarantine_of(t));
        return body;
      });
  rest.add_option("TIME", t.said.quarantine, "for instance 10m; 0 for none; at most 24h")
      ->required();
}

void add_network(tree& t) {
  auto& parent = noun(t, "network", "Networks that give virtual machines their addresses");
  auto& make = changing(t, parent, "create", "Create a network",
                        "  orrery network create lan --cluster local --prefix 10.99.0.0/24",
                        [&t](api& from) {
                          auto body = json::object();
                          body.set("name", json::of(t.said.name))
                              .set("cluster", json::of(cluster_of(t, from)))
                              .set("prefix", json::of(t.said.prefix));
                          set_if(body, "gateway", t.said.gateway);
                          if (!t.said.quarantine.empty())
                            body.set("quarantineSeconds", quarantine_of(t));
                          return create(network_view(), std::move(body));
                        });
  add_name(t, make, "network");
  make.add_option("--cluster", t.said.cluster, "name or id of its cluster (default: the only one)");
  make.add_option("--prefix", t.said.prefix, "IPv4 prefix, for instance 10.99.0.0/24")->required();
  make.add_option("--gateway", t.said.gateway, "address of the gateway (default: the first one)");
  make.add_option("--quarantine", t.said.quarantine,
                  "how long a released address rests, for instance 10m (default 0)");
  add_list_and_get(t, parent, network_view(), {in_cluster, labelled});
  add_label(t, parent, network_view());
  add_addressing(t, parent);
  auto& gone =
      changing(t, parent, "delete", "Delete a network without VMs and free its prefix",
               "  orrery network delete lan\n  orrery network delete lan --no-wait -o json",
               [&t](api&) { return remove(network_view(), t.said.name); });
  add_name(t, gone, "network");
}

void add_vm_create(tree& t, CLI::App& parent) {
  auto& make = changing(t, parent, "create", "Create a virtual machine, start it, wait for it",
                        "  orrery vm create web-1 --image debian --vcpus 1 --memory 192MiB\n"
                        "  orrery vm create web-1 --cluster local --network lan --image debian "
                        "--no-wait -o json",
                        [&t](api& from) {
                          auto body = json::object();
                          set_memory(body, t.said.memory.empty() ? "256MiB" : t.said.memory);
                          const auto cluster = cluster_of(t, from);
                          const auto network = t.said.network.empty()
                                                   ? only_one(from, network_view(), cluster)
                                                   : t.said.network;
                          body.set("name", json::of(t.said.name))
                              .set("cluster", json::of(cluster))
                              .set("network", json::of(network))
                              .set("image", json::of(t.said.image))
                              .set("vcpus", json::of(std::uint64_t{t.said.vcpus.value_or(1)}));
                          set_if(body, "address", t.said.address);
                          if (!t.said.labels.empty())
                            body.set("labels", labels_to_have(t.said.labels));
                          return create(vm_view(), std::move(body));
                        });
  add_name(t, make, "vm");
  make.add_option("--cluster", t.said.cluster, "name or id of its cluster (default: the only one)");
  make.add_option("--network", t.said.network, "name or id of its network (default: the only one)");
  make.add_option("--address", t.said.address,
                  "this address of the network, also a reserved one (default: any that is free)")
      ->check(something());
  make.add_option("--image", t.said.image, "name of its image")->required();
  make.add_option("--vcpus,--cpu", t.said.vcpus, "virtual processors (default 1)");
  make.add_option("--memory", t.said.memory,
                  "memory, for instance 192MiB or 1GiB (default 256MiB)");
  make.add_option("--label", t.said.labels, "a label, KEY=VALUE; may be given again")
      ->delimiter(',');
}

void add_vm_verb(tree& t, CLI::App& parent, const std::string& name, const std::string& help) {
  auto& made =
      changing(t, parent, name, help,
               "  orrery vm " + name + " web-1\n  orrery vm " + name + " web-1 --no-wait -o json",
               [&t, name](api&) {
                 auto wanted = remove(vm_view(), t.said.name);
                 if (name == "delete")
                   return wanted;
                 wanted.method = "POST";
                 wanted.path += ":" + name;
                 wanted.gone = false;
                 return wanted;
               });
  add_name(t, made, "vm");
}

void add_vm(tree& t) {
  auto& parent = noun(t, "vm", "Virtual machines");
  parent.alias("server"); // FCO's word, taken and printed nowhere
  add_vm_create(t, parent);
  add_list_and_get(t, parent, vm_view(),
                   {in_cluster,
                    labelled,
                    {"node", &words::node, "only on this node (name or id)"},
                    {"observed", &words::observed,
                     "only those seen ABSENT, STOPPED, RUNNING, REACHABLE or UNKNOWN"}});
  add_vm_verb(t, parent, "start", "Start a stopped virtual machine");
  add_vm_verb(t, parent, "shutdown", "Ask the guest to shut down, and wait until it has");
  add_vm_verb(t, parent, "stop", "Stop a virtual machine at once, as if its power was cut");
  add_vm_verb(t, parent, "delete", "Delete a virtual machine and free its address");
  add_label(t, parent, vm_view());
  auto& console = verb(t, parent, "console", "Show the last lines of the serial console",
                       "  orrery vm console web-1\n  orrery vm console web-1 --lines 100",
                       [&t] { show_console(t.how, t.said.name, t.said.lines); });
  add_name(t, console, "vm");
  console.add_option("--lines", t.said.lines, "so many lines (default 20)")
      ->check(CLI::Range(std::size_t{1}, console_line_count_max));
}

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
