#pragma once

#include <google/protobuf/message_lite.h>

#include <string>

namespace orrery {

/// A message's bytes, maps in the order of their keys: equal messages are equal bytes, in every
/// process of one version.
[[nodiscard]] std::string to_bytes(const google::protobuf::MessageLite& message);

} // namespace orrery
