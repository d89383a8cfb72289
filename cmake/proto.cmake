# orrery_proto_library(NAME FILES …): C++ from .proto files below the project's root. Generated headers are included
# as "events/schema/vm.pb.h"; warnings are off for generated code.

find_package(Protobuf REQUIRED)

function(orrery_proto_library name)
  cmake_parse_arguments(A "" "" "FILES" ${ARGN})
  set(out "${PROJECT_BINARY_DIR}/generated")
  file(MAKE_DIRECTORY "${out}")
  set(generated "")
  foreach(file IN LISTS A_FILES)
    file(RELATIVE_PATH relative "${PROJECT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
    string(REGEX REPLACE "\\.proto$" "" stem "${relative}")
    add_custom_command(
      OUTPUT "${out}/${stem}.pb.cc" "${out}/${stem}.pb.h"
      COMMAND protobuf::protoc --cpp_out=${out} -I ${PROJECT_SOURCE_DIR} -I ${Protobuf_INCLUDE_DIRS} ${relative}
      WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
      DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${file}"
      VERBATIM)
    list(APPEND generated "${out}/${stem}.pb.cc" "${out}/${stem}.pb.h")
  endforeach()
  add_library(${name} STATIC ${generated})
  target_include_directories(${name} SYSTEM PUBLIC "${out}")
  target_link_libraries(${name} PUBLIC protobuf::libprotobuf)
endfunction()
