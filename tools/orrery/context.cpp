#include "tools/orrery/context.hpp"

#include "events/core/text.hpp"

#include <fcntl.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace orrery::cli {

namespace {

std::string environment(const char* name) {
  const auto* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

/// The bytes of a small file. Errors: `io_failed` with the system's words, `not_found`.
result<std::string> read_small(const std::string& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return error{errno == ENOENT || errno == ENOTDIR ? error_code::not_found
                                                     : error_code::io_failed,
                 std::strerror(errno), false};
  std::string made;
  std::array<char, 4096> chunk{};
  ssize_t size = 0;
  while ((size = ::read(descriptor, chunk.data(), chunk.size())) > 0 &&
         made.size() <= small_file_size_max)
    made.append(chunk.data(), static_cast<std::size_t>(size));
  const int why = errno;
  ::close(descriptor);
  if (size < 0)
    return error{error_code::io_failed, std::strerror(why), false};
  if (made.size() > small_file_size_max)
    return error{error_code::io_failed, "it is longer than 64 KiB", false};
  return made;
}

error bad_context(const std::string& file, const std::string& why) {
  return error{error_code::config_invalid, "context file " + file + ": " + why, false};
}

/// Takes the values of a context file over. Errors: not TOML, an unknown key, a value that is no
/// text.
result<void> apply(context& made, const std::string& file, const std::string& text) {
  try {
    const auto parsed = toml::parse(std::string_view(text));
    for (const auto& [key, node] : parsed) {
      const auto place = "line " + std::to_string(node.source().begin.line) + ": ";
      const std::string name(key.str());
      if (name != "url" && name != "token_file")
        return bad_context(file, std::string(place)
                                     .append("unknown key '")
                                     .append(name)
                                     .append("'; known: url, token_file"));
      const auto* value = node.as_string();
      if (value == nullptr || value->get().empty())
        return bad_context(file, place + name + " must be a text in quotes, not empty");
      if (name == "url") {
        made.url = value->get();
        made.url_source = file;
      } else {
        const auto folder = std::filesystem::path(file).parent_path();
        made.token_file = (folder / value->get()).string(); // an absolute path stays as it is
      }
    }
  } catch (const toml::parse_error& why) {
    return bad_context(file, "line " + std::to_string(why.source().begin.line) + ": " +
                                 std::string(why.description()));
  }
  return {};
}

/// The files to look for when --context is not given.
std::array<std::string, 2> usual_files() {
  auto base = environment("XDG_CONFIG_HOME");
  if (base.empty() && !environment("HOME").empty())
    base = environment("HOME") + "/.config";
  return {base.empty() ? std::string() : base + "/orrery/context.toml", "/etc/orrery/context.toml"};
}

result<void> read_files(context& made, const std::string& wanted) {
  if (!wanted.empty()) {
    const auto text = read_small(wanted);
    return text ? apply(made, wanted, *text) : bad_context(wanted, text.error().text);
  }
  for (const auto& file : usual_files()) {
    if (file.empty())
      continue;
    const auto text = read_small(file);
    if (text)
      return apply(made, file, *text);
    if (text.error().code != error_code::not_found)
      return bad_context(file, text.error().text);
  }
  return {};
}

} // namespace

result<context> find_context(const context_flags& flags) {
  context made;
  if (auto read = read_files(made, flags.file); !read)
    return read.error();
  if (const auto url = environment("ORRERY_URL"); !url.empty()) {
    made.url = url;
    made.url_source = "ORRERY_URL";
  }
  if (const auto file = environment("ORRERY_TOKEN_FILE"); !file.empty())
    made.token_file = file;
  if (!flags.url.empty()) {
    made.url = flags.url;
    made.url_source = "--url";
  }
  if (!flags.token_file.empty())
    made.token_file = flags.token_file;
  return made;
}

result<std::string> read_token(const std::string& file) {
  const auto unusable = [&file](const std::string& why) {
    return error{error_code::unauthenticated,
                 "cannot use the token file " + file + ": " + why +
                     "; orreryd writes its token file when it starts: name it by --token-file, "
                     "ORRERY_TOKEN_FILE or token_file in the context file",
                 false};
  };
  const auto text = read_small(file);
  if (!text)
    return unusable(text.error().text);
  const auto first = text->find_first_not_of(" \t\r\n");
  if (first == std::string::npos)
    return unusable("it is empty");
  const auto last = text->find_last_not_of(" \t\r\n");
  auto token = text->substr(first, last - first + 1);
  // A token goes into a header, where anything else could begin another one.
  if (std::ranges::any_of(token, [](char c) { return c <= 0x20 || c >= 0x7f; }))
    return unusable("it is not one word of printable ASCII");
  return token;
}

} // namespace orrery::cli
