// Looks at TOML text before the library does.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace widelab::io {

struct TextPlace {
  std::size_t line = 1;
  std::size_t column = 1;  ///< in bytes
};

/// The first character beyond ASCII that stands outside quotes and comments, where TOML allows none (curly quotes
/// from a word processor, for example). toml++ 3.3 has undefined behaviour there.
std::optional<TextPlace> stray_character(const std::string& text);

/// Puts quotes around bare words, in lists as well: [relu, erf] -> ["relu", "erf"]. Text that has quotes already
/// comes back as it is.
std::string quote_bare_words(const std::string& text);

}  // namespace widelab::io
