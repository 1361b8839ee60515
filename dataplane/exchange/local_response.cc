#include "dataplane/exchange/local_response.h"

#include <cstdio>

namespace gw {
namespace {

void put_json(std::string& out, std::string_view text) {
  for (char c : text) {
    unsigned char u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (u < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", u);
      out += escaped;
    } else {
      out += c;
    }
  }
}

void put_member(std::string& out, std::string_view name, std::string_view value) {
  out.append(",\"").append(name).append("\":\"");
  put_json(out, value);
  out += '"';
}

void put_html(std::string& out, std::string_view text) {
  for (char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
}

}  // namespace

int status_of(const LocalResponse& response) { return response.status != 0 ? response.status : info(response.reason).status; }

bool prefers_html(const RequestHead& request) {
  if (!request.headers.maybe_has(HeaderId::kAccept)) return false;
  std::string_view accept = request.headers.get(HeaderId::kAccept);
  size_t html = accept.find("text/html");
  return html != std::string_view::npos && accept.find("json") > html;
}

std::string_view problem_type(bool html) { return html ? "text/html; charset=utf-8" : "application/problem+json"; }

void write_problem(std::string& out, const LocalResponse& response, const ProblemFacts& facts, bool html) {
  const ReasonInfo& reason = info(response.reason);
  std::string status = std::to_string(status_of(response));
  std::string_view detail = response.detail.empty() ? reason.title : response.detail;
  if (html) {
    out += "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>";
    out.append(status).append(" ").append(reason.title);
    out += "</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:15vh auto;padding:0 1rem}"
           "code{font-size:.9em}</style></head>\n<body><h1>";
    out.append(status).append(" ").append(reason.title).append("</h1>\n<p>");
    put_html(out, detail);
    out += "</p>\n<p>Reason <code>";
    out.append(reason.name).append("</code>, request <code>");
    put_html(out, facts.request_id);
    out += "</code>";
    if (!facts.policy.empty()) {
      out += ", policy <code>";
      put_html(out, facts.policy);
      out += "</code>";
    }
    if (facts.version != 0) out += ", version <code>" + std::to_string(facts.version) + "</code>";
    out += "</p></body></html>\n";
    return;
  }
  out.append("{\"type\":\"urn:gw:reason:").append(reason.name).append("\"");
  put_member(out, "title", reason.title);
  out.append(",\"status\":").append(status);
  put_member(out, "detail", detail);
  put_member(out, "instance", facts.request_id);
  put_member(out, "reason", reason.name);
  if (!facts.policy.empty()) put_member(out, "policy", facts.policy);
  if (facts.version != 0) out.append(",\"version\":").append(std::to_string(facts.version));
  out += "}\n";
}

}  // namespace gw
