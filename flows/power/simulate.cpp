// Event-driven simulation of a flat netlist with the delay of every path through every cell.
//
// An output takes the value of its function one path delay after a change of that function: the delay of the
// input that changed, the shortest if several did, for this edge. A pulse shorter than the delay is swallowed
// (inertial). Transitions are changes that last beyond their time stamp. Times are picoseconds.
//
// After layout a delay is of the edge at the input, too, and a change that was taken back and comes again counts from
// its last cause. Before layout it counts from its first while that is under way, as in Icarus Verilog, with which
// transitions are compared then.
//
// A gate and the net that it drives share a cache line, in an order in which each comes after those that it reads,
// registers apart. Where only registers have a delay, gates are evaluated in that order, once in a time stamp.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace {

constexpr int kLogic = 0, kFlipFlop = 1, kLatch = 2, kClockGate = 3;
constexpr int kRise = 0, kFall = 1, kHigh = 2, kFields = 3;
constexpr int kMaxInputs = 6;
constexpr uint8_t kWaiting = 128;
constexpr int kRounds = 100000;  // of zero delay in one time stamp: more is a loop

}  // namespace

extern "C" {

/// An output of a cell; functions are truth tables over the cell's inputs, input i being bit i of the index.
struct Gate {
  uint64_t data;   // function, next state, or what a latch or clock gate lets through
  uint64_t clock;  // of state: a flip-flop takes over at its rise, a latch while it is 1, a clock gate while it is 0
  int32_t out, kind, first_arc, arcs, first_input, inputs;
};

/// A path from an input of a gate to its output: delays from a fall and a rise to a fall and a rise.
struct Arc {
  int32_t input, delay[2][2];
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
  int64_t routed;                     // delays are of a layout
  int64_t events;                     // out: transitions in all
};
}

namespace {

/// `Delay` is an integer that holds every delay, and kNone.
template <typename Delay, bool routed>
class Simulation {
 public:
  explicit Simulation(Run& run) : run_(run) {
    order();
    connect();
    find_delays();
  }

  /// False if the netlist does not settle.
  bool go() {
    settle_at_zero();
    if (!ok_) return false;
    const int32_t clock = place_[run_.clock];
    for (int64_t cycle = 0; cycle < run_.cycles; cycle++) {
      const int64_t start = cycle * run_.period;
      const uint8_t* word = run_.stimulus + cycle * run_.num_ports;
      run_until(start);
      step(start, clock, 1, nullptr);
      run_until(start + run_.before);
      step(start + run_.before, -1, 0, word);
      run_until(start + run_.half);
      step(start + run_.half, clock, 0, nullptr);
      run_until(start + run_.period - run_.before);
      for (int64_t i = 0; i < run_.num_outputs; i++)
        run_.samples[cycle * run_.num_outputs + i] = nodes_[place_[run_.outputs[i]]].value;
      if (!ok_) return false;
    }
    run_until(run_.cycles * run_.period);
    enter(run_.cycles * run_.period);
    return ok_;
  }

 private:
  static constexpr int kEdges = routed ? 2 : 1;  // of an input, that have delays of their own
  static constexpr Delay kNone = std::numeric_limits<Delay>::max();
  static constexpr int32_t kNobody = -1;

  /// A gate and the net that it drives, or a net that none does.
  struct alignas(64) Node {
    uint64_t data;
    int64_t high;            // times of falls less times of rises, in this window
    int64_t last;            // time stamp of the last change, if it lasts
    int32_t changes;         // in this window
    uint32_t first, end;     // in readers_
    uint8_t state, changed;  // bits of the inputs, and the kind above; those that changed in this time stamp, kWaiting
    uint8_t target, value;
    Delay delay[kMaxInputs][kEdges][2];  // of an input by its edge, to a fall and a rise; kNone: no path
  };

  /// What a gate that stores has beside.
  struct Store {
    uint64_t clock;
    uint8_t latched, last_clock;
  };

  /// A gate that fires, in the list of a time stamp.
  struct Event {
    int32_t gate, next;
  };

