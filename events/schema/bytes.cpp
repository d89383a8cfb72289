#include "events/schema/bytes.hpp"

#include "events/core/check.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

namespace orrery {

std::string to_bytes(const google::protobuf::MessageLite& message) {
  std::string bytes;
  bytes.reserve(message.ByteSizeLong());
  {
    google::protobuf::io::StringOutputStream sink(&bytes);
    google::protobuf::io::CodedOutputStream out(&sink);
    out.SetSerializationDeterministic(true);
    ORRERY_CHECK(message.SerializeToCodedStream(&out));
  }
  return bytes;
}

} // namespace orrery
