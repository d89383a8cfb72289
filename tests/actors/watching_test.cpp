#include "actors/api/call.hpp"
#include "actors/api/watching.hpp"
#include "actors/file_limit.hpp"
#include "events/schema/json.hpp"
#include "tests/projections/histories.hpp"
#include "tests/support/wait.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace orrery::actors {

namespace {

using projections::entry_places;
using projections::filled_store;
using projections::history;
using strings = std::vector<std::string>;

bool comes(const std::function<bool()>& what) {
  return testing_support::wait_until(std::chrono::seconds(30), what);
}

/// A message as an event source would understand it.
struct message {
  std::string event;
  std::string id;
  std::string data;
};

std::vector<message> messages_of(std::string_view text) {
  std::vector<message> all;
  while (!text.empty()) {
    const auto end = text.find("\n\n");
    EXPECT_NE(end, text.npos) << "a message is cut";
    if (end == text.npos)
      break;
    message one;
    for (auto rest = text.substr(0, end + 1); !rest.empty();) {
      const auto line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(line.size() + 1);
      const auto colon = line.find(": ");
      const auto value = std::string(line.substr(colon + 2));
      if (line.starts_with("event: "))
        one.event = value;
      else if (line.starts_with("id: "))
        one.id = value;
      else if (line.starts_with("data: "))
        one.data = value;
    }
    all.push_back(std::move(one));
    text.remove_prefix(end + 2);
  }
  return all;
}

/// A client whose reading a test governs.
class client final : public http::stream {
public:
  void write(std::shared_ptr<const std::string> bytes) override {
    std::function<void()> drained;
    {
      const std::lock_guard lock(x_mutex);
      x_waiting += bytes->size();
      x_waiting_most = std::max(x_waiting_most, x_waiting);
      x_pieces.push_back(std::move(bytes));
      if (!x_reads)
        return;
      x_waiting = 0;
      drained = x_tell.drained;
    }
    if (drained)
      drained();
  }

  [[nodiscard]] std::size_t waiting() const override {
    const std::lock_guard lock(x_mutex);
    return x_waiting;
  }

  void finish() override {
    const std::lock_guard lock(x_mutex);
    x_finished = true;
  }

  void meet(http::stream_events tell) {
    const std::lock_guard lock(x_mutex);
    x_tell = std::move(tell);
  }

  void leave(http::stream_end how) const { x_tell.closed(how); }

  void stop_reading() {
    const std::lock_guard lock(x_mutex);
    x_reads = false;
  }

  /// Reads what waits, once.
  void read() {
    {
      const std::lock_guard lock(x_mutex);
      x_waiting = 0;
    }
    x_tell.drained();
  }

  [[nodiscard]] std::size_t waiting_most() const { return x_waiting_most; }

  [[nodiscard]] bool is_finished() const {
    const std::lock_guard lock(x_mutex);
    return x_finished;
  }

  [[nodiscard]] std::vector<std::shared_ptr<const std::string>> pieces() const {
    const std::lock_guard lock(x_mutex);
    return x_pieces;
  }

  /// Lets go of what it got.
  [[nodiscard]] std::vector<std::weak_ptr<const std::string>> forget() {
    const std::lock_guard lock(x_mutex);
    std::vector<std::weak_ptr<const std::string>> known(x_pieces.begin(), x_pieces.end());
    x_pieces.clear();
    return known;
  }

  [[nodiscard]] std::vector<message> messages() const {
    std::string text;
    for (const auto& piece : pieces())
      text += *piece;
    return messages_of(text);
  }

  /// Data of all entries so far.
  [[nodiscard]] strings told() const {
    strings found;
    for (const auto& one : messages())
      if (!one.data.empty() && one.event != "ready")
        found.push_back(one.data);
    return found;
  }

private:
  mutable std::mutex x_mutex;
  std::vector<std::shared_ptr<const std::string>> x_pieces;
  std::size_t x_waiting = 0;
  std::size_t x_waiting_most = 0;
  bool x_reads = true;
  bool x_finished = false;
  http::stream_events x_tell;
};

/// A hub over a store of its own.
struct stage {
  projections::temporary_folder folder;
  std::shared_ptr<projections::store> rows;
  std::shared_ptr<projections::metrics> shown = std::make_shared<projections::metrics>();
  std::unique_ptr<watch_hub> hub;

  /// Without a sign of life, unless a test wants one: it also looks whether something came, and
  /// would hide that nobody said so.
  explicit stage(const history& commits = {},
                 std::chrono::milliseconds heartbeat = std::chrono::hours(1))
      : rows(projections::open_store(folder.path())) {
    add(commits);
    hub = std::make_unique<watch_hub>(watch_birth{rows, shown, heartbeat});
  }

