#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace orrery {

/// A message as JSON on one line, in protobuf's own mapping: camelCase, 64-bit numbers as strings,
/// times as RFC 3339, numbers and texts also where they are zero or empty.
[[nodiscard]] std::string to_json(const google::protobuf::Message& message);

} // namespace orrery
