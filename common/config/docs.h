// Comments of the .proto files by full name ("gw.v1.Match.path"), from the embedded descriptor set.
// Internal to common/config. Thread-safe.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>

#include "common/config/schema.h"

namespace gw {

// Empty when there is none. Lines of one paragraph are joined.
const std::string& comment_of(const std::string& full_name);

// A field's own comment, else that of the message it holds.
const std::string& comment_of(const FieldSchema& field);

// What fits a format: "lower-case letters, digits, `-`; at most 63".
const std::string& format_text(v1::Format format);

// The first sentence.
std::string summary(const std::string& comment);

}  // namespace gw
