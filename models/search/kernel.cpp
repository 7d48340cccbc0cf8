// Exact statistics of circuits that read at most four operand bits, and annealing over them.
// Called from models/search/native.py, which documents the arguments. Vector types instead of
// compiler flags: sums are taken in the same order on every machine.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#pragma GCC optimize("fp-contract=off")
#define FAST __attribute__((target_clones("avx512f", "avx2", "default")))

namespace {

constexpr int TERMS = 16, INPUTS = 16, PAIRS = 65536;
enum Op { AND, OR, XOR, NAND, NOR, XNOR, ANDNOT, ORNOT, NOT, BUF };
const uint16_t COLUMN[4] = {0xAAAA, 0xCCCC, 0xF0F0, 0xFF00};

uint16_t apply(int op, uint16_t x, uint16_t y) {
  switch (op) {
    case AND: return x & y;
    case OR: return x | y;
    case XOR: return x ^ y;
    case NAND: return ~(x & y);
    case NOR: return ~(x | y);
    case XNOR: return ~(x ^ y);
    case ANDNOT: return x & ~y;
    case ORNOT: return x | ~y;
    case NOT: return ~x;
    default: return x;
  }
}

// A function of the operand bits in `support`; bit p of `truth` is its value when input i of the
// (ascending) support is bit i of p. Unused inputs repeat.
struct Function {
  uint32_t support = 0;
  uint16_t truth = 0;
};

// Truth table of f over a wider support.
uint16_t spread(const Function& f, uint32_t support) {
  if (f.support == support) return f.truth;
  int from[4], count = 0, place = 0;
  for (uint32_t rest = support; rest; rest &= rest - 1, place++)
    if (f.support & (rest & -rest)) from[count++] = place;
  uint16_t out = 0;
  for (int p = 0; p < TERMS; p++) {
    int q = 0;
    for (int i = 0; i < count; i++) q |= ((p >> from[i]) & 1) << i;
    out |= ((f.truth >> q) & 1) << p;
  }
  return out;
}

bool combine(int op, const Function& x, const Function& y, Function& out) {
  if (op == NOT || op == BUF) {
    out = {x.support, apply(op, x.truth, 0)};
    return true;
  }
  out.support = x.support | y.support;
  if (__builtin_popcount(out.support) > 4) return false;
  out.truth = apply(op, spread(x, out.support), spread(y, out.support));
  return true;
}

// Walsh coefficients: masks and values of at most 16 terms; returns their number.
int spectrum(const Function& f, int32_t* masks, double* values) {
  int c[TERMS];
  for (int p = 0; p < TERMS; p++) c[p] = (f.truth >> p) & 1;
  for (int h = 1; h < TERMS; h *= 2)
    for (int i = 0; i < TERMS; i += 2 * h)
      for (int j = i; j < i + h; j++) {
        int a = c[j], b = c[j + h];
        c[j] = a + b;
        c[j + h] = a - b;
      }
  int bit[4] = {0, 0, 0, 0}, n = 0, count = 0;
  for (uint32_t rest = f.support; rest; rest &= rest - 1) bit[n++] = rest & -rest;
  for (int u = 0; u < 1 << n; u++) {
    if (!c[u]) continue;
    int mask = 0;
    for (int i = 0; i < n; i++) mask |= (u >> i) & 1 ? bit[i] : 0;
    masks[count] = mask;
    values[count++] = c[u] / 16.0;
  }
  return count;
}

Function input(int wire) { return {1u << wire, COLUMN[0]}; }

typedef double V8 __attribute__((vector_size(64), aligned(8)));

// In-place Walsh-Hadamard transform of 65,536 values; returns the largest magnitude.
FAST double transform(double* t) {
  for (int row = 0; row < 256; row++) {
    double* r = t + 256 * row;
    bool empty = true;
    for (int i = 0; i < 256 && empty; i++) empty = r[i] == 0;
    if (empty) continue;
    for (int h = 1; h < 8; h *= 2)
      for (int i = 0; i < 256; i += 2 * h)
        for (int j = i; j < i + h; j++) {
          double a = r[j], b = r[j + h];
          r[j] = a + b;
          r[j + h] = a - b;
        }
    for (int h = 8; h < 256; h *= 2)
      for (int i = 0; i < 256; i += 2 * h)
        for (int j = i; j < i + h; j += 8) {
          V8 *p = (V8*)(r + j), *q = (V8*)(r + j + h), a = *p, b = *q;
          *p = a + b;
          *q = a - b;
        }
  }
  V8 most = {};
  for (int strip = 0; strip < 256; strip += 8) {
    V8 c[256];
    for (int i = 0; i < 256; i++) c[i] = *(V8*)(t + 256 * i + strip);
    for (int h = 1; h < 256; h *= 2)
      for (int i = 0; i < 256; i += 2 * h)
        for (int j = i; j < i + h; j++) {
          V8 a = c[j], b = c[j + h];
          c[j] = a + b;
          c[j + h] = a - b;
        }
    for (int i = 0; i < 256; i++) {
      V8 size = c[i] < 0 ? -c[i] : c[i];
      most = size > most ? size : most;
      *(V8*)(t + 256 * i + strip) = c[i];
    }
  }
  double best = 0;
  for (int i = 0; i < 8; i++) best = std::max(best, most[i]);
  return best;
}

// Cholesky factor in place (lower), rows padded to `stride`; false if not positive definite.
FAST bool cholesky(double* g, int n, int stride) {
  for (int i = 0; i < n; i++) {
    double* gi = g + (size_t)i * stride;
    for (int j = 0; j <= i; j++) {
      const double* gj = g + (size_t)j * stride;
      V8 sum = {};
      int k = 0;
      for (; k + 8 <= j; k += 8) sum += *(V8*)(gi + k) * *(V8*)(gj + k);
      double s = ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
      for (; k < j; k++) s += gi[k] * gj[k];
      double left = gi[j] - s;
      if (i == j) {
        if (!(left > 0)) return false;
        gi[i] = std::sqrt(left);
      } else {
        gi[j] = left / gj[j];
      }
    }
  }
  return true;
}

// Solves (L L') x = b in place.
void substitute(const double* l, int n, int stride, double* b) {
  for (int i = 0; i < n; i++) {
    double s = b[i];
    for (int k = 0; k < i; k++) s -= l[(size_t)i * stride + k] * b[k];
    b[i] = s / l[(size_t)i * stride + i];
  }
  for (int i = n - 1; i >= 0; i--) {
    double s = b[i] / l[(size_t)i * stride + i];
    b[i] = s;
    for (int k = 0; k < i; k++) b[k] -= l[(size_t)i * stride + k] * s;
  }
}

struct Random {
  uint64_t s;
  uint64_t next() {
    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;
    return s * 0x2545F4914F6CDD1DULL;
  }
  int below(int n) { return (int)((next() >> 33) % (uint64_t)n); }
  double unit() { return (double)(next() >> 11) / 9007199254740992.0; }
};

// A two-level product bit: op(first(x1, y1), second(x2, y2)); BUF ignores the second operand.
struct Bit {
  int32_t op, op1, x1, y1, op2, x2, y2;
};

const int ZERO_OPS[5] = {AND, OR, XOR, ANDNOT, BUF};  // 0 when both inputs are 0

bool function_of(const Bit& b, Function& out) {
  Function x, y;
  if (!combine(b.op1, input(b.x1), input(b.y1), x)) return false;
  if (b.op == BUF) {
    out = x;
    return true;
  }
  return combine(b.op2, input(b.x2), input(b.y2), y) && combine(b.op, x, y, out);
}

double area_of(const Bit& b, const double* area) {
  double sum = area[b.op1];
  if (b.op != BUF) sum += area[b.op] + area[b.op2];
  return sum;
}

void mutate(Bit& b, Random& r) {
  switch (r.below(8)) {
    case 0: b.op = ZERO_OPS[r.below(5)]; break;
    case 1: b.op1 = ZERO_OPS[r.below(5)]; break;
    case 2: b.op2 = ZERO_OPS[r.below(5)]; break;
    case 3: b.x1 = r.below(INPUTS); break;
    case 4: b.y1 = r.below(INPUTS); break;
    case 5: b.x2 = r.below(INPUTS); break;
    case 6: b.y2 = r.below(INPUTS); break;
    default:
      if (r.below(2)) {
        std::swap(b.op1, b.op2), std::swap(b.x1, b.x2), std::swap(b.y1, b.y2);
      } else {
        b.x1 = r.below(8), b.y1 = 8 + r.below(8), b.op1 = ZERO_OPS[r.below(4)];
        if (r.below(2)) b.op = BUF;
      }
  }
}

struct Terms {
  int count = 0;
  int32_t at[TERMS];
  double value[TERMS];
};

struct Space {
  const double* gram;
  const int32_t* index;
  const double* towards;  // <t, chi_u>
  int size;

