// What the admin API says, as JSON: the contract of `-o json`, kept by golden tests. Names are camelCase, times are
// RFC 3339, absent facts are left out, numbers are numbers.
#pragma once

#include <string>

#include "cli/output.h"
#include "gw/v1/admin.pb.h"

namespace gw::cli {

Json to_json(const v1::Diagnostic& d);
Json to_json(const v1::Change& change);
Json to_json(const v1::NodeRollout& node);
Json to_json(const v1::RolloutStatus& status);
Json to_json(const v1::VersionInfo& version);
Json to_json(const v1::NodeInfo& node);
Json to_json(const v1::TokenInfo& token);
Json to_json(const v1::KeyInfo& key);
Json to_json(const v1::UsageRow& row);
// Where a target is from: static, dns, srv, endpoint, awaited.
std::string_view source_word(v1::TargetSource source);
Json to_json(const v1::NodeTargets& node);
Json to_json(const v1::SwitchInfo& info);
Json to_json(const v1::EndpointInfo& info);
Json to_json(const v1::CertificateInfo& info);
Json to_json(const v1::ExplainResponse& answer);
Json to_json(const v1::StatusResponse& status);

template <class Range>
Json to_json_array(const Range& range) {
  Json out = Json::array();
  for (const auto& item : range) out.push_back(to_json(item));
  return out;
}

// "created", "changed", "deleted", "unchanged".
std::string action_word(v1::Change::Action action);
Style action_style(v1::Change::Action action);
// "received" … "drained", "refused"; "waiting" for none yet.
std::string state_word(v1::NodeState state);
Style phase_style(const std::string& phase);
// "Api a/b disabled", "Upstream a/b 10.0.0.1:80 drained", "10.0.0.0/8 blocked"
std::string switch_text(const v1::SwitchInfo& info);
// "acme-travel" -> "-": a cell that says that there is nothing.
std::string or_dash(const std::string& text);

}  // namespace gw::cli
