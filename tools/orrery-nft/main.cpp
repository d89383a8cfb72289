// SPDX-License-Identifier: GPL-2.0-only
#include "tools/orrery-nft/privileges.hpp"

#include <arpa/inet.h>
#include <nftables/libnftables.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

// Applies nftables transactions for its parent until standard input ends. One question, one answer:
//
//   question   length (4 bytes, big end first)   JSON, one transaction (libnftables-json(5))
//   answer     length (4 bytes, big end first)   1 byte: 0 done, 1 refused   text
//
// The text is libnftables' output in JSON (empty for changes), or its words of refusal. A refused
// transaction changed nothing. Exit status: 0 at the end of input between two questions, 1 when
// the input is none of the above, 2 when privileges cannot be left.

namespace {

/// A node of 16,000 ports made anew in one transaction has about 7 MB.
constexpr std::uint32_t question_bytes_max = 32U << 20;

/// All that such a node has, with counters, has about 8 MB; ten times that is an accident.
constexpr std::size_t answer_bytes_max = 80U << 20;

enum class verdict : char { done = 0, refused = 1 };

enum class end : std::uint8_t { none, input, damaged };

/// Reads exactly `size` bytes. `input` when there was no byte at all.
end read_all(char* to, std::size_t size) {
  std::size_t had = 0;
  while (had < size) {
    const ssize_t count = ::read(STDIN_FILENO, to + had, size - had);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return count == 0 && had == 0 ? end::input : end::damaged;
    }
    had += static_cast<std::size_t>(count);
  }
  return end::none;
}

bool write_all(const std::string& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::write(STDOUT_FILENO, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno != EINTR) {
      return false;
    }
    done += static_cast<std::size_t>(count < 0 ? 0 : count);
  }
  return true;
}

std::string framed(verdict what, const std::string& text) {
  const auto length = htonl(static_cast<std::uint32_t>(text.size() + 1));
  std::string frame(reinterpret_cast<const char*>(&length), sizeof(length));
  frame += static_cast<char>(what);
  return frame + text;
}

/// One transaction, in a context of its own: nothing is remembered from one to the next.
std::string run(const std::string& question) {
  // libnftables would read what is no JSON as its own language, which can name files.
  if (question.front() != '{') {
    return framed(verdict::refused, "not a JSON object");
  }
  const std::unique_ptr<nft_ctx, decltype(&nft_ctx_free)> context(nft_ctx_new(NFT_CTX_DEFAULT),
                                                                  nft_ctx_free);
  if (context == nullptr || nft_ctx_buffer_output(context.get()) != 0 ||
      nft_ctx_buffer_error(context.get()) != 0) {
    return framed(verdict::refused, "libnftables cannot be used: out of memory");
  }
  nft_ctx_clear_include_paths(context.get());
  nft_ctx_output_set_flags(context.get(), NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_HANDLE |
                                              NFT_CTX_OUTPUT_NUMERIC_ALL);
  if (nft_run_cmd_from_buffer(context.get(), question.c_str()) != 0) {
    const std::string words = nft_ctx_get_error_buffer(context.get());
    return framed(verdict::refused, words.empty() ? "refused without a word" : words);
  }
  const std::string output = nft_ctx_get_output_buffer(context.get());
  if (output.size() > answer_bytes_max) {
    return framed(verdict::refused, "the answer is too long");
  }
  return framed(verdict::done, output);
}

} // namespace

int main() {
  if (const char* failure = orrery_nft::leave_privileges(); failure != nullptr) {
    std::fprintf(stderr, "orrery-nft: %s\n", failure);
    return 2;
  }
  while (true) {
    std::uint32_t length = 0;
    if (const end at = read_all(reinterpret_cast<char*>(&length), sizeof(length));
        at != end::none) {
      return at == end::input ? 0 : 1;
    }
    length = ntohl(length);
    if (length == 0 || length > question_bytes_max) {
      std::fprintf(stderr, "orrery-nft: a question of %u bytes\n", length);
      return 1;
    }
    std::string question(length, '\0');
    if (read_all(question.data(), question.size()) != end::none || !write_all(run(question))) {
      return 1;
    }
  }
}