  bool terms(const Bit& b, Terms& out) const {
    Function f;
    int32_t masks[TERMS];
    double values[TERMS];
    if (!function_of(b, f)) return false;
    int n = spectrum(f, masks, values);
    out.count = 0;
    for (int i = 0; i < n; i++) {
      if (!(masks[i] & 255)) continue;  // functions of the weight alone go into the bias
      if (index[masks[i]] < 0) return false;
      out.at[out.count] = index[masks[i]];
      out.value[out.count++] = values[i];
    }
    return out.count > 0;
  }
  double inner(const Terms& x, const Terms& y) const {
    double sum = 0;
    for (int i = 0; i < x.count; i++) {
      const double* row = gram + (size_t)x.at[i] * size;
      double part = 0;
      for (int j = 0; j < y.count; j++) part += row[y.at[j]] * y.value[j];
      sum += part * x.value[i];
    }
    return sum;
  }
  double correlation(const Terms& x) const {
    double sum = 0;
    for (int i = 0; i < x.count; i++) sum += towards[x.at[i]] * x.value[i];
    return sum;
  }
};

double nearest(const double* allowed, int count, double value) {
  double size = std::fabs(value);
  const double* up = std::lower_bound(allowed, allowed + count, size);
  double best = up == allowed + count ? up[-1] : *up;
  if (up != allowed && size - up[-1] < best - size) best = up[-1];
  return value < 0 ? -best : best;
}

}  // namespace

