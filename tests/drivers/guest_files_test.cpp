#include "drivers/libvirt/guest_files.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <random>

namespace orrery::drivers::libvirt {
namespace {

namespace fs = std::filesystem;

class guest_files : public testing::Test {
protected:
  guest_files()
      : x_directory(fs::temp_directory_path() / ("orrery-guest-files-" + std::to_string(getpid()) +
                                                 "-" + std::to_string(std::random_device{}()))) {
    fs::create_directories(x_directory);
  }

  ~guest_files() override { fs::remove_all(x_directory); }

  [[nodiscard]] const fs::path& directory() const { return x_directory; }

  void write(const fs::path& path, const std::string& text) const {
    fs::create_directories((x_directory / path).parent_path());
    std::ofstream(x_directory / path) << text;
  }

  const vm_id vm{{.a = 0x7000, .b = 1}};

private:
  fs::path x_directory;
};

TEST_F(guest_files, an_unknown_or_incomplete_image_is_refused_by_name) {
  write("half/vmlinuz", "k");
  for (const std::string name : {"none", "half"}) {
    const auto found = find_image(directory(), name);
    ASSERT_FALSE(found.has_value());
    EXPECT_EQ(found.error().code, error_code::image_unknown);
    EXPECT_NE(found.error().text.find(name), std::string::npos);
  }
  EXPECT_EQ(find_image(directory(), "../x").error().code, error_code::invalid_argument);
  EXPECT_EQ(find_images(directory() / "absent").error().code, error_code::io_failed);
}

TEST_F(guest_files, a_bad_command_line_file_is_refused) {
  write("a/vmlinuz", "k");
  write("a/initrd", "i");
  for (const auto& bad :
       {std::string("two\nlines\n"), std::string(1025, 'x'), std::string("\x80")}) {
    write("a/cmdline", bad);
    const auto found = find_image(directory(), "a");
    ASSERT_FALSE(found.has_value());
    EXPECT_EQ(found.error().code, error_code::invalid_argument);
  }
  write("a/cmdline", "debug x=1\n");
  const auto found = find_image(directory(), "a");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->extra_arguments, "debug x=1");
}

TEST_F(guest_files, images_are_the_complete_folders_in_order) {
  for (const std::string name : {"b", "a", ".hidden", "incomplete"})
    write(fs::path(name) / "vmlinuz", "k");
  for (const std::string name : {"b", "a", ".hidden"})
    write(fs::path(name) / "initrd", "i");
  write("file", "x");
  const auto images = find_images(directory());
  ASSERT_TRUE(images.has_value());
  EXPECT_EQ(*images, (std::vector<std::string>{"a", "b"}));
}

TEST_F(guest_files, a_console_that_is_a_link_is_not_followed) {
  write("secret", "secret");
  fs::create_symlink(directory() / "secret", console_path(directory(), vm));
  const auto read = read_console(directory(), vm, 100);
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, error_code::io_failed);
}

TEST_F(guest_files, the_end_of_a_console_reaches_into_its_older_part) {
  EXPECT_EQ(*read_console(directory(), vm, 100), "");
  const auto name = console_path(directory(), vm).filename().string();
  write(name, "89");
  EXPECT_EQ(*read_console(directory(), vm, 100), "89");
  write(name + ".0", "4567");
  write(name + ".1", "0123");
  EXPECT_EQ(*read_console(directory(), vm, 1), "9");
  EXPECT_EQ(*read_console(directory(), vm, 4), "6789");
  EXPECT_EQ(*read_console(directory(), vm, 100), "456789");
  EXPECT_TRUE(remove_console(directory(), vm).has_value());
  EXPECT_TRUE(remove_console(directory(), vm).has_value());
  EXPECT_TRUE(fs::is_empty(directory()));
}

} // namespace
} // namespace orrery::drivers::libvirt
