#include "projections/jobs.hpp"

#include "events/core/text.hpp"
#include "projections/rows.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <unordered_map>

namespace orrery::projections {

namespace {

/// Keys of the column family "jobs". A place is the record's time (8) and how many jobs began
/// earlier in that record (4), both inverted, so that newer ones come first.
enum class prefix : std::uint8_t {
  row = 1,         ///< job                  -> place (not inverted), then v1::Job
  by_time = 2,     ///< place job            -> nothing
  by_resource = 3, ///< resource place job   -> nothing
  by_state = 4,    ///< state place job      -> nothing; state is one byte
};

constexpr std::size_t place_size = 12;

struct place {
  std::uint64_t time = 0; ///< `decided_at`
  std::uint32_t index = 0;
};

void add_inverted(std::string& key, const place& where) {
  add_u64(key, ~where.time);
  add_u32(key, ~where.index);
}

std::string row_key(const uuid& job) {
  auto key = key_of(prefix::row);
  add_uuid(key, job);
  return key;
}

std::string time_key(const place& where, const uuid& job) {
  auto key = key_of(prefix::by_time);
  add_inverted(key, where);
  add_uuid(key, job);
  return key;
}

std::string resource_prefix(const uuid& resource) {
  auto key = key_of(prefix::by_resource);
  add_uuid(key, resource);
  return key;
}

std::string state_prefix(v1::Job::State state) {
  auto key = key_of(prefix::by_state);
  add_u8(key, static_cast<std::uint8_t>(state));
  return key;
}

std::string state_key(v1::Job::State state, const place& where, const uuid& job) {
  auto key = state_prefix(state);
  add_inverted(key, where);
  add_uuid(key, job);
  return key;
}

// Folding
// -------------------------------------------------------------------------------------------------

struct stored_job {
  place where;
  v1::Job view;
  bool changed = false;
  v1::Job::State stored_state = v1::Job::STATE_UNSPECIFIED; ///< unspecified: no row so far
};

void fill(v1::Job::Error* target, std::uint32_t code, const std::string& text) {
  target->set_code(std::string(name_of(static_cast<error_code>(code))));
  target->set_text(text);
}

/// The jobs of one commit, each read once and written once.
class job_fold {
public:
  job_fold(const folded_commit& commit, writer& rows)
      : x_commit(commit), x_touched(commit), x_rows(rows) {
    for (const auto& one : commit.touched)
      if (one.before != nullptr)
        if (const auto* job = domain::job_of(*one.before))
          x_current[one.entity] = job->job;
  }

  void fold(const v1::Decision& decision, const v1::Step& step, utc_time decided_at) {
    const auto entity = domain::from_proto(step.entity());
    for (const auto& event : step.events()) {
      const auto at = event.effective_at() == 0 ? decided_at : from_micros(event.effective_at());
      note_name(entity, event);
      const auto news = domain::job_news_of(event);
      if (news.started != nullptr)
        start(decision, {domain::noun_of(event), entity}, *news.started, decided_at);
      if (news.attempt_failed != nullptr)
        fail_attempt(*news.attempt_failed);
      if (news.ended != nullptr)
        end(entity, *news.ended, at);
      if (event.has_vm())
        see(entity, event.vm(), at);
    }
  }

  void write() {
    for (auto& [id, job] : x_jobs) {
      if (!job.changed)
        continue;
      std::string bytes;
      add_u64(bytes, job.where.time);
      add_u32(bytes, job.where.index);
      bytes += to_row(job.view);
      x_rows.put(row_key(id), std::move(bytes));
      if (job.stored_state == job.view.state())
        continue;
      if (job.stored_state != v1::Job::STATE_UNSPECIFIED)
        x_rows.erase(state_key(job.stored_state, job.where, id));
      x_rows.put(state_key(job.view.state(), job.where, id), {});
    }
  }

private:
  struct resource {
    std::string_view noun;
    uuid id;
  };

  /// What a VM's facts are to its job.
  void see(const uuid& entity, const v1::VmEvent& vm, utc_time at) {
    switch (vm.body_case()) {
    case v1::VmEvent::kDefined:
      see(entity, "defined", vm.defined().source().generation(), at);
      break;
    case v1::VmEvent::kStarted:
      see(entity, "started", vm.started().source().generation(), at);
      break;
    case v1::VmEvent::kStopped:
      see(entity, "stopped", vm.stopped().source().generation(), at);
      break;
    case v1::VmEvent::kReachable: // these two are steps only when they end the job, which says so
    case v1::VmEvent::kRemoved:
    case v1::VmEvent::kJobStarted: // these three are of the job itself
    case v1::VmEvent::kJobAttemptFailed:
    case v1::VmEvent::kJobEnded:
    case v1::VmEvent::kCreated:
    case v1::VmEvent::kAddressGiven:
    case v1::VmEvent::kStartRequested:
    case v1::VmEvent::kShutdownRequested:
    case v1::VmEvent::kStopRequested:
    case v1::VmEvent::kRemovalRequested:
    case v1::VmEvent::kLabelsChanged:
    case v1::VmEvent::kRateChanged:
    case v1::VmEvent::kAddressesAdded:
    case v1::VmEvent::kAddressesRemovalRequested:
    case v1::VmEvent::kAddressesRemoved:
    case v1::VmEvent::kAbsent:
    case v1::VmEvent::kUnseen:
    case v1::VmEvent::BODY_NOT_SET:
      break;
    }
  }

