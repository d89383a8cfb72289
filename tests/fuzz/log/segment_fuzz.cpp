// Any bytes as a segment file: the frame parser, then the opening of a directory that holds this
// file, reading, appending, and opening again. A random change never has a good checksum, so the
// first byte of the input may ask for checksums to be put right.

#include "events/core/check.hpp"
#include "events/log/bytes.hpp"
#include "events/log/inspect.hpp"
#include "events/log/segment_log.hpp"

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <string_view>

namespace orrery::log {

namespace {

constexpr log_identity ours{installation_id{uuid{1, 2}}, log_id{uuid{3, 4}}};
constexpr partition_number zero{0};

/// Larger inputs only slow the search down.
constexpr std::size_t image_size_max = 64 * 1024;

const std::string& directory() {
  static const std::string made = [] {
    std::string pattern = "/dev/shm/orrery-fuzz-XXXXXX";
    ORRERY_CHECK(::mkdtemp(pattern.data()) != nullptr);
    static const std::string removed_at_exit = pattern;
    std::atexit([] {
      std::error_code ignored;
      std::filesystem::remove_all(removed_at_exit, ignored);
    });
    return pattern;
  }();
  return made;
}

void put(std::string& bytes, std::size_t at, std::uint32_t value) {
  bytes.replace(at, sizeof value, reinterpret_cast<const char*>(&value), sizeof value);
}

/// Puts the checksums right of everything that looks like a header: bit 1 file, 2 frames, 4 bodies;
/// bit 8 also lets the file announce the size that it has. (Bit 16 is not for checksums.)
void help(std::string& image, std::uint8_t wishes) {
  if (image.size() < segment_header_size)
    return;
  if ((wishes & 8) != 0) {
    put(image, 32, static_cast<std::uint32_t>(image.size()));
    put(image, 36, 0);
  }
  if ((wishes & 1) != 0)
    put(image, 40, crc32c(0xffffffff, std::string_view(image).substr(0, 40)));
  const auto seed = seed_of(ours.log);
  for (std::size_t at = segment_header_size; at + frame_header_size <= image.size();
       at += frame_alignment) {
    if (std::string_view(image).substr(at, 4) != "oFr1")
      continue;
    const auto body_size = number_at<std::uint32_t>(image, at + 4);
    const bool fits = body_size <= image.size() - at - frame_header_size;
    if ((wishes & 4) != 0 && fits && body_size > 0)
      put(image, at + 36,
          crc32c(seed.value, std::string_view(image).substr(at + frame_header_size, body_size)));
    if ((wishes & 2) != 0)
      put(image, at + 40, crc32c(seed.value, std::string_view(image).substr(at, 40)));
  }
}

void parse(std::string_view image) {
  for (std::size_t at = 0; at < image.size(); ++at)
    if (const auto header = parse_frame_header(image.substr(at), seed_of(ours.log))) {
      const auto rest = image.substr(at + frame_header_size);
      (void)body_is_good(*header, rest.substr(0, frame_size(header->body_size) - frame_header_size),
                         seed_of(ours.log));
    }
  (void)parse_segment_header(image);
  (void)parse_meta(image);
}

void store(std::string_view image) {
  for (const auto& entry : std::filesystem::directory_iterator(directory()))
    std::filesystem::remove(entry.path());
  std::ofstream(directory() + "/log.meta", std::ios::binary) << encode_meta({ours});
  std::ofstream(directory() + "/" + segment_name(0), std::ios::binary) << image;
}

std::vector<record> all_of(log& opened) {
  std::vector<record> all;
  while (true) {
    const auto piece = opened.read(zero, all.size(), 1000, std::chrono::milliseconds(0));
    ORRERY_CHECK(piece.has_value());
    if (piece->empty())
      return all;
    all.insert(all.end(), piece->begin(), piece->end());
  }
}

/// `used`: also opens the log and works with it, which takes most of the time.
void open_and_use(bool used) {
  const auto inspected = inspect(directory(), {});
  ORRERY_CHECK(inspected.has_value());
  if (!used)
    return;
  open_options options;
  options.segment_size = 4096;
  open_report report;
  auto opened = segment_log::open(directory(), options, report);
  ORRERY_CHECK(opened.has_value() != inspected->found_damage.has_value());
  if (!opened) {
    ORRERY_CHECK(opened.error().code == error_code::damaged);
    return;
  }
  ORRERY_CHECK(report.torn == inspected->torn);
  const auto before = all_of(**opened);
  ORRERY_CHECK(before.size() == (*opened)->end(zero).value());
  std::promise<append_outcome> answered;
  (*opened)->append(zero, "appended",
                    [&](const append_outcome& outcome) { answered.set_value(outcome); });
  const auto outcome = answered.get_future().get();
  ORRERY_CHECK(outcome.fate == append_fate::durable);
  ORRERY_CHECK(outcome.at == before.size());
  opened->reset();
  opened = segment_log::open(directory(), options, report);
  ORRERY_CHECK(opened.has_value());
  ORRERY_CHECK(!report.torn);
  const auto after = all_of(**opened);
  ORRERY_CHECK(after.size() == before.size() + 1);
  for (std::size_t at = 0; at < before.size(); ++at)
    ORRERY_CHECK(after[at].bytes == before[at].bytes);
}

} // namespace

/// A good little file, to start from.
std::string sample_image() {
  std::string image = encode(segment_header{ours.log, 0, 2048});
  std::uint64_t number = 0;
  for (std::uint64_t at = 0; at < 4; ++at) {
    encode_frame(image,
                 {.kind = frame_kind::record,
                  .body_size = 0,
                  .number = number,
                  .offset = at,
                  .synced_to = number,
                  .partition = zero,
                  .body_crc = 0},
                 std::string(20 * (at + 1), 'r'), seed_of(ours.log));
    ++number;
    encode_frame(image,
                 {.kind = frame_kind::synced,
                  .body_size = 0,
                  .number = number,
                  .offset = 0,
                  .synced_to = number,
                  .partition = zero,
                  .body_crc = 0},
                 {}, seed_of(ours.log));
    ++number;
  }
  image.resize(2048, '\0');
  return image;
}

void run(std::string_view input) {
  if (input.empty() || input.size() > image_size_max)
    return;
  std::string image(input.substr(1));
  help(image, static_cast<std::uint8_t>(input[0]));
  parse(image);
  store(image);
  open_and_use((input[0] & 16) != 0);
}

} // namespace orrery::log

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  orrery::log::run({reinterpret_cast<const char*>(data), size});
  return 0;
}

/// Without a corpus the search starts from a good file in half of its tries.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned int seed) {
  static const std::string sample = "\x1f" + orrery::log::sample_image();
  if ((size < 2 || seed % 16 == 0) && sample.size() <= size_max) {
    sample.copy(reinterpret_cast<char*>(data), sample.size());
    size = sample.size();
  }
  return LLVMFuzzerMutate(data, size, size_max);
}
