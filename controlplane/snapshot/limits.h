// Most that one control plane holds. Each is refused by name (GW1601, GW1602), none silently.
#pragma once

#include <cstddef>

#include "controlplane/snapshot/object_key.h"

namespace gw {

struct KindLimit {
  Kind kind;
  size_t max;
};

inline constexpr KindLimit kKindLimits[] = {
    {v1::Object::kTeam, 2'000},         {v1::Object::kGateway, 200},      {v1::Object::kUpstream, 20'000},
    {v1::Object::kApi, 20'000},         {v1::Object::kRoute, 100'000},    {v1::Object::kPolicy, 20'000},
    {v1::Object::kPlan, 2'000},         {v1::Object::kProduct, 5'000},    {v1::Object::kConsumer, 200'000},
    {v1::Object::kApp, 200'000},        {v1::Object::kSubscription, 400'000},
    {v1::Object::kSecret, 5'000},       {v1::Object::kCertificate, 5'000},
};

// Serialized size of one object.
inline constexpr size_t kObjectBytesMax = size_t{1} << 20;
// Objects in one apply or delete.
inline constexpr size_t kObjectsPerApplyMax = 150'000;

}  // namespace gw