  void add(const history& commits) const {
    EXPECT_TRUE(rows->apply(commits));
    if (hub)
      hub->wake();
  }

  std::shared_ptr<client> join(const entry_places& from = {}, const watch_terms& terms = {},
                               bool reads = true) const {
    auto made = std::make_shared<client>();
    if (!reads)
      made->stop_reading();
    made->meet(hub->join(terms, from, made));
    return made;
  }

  entry_places now() const {
    entry_places made;
    const auto held = rows->lowest_positions();
    for (const auto& [where, at] : held.all())
      made[where] = {at.seq, {}};
    return made;
  }

  /// Data of all entries, in the order of the list.
  strings listed() const {
    strings all;
    projections::page wanted{projections::page_size_max, ""};
    do {
      const auto found = rows->list_events({}, wanted);
      EXPECT_TRUE(found);
      for (const auto& one : found->items)
        all.push_back(to_json(one));
      wanted.token = found->next_token;
    } while (!wanted.token.empty());
    return all;
  }
};

entry_places parsed(const std::string& text) {
  auto made = parse_entry_places(text, partition_number_max + std::size_t{1});
  EXPECT_TRUE(made) << text;
  return made ? *made : entry_places{};
}

/// A history of two partitions, mixed.
history mixed_history(std::size_t commands) {
  auto one = projections::random_history(11, commands);
  const auto second = support::world_with_running_vm();
  const auto other = projections::history_of(
      projections::moved_to(second.commits(), partition_number{5}), partition_number{5});
  for (std::size_t i = 0; i < other.size(); ++i)
    one.insert(one.begin() + static_cast<std::ptrdiff_t>(3 * i), other[i]);
  return one;
}

TEST(watching, begins_with_the_position_and_gives_everything_from_the_beginning) {
  const stage here(mixed_history(200));
  const auto one = here.join();
  const auto all = here.listed();
  ASSERT_GT(all.size(), 200U);
  EXPECT_TRUE(comes([&] { return one->told().size() >= all.size(); }));
  EXPECT_EQ(one->told(), all);
  const auto first = one->messages().front();
  EXPECT_EQ(first.event, "ready");
  EXPECT_EQ(first.id, "0/0");
  EXPECT_EQ(first.data, R"({"position":"0/0"})");
  EXPECT_EQ(parsed(one->messages().back().id), here.now());
}

TEST(watching, from_now_on_gives_only_what_comes) {
  const auto commits = mixed_history(100);
  const history before(commits.begin(), commits.begin() + 50);
  const history later(commits.begin() + 50, commits.end());
  const stage here(before);
  const auto known = here.listed().size();
  const auto one = here.join(here.now());
  here.add(later);
  const auto all = here.listed();
  EXPECT_TRUE(comes([&] { return one->told().size() >= all.size() - known; }));
  auto told = one->told();
  std::ranges::sort(told);
  strings expected;
  for (const auto& commit : later) {
    const auto mark =
        "\"position\":\"" + to_text(commit->where) + "/" + std::to_string(commit->seq) + "/";
    std::ranges::copy_if(all, std::back_inserter(expected),
                         [&](const auto& data) { return data.find(mark) != data.npos; });
  }
  std::ranges::sort(expected);
  EXPECT_EQ(told, expected);
}

TEST(watching, one_who_waits_is_told_of_each_thing_that_comes) {
  const auto commits = mixed_history(60);
  stage here;
  const auto one = here.join();
  for (const auto& commit : commits) {
    here.add({commit});
    const auto count = here.listed().size();
    ASSERT_TRUE(comes([&] { return one->told().size() == count; })) << commit->seq;
  }
}

TEST(watching, little_is_kept_of_what_was_given) {
  stage here;
  const auto one = here.join();
  auto kept = one->forget(); // of what is given at one time each
  for (const auto& commit : mixed_history(600)) {
    const auto before = here.now();
    here.add({commit});
    const auto found = here.rows->list_following(before, here.rows->lowest_positions(), 1);
    ASSERT_TRUE(found);
    if (found->entries.empty())
      continue;
    ASSERT_TRUE(comes([&] { return !one->pieces().empty(); }));
    std::ranges::move(one->forget(), std::back_inserter(kept));
  }
  ASSERT_GT(kept.size(), 200U);
  EXPECT_LE(std::ranges::count_if(kept, [](const auto& piece) { return !piece.expired(); }), 110);
}

TEST(watching, goes_on_behind_every_id_that_it_gave) {
  const stage here(mixed_history(60));
  const auto whole = here.join();
  const auto count = here.listed().size();
  EXPECT_TRUE(comes([&] { return whole->told().size() >= count; }));
  const auto messages = whole->messages();
  ASSERT_EQ(messages.size(), count + 1);
  std::vector<std::shared_ptr<client>> all;
  for (const auto& one : messages)
    all.push_back(here.join(parsed(one.id)));
  const auto told = whole->told();
  for (std::size_t cut = 0; cut < all.size(); ++cut) {
    const strings rest(told.begin() + static_cast<std::ptrdiff_t>(cut), told.end());
    EXPECT_TRUE(comes([&] { return all[cut]->told().size() >= rest.size(); })) << cut;
    EXPECT_EQ(all[cut]->told(), rest) << "behind " << messages[cut].id;
  }
}

/// Clients come, go and come again with what they had last, while rows are written all the time.
TEST(watching, has_no_seam_under_a_writer) {
  const auto commits = mixed_history(600);
  stage here;
  std::thread writer([&] {
    for (const auto& commit : commits)
      here.add({commit});
  });
  std::mt19937 random(projections::seed_of_this_run());
  constexpr std::size_t clients = 8;
  std::vector<std::vector<message>> had(clients);
  std::vector<std::shared_ptr<client>> now(clients);
  const auto reconnect = [&](std::size_t i) {
    if (now[i]) {
      const auto messages = now[i]->messages();
      // Some that were sent did not arrive: they must come again.
      const auto arrived = messages.size() - random() % std::min<std::size_t>(messages.size(), 9);
      for (std::size_t one = 1; one < arrived; ++one)
        had[i].push_back(messages[one]);
      now[i]->leave(http::stream_end::by_client);
    }
    now[i] = here.join(had[i].empty() ? entry_places{} : parsed(had[i].back().id));
  };
  for (int round = 0; round < 300; ++round)
    reconnect(random() % clients);
  writer.join();
  const auto all = here.listed();
  std::map<char, strings> expected; // by partition: what lies between those may come either way
  const auto add = [](std::map<char, strings>& to, const std::string& data) {
    to[data.at(data.find("\"position\":\"") + 12)].push_back(data);
  };
  for (const auto& data : all)
    add(expected, data);
  for (std::size_t i = 0; i < clients; ++i) {
    reconnect(i);
    EXPECT_TRUE(comes([&] { return had[i].size() + now[i]->told().size() >= all.size(); }));
    std::map<char, strings> told;
    for (const auto& one : had[i])
      add(told, one.data);
    for (const auto& data : now[i]->told())
      add(told, data);
    EXPECT_EQ(told, expected) << "client " << i;
  }
}

TEST(watching, those_at_one_place_share_what_they_get) {
  const auto commits = mixed_history(100);
  stage here;
  std::vector<std::shared_ptr<client>> all;
  for (int i = 0; i < 50; ++i)
    all.push_back(here.join());
  here.add(commits);
  const auto count = here.listed().size();
  for (const auto& one : all)
    EXPECT_TRUE(comes([&] { return one->told().size() == count; }));
  std::set<const std::string*> pieces;
  for (const auto& one : all)
    for (const auto& piece : one->pieces())
      pieces.insert(piece.get());
  EXPECT_LT(pieces.size(), 2 * 50U) << "beside the first message of each";
  EXPECT_NE(here.shown->expose().find("orrery_watchers 50\n"), std::string::npos);
  EXPECT_TRUE(comes([&] {
    return here.shown->expose().find("orrery_watch_messages_total " + std::to_string(50 * count) +
                                     "\n") != std::string::npos;
  }));
}

TEST(watching, one_who_reads_slowly_waits_for_little_and_misses_nothing) {
  const stage here(mixed_history(600));
  const auto all = here.listed();
  std::size_t bytes = 0;
  for (const auto& data : all)
    bytes += data.size();
  ASSERT_GT(bytes, 5 * watcher_waiting_max);
  const auto slow = here.join({}, {}, false);
  const auto other = here.join();
  EXPECT_TRUE(comes([&] { return other->told().size() == all.size(); })) << "nobody waits for him";
  while (slow->told().size() < all.size()) {
    const auto before = slow->told().size();
    slow->read();
    ASSERT_TRUE(comes([&] { return slow->told().size() > before; }));
  }
  EXPECT_EQ(slow->told(), all);
  constexpr std::size_t largest_piece = entries_per_read * 2'000;
  EXPECT_LT(slow->waiting_most(), watcher_waiting_max + largest_piece);
  slow->leave(http::stream_end::too_slow);
  EXPECT_NE(here.shown->expose().find("orrery_watchers_slow_total 1\n"), std::string::npos);
  EXPECT_NE(here.shown->expose().find("orrery_watchers 1\n"), std::string::npos);
}

TEST(watching, of_one_who_left_nothing_is_kept) {
  const stage here(mixed_history(100));
  auto one = here.join();
  EXPECT_TRUE(comes([&] { return one->told().size() == here.listed().size(); }));
  one->leave(http::stream_end::by_client);
  one->meet({});
  EXPECT_TRUE(comes([&] { return one.use_count() == 1; }));
}

TEST(watching, a_filter_passes_what_it_names) {
  const stage here(mixed_history(300));
  const auto all = here.listed();
  const auto nouns = here.join({}, {.noun = "vm"});
  const auto found = here.rows->list_events({.resource = to_text(support::vm())}, {1000, ""});
  ASSERT_TRUE(found);
  const auto things = here.join({}, {.resource = support::vm()});
  strings of_vms;
  std::ranges::copy_if(all, std::back_inserter(of_vms), [](const auto& data) {
    return data.find("\"resource\":\"vm_") != data.npos;
  });
  strings of_one;
  for (const auto& entry : found->items)
    of_one.push_back(to_json(entry));
  ASSERT_GT(of_one.size(), 3U);
  ASSERT_GT(of_vms.size(), of_one.size());
  ASSERT_LT(of_vms.size(), all.size());
  EXPECT_TRUE(comes([&] { return nouns->told().size() == of_vms.size(); }));
  EXPECT_EQ(nouns->told(), of_vms);
  EXPECT_TRUE(comes([&] { return things->told().size() == of_one.size(); }));
  EXPECT_EQ(things->told(), of_one);
}

TEST(watching, a_sign_of_life_moves_the_position_of_one_who_gets_nothing) {
  stage here({}, std::chrono::milliseconds(50));
  const auto none = here.join({}, {.resource = support::vm(99)});
  here.add(mixed_history(50));
  const auto is_there = [&] {
    const auto last = none->messages().back();
    return last.event.empty() && last.data.empty() && parsed(last.id) == here.now();
  };
  EXPECT_TRUE(comes(is_there));
  EXPECT_TRUE(none->told().empty());
}

TEST(watching, ends_while_somebody_watches) {
  stage here(mixed_history(50));
  const auto one = here.join();
  here.hub.reset(); // does not hang
  EXPECT_FALSE(one->is_finished()) << "the server ends its streams";
}

TEST(watch_position, is_read_as_it_is_written) {
  for (const auto* text : {"0/0", "0/5", "0/5/3", "0/5/3,1/118,15/18446744073709551615/0"})
    EXPECT_EQ(position_text(parsed(text)), text);
  EXPECT_EQ(position_text(parsed("3/7,1/5,2/0")), "1/5,3/7");
}

TEST(watch_position, that_makes_no_sense_is_an_invalid_argument) {
  const strings all{"",
                    ",",
                    "/",
                    "0",
                    "0/",
                    "/5",
                    "0/5/",
                    "0/5,",
                    ",0/5",
                    "0/5/3/",
                    "0/5/3/1",
                    "x/5",
                    "0/x",
                    "0/-1",
                    "0/+1",
                    "0/ 5",
                    "-1/5",
                    "16/5",
                    "4096/5",
                    "65536/1",
                    "0/0/1",
                    "0/5 ",
                    "0/5;1",
                    "0/5,0/6",
                    "0//5",
                    "0/5,,1/18",
                    "0/1/4294967296",
                    "0/18446744073709551616"};
  for (const auto& text : all) {
    const auto made = parse_entry_places(text, 16);
    ASSERT_FALSE(made) << text;
    EXPECT_EQ(made.error().code, error_code::invalid_argument);
  }
  std::string many;
  for (int i = 0; i < 5000; ++i)
    many += std::string(many.empty() ? "" : ",") + std::to_string(i) + "/1";
  EXPECT_FALSE(parse_entry_places(many, 4096));
  EXPECT_FALSE(parse_position("0/5/3")) << "a record is meant there";
}

TEST(watch_position, of_random_bytes_is_refused_or_comes_back) {
  std::mt19937 random(projections::seed_of_this_run());
  constexpr std::string_view alphabet = "0123456789///,,,x-\n";
  std::size_t good = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text;
    for (auto size = random() % 12; size > 0; --size)
      text += alphabet[random() % alphabet.size()];
    const auto made = parse_entry_places(text, 4096);
    if (!made)
      continue;
    ++good;
    EXPECT_EQ(parsed(position_text(*made)), *made) << text;
  }
  EXPECT_GT(good, 100U);
}

TEST(file_limit, leaves_room_for_the_rest) {
  EXPECT_EQ(streams_within(open_files_wanted()), http::stream_count_max);
  EXPECT_EQ(streams_within(1u << 20), http::stream_count_max);
  EXPECT_EQ(streams_within(100), 0U);
  EXPECT_EQ(streams_within(1'024), 256U);
  EXPECT_GE(allow_open_files(64), 64U) << "it never lowers";
}

} // namespace

} // namespace orrery::actors
