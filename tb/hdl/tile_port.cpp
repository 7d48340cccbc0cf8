// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

// Memory behind tile_port.sv: jobs posted by address, read and written in place.
//
// encmac_port_post, _extra, _seed and _products are for the testbench (ctypes, see tb/agents/port.py, whose
// structures mirror those here); the rest is called by the simulator.

#include <bit>
#include <cstdint>
#include <cstring>
#include <deque>
#include <random>
#include <vector>

#include "svdpi.h"

namespace {

enum { WEIGHTS, ACTIVATIONS, PARAMETERS, INPUTS, ACCESSES = INPUTS };
enum { VALID = 1, LAST = 2 };
enum Fault : uint32_t { SILENT = 1 };

struct Stream {
  const uint8_t* data;   // beats one after the other
  uint32_t beat_bytes;
  uint32_t beats;
  uint32_t packet;       // beats of a packet; tlast with its last
  uint32_t taken;        // out: beats offered
};

struct Access {
  uint8_t write, address, response, done;  // out: response, done
  uint32_t data;                           // out if it is a read
};

struct Job {
  Stream in[INPUTS];
  uint8_t* results;
  uint32_t result_bytes;  // of a vector
  uint32_t vectors;       // that must come
  uint32_t packet;        // of them; tlast with its last
  Access* accesses;       // `before` of them precede the streams, the rest follow the last result
  uint32_t before, count;
  uint32_t stall_w, stall_a, stall_p, stall_y;  // per 65536, that a beat waits another cycle
  uint32_t silence;                             // cycles without a beat after which the job is given up
  // out
  uint32_t received;      // result vectors
  uint32_t wrong_last;    // results whose tlast is not where it should be
  uint32_t high_bits;     // results with bits above the vector
  uint32_t fault;
  uint64_t start, end;    // cycles
  uint64_t changed_a, changed_y;  // bits of activations and results that differ from the packet's vector before
};

std::deque<Job*> jobs;          // that have not ended
size_t cursor[INPUTS];          // of each stream: index of its job in `jobs`
uint32_t next_access, pending;  // of the first job
uint64_t now, moved;
uint32_t completed, extra;
std::minstd_rand noise(1);

bool stalls(uint32_t probability) { return probability && (noise() & 0xFFFF) < probability; }

#if defined(__x86_64__) && defined(__GLIBC__)
#define WITH_POPCNT __attribute__((target_clones("popcnt", "default")))  // whichever the processor has
#else
#define WITH_POPCNT
#endif

/// Bits in which `size` bytes differ.
WITH_POPCNT uint64_t changed(const uint8_t* before, const uint8_t* after, size_t size) {
  uint64_t count = 0, a, b;
  size_t at = 0;
  for (; at + 8 <= size; at += 8) {
    std::memcpy(&a, before + at, 8);
    std::memcpy(&b, after + at, 8);
    count += std::popcount(a ^ b);
  }
  for (; at < size; ++at) count += std::popcount(uint8_t(before[at] ^ after[at]));
  return count;
}

bool finished(const Job& job) { return job.received >= job.vectors && next_access == job.count; }

}  // namespace

