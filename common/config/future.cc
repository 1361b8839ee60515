#include "common/config/future.h"

namespace gw {

const std::vector<FutureName>& future_names() {
  static const std::vector<FutureName> names = {
      {"Object", "Migration"},
      {"Object", "Slo"},
      {"Listener", "http3"},
      {"ApiSpec", "lifecycle"},
      {"ApiSpec", "openapi"},
      {"ApiSpec", "portal"},
      {"ApiSpec", "slo"},
      {"RouteTarget", "compose"},
      {"RouteTarget", "migration"},
      {"PolicyConfig", "cache"},
      {"PolicyConfig", "compression"},
      {"PolicyConfig", "contract"},
      {"PolicyConfig", "jwt"},
      {"PolicyConfig", "waf"},
      {"PlanSpec", "price"},
      {"Quota", "over"},
      {"ProductSpec", "approval"},
      {"ConsumerSpec", "billing"},
  };
  return names;
}

bool is_future(std::string_view where, std::string_view name) {
  for (const FutureName& future : future_names()) {
    if (future.where == where && future.name == name) return true;
  }
  return false;
}

}  // namespace gw
