#include "tests/pvip/apply_fixture.hpp"

namespace orrery::pvip {

void pvip_apply::SetUp() {
  auto opened = host_network::open(x_lab.name(), "vp", ORRERY_NFT);
  ASSERT_TRUE(opened) << opened.error().text;
  x_network = *std::move(opened);
}

} // namespace orrery::pvip
