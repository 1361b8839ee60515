// cert check, rotate.
#include <algorithm>

#include "cli/commands.h"
#include "cli/commands/secrets.h"
#include "cli/errors.h"
#include "cli/kinds.h"
#include "cli/settings.h"
#include "cli/views.h"
#include "common/base/status.h"
#include "common/crypto/certificates.h"
#include "controlplane/snapshot/check.h"

namespace gw::cli {
namespace {

using Infos = google::protobuf::RepeatedPtrField<v1::CertificateInfo>;

template <class Range>
std::string comma_list(const Range& range) {
  std::string out;
  for (const std::string& item : range) out += (out.empty() ? "" : ", ") + item;
  return out;
}

bool has_error(const v1::CertificateInfo& info) {
  return std::any_of(info.diagnostics().begin(), info.diagnostics().end(), [](const v1::Diagnostic& d) { return d.severity() == v1::Diagnostic::ERROR; });
}

Cell verdict_cell(const v1::CertificateInfo& info) {
  if (has_error(info)) return {"bad", Style::kBad};
  return info.diagnostics().empty() ? Cell("good", Style::kGood) : Cell("look", Style::kWarn);
}

// "2/3": nodes that have it in force, of those that were given it.
std::string serving_text(const v1::CertificateInfo& info) {
  return std::to_string(info.serving_size()) + "/" + std::to_string(info.serving_size() + info.waiting_size());
}

std::string certificates_table(const Infos& infos, bool wide, bool stored, const Paint& paint) {
  std::vector<Column> columns;
  if (stored) columns = {{"CERTIFICATE"}, {"SECRET"}};
  columns.insert(columns.end(), {{"KEY"}, {"SERIAL"}, {"UNTIL"}, {"NAMES", false, true}});
  if (stored) columns.push_back({"NODES", true});
  columns.push_back({"STATE"});
  if (wide) columns.insert(columns.end(), {{"CHAIN", true}, {"ISSUER"}, {"SHA256"}});
  Table table(columns);
  for (const v1::CertificateInfo& c : infos) {
    std::vector<Cell> row;
    if (stored) row = {c.certificate(), c.secret()};
    for (std::string text : {or_dash(c.key()), or_dash(c.serial()), or_dash(time_text(c.not_after())), or_dash(comma_list(c.names()))}) row.emplace_back(std::move(text));
    if (stored) row.emplace_back(serving_text(c));
    row.push_back(verdict_cell(c));
    if (wide) {
      for (std::string text : {std::to_string(c.chain()), or_dash(c.issuer()), or_dash(c.sha256())}) row.emplace_back(std::move(text));
    }
    table.add(std::move(row));
  }
  return table.empty() ? "" : table.render(paint);
}

int show(Session& session, const Infos& infos, bool stored) {
  std::vector<std::string> names;
  bool bad = false;
  for (const v1::CertificateInfo& info : infos) {
    names.push_back(stored ? "certificate/" + info.certificate() : info.serial());
    bad = bad || has_error(info);
    for (const v1::Diagnostic& d : info.diagnostics()) session.diagnostic(d);
  }
  session.emit(to_json_array(infos), names, [&](bool wide) { return certificates_table(infos, wide, stored, session.paint()); });
  return bad ? static_cast<int>(ExitCode::kNo) : 0;
}

// Without a control plane: what apply would say of it.
absl::StatusOr<int> check_file(Session& session, const CertOptions& options) {
  GW_ASSIGN_OR_RETURN(std::string pem, read_small_file(options.file, kMaxSecretBytes));
  DiagnosticList found;
  v1::CertificateInfo info;
  bool with_key = look_at_pem(pem).keys > 0;
  absl::StatusOr<KeyPairFacts> pair = with_key ? parse_key_pair(pem) : parse_chain(pem);
  if (pair.ok()) {
    const CertificateFacts& leaf = pair->leaf();
    for (const std::string& name : leaf.dns) info.add_names(name);
    for (const std::string& name : leaf.ip) info.add_names(name);
    info.set_serial(leaf.serial);
    info.set_key(leaf.key_text);
    info.set_issuer(leaf.issuer);
    info.set_not_before(leaf.not_before);
    info.set_not_after(leaf.not_after);
    info.set_sha256(leaf.sha256);
    info.set_chain(static_cast<int>(pair->chain.size()));
    for (const std::string& host : options.hosts) info.add_hosts(host);
    check_dates({}, "", *pair, session.env().clock->wall_ns() / 1'000'000'000, found);
    check_hosts({}, "", info.hosts(), leaf, found);
    if (!with_key) session.talk("the file has no private key; whether one fits is not checked");
  } else {
    found.error("GW1440", {}, "", message_of(pair.status()));
  }
  for (Diagnostic& d : found.items()) {
    d.set_file(options.file);
    *info.add_diagnostics() = d;
  }
  Infos infos;
  *infos.Add() = std::move(info);
  return show(session, infos, false);
}

// The Secret of the Certificate that the new pair belongs into: that of its kind of key.
absl::StatusOr<v1::CertificateInfo> pick_pair(const Infos& infos, const CertOptions& options, const KeyPairFacts& pair) {
  const v1::CertificateInfo* found = nullptr;
  std::string names;
  std::string kind = pair.leaf().key_text.substr(0, pair.leaf().key_text.find(' '));
  for (const v1::CertificateInfo& info : infos) {
    names += (names.empty() ? "" : ", ") + info.secret() + " (" + info.key() + ")";
    bool named = info.secret() == options.secret || info.secret().ends_with("/" + options.secret);
    bool fits = options.secret.empty() ? info.key().substr(0, info.key().find(' ')) == kind : named;
    if (fits) found = &info;
  }
  if (found != nullptr) return *found;
  if (infos.size() == 1 && options.secret.empty()) return infos[0];  // another kind of key in place of the only one
  return failure(ExitCode::kNotFound, "Certificate " + options.name + " has no key pair " + (options.secret.empty() ? "with a key of kind " + kind : options.secret) +
                                          "; it has " + names + "; say which with --secret");
}

}  // namespace

absl::StatusOr<int> run_cert_check(Session& session, const CertOptions& options) {
  if (!options.file.empty()) {
    if (!options.name.empty()) return usage_error("give NAME or --file FILE, not both");
    return check_file(session, options);
  }
  if (!options.hosts.empty()) return usage_error("--host goes with --file; a Certificate names its hosts itself");
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  v1::ListCertificatesRequest request;
  request.set_certificate(options.name);
  GW_ASSIGN_OR_RETURN(v1::ListCertificatesResponse found, client->list_certificates(request));
  if (found.certificates().empty() && !session.machine_output()) session.talk("there is none");
  return show(session, found.certificates(), true);
}

absl::StatusOr<int> run_cert_rotate(Session& session, const CertOptions& options) {
  GW_RETURN_IF_ERROR(check_wait_options(options.wait));
  GW_ASSIGN_OR_RETURN(std::string pem, read_small_file(options.file, kMaxSecretBytes));
  absl::StatusOr<KeyPairFacts> pair = parse_key_pair(pem);
  if (!pair.ok()) return failure(ExitCode::kRefused, options.file + ": " + message_of(pair.status()));
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  v1::ListCertificatesRequest request;
  request.set_certificate(options.name);
  GW_ASSIGN_OR_RETURN(v1::ListCertificatesResponse before, client->list_certificates(request));
  GW_ASSIGN_OR_RETURN(v1::CertificateInfo old, pick_pair(before.certificates(), options, *pair));
  GW_ASSIGN_OR_RETURN(v1::ApplyResponse done, store_secret(session, old.secret(), std::move(pem), options.message));
  for (const v1::Diagnostic& d : done.diagnostics()) session.diagnostic(d);
  Verdict verdict;
  if (done.certificates_version() > 0 && !options.wait.no_wait) {
    GW_ASSIGN_OR_RETURN(verdict, wait_for_rollout(session, {.certificates = done.certificates_version()}, options.wait));
  }
  request.set_certificate(old.certificate());
  GW_ASSIGN_OR_RETURN(v1::ListCertificatesResponse after, client->list_certificates(request));
  v1::CertificateInfo now;
  for (const v1::CertificateInfo& info : after.certificates()) {
    if (info.secret() == old.secret()) now = info;
  }
  Json json = to_json(now);
  json["serialBefore"] = old.serial();
  json["certificatesVersion"] = after.certificates_version();
  session.emit(json, {"certificate/" + now.certificate()}, [&](bool) {
    std::string text = "Certificate " + now.certificate() + "  serial " + old.serial() + " -> " + now.serial() + "  " + now.key() + "  until " + time_text(now.not_after()) + "\n";
    for (const std::string& node : now.serving()) text += "  node " + node + "  " + painted("serves it", Style::kGood, session.paint()) + "\n";
    for (const std::string& node : now.waiting()) text += "  node " + node + "  " + painted("not yet", Style::kBad, session.paint()) + "\n";
    return text + "in force on " + serving_text(now) + " nodes that hold it\n";
  });
  if (old.serial() != now.serial()) session.talk("undo with: gwctl cert rotate " + now.certificate() + " --from-file FILE-OF-BEFORE; the pair before is kept nowhere else");
  if (options.wait.no_wait || now.waiting().empty()) return 0;
  return verdict.status.phase() == "refused" ? static_cast<int>(ExitCode::kNo) : static_cast<int>(ExitCode::kTimeout);
}

}  // namespace gw::cli
