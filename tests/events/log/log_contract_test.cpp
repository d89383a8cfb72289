#include "events/log/memory_log.hpp"
#include "events/log/segment_log.hpp"
#include "tests/contract/log_contract.hpp"
#include "tests/events/log/scratch_directory.hpp"

namespace orrery::log::contract {

namespace {

class memory_bed final : public bed {
public:
  std::unique_ptr<log> open() override { return std::make_unique<memory_log>(x_store); }

private:
  std::shared_ptr<memory_store> x_store = make_memory_store();
};

const bed_factory memory{"memory", [] { return std::make_unique<memory_bed>(); }};

/// Files so small that the suite runs through many of them.
constexpr std::uint64_t small_segment = 4096;

class segment_bed final : public bed {
public:
  explicit segment_bed(std::uint64_t segment_size) { x_options.segment_size = segment_size; }

  std::unique_ptr<log> open() override {
    if (!std::exchange(x_created, true))
      return checked(segment_log::create(x_where.path(), identity, x_options));
    open_report report;
    auto opened = segment_log::open(x_where.path(), x_options, report);
    EXPECT_FALSE(report.torn);
    return checked(std::move(opened));
  }

private:
  static constexpr log_identity identity{installation_id{uuid{1, 2}}, log_id{uuid{3, 4}}};

  static std::unique_ptr<log> checked(result<std::unique_ptr<segment_log>> opened) {
    EXPECT_TRUE(opened) << opened.error().text;
    return opened ? std::move(*opened) : nullptr;
  }

  scratch_directory x_where{scratch_directory::place::disk};
  open_options x_options;
  bool x_created = false;
};

const bed_factory segment{
    "segment", [] { return std::make_unique<segment_bed>(open_options{}.segment_size); }};
const bed_factory small_segments{"small_segments",
                                 [] { return std::make_unique<segment_bed>(small_segment); }};

std::string name_of_bed(const testing::TestParamInfo<bed_factory>& tested) {
  return tested.param.name;
}

} // namespace

INSTANTIATE_TEST_SUITE_P(engine, log_contract, testing::Values(memory, segment, small_segments),
                         name_of_bed);

} // namespace orrery::log::contract
