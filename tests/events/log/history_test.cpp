#include "events/log/history.hpp"
#include "tests/events/log/history_search.hpp"

#include <gtest/gtest.h>

#include <iostream>
#include <set>
#include <string>
#include <string_view>

namespace orrery::log {

namespace {

constexpr log_identity ours{installation_id{uuid{0x11, 0x12}}, log_id{uuid{0x21, 0x22}}};
constexpr partition_number zero{0};

std::string claim(std::uint64_t after_epoch, std::uint32_t format = body_format) {
  return make_record(claim_header{ours.log, after_epoch, format}, "claim");
}

std::string commit(const chain_head& on, std::string_view body = "commit") {
  return make_record(commit_header{ours.log, on.epoch, on.next, on.hash}, body);
}

template <class Kind> const Kind* as(const verdict& judged) { return std::get_if<Kind>(&judged); }

/// The reason of a void verdict; fails the test when it is another verdict.
void_reason reason_of(const verdict& judged) {
  const auto* skipped = as<voided>(judged);
  EXPECT_NE(skipped, nullptr) << "verdict " << judged.index() << " is not void";
  return skipped ? skipped->reason : void_reason::malformed;
}

class history_rule : public testing::Test {
protected:
  /// Reads a first claim: epoch 1, next 2.
  void SetUp() override { ASSERT_TRUE(as<accepted_claim>(x_reader.take(claim(0)))); }

