#include "tests/support/world.hpp"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

// One sample of every event of version 1, `tests/golden/events/<noun>/<event>.v1`: its text, a line
// "---", its bytes as hexadecimal. The bytes must parse to that text and back for ever; the text is
// for people, and shows at once when a number of a field has changed its meaning.
//
// A new event: run this test with ORRERY_GOLDEN_UPDATE=1, which writes the samples that are missing
// and touches no other. Changed on purpose before the tag 0.1: delete the sample first.

namespace orrery {
namespace {

namespace fs = std::filesystem;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const fs::path samples_folder = fs::path(ORRERY_SOURCE_FOLDER) / "tests" / "golden" / "events";

fs::path path_of(const std::string& type) {
  const auto dot = type.find('.');
  return samples_folder / type.substr(0, dot) / (type.substr(dot + 1) + ".v1");
}

// Making a sample
// ------------------------------------------------------------------------------------------------

void fill(Message& message);

/// Any value that is not the default one and differs from its neighbours.
void fill_field(Message& message, const FieldDescriptor& field) {
  const auto* fields = message.GetReflection();
  const auto number = static_cast<std::uint32_t>(field.number());
  switch (field.cpp_type()) {
  case FieldDescriptor::CPPTYPE_UINT32:
    if (!field.is_repeated())
      return fields->SetUInt32(&message, &field, 1'000 + number);
    fields->AddUInt32(&message, &field, 1'000 + number);
    return fields->AddUInt32(&message, &field, 2'000 + number);
  case FieldDescriptor::CPPTYPE_UINT64:
    return fields->SetUInt64(&message, &field, 1'000'000'000'000ULL + number);
  case FieldDescriptor::CPPTYPE_BOOL:
    return fields->SetBool(&message, &field, true);
  case FieldDescriptor::CPPTYPE_ENUM:
    return fields->SetEnum(&message, &field,
                           field.enum_type()->value(field.enum_type()->value_count() - 1));
  case FieldDescriptor::CPPTYPE_STRING:
    if (!field.is_repeated())
      return fields->SetString(&message, &field, field.name() + " ä");
    fields->AddString(&message, &field, field.name() + " 1");
    return fields->AddString(&message, &field, field.name() + " 2");
  case FieldDescriptor::CPPTYPE_MESSAGE:
    return fill(field.is_repeated() ? *fields->AddMessage(&message, &field)
                                    : *fields->MutableMessage(&message, &field));
  case FieldDescriptor::CPPTYPE_INT32:
  case FieldDescriptor::CPPTYPE_INT64:
  case FieldDescriptor::CPPTYPE_FLOAT:
  case FieldDescriptor::CPPTYPE_DOUBLE:
    break; // events have none: amounts are never negative, and nothing is measured in fractions
  }
  ADD_FAILURE() << "say how to fill " << field.full_name();
}

void fill(Message& message) {
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i)
    fill_field(message, *message.GetDescriptor()->field(i));
}

/// An event of `type` ("vm.started") with every field set.
v1::Event make_sample(const std::string& type) {
  v1::Event event;
  event.set_effective_at(1'795'338'000'000'001);
  const auto dot = type.find('.');
  const auto* noun = v1::Event::descriptor()->FindFieldByName(type.substr(0, dot));
  auto* inner = event.GetReflection()->MutableMessage(&event, noun);
  fill_field(*inner, *inner->GetDescriptor()->FindFieldByName(type.substr(dot + 1)));
  return event;
}

// Reading and writing it
// ------------------------------------------------------------------------------------------------

std::string to_bytes(const Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream out(&stream);
  out.SetSerializationDeterministic(true);
  EXPECT_TRUE(message.SerializeToCodedStream(&out));
  out.Trim();
  return bytes;
}

std::string to_text(const Message& message) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetUseUtf8StringEscaping(true);
  std::string text;
  EXPECT_TRUE(printer.PrintToString(message, &text));
  return text;
}

std::string to_hex(const std::string& bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  constexpr std::size_t bytes_a_line = 32;
  std::string hex;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0 && i % bytes_a_line == 0)
      hex += '\n';
    hex += digits[static_cast<unsigned char>(bytes[i]) >> 4];
    hex += digits[static_cast<unsigned char>(bytes[i]) & 0xf];
  }
  return hex + '\n';
}

std::string from_hex(const std::string& hex) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string bytes;
  unsigned half = 0;
  bool is_second = false;
  for (const char c : hex) {
    if (c == '\n')
      continue;
    const auto value = digits.find(c);
    EXPECT_NE(value, std::string_view::npos) << "not a hexadecimal digit: " << c;
    half = (half << 4) | static_cast<unsigned>(value & 0xf);
    if (is_second)
      bytes += static_cast<char>(half & 0xff);
    is_second = !is_second;
  }
  EXPECT_FALSE(is_second) << "half a byte at the end";
  return bytes;
}

struct sample {
  std::string text;
  std::string bytes;
};

std::optional<sample> read_sample(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return std::nullopt;
  std::stringstream content;
  content << file.rdbuf();
  const auto all = content.str();
  constexpr std::string_view line = "---\n";
  const auto at = all.find(line);
  if (at == std::string::npos)
    return std::nullopt;
  return sample{all.substr(0, at), from_hex(all.substr(at + line.size()))};
}

void write_sample(const std::string& type) {
  const auto made = make_sample(type);
  fs::create_directories(path_of(type).parent_path());
  std::ofstream file(path_of(type), std::ios::binary);
  file << to_text(made) << "---\n" << to_hex(to_bytes(made));
  ASSERT_TRUE(file.good()) << path_of(type);
}

/// Fields of a message, and of those in it, that are not set.
void add_unset(const Message& message, std::vector<std::string>& found) {
  const auto* fields = message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const auto* field = message.GetDescriptor()->field(i);
    if (field->containing_oneof() != nullptr && !fields->HasField(message, field))
      continue; // one of several
    const bool is_set = field->is_repeated() ? fields->FieldSize(message, field) > 0
                                             : fields->HasField(message, field);
    if (!is_set)
      found.push_back(field->full_name());
    else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field->is_repeated())
      add_unset(fields->GetMessage(message, field), found);
  }
}