  void start(const v1::Decision& decision, const resource& of, const v1::JobEvent::Started& started,
             utc_time decided_at) {
    const auto& entity = of.id;
    const auto id = domain::from_proto(started.job());
    auto& job = x_jobs[id];
    job.where = {x_commit.body->decided_at(), x_started++};
    job.view = view(started, resource_text(of.noun, entity), name_of_resource(entity),
                    who(decision.command().principal()), decided_at);
    job.changed = true;
    x_current[entity] = id;
    x_generation[id] = started.generation();
    x_rows.put(time_key(job.where, id), {});
    auto key = resource_prefix(entity);
    add_inverted(key, job.where);
    add_uuid(key, id);
    x_rows.put(std::move(key), {});
  }

  void fail_attempt(const v1::JobEvent::AttemptFailed& failed) {
    auto* job = find(domain::from_proto(failed.job()));
    if (job == nullptr)
      return;
    fill(job->view.mutable_last_attempt(), failed.code(), failed.text());
    job->changed = true;
  }

  void end(const uuid& entity, const v1::JobEvent::Ended& ended, utc_time at) {
    const auto id = domain::from_proto(ended.job());
    x_current.erase(entity);
    auto* job = find(id);
    if (job == nullptr)
      return;
    auto& shown = job->view;
    shown.set_state(ended.state());
    shown.clear_last_attempt();
    if (ended.state() == v1::Job::DONE)
      add_step(shown, ended.step(), at);
    else
      fill(shown.mutable_error(), ended.code(), ended.text());
    set_time(shown.mutable_ended_at(), not_before(shown, at));
    job->changed = true;
  }

  /// A fact about the guest, as a step of the job in progress.
  void see(const uuid& entity, std::string_view step, std::uint64_t generation, utc_time at) {
    const auto current = x_current.find(entity);
    if (current == x_current.end())
      return;
    auto* job = find(current->second);
    if (job == nullptr)
      return;
    const bool runs_a_guest = job->view.kind() == domain::name_of(v1::VM_CREATE) ||
                              job->view.kind() == domain::name_of(v1::VM_START);
    // A guest that runs from before, or stops, is no step towards running; and only a guest of this
    // wish (or a later one) counts, as for the VM's own activity.
    if (runs_a_guest ? step == "stopped" : step != "stopped")
      return;
    if (step == "started" && generation < generation_of(entity, current->second))
      return;
    add_step(job->view, step, at);
    job->changed = true;
  }

  /// Adds a step once: a second attempt passes the same ones again.
  static void add_step(v1::Job& job, std::string_view name, utc_time at) {
    for (const auto& step : job.steps())
      if (step.name() == name)
        return;
    const auto when = not_before(job, at);
    auto* step = job.add_steps();
    step->set_name(std::string(name));
    set_time(step->mutable_at(), when);
  }

  /// A host's clock may be behind ours; a job's steps still come in order.
  static utc_time not_before(const v1::Job& job, utc_time at) {
    return job.steps().empty() ? at : std::max(at, from_proto(job.steps().rbegin()->at()));
  }

  std::uint64_t generation_of(const uuid& entity, const uuid& job) const {
    if (const auto found = x_generation.find(job); found != x_generation.end())
      return found->second; // it began in this commit
    const auto* vm = x_touched.before<domain::vm_state>(entity);
    if (vm != nullptr && vm->job)
      return vm->job->generation;
    return 0;
  }

  /// What begins and ends in one commit has no state before or after it.
  void note_name(const uuid& entity, const v1::Event& event) {
    if (event.has_vm() && event.vm().has_created())
      x_names[entity] = event.vm().created().name();
    if (event.has_network() && event.network().has_created())
      x_names[entity] = event.network().created().name();
  }

  [[nodiscard]] std::string name_of_resource(const uuid& entity) const {
    if (const auto made = x_names.find(entity); made != x_names.end())
      return made->second;
    const auto* before = x_touched.before(entity);
    return before == nullptr ? std::string() : std::string(domain::name_of(*before));
  }

