#include "events/schema/json.hpp"

#include "events/core/check.hpp"
#include "events/schema/bytes.hpp"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <memory>

namespace orrery {

namespace {

namespace util = google::protobuf::util;

constexpr const char* url_prefix = "orrery"; // any will do: it is ours alone

/// Knows the compiled-in messages; made once.
util::TypeResolver& resolver() {
  static const std::unique_ptr<util::TypeResolver> made(util::NewTypeResolverForDescriptorPool(
      url_prefix, google::protobuf::DescriptorPool::generated_pool()));
  return *made;
}

std::string url_of(const google::protobuf::Message& message) {
  return std::string(url_prefix) + "/" + message.GetDescriptor()->full_name();
}

} // namespace

std::string to_json(const google::protobuf::Message& message) {
  util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string text;
  // Only messages that hold an Any, or text that is not UTF-8, can fail; neither gets into a
  // record.
  const auto printed =
      util::BinaryToJsonString(&resolver(), url_of(message), to_bytes(message), &text, options);
  ORRERY_CHECK(printed.ok());
  return text;
}

} // namespace orrery