  /// Places of all nets: depth first from what their gates read, those that no gate drives last.
  void order() {
    std::vector<int32_t> driver(run_.nets, kNobody), stack;
    for (int64_t g = 0; g < run_.num_gates; g++) driver[run_.gates[g].out] = static_cast<int32_t>(g);
    place_.assign(run_.nets, kNobody);
    std::vector<uint8_t> opened(run_.num_gates, 0);
    for (int64_t root = 0; root < run_.num_gates; root++) {
      stack.push_back(static_cast<int32_t>(root));
      while (!stack.empty()) {
        const int32_t g = stack.back();
        const Gate& gate = run_.gates[g];
        if (opened[g]) {
          stack.pop_back();
          if (place_[gate.out] != kNobody) continue;
          place_[gate.out] = static_cast<int32_t>(order_.size());
          order_.push_back(g);
          continue;
        }
        opened[g] = 1;
        for (int i = 0; i < gate.inputs; i++) {
          const int32_t from = driver[run_.inputs[gate.first_input + i]];
          if (from != kNobody && !opened[from] && run_.gates[from].kind != kFlipFlop) stack.push_back(from);
        }
      }
    }
    int32_t next = static_cast<int32_t>(order_.size());
    for (int32_t& place : place_)
      if (place == kNobody) place = next++;
  }

  /// The node of input `i` of a gate.
  Node& source(const Gate& gate, int i) { return nodes_[place_[run_.inputs[gate.first_input + i]]]; }

  /// Nodes, and who reads them.
  void connect() {
    nodes_.assign(run_.nets, Node{});
    stores_.assign(order_.size(), Store{});
    waiting_.resize(order_.size() + 1);
    moving_.resize(order_.size() + 1);
    marked_.assign(order_.size() / 64 + 1, 0);
    opened_.assign(run_.nets, 0);
    due_.assign(routed ? order_.size() : 0, 0);
    for (int32_t g : order_)
      for (int i = 0; i < run_.gates[g].inputs; i++) source(run_.gates[g], i).end++;
    uint32_t total = 0;
    for (Node& node : nodes_) {
      node.last = -1;
      total += node.end;
      node.first = node.end = total - node.end;
    }
    readers_.resize(total);
    for (size_t g = 0; g < order_.size(); g++) {
      const Gate& gate = run_.gates[order_[g]];
      nodes_[g].data = gate.data;
      nodes_[g].state = static_cast<uint8_t>(gate.kind << kMaxInputs);
      stores_[g].clock = gate.clock;
      for (int i = 0; i < gate.inputs; i++) readers_[source(gate, i).end++] = static_cast<uint32_t>(g << 3 | i);
    }
  }

  /// Of every input the shortest delay of its paths.
  void find_delays() {
    int64_t longest = 1;
    for (size_t g = 0; g < order_.size(); g++) {
      const Gate& gate = run_.gates[order_[g]];
      for (auto& input : nodes_[g].delay)
        for (auto& delay : input) delay[0] = delay[1] = kNone;
      for (const Arc* arc = run_.arcs + gate.first_arc; arc < run_.arcs + gate.first_arc + gate.arcs; arc++)
        for (int from = 0; from < kEdges; from++)
          for (int to = 0; to < 2; to++) {
            const int32_t time = arc->delay[from][to];
            Delay& delay = nodes_[g].delay[arc->input][from][to];
            delay = std::min(delay, static_cast<Delay>(time));
            longest = std::max<int64_t>(longest, time);
            if (gate.kind == kFlipFlop ? gate.arcs > 1 || !time : time) in_order_ = false;
          }
    }
    size_t slots = 64;
    while (slots <= static_cast<size_t>(longest)) slots *= 2;
    wheel_.assign(slots, kNobody);
    used_.assign(slots / 64, 0);
    mask_ = static_cast<int64_t>(slots) - 1;
  }

  /// Values that hold before the first edge, all registers 0.
  void settle_at_zero() {
    nodes_[place_[run_.one]].value = 1;
    for (size_t g = 0; g < order_.size(); g++) {
      const Gate& gate = run_.gates[order_[g]];
      for (int i = 0; i < gate.inputs; i++) nodes_[g].state |= source(gate, i).value << i;
      stores_[g].last_clock = gate.clock >> (nodes_[g].state & kInputs) & 1;
      nodes_[g].changed = kWaiting;
      waiting_[count_++] = static_cast<int32_t>(g);
    }
    std::vector<int32_t> now;
    for (int round = 0; count_; round++) {
      if (round > kRounds) return void(ok_ = false);
      now.assign(waiting_.begin(), waiting_.begin() + count_);
      count_ = 0;
      for (int32_t g : now) {
        nodes_[g].changed = 0;
        nodes_[g].target = evaluate(g);
        if (nodes_[g].value != nodes_[g].target) flip<false>(g, -1);
      }
    }
    run_.events = 0;
  }

