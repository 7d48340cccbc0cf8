// Transitions and high time of the one-bit nets of one scope of a VCD, in several windows of time.
//
// The file is read once, from front to back: a pipe will do. A transition is a change from 0 to 1 or
// back that lasts beyond its time stamp; x and z count as unknown time. Windows are half open
// [begin, end) in units of the dump, ascending, not overlapping.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

constexpr int kRise = 0, kFall = 1, kHigh = 2, kUnknown = 3, kFields = 4;

struct Net {
  std::string name;
  size_t code;
};

struct Activity {
  std::vector<Net> nets;
  int64_t changes = 0, last_time = 0;
  std::string error;
  std::vector<int64_t> counts;  // [net][window][field]
};

/// Reads white-space separated words from a stream in large pieces.
class Words {
 public:
  explicit Words(FILE* file) : file_(file), buffer_(1 << 20) {}

  bool next(std::string& word) {
    word.clear();
    int c = get();
    while (c == ' ' || c == '\n' || c == '\t' || c == '\r') c = get();
    for (; c >= 0 && c != ' ' && c != '\n' && c != '\t' && c != '\r'; c = get()) word.push_back(static_cast<char>(c));
    return !word.empty();
  }

 private:
  int get() {
    if (at_ == size_) {
      size_ = fread(buffer_.data(), 1, buffer_.size(), file_);
      at_ = 0;
      if (size_ == 0) return -1;
    }
    return static_cast<unsigned char>(buffer_[at_++]);
  }

  FILE* file_;
  std::vector<char> buffer_;
  size_t at_ = 0, size_ = 0;
};

size_t code_number(const char* text) {
  size_t number = 0;
  for (; *text; text++) number = number * 95 + static_cast<size_t>(*text - 32);
  return number;
}

/// State of one identifier of the dump.
struct Signal {
  char value = 'x', next = 'x';
  bool waiting = false;
  int64_t since = 0;
};

class Counter {
 public:
  Counter(int windows, const int64_t* begins, const int64_t* ends)
      : begins_(begins, begins + windows), ends_(ends, ends + windows) {}

  void change(size_t code, char value) {
    auto found = index_.find(code);
    if (found == index_.end()) return;
    Signal& signal = signals_[found->second];
    signal.next = value;
    if (!signal.waiting) {
      signal.waiting = true;
      waiting_.push_back(found->second);
    }
  }

  /// Values of the time stamp that ends are final.
  void settle() {
    for (size_t i : waiting_) {
      Signal& signal = signals_[i];
      signal.waiting = false;
      if (signal.next == signal.value) continue;
      hold(i, now_);
      const size_t window = window_at(now_);
      if (window < begins_.size()) {
        if (signal.value == '0' && signal.next == '1') at(i, window, kRise)++;
        if (signal.value == '1' && signal.next == '0') at(i, window, kFall)++;
      }
      signal.value = signal.next;
      changes++;
    }
    waiting_.clear();
  }

  void advance(int64_t time) {
    settle();
    now_ = time;
  }

  void finish() {
    settle();
    for (size_t i = 0; i < signals_.size(); i++) hold(i, INT64_MAX);
  }

  void add(size_t code) {
    if (index_.emplace(code, signals_.size()).second) {
      signals_.emplace_back();
      counts_.resize(signals_.size() * begins_.size() * kFields);
    }
  }

  int64_t& at(size_t signal, size_t window, int field) {
    return counts_[(signal * begins_.size() + window) * kFields + static_cast<size_t>(field)];
  }

  size_t signal_of(size_t code) const { return index_.at(code); }
  int64_t now() const { return now_; }
  int64_t changes = 0;

 private:
  /// The value held from `since` to `until` goes to the windows it overlaps.
  void hold(size_t i, int64_t until) {
    Signal& signal = signals_[i];
    if (signal.value != '0') {
      const int field = signal.value == '1' ? kHigh : kUnknown;
      for (size_t w = 0; w < begins_.size(); w++) {
        const int64_t from = signal.since > begins_[w] ? signal.since : begins_[w];
        const int64_t to = until < ends_[w] ? until : ends_[w];
        if (to > from) at(i, w, field) += to - from;
      }
    }
    signal.since = until;
  }