class golden : public testing::Test {
protected:
  void SetUp() override {
    if (std::getenv("ORRERY_GOLDEN_UPDATE") == nullptr)
      return;
    for (const auto& type : support::all_event_types())
      if (!fs::exists(path_of(type)))
        write_sample(type);
  }
};

TEST_F(golden, there_is_a_sample_of_every_event) {
  for (const auto& type : support::all_event_types())
    EXPECT_TRUE(read_sample(path_of(type)).has_value())
        << path_of(type) << " is missing or has no '---': run with ORRERY_GOLDEN_UPDATE=1";
}

TEST_F(golden, every_sample_is_of_an_event_that_there_is) {
  std::vector<fs::path> wanted;
  for (const auto& type : support::all_event_types())
    wanted.push_back(path_of(type));
  for (const auto& entry : fs::recursive_directory_iterator(samples_folder)) {
    if (entry.is_regular_file()) {
      EXPECT_THAT(wanted, testing::Contains(entry.path()))
          << "an event that was in a log can never go: its samples bind";
    }
  }
}

TEST_F(golden, every_sample_parses_and_is_written_back_byte_by_byte) {
  for (const auto& type : support::all_event_types()) {
    const auto read = read_sample(path_of(type));
    ASSERT_TRUE(read.has_value()) << type;
    v1::Event event;
    ASSERT_TRUE(event.ParseFromString(read->bytes)) << type;
    EXPECT_EQ(domain::type_of(event), type);
    EXPECT_EQ(to_hex(to_bytes(event)), to_hex(read->bytes)) << type;
    EXPECT_EQ(to_text(event), read->text) << type << ": a field has another meaning than it had";
  }
}

TEST_F(golden, every_sample_sets_every_field) {
  for (const auto& type : support::all_event_types()) {
    const auto read = read_sample(path_of(type));
    ASSERT_TRUE(read.has_value()) << type;
    v1::Event event;
    ASSERT_TRUE(event.ParseFromString(read->bytes)) << type;
    std::vector<std::string> unset;
    add_unset(event, unset);
    EXPECT_THAT(unset, testing::IsEmpty())
        << type << ": before the tag 0.1, delete the sample and make it again; from it on, add one "
        << "of the next version beside it";
  }
}

TEST_F(golden, every_sample_is_folded_without_a_crash) {
  // Known events are total: whatever state they meet, and be it none.
  for (const auto& type : support::all_event_types()) {
    const auto read = read_sample(path_of(type));
    ASSERT_TRUE(read.has_value()) << type;
    google::protobuf::RepeatedPtrField<v1::Event> events;
    ASSERT_TRUE(events.Add()->ParseFromString(read->bytes)) << type;
    const auto once = domain::evolve(nullptr, events, from_micros(1));
    const auto twice = domain::evolve(once, events, from_micros(2));
    EXPECT_EQ(twice == nullptr, type == "vm.removed" || type == "network.removed") << type;
  }
}

} // namespace
} // namespace orrery
