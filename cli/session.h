// One run of gwctl: its global flags, where its words go, and its connection, which is made when a command first asks
// for it. Owner: run_gwctl, on its stack; one thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/client.h"
#include "cli/environment.h"
#include "cli/output.h"
#include "cli/settings.h"
#include "common/base/diagnostic.h"

namespace gw::cli {

// Flags that every command takes.
struct Globals {
  Format format = Format::kTable;
  bool no_headers = false;
  std::vector<std::string> labels;  // k=v
  bool watch = false;
  bool quiet = false;
  std::string color = "auto";
  bool no_input = false;
  bool yes = false;
  ConnectionFlags connection;
};

class Session {
 public:
  Session(const Environment& env, Globals globals);

  const Environment& env() const { return env_; }
  const Globals& globals() const { return globals_; }
  bool machine_output() const { return globals_.format == Format::kJson || globals_.format == Format::kYaml; }

  // Connection and settings, resolved at the first call.
  absl::StatusOr<AdminClient*> client();
  absl::StatusOr<Settings> settings();
  absl::StatusOr<Settings> offline_settings();
  // The pairs of -l.
  absl::StatusOr<std::vector<v1::Pair>> labels() const;

  // Data, in the format that was asked for. `human` makes the text for table and wide.
  void emit(const Json& json, const std::vector<std::string>& names, const std::function<std::string(bool wide)>& human);
  void write(std::string_view text);  // data as it is
  const Paint& paint() const { return paint_; }

  // Talk: stderr, silent under -q.
  void talk(std::string_view line);
  // A line on the terminal that the next one replaces; nothing where stderr is no terminal.
  void progress(std::string_view line);
  void diagnostic(const Diagnostic& d);
  // Places server diagnostics in the files that were read; set by the loading commands.
  void set_locator(std::function<void(Diagnostic&)> locator) { locator_ = std::move(locator); }

  // Asks `question` on the terminal. OK: go on. Without a terminal or under --no-input only -y says yes.
  absl::Status confirm(const std::string& question);
  // Writes what went wrong to stderr; the process's exit code.
  int fail(const absl::Status& status);

 private:
  const Environment& env_;
  Globals globals_;
  Paint paint_;      // of stdout
  Paint err_paint_;  // of stderr
  std::unique_ptr<Settings> settings_;
  std::unique_ptr<AdminClient> client_;
  std::function<void(Diagnostic&)> locator_;
  bool progress_shown_ = false;
};

}  // namespace gw::cli