  size_t window_at(int64_t time) const {
    for (size_t w = 0; w < begins_.size(); w++)
      if (time >= begins_[w] && time < ends_[w]) return w;
    return begins_.size();
  }

  std::vector<int64_t> begins_, ends_, counts_;
  std::unordered_map<size_t, size_t> index_;
  std::vector<Signal> signals_;
  std::vector<size_t> waiting_;
  int64_t now_ = 0;
};

std::string joined(const std::vector<std::string>& scopes) {
  std::string path;
  for (const auto& scope : scopes) path += (path.empty() ? "" : ".") + scope;
  return path;
}

void read(FILE* file, const std::string& scope, Counter& counter, Activity& result) {
  Words words(file);
  std::string word;
  std::vector<std::string> scopes, fields;
  while (words.next(word)) {
    const char first = word[0];
    if (first == '$') {
      if (word == "$end" || word == "$dumpvars" || word == "$dumpall" || word == "$dumpon" || word == "$dumpoff")
        continue;
      const std::string keyword = word;
      fields.clear();
      while (words.next(word) && word != "$end") fields.push_back(word);
      if (keyword == "$scope" && fields.size() == 2) scopes.push_back(fields[1]);
      if (keyword == "$upscope" && !scopes.empty()) scopes.pop_back();
      if (keyword == "$var" && fields.size() >= 4 && fields[1] == "1" && joined(scopes) == scope) {
        const size_t code = code_number(fields[2].c_str());
        counter.add(code);
        result.nets.push_back({fields[3][0] == '\\' ? fields[3].substr(1) : fields[3], code});
      }
    } else if (first == '#') {
      const int64_t time = strtoll(word.c_str() + 1, nullptr, 10);
      if (time < counter.now()) {
        result.error = "time goes back to " + word;
        return;
      }
      counter.advance(time);
    } else if (first == '0' || first == '1') {
      counter.change(code_number(word.c_str() + 1), first);
    } else if (first == 'x' || first == 'z') {
      counter.change(code_number(word.c_str() + 1), 'x');
    } else if (first == 'b' || first == 'r') {
      words.next(word);  // a vector: not counted
    } else {
      result.error = "unexpected word '" + word + "'";
      return;
    }
  }
}

}  // namespace

extern "C" {

/// Read `path`; free the result with vcd_free.
Activity* vcd_read(const char* path, const char* scope, int windows, const int64_t* begins, const int64_t* ends) {
  auto* result = new Activity;
  FILE* file = fopen(path, "r");
  if (!file) {
    result->error = "cannot be opened";
    return result;
  }
  Counter counter(windows, begins, ends);
  read(file, scope, counter, *result);
  fclose(file);
  counter.finish();
  result->changes = counter.changes;
  result->last_time = counter.now();
  for (const Net& net : result->nets)
    for (int w = 0; w < windows; w++)
      for (int f = 0; f < kFields; f++)
        result->counts.push_back(counter.at(counter.signal_of(net.code), static_cast<size_t>(w), f));
  return result;
}

int64_t vcd_nets(const Activity* activity) { return static_cast<int64_t>(activity->nets.size()); }
int64_t vcd_changes(const Activity* activity) { return activity->changes; }
int64_t vcd_last_time(const Activity* activity) { return activity->last_time; }
const char* vcd_error(const Activity* activity) { return activity->error.c_str(); }
const char* vcd_name(const Activity* activity, int64_t net) {
  return activity->nets[static_cast<size_t>(net)].name.c_str();
}
/// int64 [net][window][rise, fall, high time, unknown time].
const int64_t* vcd_counts(const Activity* activity) { return activity->counts.data(); }
void vcd_free(Activity* activity) { delete activity; }
}
