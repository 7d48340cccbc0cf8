// Event-driven simulation of a flat netlist with the delay of every path through every cell.
//
// An output takes the value of its function one path delay after a change of that function: the delay of the
// input that changed, the shortest if several did, for this edge. A pulse shorter than the delay is swallowed
// (inertial). Transitions are changes that last beyond their time stamp. Times are picoseconds.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace {

constexpr int kLogic = 0, kFlipFlop = 1, kLatch = 2, kClockGate = 3;
constexpr int kRise = 0, kFall = 1, kHigh = 2, kFields = 3;
constexpr int kRounds = 100000;  // of zero delay in one time stamp: more is a loop

}  // namespace

extern "C" {

/// An output of a cell; functions are truth tables over the cell's inputs, input i being bit i of the index.
struct Gate {
  uint64_t data;   // function, next state, or what a latch or clock gate lets through
  uint64_t clock;  // of state: a flip-flop takes over at its rise, a latch while it is 1, a clock gate while it is 0
  int32_t out, kind, first_arc, arcs, first_input, inputs;
};

/// A path from an input of a gate to its output.
struct Arc {
  int32_t input, rise, fall;
};

struct Run {
  const Gate* gates;
  const Arc* arcs;
  const int32_t* inputs;    // nets of the inputs of all gates
  const int32_t* ports;     // nets of the input ports
  const uint8_t* stimulus;  // [cycle][port]
  const int32_t* outputs;   // nets to sample
  uint8_t* samples;         // [cycle][output], at the end of the cycle
  const int64_t* begins;    // windows [begin, end), ascending
  const int64_t* ends;
  int64_t* counts;  // [net][window][rise, fall, high time]
  int64_t nets, num_gates, num_ports, cycles, num_outputs, windows;
  int64_t one, clock;                 // the net that is always 1, the clock's
  int64_t period, before, half;       // of the clock; when inputs change and outputs are sampled; when it falls
  int64_t events;                     // out: transitions in all
};
}

namespace {

class Simulation {
 public:
  explicit Simulation(Run& run) : run_(run) {
    value_.assign(run.nets, 0);
    start_.assign(run.nets, 0);
    touched_flag_.assign(run.nets, 0);
    since_.assign(run.nets, 0);
    state_.assign(run.num_gates, 0);
    changed_.assign(run.num_gates, 0);
    target_.assign(run.num_gates, 0);
    latched_.assign(run.num_gates, 0);
    last_clock_.assign(run.num_gates, 0);
    waiting_flag_.assign(run.num_gates, 0);
    int64_t longest = 1;
    first_reader_.assign(run.nets + 1, 0);
    for (int64_t g = 0; g < run.num_gates; g++) {
      const Gate& gate = run.gates[g];
      for (int i = 0; i < gate.inputs; i++) first_reader_[run.inputs[gate.first_input + i] + 1]++;
      for (int a = 0; a < gate.arcs; a++)
        longest = std::max<int64_t>({longest, run.arcs[gate.first_arc + a].rise, run.arcs[gate.first_arc + a].fall});
    }
    for (int64_t n = 0; n < run.nets; n++) first_reader_[n + 1] += first_reader_[n];
    readers_.resize(first_reader_[run.nets]);
    std::vector<int32_t> place(first_reader_.begin(), first_reader_.end() - 1);
    for (int64_t g = 0; g < run.num_gates; g++)
      for (int i = 0; i < run.gates[g].inputs; i++)
        readers_[place[run.inputs[run.gates[g].first_input + i]]++] = {static_cast<int32_t>(g), i};
    size_t slots = 64;
    while (slots <= static_cast<size_t>(longest)) slots *= 2;
    wheel_.resize(slots);
    used_.assign(slots / 64, 0);
    mask_ = static_cast<int64_t>(slots) - 1;
  }

  /// False if the netlist does not settle.
  bool go() {
    settle_at_zero();
    if (!ok_) return false;
    for (int64_t cycle = 0; cycle < run_.cycles; cycle++) {
      const int64_t start = cycle * run_.period;
      const uint8_t* word = run_.stimulus + cycle * run_.num_ports;
      run_until(start);
      step(start, run_.clock, 1, nullptr);
      run_until(start + run_.before);
      step(start + run_.before, -1, 0, word);
      run_until(start + run_.half);
      step(start + run_.half, run_.clock, 0, nullptr);
      run_until(start + run_.period - run_.before);
      for (int64_t i = 0; i < run_.num_outputs; i++)
        run_.samples[cycle * run_.num_outputs + i] = value_[run_.outputs[i]];
      if (!ok_) return false;
    }
    run_until(run_.cycles * run_.period);
    enter(run_.cycles * run_.period);
    return ok_;
  }

 private:
  struct Reader {
    int32_t gate, input;
  };

  /// Values that hold before the first edge, all registers 0.
  void settle_at_zero() {
    value_[run_.one] = 1;
    for (int64_t g = 0; g < run_.num_gates; g++) {
      const Gate& gate = run_.gates[g];
      for (int i = 0; i < gate.inputs; i++) state_[g] |= value_[run_.inputs[gate.first_input + i]] << i;
      last_clock_[g] = gate.clock >> state_[g] & 1;
      waiting_.push_back(static_cast<int32_t>(g));
      waiting_flag_[g] = 1;
    }
    for (int round = 0; !waiting_.empty(); round++) {
      if (round > kRounds) return void(ok_ = false);
      std::vector<int32_t> now;
      now.swap(waiting_);
      for (int32_t g : now) {
        waiting_flag_[g] = 0;
        target_[g] = evaluate(g);
        if (value_[run_.gates[g].out] != target_[g]) flip(run_.gates[g].out);
      }
    }
    for (int32_t net : touched_) touched_flag_[net] = 0;
    touched_.clear();
    std::fill(changed_.begin(), changed_.end(), 0);
  }

