#include "drivers/libvirt/guest_files.hpp"

#include "drivers/guest_spec_check.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace orrery::drivers::libvirt {

namespace {

namespace fs = std::filesystem;

// An x86 kernel takes 2,048 bytes with the ending zero; ours needs some 150 of them.
constexpr std::size_t extra_arguments_size_max = 1024;

// Far above what virtlogd keeps (three by default), so that nothing is left behind.
constexpr int older_parts_max = 64;

error io_failed(std::string_view what, const fs::path& path, int number) {
  return {.code = error_code::io_failed,
          .text = "cannot " + std::string(what) + " " + path.string() + ": " +
                  std::error_code(number, std::generic_category()).message(),
          .retryable = true};
}

bool is_image(const fs::path& folder) {
  std::error_code ignored; // a file that cannot be looked at is no image
  return fs::is_regular_file(folder / "vmlinuz", ignored) &&
         fs::is_regular_file(folder / "initrd", ignored);
}

class file {
public:
  explicit file(const fs::path& path)
      : x_descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) {}

  ~file() {
    if (x_descriptor >= 0)
      close(x_descriptor);
  }

  file(const file&) = delete;
  file& operator=(const file&) = delete;

  [[nodiscard]] bool is_open() const { return x_descriptor >= 0; }

  [[nodiscard]] int descriptor() const { return x_descriptor; }

private:
  int x_descriptor;
};

/// The last `bytes_max` bytes of a regular file; a file that is absent is empty.
result<std::string> read_end(const fs::path& path, std::size_t bytes_max) {
  const file in(path);
  if (!in.is_open() && errno == ENOENT)
    return std::string();

  struct stat facts {};

  if (!in.is_open() || fstat(in.descriptor(), &facts) != 0)
    return io_failed("read", path, errno);
  // A console's path is ours: anything but a file was put there by somebody.
  if (!S_ISREG(facts.st_mode))
    return io_failed("read", path, EINVAL);
  const auto size = static_cast<std::size_t>(facts.st_size);
  const auto wanted = std::min(bytes_max, size);
  std::string text(wanted, '\0');
  std::size_t filled = 0;
  while (filled < wanted) {
    const auto count = pread(in.descriptor(), text.data() + filled, wanted - filled,
                             static_cast<off_t>(size - wanted + filled));
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return io_failed("read", path, errno);
    if (count == 0)
      break; // cut meanwhile
    filled += static_cast<std::size_t>(count);
  }
  text.resize(filled);
  return text;
}

fs::path older_part(const fs::path& console, int number) {
  auto path = console;
  path += "." + std::to_string(number);
  return path;
}

result<std::string> read_extra_arguments(const fs::path& path) {
  auto text = read_end(path, extra_arguments_size_max + 1);
  if (!text)
    return text;
  if (!text->empty() && text->back() == '\n')
    text->pop_back();
  const bool is_printable = std::ranges::all_of(*text, [](char c) { return c >= ' ' && c <= '~'; });
  if (text->size() > extra_arguments_size_max || !is_printable)
    return error{.code = error_code::invalid_argument,
                 .text = path.string() + " is not one line of at most " +
                         std::to_string(extra_arguments_size_max) +
                         " printable characters; shorten or repair it",
                 .retryable = false};
  return text;
}

} // namespace

result<std::vector<std::string>> find_images(const fs::path& directory) {
  std::vector<std::string> images;
  std::error_code failure;
  for (auto at = fs::directory_iterator(directory, failure);
       !failure && at != fs::directory_iterator(); at.increment(failure)) {
    auto name = at->path().filename().string();
    if (check_image_name(name) && is_image(at->path()))
      images.push_back(std::move(name));
  }
  if (failure)
    return io_failed("list", directory, failure.value());
  std::ranges::sort(images);
  return images;
}

result<boot_files> find_image(const fs::path& directory, std::string_view image) {
  if (auto checked = check_image_name(image); !checked)
    return checked.error();
  const auto folder = directory / image;
  if (!is_image(folder))
    return error{.code = error_code::image_unknown,
                 .text = "this node has no image '" + std::string(image) + "' (looked for " +
                         folder.string() + "/vmlinuz and initrd)",
                 .retryable = false};
  auto extra = read_extra_arguments(folder / "cmdline");
  if (!extra)
    return extra.error();
  return boot_files{.kernel = folder / "vmlinuz",
                    .initrd = folder / "initrd",
                    .extra_arguments = std::move(*extra)};
}

fs::path console_path(const fs::path& directory, vm_id vm) {
  return directory / (to_text(vm.value) + ".log");
}

result<std::string> read_console(const fs::path& directory, vm_id vm, std::size_t bytes_max) {
  const auto path = console_path(directory, vm);
  auto text = read_end(path, bytes_max);
  if (!text || text->size() == bytes_max)
    return text;
  auto before = read_end(older_part(path, 0), bytes_max - text->size());
  if (!before)
    return before;
  return *before + *text;
}

result<void> remove_console(const fs::path& directory, vm_id vm) {
  const auto path = console_path(directory, vm);
  for (int number = -1; number < older_parts_max; ++number) {
    const auto part = number < 0 ? path : older_part(path, number);
    std::error_code failure;
    const bool was_there = fs::remove(part, failure);
    if (failure)
      return io_failed("remove", part, failure.value());
    if (number >= 0 && !was_there)
      break; // the parts are numbered without gaps
  }
  return {};
}

} // namespace orrery::drivers::libvirt