  uint8_t evaluate(int32_t g) {
    const Node& node = nodes_[g];
    const uint8_t data = node.data >> (node.state & kInputs) & 1;
    const int kind = node.state >> kMaxInputs;
    if (kind == kLogic) return data;
    Store& store = stores_[g];
    const uint8_t clock = store.clock >> (node.state & kInputs) & 1;
    if (kind == kLatch) return clock ? data : node.target;
    if (kind == kClockGate) {
      if (!clock) store.latched = data;
      return clock & store.latched;
    }
    const bool edge = clock && !store.last_clock;
    store.last_clock = clock;
    return edge ? data : node.target;
  }

  /// From the inputs that changed to the output; from any if it is none of those with a path.
  static Delay delay_of(const Node& node) {
    Delay found = kNone;
    for (unsigned bits = node.changed & kInputs; bits; bits &= bits - 1) {
      const int input = __builtin_ctz(bits), edge = routed ? node.state >> input & 1 : 0;
      found = std::min(found, node.delay[input][edge][node.target]);
    }
    if (found != kNone) return found;
    found = 0;
    for (const auto& input : node.delay)
      for (const auto& delay : input)
        if (delay[node.target] != kNone) found = std::max(found, delay[node.target]);
    return found;
  }

  /// Changes a net; its readers wait to be evaluated, in a list or `in_order`.
  template <bool in_order>
  void flip(int32_t number, int64_t time) {
    Node& net = nodes_[number];
    net.value ^= 1;
    net.high += net.value ? -time : time;
    const int once = net.last == time ? -1 : 1;  // back to what it was, in the same time stamp
    net.last = once > 0 ? time : -1;
    net.changes += once;
    run_.events += once;
    for (uint32_t r = net.first; r < net.end; r++) {
      const uint32_t g = readers_[r] >> 3, bit = 1u << (readers_[r] & 7);
      Node& node = nodes_[g];
      node.state ^= bit;
      if (in_order) {
        marked_[g / 64] |= 1ull << g % 64;
      } else {
        waiting_[count_] = static_cast<int32_t>(g);
        count_ += node.changed < kWaiting;
        node.changed |= bit | kWaiting;
      }
    }
  }

  void schedule(int64_t time, int32_t gate) {
    const int64_t slot = time & mask_;
    int32_t event = free_;
    if (event == kNobody) {
      event = static_cast<int32_t>(events_.size());
      events_.push_back({});
    } else {
      free_ = events_[event].next;
    }
    if (routed) due_[gate] = time;
    events_[event] = {gate, wheel_[slot]};
    wheel_[slot] = event;
    used_[slot >> 6] |= 1ull << (slot & 63);
  }

  /// Fires what was scheduled for `time`.
  template <bool in_order>
  void fire(int64_t time) {
    int32_t event = std::exchange(wheel_[time & mask_], kNobody);
    while (event != kNobody) {
      const auto [g, next] = std::exchange(events_[event], {0, free_});
      free_ = std::exchange(event, next);
      const bool last = !routed || due_[g] == time;
      if (last && nodes_[g].value != nodes_[g].target) flip<in_order>(g, time);
    }
  }

  /// All that happens at `time`: what was scheduled, and the change of one net or of all ports.
  void step(int64_t time, int32_t net, uint8_t value, const uint8_t* word) {
    enter(time);
    in_order_ ? step<true>(time, net, value, word) : step<false>(time, net, value, word);
    const int64_t slot = time & mask_;
    used_[slot >> 6] &= ~(1ull << (slot & 63));
  }

  template <bool in_order>
  void step(int64_t time, int32_t net, uint8_t value, const uint8_t* word) {
    if (net >= 0 && nodes_[net].value != value) flip<in_order>(net, time);
    for (int64_t i = 0; word && i < run_.num_ports; i++)
      if (const int32_t port = place_[run_.ports[i]]; nodes_[port].value != word[i]) flip<in_order>(port, time);
    fire<in_order>(time);
    in_order ? follow_in_order(time) : follow(time);
  }