  uint8_t evaluate(int32_t g) {
    const Gate& gate = run_.gates[g];
    const uint8_t data = gate.data >> state_[g] & 1;
    if (gate.kind == kLogic) return data;
    const uint8_t clock = gate.clock >> state_[g] & 1;
    if (gate.kind == kLatch) return clock ? data : target_[g];
    if (gate.kind == kClockGate) {
      if (!clock) latched_[g] = data;
      return clock & latched_[g];
    }
    const bool edge = clock && !last_clock_[g];
    last_clock_[g] = clock;
    return edge ? data : target_[g];
  }

  int64_t delay(int32_t g, uint8_t to) const {
    const Gate& gate = run_.gates[g];
    int64_t found = -1, any = 0;
    for (int a = gate.first_arc; a < gate.first_arc + gate.arcs; a++) {
      const Arc& arc = run_.arcs[a];
      const int64_t time = to ? arc.rise : arc.fall;
      any = std::max(any, time);
      if ((changed_[g] >> arc.input & 1) && (found < 0 || time < found)) found = time;
    }
    return found < 0 ? any : found;
  }

  void flip(int32_t net) {
    if (!touched_flag_[net]) {
      touched_flag_[net] = 1;
      start_[net] = value_[net];
      touched_.push_back(net);
    }
    value_[net] ^= 1;
    for (int32_t r = first_reader_[net]; r < first_reader_[net + 1]; r++) {
      const Reader& reader = readers_[r];
      state_[reader.gate] ^= 1u << reader.input;
      if (!changed_[reader.gate]) moved_.push_back(reader.gate);
      changed_[reader.gate] |= 1u << reader.input;
      if (!waiting_flag_[reader.gate]) {
        waiting_flag_[reader.gate] = 1;
        waiting_.push_back(reader.gate);
      }
    }
  }

  void schedule(int64_t time, int32_t gate) {
    const int64_t slot = time & mask_;
    wheel_[slot].push_back(gate);
    used_[slot >> 6] |= 1ull << (slot & 63);
  }

  /// All that happens at `time`: what was scheduled, and the change of one net or of all ports.
  void step(int64_t time, int64_t net, uint8_t value, const uint8_t* word) {
    enter(time);
    if (net >= 0 && value_[net] != value) flip(static_cast<int32_t>(net));
    for (int64_t i = 0; word && i < run_.num_ports; i++)
      if (value_[run_.ports[i]] != word[i]) flip(run_.ports[i]);
    const int64_t slot = time & mask_;
    for (int round = 0;; round++) {
      if (round > kRounds) return void(ok_ = false);
      firing_.clear();
      firing_.swap(wheel_[slot]);
      for (int32_t g : firing_)
        if (value_[run_.gates[g].out] != target_[g]) flip(run_.gates[g].out);
      if (waiting_.empty()) break;
      evaluating_.clear();
      evaluating_.swap(waiting_);
      for (int32_t g : evaluating_) {
        waiting_flag_[g] = 0;
        const uint8_t to = evaluate(g);
        if (to == target_[g]) continue;
        target_[g] = to;
        schedule(time + delay(g, to), g);
      }
    }
    used_[slot >> 6] &= ~(1ull << (slot & 63));
    for (int32_t g : moved_) changed_[g] = 0;
    moved_.clear();
    for (int32_t n : touched_) {
      touched_flag_[n] = 0;
      if (value_[n] == start_[n]) continue;
      run_.events++;
      if (inside_) {
        int64_t* count = run_.counts + (n * run_.windows + window_) * kFields;
        count[value_[n] ? kRise : kFall]++;
        if (!value_[n]) count[kHigh] += time - since_[n];
      }
      since_[n] = time;
    }
    touched_.clear();
  }

  /// Steps before `time`.
  void run_until(int64_t time) {
    while (now_ < time && ok_) {
      const int64_t slot = now_ & mask_;
      uint64_t bits = used_[slot >> 6] >> (slot & 63);
      if (!bits) {
        now_ += 64 - (slot & 63);
        continue;
      }
      now_ += __builtin_ctzll(bits);
      if (now_ >= time) break;
      step(now_, -1, 0, nullptr);
      now_++;
    }
    now_ = time;
  }

  /// Opens and closes windows up to `time`.
  void enter(int64_t time) {
    while (window_ < run_.windows) {
      if (inside_ && time >= run_.ends[window_]) {
        for (int64_t n = 0; n < run_.nets; n++)
          if (value_[n]) run_.counts[(n * run_.windows + window_) * kFields + kHigh] += run_.ends[window_] - since_[n];
        inside_ = false;
        window_++;
      } else if (!inside_ && time >= run_.begins[window_]) {
        std::fill(since_.begin(), since_.end(), run_.begins[window_]);
        inside_ = true;
      } else {
        return;
      }
    }
  }

  Run& run_;
  std::vector<uint8_t> value_, start_, touched_flag_, target_, latched_, last_clock_, waiting_flag_;
  std::vector<uint32_t> state_, changed_;
  std::vector<int64_t> since_;
  std::vector<int32_t> first_reader_, touched_, waiting_, moved_, firing_, evaluating_;
  std::vector<Reader> readers_;
  std::vector<std::vector<int32_t>> wheel_;
  std::vector<uint64_t> used_;
  int64_t mask_ = 0, now_ = 0, window_ = 0;
  bool inside_ = false, ok_ = true;
};

}  // namespace

/// Runs all cycles; 0 if the netlist does not settle.
extern "C" int simulate(Run* run) { return Simulation(*run).go() ? 1 : 0; }
