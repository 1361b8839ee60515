#include "cli/session.h"

#include "cli/errors.h"
#include "common/base/status.h"
#include "common/crypto/tls_failure.h"

namespace gw::cli {
namespace {

bool wants_colour(const Globals& globals, const Environment& env, bool terminal) {
  if (globals.color == "always") return true;
  if (globals.color == "never") return false;
  return terminal && env.variable("NO_COLOR").empty() && env.variable("TERM") != "dumb";
}

Style style_of(Diagnostic::Severity severity) {
  if (severity == Diagnostic::WARNING) return Style::kWarn;
  return severity == Diagnostic::INFO ? Style::kDim : Style::kBad;
}

// What to do about a TLS connection that failed; empty when that was not it.
std::string tls_cure(const std::string& problem, const Settings* settings) {
  if (settings == nullptr) return "";
  switch (tls_failure_of(problem)) {
    case TlsFailure::kUntrusted:
      return "\nits certificate is not one of the CA in " + settings->ca_file + ", or is not in force; that CA is ca.pem in the control plane's state directory";
    case TlsFailure::kWrongName:
      return "\nits certificate is for other names: use one of them, or start the control plane with --name for this one too";
    case TlsFailure::kPlainText:
      return "\nit talks plain text: start it with --tls, or leave " + settings->ca_file + " out (--ca-file, GW_CA_FILE, the context's ca)";
    case TlsFailure::kCut:
      return settings->ca.empty() ? "\ndoes it talk TLS? Give its CA with --ca-file: ca.pem in its state directory" : "";
    case TlsFailure::kRefused:
    case TlsFailure::kNone: break;
  }
  return "";
}

}  // namespace

Session::Session(const Environment& env, Globals globals) : env_(env), globals_(std::move(globals)) {
  paint_.colour = wants_colour(globals_, env, env.out_is_terminal);
  paint_.headers = !globals_.no_headers;
  paint_.columns = env.out_is_terminal ? env.columns : 0;
  err_paint_ = paint_;
  err_paint_.colour = wants_colour(globals_, env, env.err_is_terminal);
}

absl::StatusOr<Settings> Session::settings() {
  if (!settings_) {
    GW_ASSIGN_OR_RETURN(Settings found, resolve_settings(globals_.connection, env_));
    settings_ = std::make_unique<Settings>(std::move(found));
  }
  return *settings_;
}

absl::StatusOr<Settings> Session::offline_settings() { return resolve_offline_settings(globals_.connection, env_); }

absl::StatusOr<AdminClient*> Session::client() {
  if (!client_) {
    GW_ASSIGN_OR_RETURN(Settings found, settings());
    client_ = env_.connect({found.server, found.token, found.timeout_ms, found.ca});
  }
  return client_.get();
}

absl::StatusOr<std::vector<v1::Pair>> Session::labels() const {
  std::vector<v1::Pair> out;
  for (const std::string& text : globals_.labels) {
    size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) return usage_error("-l \"" + text + "\": write key=value");
    v1::Pair pair;
    pair.set_name(text.substr(0, equals));
    pair.set_value(text.substr(equals + 1));
    out.push_back(std::move(pair));
  }
  return out;
}

void Session::emit(const Json& json, const std::vector<std::string>& names,
                   const std::function<std::string(bool wide)>& human) {
  switch (globals_.format) {
    case Format::kJson:
      return write(to_json_text(json));
    case Format::kYaml:
      return write(to_yaml_text(json));
    case Format::kName:
      for (const std::string& name : names) write(name + "\n");
      return;
    case Format::kTable:
    case Format::kWide:
      return write(human(globals_.format == Format::kWide));
  }
}

void Session::write(std::string_view text) {
  progress("");
  *env_.out << text << std::flush;
}

void Session::talk(std::string_view line) {
  progress("");
  if (!globals_.quiet) *env_.err << line << '\n' << std::flush;
}

void Session::progress(std::string_view line) {
  if (!env_.err_is_terminal || globals_.quiet || (line.empty() && !progress_shown_)) return;
  std::string_view shown = line.substr(0, static_cast<size_t>(std::max(env_.columns - 1, 0)));
  *env_.err << "\r\x1b[K" << painted(shown, Style::kDim, err_paint_) << std::flush;
  progress_shown_ = !line.empty();
}

void Session::diagnostic(const Diagnostic& d) {
  if (globals_.quiet && d.severity() != Diagnostic::ERROR) return;
  progress("");
  Diagnostic placed = d;
  if (locator_ && placed.file().empty()) locator_(placed);
  std::string text = to_text(placed);
  if (err_paint_.colour) {
    std::string word = d.severity() == Diagnostic::WARNING ? "warning" : d.severity() == Diagnostic::INFO ? "info" : "error";
    size_t at = text.find(word + " ");
    if (at != std::string::npos) text.replace(at, word.size(), painted(word, style_of(d.severity()), err_paint_));
  }
  *env_.err << text << '\n' << std::flush;
}

absl::Status Session::confirm(const std::string& question) {
  if (globals_.yes) return absl::OkStatus();
  if (globals_.no_input || !env_.in_is_terminal || !env_.err_is_terminal) {
    return usage_error(question + " This cannot be undone; say it again with -y");
  }
  *env_.err << question << " This cannot be undone. [y/N] " << std::flush;
  std::string answer;
  std::getline(*env_.in, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return absl::OkStatus();
  return usage_error("not done");
}

int Session::fail(const absl::Status& status) {
  progress("");
  ExitCode code = exit_code_of(status);
  DiagnosticList list;
  if (diagnostics_of(status, list) && !list.empty()) {
    for (const Diagnostic& d : list.items()) diagnostic(d);
    return static_cast<int>(code);
  }
  std::string text = message_of(status);
  const std::string server = settings_ ? settings_->server : "";
  if (status.code() == absl::StatusCode::kUnavailable) {
    text = "cannot reach the control plane at " + server + ": " + text + tls_cure(text, settings_.get());
  } else if (status.code() == absl::StatusCode::kDeadlineExceeded) {
    text = "timed out: " + text;
  } else if (code == ExitCode::kUnreachable) {
    text = "the control plane at " + server + " failed: " + text;
  } else if (status.code() == absl::StatusCode::kUnimplemented) {
    text = "the control plane at " + server + " is older than this gwctl: " + text;
  } else if (status.code() == absl::StatusCode::kUnauthenticated) {
    text = "not let in by the control plane at " + server + ": " + text;
  }
  *env_.err << painted("gwctl:", Style::kBad, err_paint_) << ' ' << text << '\n' << std::flush;
  return static_cast<int>(code);
}

}  // namespace gw::cli
