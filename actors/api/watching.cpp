#include "actors/api/watching.hpp"

#include "actors/api/call.hpp"
#include "events/schema/json.hpp"

#include <algorithm>
#include <utility>

namespace orrery::actors {

namespace {

using clock = std::chrono::steady_clock;

/// Pieces that are kept for those who come to the same place later: 2 MB, and what a thousand
/// watchers whose connections broke at one moment ask for again.
constexpr std::size_t pieces_known_max = 100;

/// Pieces that one watcher gets before the next one's turn.
constexpr int pieces_per_turn = 4;

/// Rest after each round: what writing to a watcher costs, several times. So the hub takes a part
/// of one processor at most, and a thousand watchers are told twenty times a second.
constexpr std::chrono::microseconds rest_per_watcher{50};

std::shared_ptr<const std::string> bytes_of(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

} // namespace

/// All that somebody knows of.
struct watch_hub::place {
  explicit place(projections::entry_places all) : at(std::move(all)), text(position_text(at)) {}

  projections::entry_places at;
  std::string text;
};

/// What follows on a place, up to another.
struct watch_hub::piece {
  struct message {
    std::size_t end = 0;  ///< in the bytes
    std::string resource; ///< "vm_…"
  };

  std::shared_ptr<const std::string> bytes;
  std::vector<message> messages;
  shared_place reached;
};

struct watch_hub::watcher {
  watcher(const watch_terms& terms, projections::entry_places from,
          std::shared_ptr<http::stream> to)
      : resource(terms.resource ? "_" + to_text(*terms.resource) : std::string()),
        noun(terms.noun.empty() ? std::string() : terms.noun + "_"), out(std::move(to)),
        at(std::make_shared<const place>(std::move(from))) {}

  [[nodiscard]] bool wants_all() const { return resource.empty() && noun.empty(); }

  [[nodiscard]] bool wants(const piece::message& one) const {
    return one.resource.ends_with(resource) && one.resource.starts_with(noun);
  }

