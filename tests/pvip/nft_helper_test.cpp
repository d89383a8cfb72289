#include "pvip/apply/nft_helper.hpp"
#include "tests/pvip/net_lab.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>

namespace orrery::pvip {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view make_table =
    R"({"nftables":[{"add":{"table":{"family":"netdev","name":"t1"}}}]})";
constexpr std::string_view list_tables = R"({"nftables":[{"list":{"tables":null}}]})";

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

class nft_helper_of : public testing::Test {
protected:
  /// In the lab's namespace, as everything that the helper does is.
  result<std::string> ask(nft_helper& helper, std::string_view transaction) {
    return x_lab.inside().run([&] { return helper.run(transaction); });
  }

  void done(nft_helper& helper, std::string_view transaction) {
    const auto answer = ask(helper, transaction);
    EXPECT_TRUE(answer) << answer.error().text;
  }

  net_lab x_lab;
  nft_helper x_helper{ORRERY_NFT};
};

TEST_F(nft_helper_of, a_missing_program_is_said) {
  nft_helper helper("/no/such/orrery-nft");
  const auto answer = ask(helper, list_tables);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, error_code::io_failed);
  EXPECT_TRUE(has(answer.error().text, "/no/such/orrery-nft")) << answer.error().text;
}

TEST_F(nft_helper_of, a_program_that_is_another_is_said) {
  nft_helper silent("/bin/true");
  const auto gone = ask(silent, list_tables);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, error_code::unavailable);
  EXPECT_TRUE(has(gone.error().text, "status 0")) << gone.error().text;
  nft_helper echo("/bin/cat"); // answers with our own frame
  const auto odd = ask(echo, list_tables);
  ASSERT_FALSE(odd);
  EXPECT_EQ(odd.error().code, error_code::io_failed);
}

TEST_F(nft_helper_of, too_much_is_not_asked) {
  for (const std::size_t size : {std::size_t{0}, nft_helper::question_bytes_max + 1}) {
    const auto answer = ask(x_helper, std::string(size, ' '));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, error_code::too_large);
  }
}

TEST_F(nft_helper_of, what_is_no_json_is_refused) {
  for (const std::string_view text :
       {"add table netdev t1", " ", "[]", "include \"/etc/passwd\""}) {
    const auto answer = ask(x_helper, text);
    ASSERT_FALSE(answer) << text;
    EXPECT_EQ(answer.error().code, error_code::driver_failed);
  }
  EXPECT_EQ(x_lab.nft("list tables"), "");
}

TEST_F(nft_helper_of, a_refused_transaction_changes_nothing) {
  const auto answer = ask(x_helper, R"({"nftables":[
    {"add":{"table":{"family":"netdev","name":"t1"}}},
    {"delete":{"table":{"family":"netdev","name":"t2"}}}]})");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, error_code::driver_failed);
  EXPECT_TRUE(has(answer.error().text, "No such file or directory")) << answer.error().text;
  EXPECT_EQ(x_lab.nft("list tables"), "");
}

TEST_F(nft_helper_of, one_that_died_is_said_and_started_again) {
  done(x_helper, make_table);
  ASSERT_EQ(::kill(x_helper.process(), SIGKILL), 0);
  const auto answer = ask(x_helper, list_tables);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, error_code::unavailable);
  EXPECT_TRUE(has(answer.error().text, "signal 9")) << answer.error().text;
  const auto again = ask(x_helper, list_tables);
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_TRUE(has(*again, "\"t1\"")) << *again; // the kernel keeps it, whoever dies
}

TEST_F(nft_helper_of, one_that_hangs_is_said_ended_and_started_again) {
  nft_helper helper(ORRERY_NFT, 300ms);
  done(helper, list_tables);
  const pid_t hanging = helper.process();
  ASSERT_EQ(::kill(hanging, SIGSTOP), 0);
  const auto answer = ask(helper, list_tables);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, error_code::timed_out);
  EXPECT_EQ(::kill(hanging, 0), -1);
  EXPECT_EQ(errno, ESRCH);
  nft_helper patient(ORRERY_NFT);
  done(patient, make_table);
}

TEST_F(nft_helper_of, flipped_bits_are_answered_or_end_it_and_nothing_else) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 200; ++i) {
    std::string question(make_table);
    question[random() % question.size()] ^= static_cast<char>(1U << (random() % 7U));
    const auto answer = ask(x_helper, question);
    EXPECT_TRUE(answer || answer.error().code == error_code::driver_failed ||
                answer.error().code == error_code::unavailable)
        << question << answer.error().text;
  }
  done(x_helper, make_table);
}

TEST_F(nft_helper_of, it_has_one_right_in_one_namespace) {
  done(x_helper, make_table);
  EXPECT_TRUE(has(x_lab.nft("list tables"), "table netdev t1"));
  const std::string folder = "/proc/" + std::to_string(x_helper.process());
  std::stringstream status;
  status << std::ifstream(folder + "/status").rdbuf();
  for (const std::string_view line :
       {"CapInh:\t0000000000000000", "CapPrm:\t0000000000001000", "CapEff:\t0000000000001000",
        "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Uid:\t65534\t65534\t65534\t65534",
        "Gid:\t65534\t65534\t65534\t65534", "Groups:\t \n"}) {
    EXPECT_TRUE(has(status.str(), line)) << line << " not in " << status.str();
  }
  int files = 0;
  for (const auto& each : std::filesystem::directory_iterator(folder + "/fd")) {
    (void)each;
    ++files;
  }
  EXPECT_LE(files, 4); // the standard ones, and its netlink socket
}

TEST_F(nft_helper_of, it_ends_with_who_asked) {
  pid_t process = 0;
  {
    nft_helper helper(ORRERY_NFT);
    done(helper, list_tables);
    process = helper.process();
    ASSERT_NE(process, 0);
  }
  EXPECT_EQ(::kill(process, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

} // namespace
} // namespace orrery::pvip
