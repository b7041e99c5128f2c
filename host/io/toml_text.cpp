#include "host/io/toml_text.hpp"

#include <string_view>

namespace widelab::io {
namespace {

/// Length of the string literal that begins at `at`, up to the end of the text or, for one of a single line, of the
/// line if it is not closed.
std::size_t literal_length(const std::string& text, std::size_t at) {
  const char quote = text[at];
  const std::string closing(3, quote);
  const bool multi_line = text.compare(at, 3, closing) == 0;
  std::size_t i = at + (multi_line ? 3 : 1);
  for (; i < text.size(); ++i) {
    if (text[i] == '\\' && quote == '"') {
      ++i;
    } else if (multi_line && text.compare(i, 3, closing) == 0) {
      return i + 3 - at;
    } else if (!multi_line && (text[i] == quote || text[i] == '\n')) {
      return i + 1 - at;
    }
  }
  return text.size() - at;
}

TextPlace place_of(const std::string& text, std::size_t at) {
  TextPlace place;
  for (std::size_t i = 0; i < at; ++i) {
    place.column = text[i] == '\n' ? 1 : place.column + 1;
    place.line += text[i] == '\n' ? 1 : 0;
  }
  return place;
}

}  // namespace

std::optional<TextPlace> stray_character(const std::string& text) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  std::size_t i = text.rfind(kByteOrderMark, 0) == 0 ? kByteOrderMark.size() : 0;
  while (i < text.size()) {
    if (text[i] == '"' || text[i] == '\'') {
      i += literal_length(text, i);
    } else if (text[i] == '#') {
      i = text.find('\n', i);
      if (i == std::string::npos) break;
    } else if (static_cast<unsigned char>(text[i]) >= 0x80) {
      return place_of(text, i);
    } else {
      ++i;
    }
  }
  return std::nullopt;
}

std::string quote_bare_words(const std::string& text) {
  if (text.find_first_of("\"'\n") != std::string::npos) return text;
  std::string out;
  std::string word;
  const auto flush = [&] {
    word.erase(word.find_last_not_of(' ') + 1);
    word.erase(0, word.find_first_not_of(' '));
    const bool number = word.find_first_of("0123456789") != std::string::npos &&
                        word.find_first_not_of("0123456789+-_.eE") == std::string::npos;
    const bool keyword = word == "true" || word == "false" || word == "nan" || word == "inf";
    out += word.empty() || number || keyword ? word : "\"" + word + "\"";
    word.clear();
  };
  for (const char ch : text) {
    if (ch == '[' || ch == ']' || ch == ',') {
      flush();
      out += ch;
    } else if (ch == '\\') {
      word += "\\\\";
    } else {
      word += ch;
    }
  }
  flush();
  return out;
}

}  // namespace widelab::io
