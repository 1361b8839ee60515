#include "common/base/build_info.h"

namespace gw {

std::string_view build_version() { return GW_BUILD_VERSION; }
std::string_view build_commit() { return GW_BUILD_COMMIT; }

}  // namespace gw
