#include "events/log/heartbeat.hpp"
#include "events/schema/liveness.pb.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>

namespace orrery::log {

namespace {

heartbeat full() {
  heartbeat made;
  made.process = process_id{0x0123456789abcdef};
  made.number = 42;
  made.address = "orrery-1.example:8443";
  made.ready = true;
  made.leaving = true;
  made.owned = {{partition_number{0}, 7}, {partition_number{4095}, 1}};
  return made;
}

v1::Heartbeat good_message() {
  v1::Heartbeat made;
  EXPECT_TRUE(made.ParseFromString(encode(full())));
  return made;
}

error_code refused(const v1::Heartbeat& said) {
  const auto parsed = parse_heartbeat(said.SerializeAsString());
  EXPECT_FALSE(parsed) << said.ShortDebugString();
  return parsed ? error_code::internal : parsed.error().code;
}

} // namespace

TEST(heartbeat, one_above_the_limit_is_refused) {
  EXPECT_EQ(parse_heartbeat(std::string(heartbeat_bytes_max + 1, 'x')).error().code,
            error_code::too_large);
}

TEST(heartbeat, nonsense_is_damaged) {
  for (const auto* bytes : {"", "x", "\xff\xff\xff\xff", "{\"process\": 1}"})
    EXPECT_EQ(parse_heartbeat(bytes).error().code, error_code::damaged) << bytes;
}

TEST(heartbeat, one_that_means_nothing_is_damaged) {
  auto said = good_message();
  said.set_process(0);
  EXPECT_EQ(refused(said), error_code::damaged);
  said = good_message();
  said.set_number(0);
  EXPECT_EQ(refused(said), error_code::damaged);
  said = good_message();
  said.set_address(std::string(heartbeat_address_bytes_max + 1, 'x'));
  EXPECT_EQ(refused(said), error_code::damaged);
  said = good_message();
  said.add_owned_seq(1);
  EXPECT_EQ(refused(said), error_code::damaged);
  for (const std::uint32_t wrong : {4096U, 0U, std::numeric_limits<std::uint32_t>::max()}) {
    said = good_message();
    said.set_owned(1, wrong); // above the limit, or not above the one before
    EXPECT_EQ(refused(said), error_code::damaged);
  }
}

TEST(heartbeat, more_partitions_than_there_are_is_damaged) {
  v1::Heartbeat said = good_message();
  said.clear_owned();
  said.clear_owned_seq();
  for (std::uint32_t at = 0; at < partition_number_max + 2U; ++at) {
    said.add_owned(at);
    said.add_owned_seq(1);
  }
  EXPECT_EQ(refused(said), error_code::damaged);
}

TEST(heartbeat, any_bytes_give_a_heartbeat_or_an_error) {
  const auto good = encode(full());
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    for (int again = 0; again < 2000; ++again) {
      auto bytes = good;
      for (std::uint64_t left = 1 + random() % 4; left > 0; --left)
        bytes[random() % bytes.size()] = static_cast<char>(random());
      bytes.resize(random() % (bytes.size() + 1));
      const auto parsed = parse_heartbeat(bytes);
      if (parsed) {
        ASSERT_EQ(parse_heartbeat(encode(*parsed)).value(), *parsed);
      }
    }
  }
}

TEST(heartbeat, comes_back_as_it_was) {
  EXPECT_EQ(parse_heartbeat(encode(full())).value(), full());
  heartbeat least;
  least.process = process_id{1};
  least.number = 1;
  EXPECT_EQ(parse_heartbeat(encode(least)).value(), least);
}

TEST(heartbeat, the_largest_that_can_be_is_below_the_limit) {
  heartbeat made = full();
  made.number = std::numeric_limits<std::uint64_t>::max();
  made.address = std::string(heartbeat_address_bytes_max, 'x');
  made.owned.clear();
  for (std::uint16_t where = 0; where <= partition_number_max; ++where)
    made.owned.push_back({partition_number{where}, std::numeric_limits<std::uint64_t>::max()});
  const auto bytes = encode(made);
  EXPECT_LT(bytes.size(), 51'000U);
  EXPECT_EQ(parse_heartbeat(bytes).value(), made);
}

TEST(heartbeat, one_of_a_later_version_is_read) {
  auto bytes = encode(full());
  bytes += std::string("\xf8\x07\x01", 3); // field 127, a number
  EXPECT_EQ(parse_heartbeat(bytes).value(), full());
}

} // namespace orrery::log
