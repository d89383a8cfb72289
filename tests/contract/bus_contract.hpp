#pragma once

#include "events/log/transport.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace orrery::log::contract {

// What every transport and board promises (`events/log/transport.hpp`), as one suite. An engine
// runs it unmodified with
//
//   INSTANTIATE_TEST_SUITE_P(my_engine, bus_contract, testing::Values(my_bus_bed_factory));

/// One process's way to both.
struct participant {
  std::shared_ptr<transport> commands;
  std::shared_ptr<board> posts;
};

/// A place where processes meet, with 8 partitions.
class bus_bed {
public:
  bus_bed() = default;
  bus_bed(const bus_bed&) = delete;
  bus_bed& operator=(const bus_bed&) = delete;
  virtual ~bus_bed() = default;
  virtual participant join() = 0;
};

struct bus_bed_factory {
  std::string name;
  std::function<std::unique_ptr<bus_bed>()> make;

  friend void PrintTo(const bus_bed_factory& factory, std::ostream* out) { *out << factory.name; }
};

class bus_contract : public testing::TestWithParam<bus_bed_factory> {
protected:
  /// How long a test waits for what must happen anyway; generous, since machines are shared.
  static constexpr std::chrono::seconds generous{60};
  static constexpr std::chrono::milliseconds at_once{0};
  static constexpr partition_number zero{0};
  static constexpr partition_number seven{7};

  void SetUp() override {
    x_bed = GetParam().make();
    x_one = x_bed->join();
    x_two = x_bed->join();
    ASSERT_NE(x_one.commands, nullptr);
    ASSERT_NE(x_two.posts, nullptr);
  }

  static void send(const participant& from, partition_number where, const std::string& bytes) {
    const auto sent = from.commands->send(where, bytes);
    EXPECT_TRUE(sent) << sent.error().text;
  }

  static void listen(const participant& at, partition_number where) {
    const auto done = at.commands->listen(where);
    EXPECT_TRUE(done) << done.error().text;
  }

  static void post(const participant& from, const std::string& bytes) {
    const auto done = from.posts->post(bytes);
    EXPECT_TRUE(done) << done.error().text;
  }

  /// What comes until `last` did; a repetition counts once.
  static std::vector<carried> receive_until(const participant& at, const carried& last) {
    std::vector<carried> all;
    const auto deadline = std::chrono::steady_clock::now() + generous;
    while (std::ranges::count(all, last) == 0 && std::chrono::steady_clock::now() < deadline) {
      const auto some = at.commands->receive(std::chrono::milliseconds(1000));
      if (!some) {
        ADD_FAILURE() << some.error().text;
        return all;
      }
      EXPECT_LE(some->size(), carried_count_max);
      for (const auto& one : *some)
        if (std::ranges::count(all, one) == 0)
          all.push_back(one);
    }
    EXPECT_EQ(std::ranges::count(all, last), 1) << last.bytes << " did not come";
    return all;
  }

  static std::vector<std::string> read_until(const participant& at, const std::string& last) {
    std::vector<std::string> all;
    const auto deadline = std::chrono::steady_clock::now() + generous;
    while (std::ranges::count(all, last) == 0 && std::chrono::steady_clock::now() < deadline) {
      const auto some = at.posts->read(std::chrono::milliseconds(1000));
      if (!some) {
        ADD_FAILURE() << some.error().text;
        return all;
      }
      all.insert(all.end(), some->begin(), some->end());
    }
    EXPECT_EQ(std::ranges::count(all, last), 1) << last << " did not come";
    return all;
  }

  std::unique_ptr<bus_bed> x_bed;
  participant x_one;
  participant x_two;
};

TEST_P(bus_contract, what_cannot_be_sent_is_refused) {
  EXPECT_EQ(x_one.commands->send(zero, "").error().code, error_code::invalid_argument);
  EXPECT_EQ(x_one.commands->send(zero, std::string(carried_bytes_max + 1, 'x')).error().code,
            error_code::too_large);
  for (const auto where : {partition_number{8}, partition_number{partition_number_max},
                           partition_number{UINT16_MAX}}) {
    EXPECT_EQ(x_one.commands->send(where, "x").error().code, error_code::invalid_argument);
    EXPECT_EQ(x_one.commands->listen(where).error().code, error_code::invalid_argument);
    x_one.commands->ignore(where);
  }
}

TEST_P(bus_contract, what_cannot_be_posted_is_refused) {
  EXPECT_EQ(x_one.posts->post("").error().code, error_code::invalid_argument);
  EXPECT_EQ(x_one.posts->post(std::string(heartbeat_bytes_max + 1, 'x')).error().code,
            error_code::too_large);
}

TEST_P(bus_contract, nothing_comes_to_who_does_not_listen) {
  send(x_one, zero, "a command");
  EXPECT_TRUE(x_two.commands->receive(at_once).value().empty());
}

TEST_P(bus_contract, a_command_comes_to_all_who_listen_the_sender_too) {
  listen(x_one, zero);
  listen(x_two, zero);
  send(x_one, zero, "a command");
  for (const auto& at : {x_one, x_two})
    EXPECT_THAT(receive_until(at, {zero, "a command"}),
                testing::ElementsAre(carried{zero, "a command"}));
}

TEST_P(bus_contract, commands_come_by_partition) {
  listen(x_two, seven);
  send(x_one, zero, "not for it");
  send(x_one, seven, "for it");
  EXPECT_THAT(receive_until(x_two, {seven, "for it"}),
              testing::ElementsAre(carried{seven, "for it"}));
}

