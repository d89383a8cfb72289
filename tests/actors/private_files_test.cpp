#include "actors/private_files.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace orrery::actors {
namespace {

namespace fs = std::filesystem;

class read_private_file : public testing::Test {
protected:
  static constexpr std::size_t size_max = 16;

  /// What is read of a file with that content and mode.
  result<std::string> read(const std::string& content, unsigned mode = 0600) {
    std::ofstream(x_file, std::ios::binary) << content;
    fs::permissions(x_file, static_cast<fs::perms>(mode));
    return read_private(x_file, size_max);
  }

  void TearDown() override { fs::remove_all(x_file); }

  const std::string x_file = testing::TempDir() + "orrery-private-file";
};

TEST_F(read_private_file, is_given_without_its_last_end_of_a_line) {
  EXPECT_EQ(read("secret").value(), "secret");
  EXPECT_EQ(read("secret\n").value(), "secret");
  EXPECT_EQ(read("a\nb\n\n").value(), "a\nb\n");
  EXPECT_EQ(read(std::string(size_max, 'x')).value().size(), size_max);
  EXPECT_EQ(read(std::string("\0x", 2), 0400).value(), std::string("\0x", 2));
}

TEST_F(read_private_file, is_refused_when_it_is_not_private_or_no_secret) {
  EXPECT_EQ(read("secret", 0640).error().code, error_code::config_invalid);
  EXPECT_EQ(read("secret", 0604).error().code, error_code::config_invalid);
  EXPECT_EQ(read("").error().code, error_code::config_invalid);
  EXPECT_EQ(read("\n").error().code, error_code::config_invalid) << "a password half written";
  const auto large = read(std::string(size_max + 1, 'x'));
  EXPECT_EQ(large.error().code, error_code::too_large);
  EXPECT_EQ(large.error().text.find("xx"), std::string::npos) << "none tells what is in it";
}

TEST_F(read_private_file, is_refused_when_it_is_no_file) {
  EXPECT_EQ(read_private(x_file, size_max).error().code, error_code::not_found);
  fs::create_directory(x_file);
  fs::permissions(x_file, fs::perms::owner_all);
  EXPECT_EQ(read_private(x_file, size_max).error().code, error_code::config_invalid);
  EXPECT_EQ(read_private("/dev/zero", size_max).error().code, error_code::config_invalid);
}

} // namespace
} // namespace orrery::actors
