#pragma once

#include <cstdio>
#include <cstdlib>

/// Ends the process when a condition that only a bug of ours can break is broken. On in release
/// builds too: a wrong decision that goes on is worse than a restart, since the log brings
/// everything back. Never for outside data.
#define ORRERY_CHECK(condition)                                                                    \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      std::fprintf(stderr, "orrery: broken assumption at %s:%d: %s\n", __FILE__, __LINE__,         \
                   #condition);                                                                    \
      std::abort();                                                                                \
    }                                                                                              \
  } while (false)
