#include "common/base/diagnostic.h"

#include <algorithm>

#include "common/base/status.h"

namespace gw {
namespace {

constexpr char kPayloadUrl[] = "type.googleapis.com/gw.v1.Diagnostics";

Diagnostic make(Diagnostic::Severity severity, std::string_view code, const ObjectLabel& label, std::string_view path,
                std::string_view message) {
  Diagnostic d;
  d.set_severity(severity);
  d.set_code(std::string(code));
  d.set_kind(label.kind);
  d.set_object(label.object);
  d.set_path(std::string(path));
  d.set_message(std::string(message));
  return d;
}

}  // namespace

Diagnostic& DiagnosticList::push(Diagnostic d) {
  if (d.severity() == Diagnostic::ERROR) ++errors_;
  if (items_.size() >= kMax) {
    ++dropped_;
    overflow_ = std::move(d);
    return overflow_;
  }
  items_.push_back(std::move(d));
  return items_.back();
}

Diagnostic& DiagnosticList::error(std::string_view code, const ObjectLabel& label, std::string_view path,
                                  std::string_view message) {
  return push(make(Diagnostic::ERROR, code, label, path, message));
}

Diagnostic& DiagnosticList::warning(std::string_view code, const ObjectLabel& label, std::string_view path,
                                    std::string_view message) {
  return push(make(Diagnostic::WARNING, code, label, path, message));
}

void DiagnosticList::add(Diagnostic d) { push(std::move(d)); }

void DiagnosticList::append(const DiagnosticList& other) {
  for (const Diagnostic& d : other.items_) push(d);
  dropped_ += other.dropped_;
}

std::string to_text(const Diagnostic& d) {
  std::string out;
  if (!d.file().empty()) {
    out += d.file();
    if (d.line() > 0) out += ":" + std::to_string(d.line()) + ":" + std::to_string(d.column());
    out += ": ";
  }
  out += d.severity() == Diagnostic::WARNING ? "warning " : d.severity() == Diagnostic::INFO ? "info " : "error ";
  out += d.code() + ": ";
  if (!d.node().empty()) out += "node " + d.node() + ": ";
  if (!d.kind().empty()) {
    out += d.kind();
    if (!d.object().empty()) out += " " + d.object();
    out += ": ";
  }
  if (!d.path().empty()) out += d.path() + ": ";
  out += d.message();
  if (!d.cure().empty()) out += "; " + d.cure();
  if (d.related_size() > 0) {
    out += " (see ";
    for (int i = 0; i < d.related_size(); ++i) out += (i > 0 ? ", " : "") + d.related(i);
    out += ")";
  }
  return out;
}

absl::Status to_status(const DiagnosticList& list, absl::StatusCode code) {
  v1::Diagnostics payload;
  std::string text;
  for (const Diagnostic& d : list.items()) {
    *payload.add_items() = d;
    if (text.empty() && d.severity() == Diagnostic::ERROR) text = to_text(d);
  }
  if (list.errors() > 1) text += " (and " + std::to_string(list.errors() - 1) + " more)";
  absl::Status status = make_status(code, text);
  std::string bytes = payload.SerializeAsString();
  status.SetPayload(kPayloadUrl, absl::Cord(bytes));
  return status;
}

bool diagnostics_of(const absl::Status& status, DiagnosticList& out) {
  auto payload = status.GetPayload(kPayloadUrl);
  if (!payload) return false;
  v1::Diagnostics items;
  if (!items.ParseFromString(std::string(*payload))) return false;
  for (const Diagnostic& d : items.items()) out.add(d);
  return true;
}

const CodeInfo* find_code(std::string_view code) {
  for (const CodeInfo& info : all_codes()) {
    if (info.code == code) return &info;
  }
  return nullptr;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& words) {
  size_t best = 3;
  std::string found;
  for (const std::string& candidate : words) {
    if (candidate.size() > 128 || word.size() > 128) continue;
    std::vector<size_t> row(candidate.size() + 1), before(candidate.size() + 1);
    for (size_t j = 0; j <= candidate.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= word.size(); ++i) {
      std::vector<size_t> last = row;
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j <= candidate.size(); ++j) {
        size_t above = row[j];
        char a = word[i - 1], b = candidate[j - 1];
        bool same = a == b || (a | 0x20) == (b | 0x20);
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (same ? 0 : 1)});
        bool swapped = i > 1 && j > 1 && a == candidate[j - 2] && word[i - 2] == b;
        if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
        diagonal = above;
      }
      before.swap(last);
    }
    size_t distance = row[candidate.size()];
    if (distance < best && distance * 2 < std::max(word.size(), candidate.size())) {
      best = distance;
      found = candidate;
    }
  }
  return found;
}

}  // namespace gw
