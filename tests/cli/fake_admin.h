// An admin API that answers what the test has put in, and remembers what it was asked.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "cli/client.h"

namespace gw::cli {

struct FakeAdminState {
  // Answers by name of the call ("apply"); a call without one is a failure with UNIMPLEMENTED.
  std::map<std::string, std::string> answers;  // serialized
  std::map<std::string, absl::Status> failures;
  // One list per call of watch_rollout; each ends OK, or with the status that stands in `watch_ends`.
  std::deque<std::vector<v1::RolloutStatus>> watches;
  std::deque<absl::Status> watch_ends;
  std::vector<v1::ObjectView> objects;  // list_objects filters these

  // What was asked, in order: name and serialized request.
  std::vector<std::pair<std::string, std::string>> calls;
  Endpoint endpoint;  // of the last connection

  template <class Response>
  void answer(const std::string& call, const Response& response) {
    answers[call] = response.SerializeAsString();
  }
  // The last request of that name.
  template <class Request>
  Request asked(const std::string& call) const {
    Request out;
    for (const auto& [name, bytes] : calls) {
      if (name == call) out.ParseFromString(bytes);
    }
    return out;
  }
  int count(const std::string& call) const;
};

std::unique_ptr<AdminClient> make_fake_admin(FakeAdminState& state);

}  // namespace gw::cli