extern "C" {

/// Queue a job; it must live until it has ended.
void encmac_port_post(Job* job) {
  if (jobs.empty()) moved = now;
  job->start = job->end = 0;
  jobs.push_back(job);
}

/// Result vectors that came when no job wanted any.
uint32_t encmac_port_extra() { return extra; }

void encmac_port_seed(uint32_t seed) { noise.seed(seed); }

/// Product bits that differ between vectors `first[i]` and `first[i] + 1` of tiles, over all cells `used`.
/// `table` has `words` of product bits for every activation and weight, both from -128 on; arrays lie as
/// activations [tiles, vectors, rows], weights and used [tiles, rows, columns].
WITH_POPCNT uint64_t encmac_port_products(const uint64_t* table, uint32_t words, const int8_t* activations,
                                          const int8_t* weights, const uint8_t* used, uint32_t tiles,
                                          uint32_t vectors, uint32_t rows, uint32_t columns, const uint32_t* first,
                                          uint32_t pairs) {
  uint64_t count = 0;
  std::vector<uint32_t> held(columns);  // of a row: where in the table its weights are
  for (uint32_t row = 0; row < tiles * rows; ++row, weights += columns, used += columns) {
    uint32_t cells = 0;
    for (uint32_t c = 0; c < columns; ++c) {
      held[cells] = (weights[c] + 128) * words;
      cells += used[c];
    }
    const int8_t* lane = activations + size_t(row / rows) * vectors * rows + row % rows;
    for (uint32_t i = 0; cells && i < pairs; ++i) {
      const int8_t *before = lane + size_t(first[i]) * rows, *after = before + rows;
      if (*before == *after) continue;
      const uint64_t* a = table + size_t(*before + 128) * 256 * words;
      const uint64_t* b = table + size_t(*after + 128) * 256 * words;
      for (uint32_t c = 0; c < cells; ++c) {
        for (uint32_t word = held[c]; word < held[c] + words; ++word) count += std::popcount(a[word] ^ b[word]);
      }
    }
  }
  return count;
}

int encmac_port_cycle(svBit* ready) {
  ++now;
  *ready = !(jobs.size() && stalls(jobs.front()->stall_y));
  if (jobs.empty()) return int(completed);
  Job& job = *jobs.front();
  if (!job.start) job.start = now;
  const bool silent = now - moved > job.silence;
  if (finished(job) || silent) {
    if (silent && !finished(job)) job.fault |= SILENT;
    job.end = now;
    jobs.pop_front();
    for (size_t& at : cursor) at -= at > 0;
    next_access = pending = 0;
    moved = now;
    ++completed;
  }
  return int(completed);
}

int encmac_port_beat(int which, svBitVecVal* data) {
  if (which == ACCESSES) {
    if (jobs.empty() || pending) return 0;
    const Job& job = *jobs.front();
    const uint32_t limit = job.received >= job.vectors ? job.count : job.before;
    if (next_access >= limit) return 0;
    const Access& access = job.accesses[next_access];
    data[0] = access.data;
    data[1] = uint32_t(access.write) << 8 | access.address;
    pending = 1;
    moved = now;
    return VALID;
  }
  size_t& at = cursor[which];
  while (at < jobs.size() && jobs[at]->in[which].taken == jobs[at]->in[which].beats) ++at;
  if (at == jobs.size()) return 0;
  Job& job = *jobs[at];
  if (stalls((&job.stall_w)[which])) return 0;
  Stream& stream = job.in[which];
  const uint8_t* beat = stream.data + size_t(stream.taken) * stream.beat_bytes;
  std::memcpy(data, beat, stream.beat_bytes);
  if (which == ACTIVATIONS && stream.taken % stream.packet) {
    job.changed_a += changed(beat - stream.beat_bytes, beat, stream.beat_bytes);
  }
  ++stream.taken;
  moved = now;
  return stream.taken % stream.packet ? VALID : VALID | LAST;
}

void encmac_port_result(const svBitVecVal* data, svBit last) {
  moved = now;
  if (jobs.empty() || jobs.front()->received >= jobs.front()->vectors) {
    ++extra;
    return;
  }
  Job& job = *jobs.front();
  uint8_t* result = job.results + size_t(job.received) * job.result_bytes;
  std::memcpy(result, data, job.result_bytes);
  if (job.received % job.packet) job.changed_y += changed(result - job.result_bytes, result, job.result_bytes);
  const uint32_t lanes = job.in[WEIGHTS].beat_bytes * 4;  // bytes of an int32 vector
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(data);
  for (uint32_t i = job.result_bytes; i < lanes; ++i) {
    if (bytes[i]) {
      ++job.high_bits;
      break;
    }
  }
  ++job.received;
  job.wrong_last += bool(last) != (job.received % job.packet == 0);
}

void encmac_port_response(int response, int data) {
  if (!pending || jobs.empty()) {
    ++extra;
    return;
  }
  Access& access = jobs.front()->accesses[next_access];
  access.response = uint8_t(response);
  access.done = 1;
  if (!access.write) access.data = uint32_t(data);
  pending = 0;
  ++next_access;
  moved = now;
}

}  // extern "C"
