#include "projections/inventory.hpp"
#include "projections/jobs.hpp"
#include "projections/projection.hpp"
#include "projections/timeline.hpp"
#include "projections/usage.hpp"

namespace orrery::projections {

projection_list all_projections() {
  projection_list made;
  made.push_back(std::make_unique<inventory>());
  made.push_back(std::make_unique<jobs>());
  made.push_back(std::make_unique<timeline>());
  made.push_back(std::make_unique<usage>());
  return made;
}

} // namespace orrery::projections