  stored_job* find(const uuid& id) {
    if (const auto known = x_jobs.find(id); known != x_jobs.end())
      return &known->second;
    const auto bytes = x_rows.find(row_key(id));
    stored_job job;
    if (!bytes || bytes->size() < place_size ||
        !job.view.ParseFromArray(bytes->data() + place_size,
                                 static_cast<int>(bytes->size() - place_size)))
      return nullptr;
    job.where = {u64_at(*bytes, 0), u32_at(*bytes, 8)};
    job.stored_state = job.view.state();
    return &x_jobs.emplace(id, std::move(job)).first->second;
  }

  const folded_commit& x_commit;
  touched_index x_touched;
  writer& x_rows;
  std::uint32_t x_started = 0;
  std::map<uuid, stored_job> x_jobs;
  std::unordered_map<uuid, uuid> x_current;             ///< resource -> its job
  std::unordered_map<uuid, std::string> x_names;        ///< of what was made in this commit
  std::unordered_map<uuid, std::uint64_t> x_generation; ///< of jobs that began in this commit
};

bool read_job(const reader& rows, const uuid& id, v1::Job& job) {
  const auto bytes = rows.find(row_key(id));
  if (!bytes)
    return false;
  return from_row(rows, std::string_view(*bytes).substr(std::min(place_size, bytes->size())), job);
}

} // namespace

void jobs::apply(commit_span commits, writer& rows) const {
  for (const auto& commit : commits) {
    job_fold fold(*commit, rows);
    domain::for_each_step(*commit->body,
                          [&fold](const v1::Decision& decision, const v1::Step& step, int,
                                  utc_time decided_at) { fold.fold(decision, step, decided_at); });
    fold.write();
  }
}

result<listing<v1::Job>> list_jobs(const reader& rows, const job_terms& terms, const page& wanted) {
  const auto at = positions_of(rows);
  const auto query = "jobs " + v1::Job::State_Name(terms.state) + " " +
                     (terms.resource ? to_text(*terms.resource) : std::string());
  const auto start = open_page(query, wanted, at);
  if (!start)
    return start.error();
  key_range range;
  if (terms.resource)
    range.prefix = resource_prefix(*terms.resource);
  else if (terms.state != v1::Job::STATE_UNSPECIFIED)
    range.prefix = state_prefix(terms.state);
  else
    range.prefix = key_of(prefix::by_time);
  listing<v1::Job> found;
  const auto take = [&](std::string_view key, std::string_view) {
    v1::Job job;
    if (key.size() < uuid_size || !read_job(rows, uuid_at(key, key.size() - uuid_size), job))
      return row_fate::passed_over;
    if (terms.state != v1::Job::STATE_UNSPECIFIED && job.state() != terms.state)
      return row_fate::passed_over;
    found.items.push_back(std::move(job));
    return row_fate::taken;
  };
  found.next_token = walk_page(rows, query, *start, range, at, take);
  found.at = at;
  return found;
}

result<answer<v1::Job>> find_job(const reader& rows, std::string_view id) {
  const auto parsed = parse_id<job_tag>(id);
  if (!parsed)
    return error{error_code::invalid_argument,
                 "'" + printable(id, 80) + "' is not the id of a job (job_<uuid>)", false};
  answer<v1::Job> found;
  if (!read_job(rows, parsed->value, found.value))
    return error{error_code::not_found,
                 "there is no job " + to_text(*parsed) + ": `orrery job list` shows what there is",
                 false};
  found.at = positions_of(rows);
  return found;
}

std::vector<ended_job> jobs_ended_by(const folded_commit& commit) {
  std::vector<ended_job> found;
  std::optional<touched_index> touched;          // of the few commits that end one
  std::unordered_map<uuid, v1::JobKind> started; // by this commit
  domain::for_each_step(
      *commit.body, [&](const v1::Decision&, const v1::Step& step, int, utc_time) {
        for (const auto& event : step.events()) {
          const auto news = domain::job_news_of(event);
          if (news.started != nullptr)
            started[domain::from_proto(news.started->job())] = news.started->kind();
          if (news.ended == nullptr)
            continue;
          if (!touched)
            touched.emplace(commit);
          const auto id = domain::from_proto(news.ended->job());
          const auto* before = touched->before(domain::from_proto(step.entity()));
          const auto* job = before == nullptr ? nullptr : domain::job_of(*before);
          if (const auto known = started.find(id); known != started.end())
            found.push_back({known->second, news.ended->state()});
          else if (job != nullptr && job->job == id)
            found.push_back({job->kind, news.ended->state()});
        }
      });
  return found;
}

} // namespace orrery::projections