  history x_reader{ours, zero};
};

} // namespace

TEST(history_start, differs_by_installation_log_and_partition) {
  const auto base = first_head(ours, zero);
  EXPECT_EQ(base.epoch, 0u);
  EXPECT_EQ(base.next, 1u);
  EXPECT_EQ(base, first_head(ours, zero));
  EXPECT_NE(base.hash, first_head(ours, partition_number{1}).hash);
  EXPECT_NE(base.hash, first_head({ours.installation, log_id{uuid{1, 1}}}, zero).hash);
  EXPECT_NE(base.hash, first_head({installation_id{uuid{1, 1}}, ours.log}, zero).hash);
}

TEST(history_start, a_commit_before_the_first_claim_is_void) {
  history reader(ours, zero);
  EXPECT_EQ(reason_of(reader.take(commit(reader.head()))), void_reason::no_epoch);
  EXPECT_EQ(reader.head(), first_head(ours, zero));
}

TEST_F(history_rule, bytes_that_are_no_record_are_void_malformed) {
  EXPECT_EQ(reason_of(x_reader.take("")), void_reason::malformed);
  EXPECT_EQ(reason_of(x_reader.take("garbage")), void_reason::malformed);
  EXPECT_EQ(reason_of(x_reader.take(commit(x_reader.head()) + "x")), void_reason::malformed);
  EXPECT_EQ(x_reader.void_count(void_reason::malformed), 3u);
}

TEST_F(history_rule, a_record_of_another_log_is_void_foreign) {
  const auto head = x_reader.head();
  const commit_header header{log_id{uuid{9, 9}}, head.epoch, head.next, head.hash};
  EXPECT_EQ(reason_of(x_reader.take(make_record(header, "x"))), void_reason::foreign);
  const claim_header foreign{log_id{uuid{9, 9}}, head.epoch, 77};
  EXPECT_EQ(reason_of(x_reader.take(make_record(foreign, "x"))), void_reason::foreign);
  EXPECT_EQ(x_reader.head(), head);
}

TEST_F(history_rule, a_duplicate_is_void) {
  const auto record = commit(x_reader.head());
  ASSERT_TRUE(as<accepted_commit>(x_reader.take(record)));
  EXPECT_EQ(reason_of(x_reader.take(record)), void_reason::duplicate);
}

TEST_F(history_rule, a_number_that_the_owner_cannot_mean_is_void_same_epoch) {
  auto ahead = x_reader.head();
  ahead.next += 1;
  EXPECT_EQ(reason_of(x_reader.take(commit(ahead))), void_reason::same_epoch);
  auto claims_number = x_reader.head();
  claims_number.next = claims_number.epoch;
  EXPECT_EQ(reason_of(x_reader.take(commit(claims_number))), void_reason::same_epoch);
}

TEST_F(history_rule, a_commit_of_a_deposed_owner_is_void) {
  const auto zombie = commit(x_reader.head());
  ASSERT_TRUE(as<accepted_claim>(x_reader.take(claim(1))));
  EXPECT_EQ(reason_of(x_reader.take(zombie)), void_reason::old_epoch);
}

TEST_F(history_rule, a_commit_of_an_epoch_that_never_began_is_void) {
  auto later = x_reader.head();
  later.epoch += 5;
  EXPECT_EQ(reason_of(x_reader.take(commit(later))), void_reason::future_epoch);
}

TEST_F(history_rule, a_claim_after_another_epoch_is_stale) {
  EXPECT_EQ(reason_of(x_reader.take(claim(0))), void_reason::claim_stale);
  EXPECT_EQ(reason_of(x_reader.take(claim(2))), void_reason::claim_stale);
  EXPECT_EQ(reason_of(x_reader.take(claim(0, 99))), void_reason::claim_stale)
      << "an unknown format matters only in an accepted claim";
}

TEST_F(history_rule, a_wrong_hash_stops_the_reader_for_ever) {
  const auto right = x_reader.head();
  auto other = right;
  other.hash[0] ^= 1;
  const auto judged = x_reader.take(commit(other));
  ASSERT_TRUE(as<stopped>(judged));
  EXPECT_EQ(as<stopped>(judged)->reason, stop_reason::hash_mismatch);
  EXPECT_TRUE(as<stopped>(x_reader.take(commit(right))));
  EXPECT_EQ(x_reader.head(), right);
}

TEST_F(history_rule, an_accepted_claim_of_an_unknown_format_stops_the_reader) {
  for (const std::uint32_t format : {0u, body_format + 1, 0xffffffffu}) {
    history reader(ours.log, x_reader.head());
    const auto judged = reader.take(claim(1, format));
    ASSERT_TRUE(as<stopped>(judged)) << format;
    EXPECT_EQ(as<stopped>(judged)->reason, stop_reason::unknown_format);
  }
}

TEST_F(history_rule, accepted_records_advance_the_head) {
  const auto before = x_reader.head();
  EXPECT_EQ(before.epoch, 1u);
  EXPECT_EQ(before.next, 2u);
  const auto record = commit(before, "payload");
  const auto judged = x_reader.take(record);
  ASSERT_TRUE(as<accepted_commit>(judged));
  EXPECT_EQ(as<accepted_commit>(judged)->body, "payload");
  EXPECT_EQ(as<accepted_commit>(judged)->header.seq, 2u);
  EXPECT_EQ(x_reader.head().next, 3u);
  EXPECT_EQ(x_reader.head().epoch, 1u);
  EXPECT_EQ(x_reader.head().hash, sha256_of(bytes_of(before.hash), record));
  ASSERT_TRUE(as<accepted_claim>(x_reader.take(claim(1))));
  EXPECT_EQ(x_reader.head().epoch, 3u);
  EXPECT_EQ(x_reader.head().next, 4u);
}

TEST(history_words, every_void_reason_has_its_own_name) {
  std::set<std::string_view> names;
  for (std::size_t reason = 0; reason < void_reason_count; ++reason)
    names.insert(name_of(static_cast<void_reason>(reason)));
  EXPECT_EQ(names.size(), void_reason_count);
}

TEST(record_header_parse, every_cut_record_is_malformed) {
  for (const auto& record : {claim(3), commit(first_head(ours, zero))})
    for (std::size_t size = 0; size < record.size(); ++size)
      EXPECT_FALSE(parse_record(std::string_view(record).substr(0, size))) << size;
}

TEST(record_header_parse, a_record_has_one_form) {
  const auto head = first_head(ours, zero);
  for (const auto& record : {claim(3), commit(head)}) {
    ASSERT_TRUE(parse_record(record));
    for (std::size_t at = 0; at < record.size(); ++at)
      for (int bit = 0; bit < 8; ++bit) {
        auto other = record;
        other[at] = static_cast<char>(other[at] ^ (1 << bit));
        const auto parsed = parse_record(other);
        if (!parsed)
          continue;
        // What still parses must mean something else, and encode to exactly these bytes.
        if (const auto* one = std::get_if<parsed_claim>(&*parsed))
          EXPECT_EQ(make_record(one->header, one->body), other);
        else
          EXPECT_EQ(make_record(std::get<parsed_commit>(*parsed).header,
                                std::get<parsed_commit>(*parsed).body),
                    other);
      }
  }
}

TEST(record_header_parse, gives_back_what_was_encoded) {
  const claim_header a{ours.log, 0x0102030405060708, 0x11121314};
  const auto claim_bytes = make_record(a, "body");
  EXPECT_EQ(claim_bytes.size(), claim_header_size + 4);
  const auto parsed_a = parse_record(claim_bytes);
  ASSERT_TRUE(parsed_a && std::holds_alternative<parsed_claim>(*parsed_a));
  EXPECT_EQ(std::get<parsed_claim>(*parsed_a).header, a);
  EXPECT_EQ(std::get<parsed_claim>(*parsed_a).body, "body");
  const commit_header b{ours.log, 5, 6, sha256_of("head")};
  const auto commit_bytes = make_record(b, "");
  EXPECT_EQ(commit_bytes.size(), commit_header_size);
  const auto parsed_b = parse_record(commit_bytes);
  ASSERT_TRUE(parsed_b && std::holds_alternative<parsed_commit>(*parsed_b));
  EXPECT_EQ(std::get<parsed_commit>(*parsed_b).header, b);
  EXPECT_EQ(std::get<parsed_commit>(*parsed_b).body, "");
}

TEST(sha256, rejects_text_that_is_no_digest) {
  EXPECT_FALSE(parse_digest(""));
  EXPECT_FALSE(parse_digest(std::string(63, '0')));
  EXPECT_FALSE(parse_digest(std::string(63, '0') + "g"));
  EXPECT_FALSE(parse_digest(std::string(65, '0')));
}

TEST(sha256, agrees_with_fips_180_4_examples) {
  EXPECT_EQ(to_text(sha256_of("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_text(sha256_of("")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of("a", "bc"), sha256_of("abc"));
  sha256 pieces;
  pieces.update("a");
  pieces.update("b");
  pieces.update("c");
  EXPECT_EQ(pieces.finish(), sha256_of("abc"));
  EXPECT_EQ(pieces.finish(), sha256_of("")) << "finish starts again";
  EXPECT_EQ(parse_digest(to_text(sha256_of("abc"))).value(), sha256_of("abc"));
}

// ---- the exhaustive test

namespace {

void print(std::string_view what, const exploration::search_result& found) {
  std::cout << "[ search   ] " << what << ": " << found.states << " states, " << found.deliveries
            << " deliveries, " << found.histories << " final histories"
            << (found.violation.empty() ? "" : "; found: " + found.violation) << std::endl;
}

} // namespace

TEST(history_exhaustive, correct_owners_make_one_history_and_no_alarm) {
  const auto found = exploration::search_histories({}, {});
  print("correct owners", found);
  EXPECT_EQ(found.violation, "");
  EXPECT_GT(found.states, 1'000u) << "the search is suspiciously small";
  EXPECT_GT(found.histories, 10u);
}

TEST(history_exhaustive, faulty_owners_cannot_break_history) {
  const auto expect_safe = [](std::string_view who, const exploration::owner_faults& faults) {
    const auto found = exploration::search_histories({}, faults);
    print(who, found);
    EXPECT_EQ(found.violation, "") << who;
    EXPECT_GT(found.states, 1'000u) << "the search is suspiciously small";
  };
  expect_safe("hasty owners", {.hasty = true});
  expect_safe("stubborn owners", {.stubborn = true});
  expect_safe("doubting and pipelined owners", {.doubting = true, .pipelined = true});
  expect_safe("owners that number wrongly", {.renumber = true});
  expect_safe("owners with all these faults", {true, true, true, true, true});
}

TEST(history_exhaustive, every_line_of_the_rule_is_needed) {
  for (const auto& line : exploration::needed_lines()) {
    const auto found = exploration::search_histories(line.without, line.against);
    print("without " + std::string(line.text), found);
    EXPECT_FALSE(found.violation.empty())
        << "the rule without its line '" << line.text << "' was not found to be unsafe";
  }
}

} // namespace orrery::log
