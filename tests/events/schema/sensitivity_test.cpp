#include "events/schema/liveness.pb.h"
#include "events/schema/record.pb.h"
#include "events/schema/usage.pb.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace orrery {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptorProto;
using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;

/// Appends the full names of all fields of `message`, and of messages inside it, that do not say
/// how far they may travel. A map is marked as a whole.
void add_unmarked(const Descriptor& message, std::vector<std::string>& found) {
  for (int i = 0; i < message.field_count(); ++i) {
    const auto* field = message.field(i);
    if (field->options().GetExtension(v1::sensitivity) == v1::SENSITIVITY_UNSPECIFIED)
      found.push_back(field->full_name());
  }
  for (int i = 0; i < message.nested_type_count(); ++i)
    if (!message.nested_type(i)->options().map_entry())
      add_unmarked(*message.nested_type(i), found);
}

std::vector<std::string> unmarked_fields(const FileDescriptor& file) {
  std::vector<std::string> found;
  for (int i = 0; i < file.message_type_count(); ++i)
    add_unmarked(*file.message_type(i), found);
  return found;
}

/// Every file of the schema's folder as it was compiled in, by the names that the folder has.
std::vector<const FileDescriptor*> schema_files() {
  // Linked in only because something of it is used.
  EXPECT_NE(v1::CommitBody::descriptor(), nullptr);
  EXPECT_NE(v1::Heartbeat::descriptor(), nullptr);
  EXPECT_NE(v1::UsageInterval::descriptor(), nullptr);
  std::vector<const FileDescriptor*> files;
  const std::filesystem::path root(ORRERY_SOURCE_FOLDER);
  for (const auto& entry : std::filesystem::directory_iterator(root / "events" / "schema")) {
    if (entry.path().extension() != ".proto")
      continue;
    const auto name = "events/schema/" + entry.path().filename().string();
    const auto* file = DescriptorPool::generated_pool()->FindFileByName(name);
    EXPECT_NE(file, nullptr) << name << " is not compiled in: is it in CMakeLists.txt?";
    if (file != nullptr)
      files.push_back(file);
  }
  return files;
}

/// A hand-made file with a message `outer` that has a field `name`, and a message inside it with a
/// field `secret`; `mark` marks them.
FileDescriptorProto hand_made(v1::Sensitivity name, v1::Sensitivity secret) {
  FileDescriptorProto file;
  file.set_name("hand_made.proto");
  file.set_syntax("proto3");
  file.add_dependency("events/schema/common.proto");
  const auto add_field = [](auto* message, const std::string& field_name, v1::Sensitivity mark) {
    auto* field = message->add_field();
    field->set_name(field_name);
    field->set_number(1);
    field->set_type(FieldDescriptorProto::TYPE_STRING);
    field->set_label(FieldDescriptorProto::LABEL_OPTIONAL);
    if (mark != v1::SENSITIVITY_UNSPECIFIED)
      field->mutable_options()->SetExtension(v1::sensitivity, mark);
  };
  auto* outer = file.add_message_type();
  outer->set_name("outer");
  add_field(outer, "name", name);
  auto* inner = outer->add_nested_type();
  inner->set_name("inner");
  add_field(inner, "secret", secret);
  return file;
}

std::vector<std::string> unmarked_fields_of(const FileDescriptorProto& proto) {
  DescriptorPool pool(DescriptorPool::generated_pool());
  const auto* file = pool.BuildFile(proto);
  EXPECT_NE(file, nullptr);
  return file == nullptr ? std::vector<std::string>{} : unmarked_fields(*file);
}

TEST(sensitivity_check, finds_a_field_without) {
  EXPECT_THAT(unmarked_fields_of(hand_made(v1::SENSITIVITY_UNSPECIFIED, v1::SEALED)),
              testing::ElementsAre("outer.name"));
}

TEST(sensitivity_check, finds_a_field_without_in_a_message_inside) {
  EXPECT_THAT(unmarked_fields_of(hand_made(v1::OPEN, v1::SENSITIVITY_UNSPECIFIED)),
              testing::ElementsAre("outer.inner.secret"));
}

TEST(sensitivity_check, finds_nothing_where_all_is_marked) {
  EXPECT_THAT(unmarked_fields_of(hand_made(v1::OPEN, v1::TENANT)), testing::IsEmpty());
}

TEST(sensitivity, is_on_every_field_of_the_schema) {
  const auto files = schema_files();
  EXPECT_GE(files.size(), 10U);
  for (const auto* file : files)
    EXPECT_THAT(unmarked_fields(*file), testing::IsEmpty()) << file->name();
}

TEST(sensitivity, covers_every_message_that_a_record_can_hold) {
  // Whatever a record refers to must be in a file that the test above reads.
  const auto files = schema_files();
  std::vector<const FileDescriptor*> reachable{v1::CommitBody::descriptor()->file()};
  for (std::size_t at = 0; at < reachable.size(); ++at)
    for (int i = 0; i < reachable[at]->dependency_count(); ++i)
      if (!std::ranges::count(reachable, reachable[at]->dependency(i)))
        reachable.push_back(reachable[at]->dependency(i));
  for (const auto* file : reachable)
    EXPECT_TRUE(std::ranges::count(files, file) == 1 ||
                file->name().starts_with("google/protobuf/"))
        << file->name();
}

TEST(sensitivity, seals_the_names_of_people) {
  const auto* who = v1::Principal::descriptor()->FindFieldByName("name");
  ASSERT_NE(who, nullptr);
  EXPECT_EQ(who->options().GetExtension(v1::sensitivity), v1::SEALED);
}

} // namespace
} // namespace orrery
