#include "tools/orrery/commands.hpp"

#include "tools/orrery/jobs.hpp"
#include "tools/orrery/progress.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace orrery::cli {

context context_of(const settings& how) {
  auto found = find_context(how.where);
  if (!found)
    throw failure(exit_code::usage, "usage", found.error().text);
  return std::move(*found);
}

printing printing_of(const settings& how) {
  return {.format = how.format,
          .where = this_terminal(),
          .now = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now())};
}

void print(std::string_view text) {
  while (!text.empty()) {
    const auto size = ::write(STDOUT_FILENO, text.data(), text.size());
    if (size < 0 && errno == EINTR)
      continue;
    if (size <= 0)
      throw failure(exit_code::failed, "io_failed",
                    std::string("cannot write to stdout: ") + std::strerror(errno));
    text.remove_prefix(static_cast<std::size_t>(size));
  }
}

namespace {

bool is_machine(output_format format) {
  return format == output_format::json || format == output_format::yaml;
}

} // namespace

progress_style style_of(const settings& how, const terminal& where) {
  return how.quiet || (is_machine(how.format) && !where.err) ? progress_style::silent
                                                             : progress_style::shown;
}

namespace {

void need_name(const std::string& name) {
  if (name.empty())
    throw failure(exit_code::usage, "usage", "the name is empty");
}

/// What a change left behind, as its noun is listed; the job where that cannot be had.
void show_changed(const settings& how, api& from, const change& wanted, const json& job) {
  const auto to = printing_of(how);
  auto name = job.at("resourceName").text();
  const auto id = job.at("resource").text();
  if (how.format == output_format::name) {
    print(clean(name.empty() ? id : name) + "\n");
    return;
  }
  if (wanted.gone) {
    print(clean(std::string(wanted.what->noun) + " " + (name.empty() ? id : name)) + " deleted\n");
    return;
  }
  json thing;
  try {
    const auto& key = id.empty() ? name : id;
    if (!key.empty())
      thing = from.get("/v1/" + std::string(wanted.what->collection) + "/" + url_encode(key));
  } catch (const failure&) {
    // The change is done, which is what was asked for: the job can be shown instead.
    thing = json();
  }
  if (!thing.is_object()) {
    print(item_text(job_view(), job, to));
    return;
  }
  print(item_text(*wanted.what, thing, to));
  name = thing.at("name").text();
  if (wanted.what->noun == "vm" && to.where.err && !how.quiet && !name.empty())
    std::fprintf(stderr, "next: orrery vm console %s · orrery event list --resource %s\n",
                 clean(name).c_str(), clean(name).c_str());
}

void finish(const settings& how, const waited& end) {
  if (is_machine(how.format))
    print(item_text(job_view(), end.job, printing_of(how)));
  if (end.exit != exit_code::done)
    throw failure_of(end, how.timeout);
}

} // namespace

void list_things(const settings& how, const view& what, std::size_t limit,
                 const parameters& asked) {
  api from(context_of(how), how.debug);
  const auto items =
      from.list("/v1/" + std::string(what.collection), what.collection, limit, asked);
  print(list_text(what, items, printing_of(how)));
}

void list_usage(const settings& how, usage_rows what, parameters asked) {
  if (what == usage_rows::sums_of_vms)
    asked.emplace_back("by", "vm");
  else if (what == usage_rows::totals)
    asked.emplace_back("by", "total");
  api from(context_of(how), how.debug);
  print(usage_text(what, from.list("/v1/usage", "usage", 0, asked), printing_of(how)));
}

void get_thing(const settings& how, const view& what, const std::string& name,
               const std::string& as_of) {
  need_name(name);
  parameters asked;
  if (!as_of.empty())
    asked.emplace_back("asOf", as_of);
  api from(context_of(how), how.debug);
  auto item = from.get("/v1/" + std::string(what.collection) + "/" + url_encode(name), asked);
  if (const auto& inner = item.at(what.noun); inner.is_object() && item.items.size() == 1)
    item = json(inner); // some replies wrap their one thing
  show_item(how, what, item);
}

void show_item(const settings& how, const view& what, const json& item) {
  print(item_text(what, item, printing_of(how)));
}

std::string only_one(api& from, const view& what, const std::string& cluster) {
  std::string names;
  std::string last;
  std::size_t count = 0;
  for (const auto& item :
       from.list("/v1/" + std::string(what.collection), what.collection, 0, {})) {
    if (!cluster.empty() && item.at("cluster.name").text() != cluster &&
        item.at("cluster.id").text() != cluster)
      continue;
    last = item.at("name").text();
    names += (count++ == 0 ? "" : ", ") + last;
  }
  if (count == 1)
    return last;
  if (count == 0 && !cluster.empty())
    static_cast<void>(from.get("/v1/clusters/" + url_encode(cluster))); // or it says: no such one
  const std::string noun(what.noun);
  const auto where = cluster.empty() ? std::string() : " in cluster '" + cluster + "'";
  throw failure(exit_code::usage, "usage",
                count == 0
                    ? "there is no " + noun + where + " yet: orrery " + noun + " create --help"
                    : "name a " + noun + " by --" + noun + ", there are several: " + names);
}

void make_change(const settings& how, const std::function<change(api&)>& planned) {
  const auto where = this_terminal();
  api from(context_of(how), how.debug);
  const auto wanted = planned(from);
  if (!how.wait) {
    const auto job = job_of(from.change(wanted.method, wanted.path, wanted.body));
    print(item_text(job_view(), job, printing_of(how)));
    return;
  }
  waited end;
  {
    progress shown(where, style_of(how, where));
    const auto reply = from.change(wanted.method, wanted.path, wanted.body);
    end = wait_for(from, job_of(reply), how.timeout, shown);
  }
  finish(how, end);
  if (!is_machine(how.format))
    show_changed(how, from, wanted, end.job);
}

void wait_for_job(const settings& how, const std::string& id) {
  need_name(id);
  const auto where = this_terminal();
  api from(context_of(how), how.debug);
  waited end;
  {
    progress shown(where, style_of(how, where));
    const auto reply = from.get("/v1/jobs/" + url_encode(id));
    end = wait_for(from, job_of(reply), how.timeout, shown);
  }
  finish(how, end);
  if (!is_machine(how.format))
    print(item_text(job_view(), end.job, printing_of(how)));
}

void show_console(const settings& how, const std::string& name, std::size_t lines) {
  need_name(name);
  api from(context_of(how), how.debug);
  const auto reply =
      from.get("/v1/vms/" + url_encode(name) + "/console", {{"lines", std::to_string(lines)}});
  const auto to = printing_of(how);
  if (is_machine(how.format)) {
    print(members_text(reply, to));
    return;
  }
  std::string made;
  // A guest may print what it likes; a terminal must not obey it.
  for (const auto& line : reply.at("lines").items)
    made += (to.where.out ? clean(line.text()) : line.text()) + "\n";
  print(made);
}

void show_members(const settings& how, const std::string& path) {
  api from(context_of(how), how.debug);
  print(members_text(from.get(path), printing_of(how)));
}

void show_version(const settings& how) {
  if (is_machine(how.format)) {
    auto made = json::object();
    made.set("version", json::of(ORRERY_VERSION));
    print(members_text(made, printing_of(how)));
    return;
  }
  print("orrery " ORRERY_VERSION "\n");
}

} // namespace orrery::cli