  /// Evaluates what waits, and fires what has no delay, until nothing does.
  void follow(int64_t time) {
    for (int round = 0; count_; round++) {
      if (round > kRounds) return void(ok_ = false);
      int64_t moving = 0;
      for (int64_t i = 0; i < count_; i++) {
        const int32_t g = waiting_[i];
        moving_[moving] = g;
        moving += evaluate(g) != nodes_[g].target;
      }
      for (int64_t i = 0; i < moving; i++) {
        Node& node = nodes_[moving_[i]];
        node.target ^= 1;
        schedule(time + delay_of(node), moving_[i]);
      }
      const bool more = wheel_[time & mask_] != kNobody;
      for (int64_t i = 0; i < count_; i++) nodes_[waiting_[i]].changed &= more ? kInputs : 0;
      if (more) again_.insert(again_.end(), waiting_.begin(), waiting_.begin() + count_);
      count_ = 0;
      if (more) fire<false>(time);
    }
    for (int32_t g : again_) nodes_[g].changed = 0;
    again_.clear();
  }

  /// The same where only registers have a delay: each gate after those that it reads.
  void follow_in_order(int64_t time) {
    bool again = true;
    for (int round = 0; again; round++) {
      if (round > kRounds) return void(ok_ = false);
      again = false;
      for (size_t w = 0; w < marked_.size(); w++)
        for (uint64_t rest = ~0ull; const uint64_t bits = marked_[w] & rest;) {  // nodes before go to the next round
          const int bit = __builtin_ctzll(bits);
          rest = ~1ull << bit;
          marked_[w] ^= 1ull << bit;
          const int32_t g = static_cast<int32_t>(64 * w + bit);
          Node& node = nodes_[g];
          if (evaluate(g) == node.target) continue;
          node.target ^= 1;
          if (node.state >> kMaxInputs == kFlipFlop)
            schedule(time + delay_of(node), g);
          else
            flip<true>(g, time);
        }
      for (uint64_t bits : marked_) again |= bits != 0;
    }
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
        for (int64_t n = 0; n < run_.nets; n++) {
          const Node& node = nodes_[place_[n]];
          const int was = opened_[place_[n]];
          int64_t* count = run_.counts + (n * run_.windows + window_) * kFields;
          count[kRise] = (node.changes + node.value - was) / 2;
          count[kFall] = node.changes - count[kRise];
          count[kHigh] = node.high + node.value * run_.ends[window_] - was * run_.begins[window_];
        }
        inside_ = false;
        window_++;
      } else if (!inside_ && time >= run_.begins[window_]) {
        for (int64_t n = 0; n < run_.nets; n++) {
          opened_[n] = nodes_[n].value;
          nodes_[n].changes = 0;
          nodes_[n].high = 0;
        }
        inside_ = true;
      } else {
        return;
      }
    }
  }

  static constexpr unsigned kInputs = (1 << kMaxInputs) - 1;

  Run& run_;
  std::vector<int32_t> place_, order_;  // of a net, its node; of a node, its gate
  std::vector<Node> nodes_;
  std::vector<Store> stores_;
  std::vector<uint32_t> readers_;                  // 8 * node + input
  std::vector<int32_t> waiting_, moving_, again_;  // to be evaluated; to fire; evaluated, maybe not for the last time
  std::vector<int32_t> wheel_;                     // first event of a time stamp
  std::vector<Event> events_;
  std::vector<uint64_t> used_, marked_;  // time stamps with events; nodes to be evaluated in order
  std::vector<uint8_t> opened_;          // values as the window began
  std::vector<int64_t> due_;             // of a gate, after layout, when its last change comes
  int64_t count_ = 0;                    // that wait
  int64_t mask_ = 0, now_ = 0, window_ = 0;
  int32_t free_ = kNobody;
  bool inside_ = false, ok_ = true, in_order_ = true;
};

}  // namespace

/// Runs all cycles; 0 if the netlist does not settle.
extern "C" int simulate(Run* run) {
  int32_t longest = 0;
  for (int64_t g = 0; g < run->num_gates; g++)
    for (int a = 0; a < run->gates[g].arcs; a++)
      for (const auto& to : run->arcs[run->gates[g].first_arc + a].delay) longest = std::max({longest, to[0], to[1]});
  const bool is_short = longest < UINT16_MAX;
  if (run->routed) return is_short ? Simulation<uint16_t, true>(*run).go() : Simulation<int32_t, true>(*run).go();
  return is_short ? Simulation<uint16_t, false>(*run).go() : Simulation<int32_t, false>(*run).go();
}
