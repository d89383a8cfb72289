#pragma once

#include "tests/kafka/cluster.hpp"

#include <librdkafka/rdkafka.h>

#include <string>
#include <vector>

namespace orrery::log {

/// The guarded cluster of this test program, started when first used. It has the ACLs of
/// docs/kafka.md for `init`, `orreryd` and `reader` on the four topics, which exist, and those of
/// an owner for `orreryd` on every topic of `fresh_log`.
[[nodiscard]] kafka_cluster& secure_cluster();

/// Does what docs/kafka.md tells an operator to do with `kafka-acls`: `words` come after its
/// connection.
void run_acl_command(kafka_cluster& at, const std::string& words);

/// Gives a user rights on one topic, and waits until they hold.
void grant(const std::string& user, const std::string& topic,
           const std::vector<rd_kafka_AclOperation_t>& rights);

/// Takes one right away.
void revoke(const std::string& user, const std::string& topic, rd_kafka_AclOperation_t right);

} // namespace orrery::log
