#include <re2/re2.h>

#include "common/base/status.h"
#include "dataplane/routing/route_match.h"

namespace gw {
namespace {

re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

std::string shared_front(const std::string& a, const std::string& b) {
  size_t n = 0;
  while (n < a.size() && n < b.size() && a[n] == b[n]) ++n;
  return a.substr(0, n);
}

}  // namespace

Regex::~Regex() = default;

absl::StatusOr<std::shared_ptr<const Regex>> Regex::compile(std::string_view pattern) {
  if (pattern.empty()) return invalid_argument("the pattern is empty");
  if (pattern.size() > kMaxPattern) {
    return invalid_argument("the pattern has " + std::to_string(pattern.size()) + " bytes; the most is " +
                            std::to_string(kMaxPattern));
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxMemory);
  {  // By itself first: a pattern like `a)(b` is only an error without the group around it.
    re2::RE2 alone(piece(pattern), options);
    if (!alone.ok()) return invalid_argument(alone.error());
  }
  auto out = std::shared_ptr<Regex>(new Regex());
  out->pattern_ = std::string(pattern);
  out->re_ = std::make_unique<re2::RE2>("(" + out->pattern_ + ")", options);
  if (!out->re_->ok()) return invalid_argument(out->re_->error());
  std::string least, most;
  if (out->re_->PossibleMatchRange(&least, &most, 64)) out->common_prefix_ = shared_front(least, most);
  return std::shared_ptr<const Regex>(std::move(out));
}

bool Regex::matches(std::string_view text) const {
  // Asking for one group keeps RE2 off its DFA (and its lock) where the text is small.
  re2::StringPiece groups[2];
  return re_->Match(piece(text), 0, text.size(), re2::RE2::ANCHOR_BOTH, groups, 2);
}

}  // namespace gw