  const std::string resource; ///< how those that are wanted end
  const std::string noun;     ///< how they begin
  const std::shared_ptr<http::stream> out;
  shared_place at;
  clock::time_point written_at = clock::now();
  std::atomic<bool> is_full = false; ///< gets more once it has taken all
  std::atomic<bool> is_gone = false;
};

watch_hub::watch_hub(watch_birth birth) : x_birth(std::move(birth)) {
  x_thread = std::thread([this] { run(); });
}

watch_hub::~watch_hub() {
  {
    const std::lock_guard lock(x_guard);
    x_is_closing = true;
  }
  x_changed.notify_one();
  x_thread.join();
}

void watch_hub::wake() {
  if (x_count != 0)
    nudge();
}

void watch_hub::nudge() {
  {
    const std::lock_guard lock(x_guard);
    x_has_news = true;
  }
  x_changed.notify_one();
}

http::stream_events watch_hub::join(watch_terms terms, projections::entry_places from,
                                    std::shared_ptr<http::stream> out) {
  const auto made = std::make_shared<watcher>(terms, std::move(from), std::move(out));
  const auto& at = made->at->text;
  made->out->write(bytes_of("retry: 1000\nevent: ready\nid: " + at + "\ndata: {\"position\":\"" +
                            at + "\"}\n\n"));
  http::stream_events tell;
  tell.drained = [this, made] {
    if (made->is_full.exchange(false))
      nudge();
  };
  tell.closed = [this, made](http::stream_end how) {
    made->is_gone = true;
    --x_count;
    x_birth.metrics->remove_watcher();
    if (how == http::stream_end::too_slow)
      x_birth.metrics->count_slow_watcher();
    nudge();
  };
  // Counted before the thread looks at the rows: what is folded after that wakes it.
  ++x_count;
  x_birth.metrics->add_watcher();
  {
    const std::lock_guard lock(x_guard);
    x_joining.push_back(made);
    x_has_news = true;
  }
  x_changed.notify_one();
  return tell;
}

void watch_hub::run() {
  std::unique_lock lock(x_guard);
  const auto is_closing = [this] { return x_is_closing; };
  const auto has_news = [this] { return x_has_news || x_is_closing; };
  while (true) {
    if (x_watchers.empty())
      x_changed.wait(lock, has_news);
    else
      x_changed.wait_for(lock, x_birth.heartbeat / 4, has_news);
    if (x_is_closing)
      return;
    x_has_news = false;
    std::ranges::move(std::exchange(x_joining, {}), std::back_inserter(x_watchers));
    lock.unlock();
    const bool is_more = serve_all();
    const auto rest = rest_per_watcher * x_watchers.size();
    lock.lock();
    x_has_news = x_has_news || is_more;
    x_changed.wait_for(lock, rest, is_closing);
  }
}

/// One round. True when somebody takes more, and there is more.
bool watch_hub::serve_all() {
  std::erase_if(x_watchers, [](const auto& one) { return one->is_gone.load(); });
  if (x_watchers.empty()) {
    x_known.clear();
    x_known_in_order.clear();
    return false;
  }
  const auto upto = x_birth.store->lowest_positions();
  bool is_more = false;
  for (const auto& one : x_watchers)
    if (serve(*one, upto))
      is_more = true;
  if (x_given > 0)
    x_birth.metrics->count_watch_messages(std::exchange(x_given, 0));
  return is_more;
}

bool watch_hub::serve(watcher& one, const projections::log_positions& upto) {
  for (int turn = 0; turn < pieces_per_turn; ++turn) {
    if (!projections::is_before(one.at->at, upto)) {
      if (clock::now() - one.written_at >= x_birth.heartbeat)
        give_heartbeat(one);
      return false;
    }
    one.is_full = true; // first, or the end of the waiting could be missed
    if (one.out->waiting() >= watcher_waiting_max)
      return false;
    one.is_full = false;
    const auto next = piece_behind(one.at, upto);
    if (!next) {
      one.out->write(
          bytes_of("event: failed\ndata: " + http::problem_response(next.error()).body + "\n\n"));
      one.out->finish();
      one.is_gone = true;
      return false;
    }
    give(one, **next);
  }
  return true;
}

result<watch_hub::shared_piece> watch_hub::piece_behind(const shared_place& from,
                                                        const projections::log_positions& upto) {
  if (const auto known = x_known.find(from->text); known != x_known.end())
    return known->second;
  auto found = x_birth.store->list_following(from->at, upto, entries_per_read);
  if (!found)
    return found.error();
  auto made = std::make_shared<piece>();
  auto now = from->at;
  std::string bytes;
  for (auto& [entry, where, at] : found->entries) {
    now[where] = at;
    bytes += "event: " + entry.type() + "\nid: " + position_text(now) +
             "\ndata: " + to_json(entry) + "\n\n";
    made->messages.push_back({bytes.size(), std::move(*entry.mutable_resource())});
  }
  made->bytes = bytes_of(std::move(bytes));
  made->reached = std::make_shared<const place>(std::move(found->reached));
  if (x_known_in_order.size() == pieces_known_max) {
    x_known.erase(x_known_in_order.front());
    x_known_in_order.pop_front();
  }
  x_known.emplace(from->text, made);
  x_known_in_order.push_back(from->text);
  return shared_piece(std::move(made));
}

/// To one who wants but a part of it goes a copy of that: it would hold the whole in memory.
void watch_hub::give(watcher& one, const piece& what) {
  auto bytes = what.bytes;
  auto count = what.messages.size();
  if (!one.wants_all()) {
    std::string wanted;
    count = 0;
    std::size_t begin = 0;
    for (const auto& message : what.messages) {
      if (one.wants(message)) {
        wanted.append(*what.bytes, begin, message.end - begin);
        ++count;
      }
      begin = message.end;
    }
    bytes = bytes_of(std::move(wanted));
  }
  one.at = what.reached;
  if (count == 0)
    return;
  one.out->write(std::move(bytes));
  one.written_at = clock::now();
  x_given += count;
}

/// Without data it is no event, but moves the position from which a client resumes.
void watch_hub::give_heartbeat(watcher& one) const {
  one.written_at = clock::now();
  if (one.out->waiting() == 0)
    one.out->write(bytes_of(": still here\nid: " + one.at->text + "\n\n"));
}

} // namespace orrery::actors