TEST_P(bus_contract, any_bytes_come_as_they_were) {
  listen(x_two, zero);
  for (const auto& bytes :
       {std::string(1, '\0'), std::string("a\0b", 3), std::string(carried_bytes_max, '\xff')}) {
    send(x_one, zero, bytes);
    receive_until(x_two, {zero, bytes});
  }
}

TEST_P(bus_contract, listening_begins_a_little_in_the_past) {
  // Of what was sent before, the last ones come; that all of these do is for a partition with
  // fewer.
  for (int at = 0; at < 10; ++at)
    send(x_one, zero, "before " + std::to_string(at));
  listen(x_one, zero);
  receive_until(x_one, {zero, "before 9"}); // all are there
  listen(x_two, zero);
  EXPECT_EQ(receive_until(x_two, {zero, "before 9"}).size(), 10U);
}

TEST_P(bus_contract, listening_does_not_begin_far_in_the_past) {
  listen(x_one, zero);
  for (std::size_t at = 0; at < carried_before + 500; ++at)
    send(x_one, zero, "before " + std::to_string(at));
  const carried last{zero, "before " + std::to_string(carried_before + 499)};
  receive_until(x_one, last);
  listen(x_two, zero);
  const auto all = receive_until(x_two, last);
  EXPECT_EQ(all.size(), carried_before);
  EXPECT_EQ(all.front().bytes, "before 500");
}

TEST_P(bus_contract, nothing_comes_any_more_of_what_is_ignored) {
  listen(x_two, zero);
  listen(x_two, seven);
  send(x_one, zero, "first");
  receive_until(x_two, {zero, "first"});
  send(x_one, zero, "second"); // may be here already when it is ignored
  x_two.commands->ignore(zero);
  x_two.commands->ignore(zero);
  send(x_one, zero, "third");
  send(x_one, seven, "last");
  EXPECT_THAT(receive_until(x_two, {seven, "last"}), testing::ElementsAre(carried{seven, "last"}));
}

TEST_P(bus_contract, who_listens_again_begins_in_the_past_again) {
  for (int again = 0; again < 5; ++again) {
    listen(x_two, zero);
    listen(x_two, zero); // changes nothing
    send(x_one, zero, std::to_string(again));
    const auto all = receive_until(x_two, {zero, std::to_string(again)});
    EXPECT_EQ(all.size(), static_cast<std::size_t>(again) + 1);
    x_two.commands->ignore(zero);
  }
}

TEST_P(bus_contract, a_command_wakes_who_waits) {
  listen(x_two, zero);
  std::thread sender([this] { send(x_one, zero, "a command"); });
  receive_until(x_two, {zero, "a command"});
  sender.join();
}

TEST_P(bus_contract, many_threads_may_send) {
  listen(x_two, zero);
  listen(x_two, seven);
  constexpr int each = 200;
  std::vector<std::thread> senders;
  for (int number = 0; number < 4; ++number)
    senders.emplace_back([this, number] {
      for (int at = 0; at < each; ++at)
        send(number % 2 == 0 ? x_one : x_two, number < 2 ? zero : seven,
             std::to_string(number) + " " + std::to_string(at));
    });
  for (auto& one : senders)
    one.join();
  std::set<std::string> seen;
  const auto deadline = std::chrono::steady_clock::now() + generous;
  while (seen.size() < 4 * each && std::chrono::steady_clock::now() < deadline) {
    const auto some = x_two.commands->receive(std::chrono::milliseconds(1000));
    ASSERT_TRUE(some) << some.error().text;
    for (const auto& one : *some)
      seen.insert(one.bytes);
  }
  EXPECT_EQ(seen.size(), 4U * each);
}

TEST_P(bus_contract, a_post_is_read_by_all_its_author_too) {
  post(x_one, "here I am");
  for (const auto& at : {x_one, x_two})
    EXPECT_THAT(read_until(at, "here I am"), testing::ElementsAre("here I am"));
}

TEST_P(bus_contract, the_board_is_read_from_its_end_on) {
  post(x_one, "old");
  read_until(x_one, "old");
  const auto third = x_bed->join();
  ASSERT_NE(third.posts, nullptr);
  post(x_one, "new");
  EXPECT_THAT(read_until(third, "new"), testing::ElementsAre("new"));
}

TEST_P(bus_contract, all_read_the_board_in_the_same_order) {
  std::vector<std::string> read_by_one;
  for (int at = 0; at < 30; ++at) {
    const auto mark = "one " + std::to_string(at);
    post(x_two, "two " + std::to_string(at)); // one after the other, without a look: some may go
    post(x_one, mark);
    const auto some = read_until(x_one, mark);
    read_by_one.insert(read_by_one.end(), some.begin(), some.end());
  }
  post(x_two, "last");
  const auto rest = read_until(x_one, "last");
  read_by_one.insert(read_by_one.end(), rest.begin(), rest.end());
  EXPECT_EQ(read_until(x_two, "last"), read_by_one);
}

TEST_P(bus_contract, the_largest_post_is_read) {
  const std::string largest(heartbeat_bytes_max, '\xff');
  post(x_one, largest);
  read_until(x_two, largest);
}

TEST_P(bus_contract, a_whole_connection_does_not_break) {
  const auto before = x_one.posts->breaks();
  for (int at = 0; at < 20; ++at) {
    post(x_one, std::to_string(at));
    read_until(x_one, std::to_string(at));
  }
  EXPECT_EQ(x_one.posts->breaks(), before);
}

TEST_P(bus_contract, who_has_nothing_to_read_waits_no_longer_than_he_said) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(x_one.posts->read(std::chrono::milliseconds(50)).value().empty());
  EXPECT_TRUE(x_one.commands->receive(std::chrono::milliseconds(50)).value().empty());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, generous);
}

} // namespace orrery::log::contract
