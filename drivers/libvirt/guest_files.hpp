#pragma once

#include "drivers/libvirt/domain_xml.hpp"

#include <filesystem>
#include <string>
#include <vector>

/// The files of a node that belong to guests: boot images and console logs. All functions block
/// for the disk only.
namespace orrery::drivers::libvirt {

/// An image is a folder of `directory` with the files `vmlinuz` and `initrd`. Sorted; folders with
/// other names or contents are passed over. Errors: `io_failed`.
[[nodiscard]] result<std::vector<std::string>> find_images(const std::filesystem::path& directory);

/// The files of one image. Errors: `image_unknown`, `invalid_argument` (its `cmdline` is longer
/// than a kernel takes, or not printable ASCII on one line).
[[nodiscard]] result<boot_files> find_image(const std::filesystem::path& directory,
                                            std::string_view image);

/// Where a guest's console is logged. virtlogd keeps older parts beside it, as `….0`, `….1`, …
[[nodiscard]] std::filesystem::path console_path(const std::filesystem::path& directory, vm_id vm);

/// The last bytes of the console, reaching into the last older part. None yet: empty. Errors:
/// `io_failed`.
[[nodiscard]] result<std::string> read_console(const std::filesystem::path& directory, vm_id vm,
                                               std::size_t bytes_max);

/// Removes the console's log and its older parts. Nothing there: done. Errors: `io_failed`.
[[nodiscard]] result<void> remove_console(const std::filesystem::path& directory, vm_id vm);

} // namespace orrery::drivers::libvirt
