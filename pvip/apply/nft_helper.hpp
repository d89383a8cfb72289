#pragma once

#include "events/core/error.hpp"
#include "pvip/apply/file_descriptor.hpp"

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace orrery::pvip {

/// The process `orrery-nft` (tools/orrery-nft), by which alone we speak nftables: its library may
/// not be linked into ours. Started when it is first asked, in the network namespace of the asking
/// thread, and again after it ended or did not answer; ends with this. Not for several threads.
class nft_helper {
public:
  /// A transaction of 10,000 ports takes about 1 s; the kernel then waits for all its processors.
  static constexpr std::chrono::seconds answer_limit{30};

  /// As the helper's own limits: a question longer than this is refused here, an answer longer than
  /// its own ends the helper.
  static constexpr std::size_t question_bytes_max = 32UL << 20;
  static constexpr std::size_t answer_bytes_max = (80UL << 20) + 1;

  /// `program` is the path of orrery-nft.
  explicit nft_helper(std::string program, std::chrono::milliseconds patience = answer_limit);
  nft_helper(const nft_helper&) = delete;
  nft_helper& operator=(const nft_helper&) = delete;
  ~nft_helper();

  /// Does one transaction, a JSON object as in libnftables-json(5), all of it or nothing; its
  /// output, JSON or empty. Blocks. Errors: `driver_failed` with nftables' words (nothing changed);
  /// `io_failed` when the program cannot be started; `unavailable` (it died) and `timed_out` (it
  /// was ended): then nobody knows whether the transaction was done, and the next question starts
  /// it anew. `too_large`.
  [[nodiscard]] result<std::string> run(std::string_view transaction);

  /// The process, 0 while none runs.
  [[nodiscard]] pid_t process() const { return x_process; }

private:
  using deadline = std::chrono::steady_clock::time_point;

  [[nodiscard]] result<void> start();
  [[nodiscard]] result<void> send(std::string_view bytes, deadline until);
  [[nodiscard]] result<void> receive(char* to, std::size_t size, deadline until);
  [[nodiscard]] result<void> wait_for(short event, deadline until);
  [[nodiscard]] result<std::string> exchange(std::string_view transaction);

  /// Ends the process if it has not ended, and says how it did.
  std::string end();

  std::string x_program;
  std::chrono::milliseconds x_patience;
  file_descriptor x_socket;
  pid_t x_process = 0;
};

/// Where orrery-nft is: in the folder of the running program. Errors: `io_failed`.
[[nodiscard]] result<std::string> nft_helper_beside_us();

} // namespace orrery::pvip
