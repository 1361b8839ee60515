// Every diagnostic code with what `gwctl explain GWnnnn` says of it. Ranges: 10xx reading YAML, 11xx values, 12xx
// references and ownership, 13xx claims and routes, 14xx policies and gateways, 15xx plans, products and subscriptions,
// 16xx sizes, 20xx warnings, 30xx nodes, 40xx control plane.
#include "common/base/diagnostic.h"

namespace gw {

const std::vector<CodeInfo>& all_codes() {
  static const std::vector<CodeInfo> codes = {
      {"GW1001", "not readable as YAML", "The text breaks YAML's own rules at this place: indentation, quotes, brackets or a tab where spaces must be. Nothing after it in this file was read."},
      {"GW1002", "file too large", "One file may have 16 MiB. Larger ones are refused before they are parsed; split them."},
      {"GW1003", "too many or too deep", "A file may unfold into 1,000,000 YAML nodes and 64 levels of nesting. An alias counts as all that it stands for, so that a small file cannot unfold into a huge one."},
      {"GW1004", "unknown field", "The object has no field of this name. Field names are case-sensitive; `gwctl explain KIND.path` lists those that exist."},
      {"GW1005", "key twice", "YAML readers differ in which of two equal keys they take, so both are refused."},
      {"GW1006", "YAML feature that is not taken", "Tags (`!!str`), merge keys (`<<`) and keys that are not text are refused: the type of a value comes from its field, and every field stands where it is read."},
      {"GW1007", "cycle", "An alias refers to a node that contains it."},
      {"GW1008", "unknown kind", "`kind` must be one of the kinds that `gwctl explain` lists; capital letter first, singular."},
      {"GW1009", "unknown apiVersion", "Every document begins with `apiVersion: gw/v1`."},
      {"GW1010", "not supported by this version", "The format has this name, this version of Northgate does not. Leave it out, or use a version that has it."},
      {"GW1011", "wrong type", "A mapping stands where a text is wanted, a text where a list is, or the like. `gwctl explain KIND.path` says what the field takes."},
      {"GW1012", "not a text file", "The file has bytes that are not UTF-8, or control bytes such as NUL."},
      {"GW1014", "object twice", "Two documents have the same kind, owner and name. One of them would silently win."},
      {"GW1015", "refused on purpose", "People ask for this field, and it is left out for the reason that the message gives."},
      {"GW1101", "required field missing", "The field must be written and not be empty."},
      {"GW1102", "out of range", "The number is smaller or larger than the field allows; `gwctl explain KIND.path` names the range."},
      {"GW1103", "not a whole number", "Numbers are decimal digits with a `-` in front at most. `010`, `0x10`, `1_000`, `1e3` and numbers in quotes are refused, because YAML readers disagree on them."},
      {"GW1104", "not a duration", "Durations have a unit: `250ms`, `10s`, `5m`, `1h30m`, `1d`. A bare number is refused: nobody can tell seconds from milliseconds."},
      {"GW1105", "not a size", "Sizes are a number of bytes, or have one of the units KiB, MiB, GiB, TiB (1024). `KB` and the like are refused: some read them as 1000."},
      {"GW1106", "neither true nor false", "Only `true` and `false`, without quotes. `yes`, `no`, `on` and `off` are booleans to some YAML readers and text to others."},
      {"GW1107", "unknown word", "The field takes one of a few words; `gwctl explain KIND.path` lists them."},
      {"GW1108", "text does not fit", "The text does not have the form that the field needs: a name, host, path, address range, method, date, and so on. The message says what is wrong with it."},
      {"GW1109", "too long or too many", "Texts and lists have a largest size; `gwctl explain KIND.path` names it."},
      {"GW1110", "exactly one", "Exactly one of these fields must be written: they are different ways to say one thing."},
      {"GW1111", "at least one", "The object says nothing without at least one of these fields."},
      {"GW1112", "empty value", "A list's element or a mapping's value is empty. Write `\"\"` where an empty text is meant."},
      {"GW1114", "unknown type", "The `type` is none that this version has; it decides which fields `config` takes."},
      {"GW1115", "unknown to this build", "The object was made by a newer program and has something that this build does not understand. It is refused rather than half applied."},
      {"GW1116", "name twice", "The same name is there twice where each may stand once."},
  };
  return codes;
}

}  // namespace gw
