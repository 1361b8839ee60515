// Findings about configuration: one type (gw.v1.Diagnostic) from the YAML loader to RPC error details.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "gw/v1/diagnostic.pb.h"

namespace gw {

using Diagnostic = v1::Diagnostic;

// Which object a finding is about; `object` is owner/name.
struct ObjectLabel {
  std::string kind;
  std::string object;
};

// Collects findings; order is the order of discovery. Not thread-safe.
class DiagnosticList {
 public:
  // Most findings kept; more are counted and named in one last entry, so that a broken 100 MB file gives a readable answer.
  static constexpr size_t kMax = 200;

  // The entry may be filled in further (cure, related) until the next call.
  Diagnostic& error(std::string_view code, const ObjectLabel& label, std::string_view path, std::string_view message);
  Diagnostic& warning(std::string_view code, const ObjectLabel& label, std::string_view path, std::string_view message);
  void add(Diagnostic d);
  void append(const DiagnosticList& other);

  bool has_errors() const { return errors_ > 0; }
  bool empty() const { return items_.empty(); }
  size_t errors() const { return errors_; }
  size_t dropped() const { return dropped_; }
  const std::vector<Diagnostic>& items() const { return items_; }
  std::vector<Diagnostic>& items() { return items_; }

 private:
  Diagnostic& push(Diagnostic d);

  std::vector<Diagnostic> items_;
  Diagnostic overflow_;
  size_t errors_ = 0;
  size_t dropped_ = 0;
};

// One line as people read it:
//   conference.yaml:52:11: error GW1004: Route attendees/attendees: spec.polices: unknown field; did you mean "policies"?
// Without file or line those parts are left out.
std::string to_text(const Diagnostic& d);

// A Status that carries the findings (message: the first error's text and how many more), and back.
absl::Status to_status(const DiagnosticList& list, absl::StatusCode code);
bool diagnostics_of(const absl::Status& status, DiagnosticList& out);

// What `gwctl explain GW1004` prints: title and explanation; empty title when the code is unknown.
struct CodeInfo {
  std::string_view code;
  std::string_view title;
  std::string_view explanation;
};
const CodeInfo* find_code(std::string_view code);
const std::vector<CodeInfo>& all_codes();

// The word of `words` nearest to `word` (edit distance at most 2, and less than half of its length), or empty.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& words);

}  // namespace gw
