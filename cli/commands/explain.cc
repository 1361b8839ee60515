// explain, explain-request.
#include "common/config/explain.h"

#include <algorithm>
#include <charconv>

#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/views.h"
#include "common/base/status.h"
#include "common/http/reason.h"

namespace gw::cli {
namespace {

absl::StatusOr<v1::Pair> parse_header(const std::string& text) {
  size_t colon = text.find(':');
  if (colon == std::string::npos || colon == 0) return usage_error("-H \"" + text + "\": write 'name: value'");
  v1::Pair out;
  out.set_name(text.substr(0, colon));
  size_t at = text.find_first_not_of(' ', colon + 1);
  if (at != std::string::npos) out.set_value(text.substr(at));
  return out;
}

// One expectation; what was there instead, or empty when it is met.
absl::StatusOr<std::string> unmet(const std::string& expect, const v1::ExplainResponse& answer) {
  auto differs = [](const std::string& want, const std::string& got) {
    return want == got ? std::string() : got.empty() ? "none" : got;
  };
  if (size_t equals = expect.find('='); equals != std::string::npos) {
    const std::string name = expect.substr(0, equals), want = expect.substr(equals + 1);
    if (name == "route") return differs(want, answer.route());
    if (name == "upstream") return differs(want, answer.upstream());
    if (name == "reason") return differs(want, answer.reason());
    if (name == "status") return unmet(want, answer);
    return usage_error("--expect \"" + expect + "\": route=, upstream=, reason=, status=, a status, a reason, or forwarded");
  }
  const std::string got = answer.status() == 0 ? "forwarded" : std::to_string(answer.status());
  if (expect == "forwarded") return differs(expect, got);
  if (parse_reason(expect) != Reason::kNone) return differs(expect, answer.reason());
  int status = 0;
  const char* end = expect.data() + expect.size();
  auto [at, error] = std::from_chars(expect.data(), end, status);
  if (error != std::errc() || at != end || status < 100 || status > 599) {
    return usage_error("--expect \"" + expect + "\": a status, a reason, forwarded, route=, upstream= or reason=");
  }
  return differs(expect, got);
}

Style verdict_style(const std::string& verdict) {
  if (verdict == "refused") return Style::kBad;
  if (verdict == "observe" || verdict == "unknown") return Style::kWarn;
  return verdict == "lost" || verdict == "skipped" ? Style::kDim : Style::kPlain;
}

std::string answer_text(const v1::ExplainResponse& answer, const Paint& paint) {
  std::string out = "version " + std::to_string(answer.version()) + ", evaluated by the node's own code; nothing was spent\n";
  Paint bare = paint;
  bare.headers = false;
  Table table({{"N", true}, {"PHASE"}, {"OBJECT"}, {"PLACE"}, {"VERDICT"}, {"DETAIL", false, true}});
  int n = 0;
  for (const v1::ExplainStep& s : answer.steps()) {
    std::string detail = s.detail();
    if (!s.reason().empty()) detail = s.reason() + (detail.empty() ? "" : ": ") + detail;
    bool lost = s.verdict() == "lost";
    table.add({lost ? "" : std::to_string(++n), lost ? "" : s.phase(), {s.object(), lost ? Style::kDim : Style::kPlain}, s.place(),
               {s.verdict(), verdict_style(s.verdict())}, detail});
  }
  out += table.render(bare);
  bool refused = answer.status() >= 400;
  return out + painted("answer: " + answer.answer(), refused ? Style::kBad : Style::kGood, paint) + "\n";
}

}  // namespace

absl::StatusOr<int> run_explain(Session& session, const ExplainOptions& options) {
  auto text = gw::explain(options.what);
  if (!text.ok()) {
    // A reason or a code that is not there, or a path with a typing error.
    return failure(ExitCode::kNotFound, message_of(text.status()));
  }
  if (session.machine_output()) {
    session.emit({{"query", options.what}, {"text", *text}}, {}, [](bool) { return std::string(); });
  } else {
    session.write(*text);
  }
  return 0;
}

absl::StatusOr<int> run_explain_request(Session& session, const ExplainRequestOptions& options) {
  v1::ExplainRequest request;
  request.set_method(options.method);
  request.set_url(options.url);
  request.set_as_app(options.as_app);
  request.set_version(options.at);
  request.set_client_address(options.client_address);
  request.set_gateway(options.gateway);
  for (const std::string& header : options.headers) {
    GW_ASSIGN_OR_RETURN(*request.add_headers(), parse_header(header));
  }
  for (const std::string& expect : options.expect) {
    GW_RETURN_IF_ERROR(unmet(expect, v1::ExplainResponse()).status());
  }
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  GW_ASSIGN_OR_RETURN(v1::ExplainResponse answer, client->explain(request));
  session.emit(to_json(answer), {answer.route()}, [&](bool) { return answer_text(answer, session.paint()); });
  int code = 0;
  for (const std::string& expect : options.expect) {
    GW_ASSIGN_OR_RETURN(std::string got, unmet(expect, answer));
    if (got.empty()) continue;
    session.talk("expected " + expect + ", got " + got);
    code = static_cast<int>(ExitCode::kNo);
  }
  return code;
}

}  // namespace gw::cli