extern "C" {

// Truth tables and Walsh coefficients of product bits; returns -1, or the first bit that reads more
// than four operand bits.
int encmac_spectra(int gates, const int32_t* gate, int bits, const int32_t* wires, int32_t* counts, int32_t* masks,
                   double* values) {
  std::vector<Function> wire(INPUTS + gates);
  std::vector<char> good(INPUTS + gates, 1);
  for (int i = 0; i < INPUTS; i++) wire[i] = input(i);
  for (int g = 0; g < gates; g++) {
    const int32_t *t = gate + 3 * g, x = t[1], y = t[0] == NOT || t[0] == BUF ? t[1] : t[2];
    good[INPUTS + g] = good[x] && good[y] && combine(t[0], wire[x], wire[y], wire[INPUTS + g]);
  }
  for (int m = 0; m < bits; m++) {
    if (!good[wires[m]]) return m;
    counts[m] = spectrum(wire[wires[m]], masks + TERMS * m, values + TERMS * m);
  }
  return -1;
}

// Ridge regression of the product on `bits` functions under uniform operands, exactly.
// gram [bits, bits] and rhs [bits] are also returned. Returns 0, or 1 if the matrix is singular.
int encmac_uniform_fit(int bits, const int32_t* counts, const int32_t* masks, const double* values,
                       const double* product, double ridge, double* gram, double* rhs, double* weights) {
  struct Entry {
    int32_t next, bit;
    double value;
  };
  static thread_local std::vector<int32_t> head(PAIRS, -1);
  std::vector<Entry> entries;
  entries.reserve(bits * TERMS);
  int stride = (bits + 7) / 8 * 8;
  std::vector<double> g((size_t)bits * stride, 0.0);
  for (int m = 0; m < bits; m++) {
    double sum = 0;
    for (int i = 0; i < counts[m]; i++) {
      int mask = masks[TERMS * m + i];
      double value = values[TERMS * m + i];
      sum += value * product[mask];
      entries.push_back({head[mask], m, value});
      head[mask] = (int)entries.size() - 1;
      for (int e = head[mask]; e >= 0; e = entries[e].next)
        g[(size_t)m * stride + entries[e].bit] += value * entries[e].value;
    }
    rhs[m] = weights[m] = sum;
  }
  for (int m = 0; m < bits; m++)
    for (int i = 0; i < counts[m]; i++) head[masks[TERMS * m + i]] = -1;
  for (int m = 0; m < bits; m++)
    for (int n = 0; n <= m; n++) gram[(size_t)m * bits + n] = gram[(size_t)n * bits + m] = g[(size_t)m * stride + n];
  for (int m = 0; m < bits; m++) g[(size_t)m * stride + m] += ridge;
  if (!cholesky(g.data(), bits, stride)) return 1;
  substitute(g.data(), bits, stride, weights);
  return 0;
}

// Largest |a w - sum s b| over all operand pairs; `scratch` double [65536], left with the errors by pattern.
double encmac_max_error(int bits, const int32_t* counts, const int32_t* masks, const double* values,
                        const double* weights, const double* product, double* scratch) {
  std::memcpy(scratch, product, PAIRS * sizeof(double));
  for (int m = 0; m < bits; m++)
    for (int i = 0; i < counts[m]; i++) scratch[masks[TERMS * m + i]] -= weights[m] * values[TERMS * m + i];
  return transform(scratch);
}

// Simulated annealing; see models/search/native.py. Returns the number of proposals that were evaluated.
long encmac_anneal(int size, const double* gram, const int32_t* index, const double* towards, double power, int bits,
                   int32_t* circuits, double* weights, const double* allowed, int allowed_count, long steps,
                   double hot, double cold, const double* area, double price, uint64_t seed, double* best_error) {
  Space space{gram, index, towards, size};
  Random random{seed * 0x9E3779B97F4A7C15ULL + 0x1234567};
  const int stride = (bits + 7) / 8 * 8;
  std::vector<Bit> bit((Bit*)circuits, (Bit*)circuits + bits), best_bit;
  std::vector<Terms> terms(bits);
  std::vector<double> g((size_t)bits * bits), rhs(bits), s(weights, weights + bits), best_s, row(bits), work, trial(bits);
  work.resize((size_t)bits * stride);
  double total_area = 0;
  for (int m = 0; m < bits; m++) {
    if (!space.terms(bit[m], terms[m])) return -1;
    rhs[m] = space.correlation(terms[m]);
    total_area += area_of(bit[m], area);
  }
  for (int m = 0; m < bits; m++)
    for (int n = 0; n <= m; n++) g[m * bits + n] = g[n * bits + m] = space.inner(terms[m], terms[n]);

  // Error with free weights: least squares. With a list of allowed weights: the weights in s.
  auto refit = [&](std::vector<double>& out) -> double {
    for (int m = 0; m < bits; m++) {
      std::memcpy(&work[(size_t)m * stride], &g[(size_t)m * bits], bits * sizeof(double));
      work[(size_t)m * stride + m] *= 1 + 1e-10;
    }
    if (!cholesky(work.data(), bits, stride)) return INFINITY;
    out = rhs;
    substitute(work.data(), bits, stride, out.data());
    double error = power;
    for (int m = 0; m < bits; m++) error -= rhs[m] * out[m];
    return error;
  };
  auto given = [&](const std::vector<double>& at) {
    double error = power;
    for (int m = 0; m < bits; m++) {
      double sum = 0;
      for (int n = 0; n < bits; n++) sum += g[m * bits + n] * at[n];
      error += at[m] * (sum - 2 * rhs[m]);
    }
    return error;
  };
  const bool free_weights = allowed_count == 0;
  double error = free_weights ? refit(s) : given(s);
  auto energy = [&](double e, double a) { return std::log(std::max(e, 1e-9 * power)) + price * a; };
  double now = energy(error, total_area), best = now;
  best_bit = bit, best_s = s, *best_error = error;
  long evaluated = 0;
  for (long step = 0; step < steps; step++) {
    double heat = hot * std::pow(cold / hot, (double)step / steps);
    int m = random.below(bits);
    trial = s;
    if (!free_weights && random.below(4) == 0) {  // one or two weights to neighbours in the list
      for (int k = 1 + random.below(2); k > 0; k--) {
        int n = random.below(bits);
        int at = (int)(std::lower_bound(allowed, allowed + allowed_count, std::fabs(trial[n])) - allowed);
        int to = std::min(std::max(at + (random.below(2) ? 1 : -1), 0), allowed_count - 1);
        trial[n] = std::copysign(allowed[to], random.below(8) ? trial[n] : -trial[n]);
      }
      double e = given(trial), next = energy(e, total_area);
      evaluated++;
      if (next <= now || random.unit() < std::exp((now - next) / heat)) s = trial, error = e, now = next;
    } else {
      Bit old = bit[m], fresh = old;
      if (random.below(8) == 0) fresh = bit[random.below(bits)];
      for (int k = 1 + (random.below(3) == 0) + (random.below(6) == 0); k > 0; k--) mutate(fresh, random);
      Terms found;
      if (!space.terms(fresh, found)) continue;
      Terms kept = terms[m];
      double kept_rhs = rhs[m], norm = space.inner(found, found);
      if (norm < 1e-9) continue;
      for (int n = 0; n < bits; n++) row[n] = n == m ? norm : space.inner(found, terms[n]);
      auto put = [&]() {
        for (int n = 0; n < bits; n++) std::swap(g[m * bits + n], row[n]);
        for (int n = 0; n < bits; n++) g[n * bits + m] = g[m * bits + n];
      };
      put();
      rhs[m] = space.correlation(found);
      double e;
      if (free_weights) {
        e = refit(trial);
      } else {
        double left = rhs[m];
        for (int n = 0; n < bits; n++) left -= n == m ? 0 : g[m * bits + n] * s[n];
        trial[m] = nearest(allowed, allowed_count, left / norm);
        if (random.below(4) == 0) {  // one other weight follows
          int n = random.below(bits);
          double rest = rhs[n];
          for (int k = 0; k < bits; k++) rest -= k == n ? 0 : g[n * bits + k] * trial[k];
          trial[n] = nearest(allowed, allowed_count, rest / g[n * bits + n]);
        }
        e = given(trial);
      }
      evaluated++;
      double a = total_area + area_of(fresh, area) - area_of(old, area), next = energy(e, a);
      if (std::isfinite(e) && (next <= now || random.unit() < std::exp((now - next) / heat))) {
        bit[m] = fresh, terms[m] = found, s = trial, error = e, now = next, total_area = a;
      } else {
        put();
        rhs[m] = kept_rhs, terms[m] = kept;
      }
    }
    if (now < best - 1e-12) best = now, best_bit = bit, best_s = s, *best_error = error;
  }
  std::memcpy(circuits, best_bit.data(), bits * sizeof(Bit));
  std::memcpy(weights, best_s.data(), bits * sizeof(double));
  return evaluated;
}
}
