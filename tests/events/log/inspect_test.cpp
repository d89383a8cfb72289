#include "events/log/inspect.hpp"
#include "tests/events/log/segment_fixture.hpp"

namespace orrery::log {

namespace {

using contract::seven;
using contract::zero;

} // namespace

TEST_F(segment_test, inspecting_nothing_is_not_found) {
  EXPECT_EQ(inspect(path(), {}).error().code, error_code::not_found);
}

TEST_F(segment_test, inspecting_a_log_in_use_is_refused) {
  const auto held = create();
  EXPECT_EQ(inspect(path(), {}).error().code, error_code::locked);
}

TEST_F(segment_test, inspecting_counts_by_partition_and_reason) {
  chain_head head;
  {
    auto made = create();
    owner_of zeros(*made, zero);
    owner_of sevens(*made, seven);
    zeros.claim(0);
    sevens.claim(0);
    zeros.commit("one");
    zeros.commit("two");
    zeros.write("no record at all");
    zeros.claim(0);
    zeros.claim(1);
    head = zeros.head();
  }
  const auto seen = inspect(path(), {});
  ASSERT_TRUE(seen) << seen.error().text;
  EXPECT_TRUE(seen->is_good());
  EXPECT_EQ(seen->identity, test_identity);
  const auto& summary = seen->partitions.at(zero);
  EXPECT_EQ(summary.records, 6u);
  EXPECT_EQ(summary.claims, 2u);
  EXPECT_EQ(summary.commits, 2u);
  EXPECT_EQ(summary.voids[static_cast<std::size_t>(void_reason::malformed)], 1u);
  EXPECT_EQ(summary.voids[static_cast<std::size_t>(void_reason::claim_stale)], 1u);
  EXPECT_EQ(summary.head, head);
  EXPECT_EQ(seen->partitions.at(seven).claims, 1u);
  EXPECT_FALSE(seen->torn);
}

TEST_F(segment_test, inspecting_shows_every_record_in_order) {
  {
    auto made = create();
    owner_of owner(*made, zero);
    owner.claim(0);
    for (int count = 0; count < 50; ++count)
      owner.commit("commit " + std::to_string(count));
  }
  std::vector<std::string> bodies;
  const auto seen = inspect(path(), [&](const inspected_record& one) {
    EXPECT_EQ(one.at, bodies.size());
    EXPECT_EQ(one.where, zero);
    EXPECT_GE(one.position, segment_header_size);
    EXPECT_TRUE(parse_segment_name(one.file));
    if (const auto* commit = std::get_if<accepted_commit>(&one.judged))
      bodies.emplace_back(commit->body);
    else
      bodies.emplace_back(std::get<accepted_claim>(one.judged).body);
  });
  ASSERT_TRUE(seen);
  ASSERT_EQ(bodies.size(), 51u);
  EXPECT_EQ(bodies[0], "claim");
  EXPECT_EQ(bodies[50], "commit 49");
  EXPECT_GT(seen->files, 1u);
}

TEST_F(segment_test, inspecting_tells_where_readers_stop) {
  {
    auto made = create();
    owner_of owner(*made, zero);
    owner.claim(0);
    owner.claim(1, body_format + 1);
    owner.write("behind the alarm");
  }
  const auto seen = inspect(path(), {});
  ASSERT_TRUE(seen);
  EXPECT_FALSE(seen->is_good());
  const auto& summary = seen->partitions.at(zero);
  EXPECT_EQ(summary.alarm, stop_reason::unknown_format);
  EXPECT_EQ(summary.alarm_at, 1u);
  EXPECT_EQ(summary.after_alarm, 1u);
}

TEST_F(segment_test, inspecting_counts_up_to_the_damage_and_changes_nothing) {
  fill(*create(), 20);
  auto changed = load_image(path());
  auto& bytes = changed[segment_name(0)];
  bytes[bytes.find("record 9")] = 'R';
  store_image(path(), changed);
  const auto seen = inspect(path(), {});
  ASSERT_TRUE(seen);
  EXPECT_FALSE(seen->is_good());
  ASSERT_TRUE(seen->found_damage);
  EXPECT_EQ(seen->found_damage->file, segment_name(0));
  EXPECT_EQ(seen->found_damage->position + frame_header_size, bytes.find("Record 9"));
  EXPECT_EQ(seen->partitions.at(zero).records + seen->partitions.at(seven).records, 9u);
  EXPECT_EQ(load_image(path()), changed);
}

} // namespace orrery::log
