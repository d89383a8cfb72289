#pragma once

#include "drivers/hypervisor.hpp"

namespace orrery::drivers {

/// The longest name of a network link, in bytes: Linux's IFNAMSIZ is 16 with the ending zero.
inline constexpr std::size_t link_name_size_max = 15;

/// The longest name of a boot image, in bytes: a folder's name (NAME_MAX is 255), kept short for
/// texts.
inline constexpr std::size_t image_name_size_max = 64;

/// What every driver demands of a spec before it touches the world: the ranges of `guest_spec`, and
/// names that can stand in a path, an XML document and a kernel command line. Pure. Errors:
/// `invalid_argument`, naming the field.
[[nodiscard]] result<void> check_spec(const guest_spec& spec);

/// Checks the name of a boot image: 1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-', starting with a
/// letter or digit. Errors: `invalid_argument`.
[[nodiscard]] result<void> check_image_name(std::string_view name);

} // namespace orrery::drivers
