#pragma once

// SPDX-License-Identifier: GPL-2.0-only

namespace orrery_nft {

/// Keeps the right to change the network of the namespace that we are in, and nothing else: no
/// open file but the standard ones, the user "nobody" when we were root, CAP_NET_ADMIN alone, and
/// no way to gain more. Once, before anything is read. Returns what could not be done, or null.
[[nodiscard]] const char* leave_privileges();

} // namespace orrery_nft
