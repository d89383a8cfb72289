#include "actors/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace orrery::actors {

result<mapped_file> mapped_file::open(const std::string& path, std::size_t bytes) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  int failure = file < 0 ? errno : ::posix_fallocate(file, 0, static_cast<off_t>(bytes));
  void* memory = nullptr;
  if (failure == 0) {
    memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    failure = memory == MAP_FAILED ? errno : 0; // NOLINT: the macro is a cast
  }
  if (file >= 0)
    ::close(file);
  if (failure != 0)
    return error{error_code::io_failed,
                 "cannot use the file " + path + ": " + std::strerror(failure), false};
  return mapped_file({static_cast<std::byte*>(memory), bytes});
}

mapped_file::~mapped_file() {
  if (!x_memory.empty())
    ::munmap(x_memory.data(), x_memory.size());
}

} // namespace orrery::actors
