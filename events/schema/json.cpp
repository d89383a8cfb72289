#include "events/schema/json.hpp"

#include "events/core/check.hpp"

#include <google/protobuf/util/json_util.h>

namespace orrery {

std::string to_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string text;
  // Only messages that hold an Any, or text that is not UTF-8, can fail; neither gets into a
  // record.
  const auto printed = google::protobuf::util::MessageToJsonString(message, &text, options);
  ORRERY_CHECK(printed.ok());
  return text;
}

} // namespace orrery
