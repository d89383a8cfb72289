#pragma once

#include "pvip/apply/host_network.hpp"
#include "tests/pvip/net_lab.hpp"
#include "tests/pvip/ports.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace orrery::pvip {

/// Generous: only a failure waits for so long.
inline constexpr std::chrono::seconds long_patience{30};

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A node's network in a namespace of its own.
class pvip_apply : public testing::Test {
protected:
  void SetUp() override;

  apply_report reconciled(std::vector<port> ports) {
    auto report = x_network->reconcile(std::move(ports));
    EXPECT_TRUE(report) << report.error().text;
    return report ? *std::move(report) : apply_report{};
  }

  void ensured(const port& wanted) {
    const auto done = x_network->ensure(wanted);
    EXPECT_TRUE(done) << done.error().text;
  }

  /// That what is there is what `ports` want, by iproute2's word, and that we find nothing to do.
  void expect_right(const std::vector<port>& ports) {
    const std::string links = x_lab.ip("-d -o link");
    const std::string routes = x_lab.ip("-o -4 route show proto 143");
    const std::string neighbours = x_lab.ip("-o -4 neigh show nud permanent");
    for (const port& each : ports) {
      EXPECT_TRUE(has(links, each.link)) << each.link;
      EXPECT_TRUE(has(routes, to_text(each.address) + " dev " + each.link + " ")) << routes;
      EXPECT_TRUE(has(neighbours,
                      to_text(each.address) + " dev " + each.link + " lladdr " + to_text(each.mac)))
          << neighbours;
    }
    const auto rest = reconciled(ports);
    EXPECT_EQ(rest.added + rest.repaired + rest.removed, 0U);
    EXPECT_TRUE(rest.drift.empty()) << rest.drift.front();
  }

  /// One repair: the report names `part`, and all is right afterwards.
  void expect_repaired(const std::vector<port>& ports, const std::string& part) {
    const auto report = reconciled(ports);
    EXPECT_GT(report.added + report.repaired + report.removed, 0U);
    EXPECT_TRUE(std::ranges::any_of(report.drift, [&](const auto& s) { return has(s, part); }))
        << part << " not in: " << (report.drift.empty() ? "nothing" : report.drift.front());
    expect_right(ports);
  }

  std::string index_of(const std::string& link) {
    const std::string line = x_lab.ip("-o link show dev " + link);
    return line.substr(0, line.find(':'));
  }

  std::string everything() {
    // Without times, which change: links, addresses, routes and neighbours.
    return x_lab.ip("-o link") + x_lab.ip("-o -4 addr") + x_lab.ip("-o -4 route show table all") +
           x_lab.ip("-o -4 neigh");
  }

  net_lab x_lab;
  std::unique_ptr<host_network> x_network;
};

} // namespace orrery::pvip
