#include "host/io/run_record.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "widelab/base/errors.hpp"

namespace widelab::io {
namespace {

using Json = nlohmann::ordered_json;

RecordValue list_from(const Json& list) {
  const bool numbers = std::all_of(list.begin(), list.end(), [](const Json& item) {
    return item.is_number() || item.is_null();
  });
  if (!list.empty() && numbers) {
    std::vector<double> values;
    for (const Json& item : list) {
      values.push_back(item.is_null() ? std::numeric_limits<double>::quiet_NaN() : item.get<double>());
    }
    return values;
  }
  std::vector<std::string> values;
  for (const Json& item : list) values.push_back(item.is_string() ? item.get<std::string>() : item.dump());
  return values;
}

RecordValue value_from(const Json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_null()) return std::numeric_limits<double>::quiet_NaN();
  if (json.is_array()) return list_from(json);
  return json.get<std::string>();
}

void flatten(const Json& object, const std::string& prefix, RunRecord& record) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) {
      flatten(value, prefix + key + ".", record);
    } else {
      record.set(prefix + key, value_from(value));
    }
  }
}

}  // namespace

void RunRecord::set(const std::string& path, RecordValue value) {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry.first == path; });
  if (found != entries_.end()) {
    found->second = std::move(value);
  } else {
    entries_.emplace_back(path, std::move(value));
  }
}

const RecordValue* RunRecord::find(const std::string& path) const {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry.first == path; });
  return found == entries_.end() ? nullptr : &found->second;
}

std::string RunRecord::to_json() const {
  Json root = Json::object();
  for (const auto& [path, value] : entries_) {
    Json* node = &root;
    std::size_t begin = 0;
    for (std::size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', begin)) {
      node = &(*node)[path.substr(begin, dot - begin)];
      begin = dot + 1;
    }
    std::visit([&](const auto& held) { (*node)[path.substr(begin)] = held; }, value);
  }
  return root.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

RunRecord RunRecord::from_json(const std::string& text, const std::string& source) {
  const Json root = Json::parse(text, nullptr, false);
  if (!root.is_object()) {
    throw DataError("'" + source + "' is not a JSON object. Way out: run again with --resume, which writes it anew.");
  }
  RunRecord record;
  flatten(root, "", record);
  return record;
}

}  // namespace widelab::io
