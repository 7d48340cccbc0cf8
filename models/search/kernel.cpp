// Exact statistics of circuits that read at most four operand bits, and annealing over them.
// Called from models/search/native.py, which documents the arguments. Vector types instead of
// compiler flags: sums are taken in the same order on every machine.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#pragma GCC optimize("fp-contract=off")
#ifndef FAST  // -DFAST= leaves the default path alone
#define FAST __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#define INLINE static inline __attribute__((always_inline))

namespace {

constexpr int TERMS = 16, INPUTS = 16, PAIRS = 65536;
enum Op { AND, OR, XOR, NAND, NOR, XNOR, ANDNOT, ORNOT, NOT, BUF };
constexpr double LOAD = 1e-10;     // of the diagonal, added to it in a fit
constexpr double NEARLY = 1e-5;    // share of a bit's norm that others must leave for a forecast of the error
constexpr double DOUBT = 1e-6;     // of the logarithm of an error that is forecast
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
typedef int64_t I8 __attribute__((vector_size(64)));

// Walsh-Hadamard transform over COUNT vectors, in registers: between i and i + STEP, then i + 2 STEP and so on.
template <int COUNT, int STEP = 1>
INLINE void butterflies(V8* c) {
#pragma GCC unroll 16
  for (int k = 0; k < COUNT / 2; k++) {
    const int i = k / STEP * 2 * STEP + k % STEP;
    V8 a = c[i], b = c[i + STEP];
    c[i] = a + b;
    c[i + STEP] = a - b;
  }
  if constexpr (2 * STEP < COUNT) butterflies<COUNT, 2 * STEP>(c);
}

// The same between lanes: lane k becomes lane k + lane k ^ h, or their difference.
INLINE void within(V8& v, const I8& other, const V8& sign) { v = __builtin_shuffle(v, other) + v * sign; }

// In-place Walsh-Hadamard transform of 256 values.
FAST void transform_row(double* row) {
  const I8 one = {1, 0, 3, 2, 5, 4, 7, 6}, two = {2, 3, 0, 1, 6, 7, 4, 5}, four = {4, 5, 6, 7, 0, 1, 2, 3};
  const V8 ones = {1, -1, 1, -1, 1, -1, 1, -1}, twos = {1, 1, -1, -1, 1, 1, -1, -1}, fours = {1, 1, 1, 1, -1, -1, -1, -1};
  V8* v = (V8*)row;
  for (int block = 0; block < 32; block += 8) {
    V8 c[8];
    for (int i = 0; i < 8; i++) {
      c[i] = v[block + i];
      within(c[i], one, ones);
      within(c[i], two, twos);
      within(c[i], four, fours);
    }
    butterflies<8>(c);
    for (int i = 0; i < 8; i++) v[block + i] = c[i];
  }
  for (int i = 0; i < 8; i++) {
    V8 c[4] = {v[i], v[8 + i], v[16 + i], v[24 + i]};
    butterflies<4>(c);
    for (int k = 0; k < 4; k++) v[8 * k + i] = c[k];
  }
}

// Transform over 256 rows of 256 values, of which `row[i]` is null if all are 0; returns the largest magnitude.
FAST double transform_columns(double* const* row) {
  V8 most = {};
  for (int strip = 0; strip < 256; strip += 8) {
    V8 c[256];
    for (int high = 0; high < 256; high += 16) {
      V8 d[16];
      bool empty = true;
      for (int i = 0; i < 16; i++) {
        const double* from = row[high + i];
        d[i] = from ? *(const V8*)(from + strip) : V8{};
        empty &= !from;
      }
      if (!empty) butterflies<16>(d);
      for (int i = 0; i < 16; i++) c[high + i] = d[i];
    }
    for (int low = 0; low < 16; low++) {
      V8 d[16];
      for (int i = 0; i < 16; i++) d[i] = c[16 * i + low];
      butterflies<16>(d);
      for (int i = 0; i < 16; i++) {
        V8 size = d[i] < 0 ? -d[i] : d[i];
        most = size > most ? size : most;
      }
    }
  }
  double best = 0;
  for (int i = 0; i < 8; i++) best = std::max(best, most[i]);
  return best;
}

// Lane r of `out` is the sum of the lanes of v[r], each taken as ((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7)).
INLINE void lane_sums(const V8* v, V8& out) {
  V8 x[4], y[2];
  for (int r = 0; r < 4; r++)
    x[r] = __builtin_shuffle(v[r], v[r + 4], I8{0, 1, 2, 3, 8, 9, 10, 11}) +
           __builtin_shuffle(v[r], v[r + 4], I8{4, 5, 6, 7, 12, 13, 14, 15});
  for (int r = 0; r < 2; r++)
    y[r] = __builtin_shuffle(x[r], x[r + 2], I8{0, 1, 8, 9, 4, 5, 12, 13}) +
           __builtin_shuffle(x[r], x[r + 2], I8{2, 3, 10, 11, 6, 7, 14, 15});
  out = __builtin_shuffle(y[0], y[1], I8{0, 8, 2, 10, 4, 12, 6, 14}) +
        __builtin_shuffle(y[0], y[1], I8{1, 9, 3, 11, 5, 13, 7, 15});
}

// A symmetric matrix of `size` rows, a multiple of 8: those beyond its own are rows of the identity.
struct Matrix {
  int size = 0;
  std::vector<double> value;

  void clear(int rows) {
    size = (rows + 7) / 8 * 8;
    value.assign((size_t)size * size, 0.0);
    unite(rows);
  }
  void unite(int from) {
    for (int m = from; m < size; m++) row(m)[m] = 1;
  }
  double* row(int m) { return &value[(size_t)m * size]; }
  const double* row(int m) const { return &value[(size_t)m * size]; }
};

// Cholesky factor L in place, and its transpose above the diagonal, from what is there and on it; false if not positive definite.
FAST bool cholesky(Matrix& matrix) {
  const int n = matrix.size;
  double* s = matrix.value.data();
  for (int first = 0; first < n; first += 8)  // columns, 8 at a time
    for (int below = first; below < n; below += 8) {
      V8 column[8];
      for (int j = 0; j < 8; j += 2) {
        V8 x[8] = {}, y[8] = {};
        const double *p = s + (size_t)(first + j) * n, *q = p + n, *from = s + (size_t)below * n;
        for (int k = 0; k < first; k += 8) {
          V8 a = *(const V8*)(p + k), b = *(const V8*)(q + k);
          for (int r = 0; r < 8; r++) {
            V8 c = *(const V8*)(from + (size_t)r * n + k);
            x[r] += c * a;
            y[r] += c * b;
          }
        }
        lane_sums(x, column[j]);
        lane_sums(y, column[j + 1]);
      }
      for (int j = 0; j < 8; j++) {
        double* above = s + (size_t)(first + j) * n;
        V8 sum = column[j];
        for (int k = 0; k < j; k++) sum += column[k] * above[first + k];
        V8 left = *(V8*)(above + below) - sum;
        if (below == first) {
          if (!(left[j] > 0)) return false;
          double root = std::sqrt(left[j]);
          column[j] = left / root;
          above[first + j] = root;
          for (int i = j + 1; i < 8; i++) above[first + i] = s[(size_t)(first + i) * n + first + j] = column[j][i];
        } else {
          *(V8*)(above + below) = column[j] = left / above[first + j];
        }
      }
      if (below == first) continue;
      for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) s[(size_t)(below + i) * n + first + j] = column[j][i];
    }
  return true;
}

// Solves (L L') x = b in place, for the result of `cholesky` and b padded with zeros to its size.
FAST void substitute(const Matrix& factor, double* b) {
  const int n = factor.size;
  for (int k = 0; k < n; k++) {
    const double *row = factor.row(k), x = b[k] /= row[k];
    int i = k + 1;
    for (; i % 8; i++) b[i] -= row[i] * x;
    for (; i < n; i += 8) *(V8*)(b + i) -= *(const V8*)(row + i) * x;
  }
  for (int i = n - 1; i >= 0; i--) {
    const double *row = factor.row(i), x = b[i] /= row[i];
    int k = 0;
    for (; k + 8 <= i; k += 8) *(V8*)(b + k) -= *(const V8*)(row + k) * x;
    for (; k < i; k++) b[k] -= row[k] * x;
  }
}

// The inverse of a matrix from its `factor`: symmetric, 8 columns at a time.
FAST void invert(const Matrix& factor, Matrix& inverse) {
  const int n = factor.size;
  inverse.clear(n);
  inverse.unite(0);
  for (int first = 0; first < n; first += 8) {
    double* column = inverse.row(0) + first;  // the 8 of row i are at column + i n
    for (int k = first; k < n; k++) {
      const double* row = factor.row(k);
      const V8 x = *(V8*)(column + (size_t)k * n) /= row[k];
      for (int i = k + 1; i < n; i++) *(V8*)(column + (size_t)i * n) -= row[i] * x;
    }
    for (int i = n - 1; i >= 0; i--) {
      const double* row = factor.row(i);
      const V8 x = *(V8*)(column + (size_t)i * n) /= row[i];
      for (int k = 0; k < i; k++) *(V8*)(column + (size_t)k * n) -= row[k] * x;
    }
  }
}

// out = sum of x[n] times row n of a symmetric matrix, whose size x and out have.
FAST void multiply(const Matrix& g, const double* x, double* out) {
  for (int m = 0; m < g.size; m += 8) {
    V8 sum = {};
    for (int n = 0; n < g.size; n++) sum += *(const V8*)(g.row(n) + m) * x[n];
    *(V8*)(out + m) = sum;
  }
}

// Walsh coefficients of bits: TERMS places for each, of which counts[m] are used.
struct Bits {
  int count;
  const int32_t *counts, *masks;
  const double* values;
};

// Ridge regression of the product on bits under uniform operands; arrays are kept from call to call.
struct Regression {
  struct Entry {
    int32_t bit;
    double value;
  };
  std::vector<std::vector<Entry>> entries = std::vector<std::vector<Entry>>(PAIRS);  // of each mask
  std::vector<double> dense;  // [bits] for the masks of `place`, which most bits have
  int8_t place[PAIRS];
  Matrix work;
  std::vector<double> weights;

  Regression() {
    std::memset(place, -1, sizeof place);
    place[0] = 0;
    for (int i = 0; i < INPUTS; i++) place[1 << i] = i + 1;
  }
  bool fit(const Bits& bits, const double* product, double ridge);  // `weights`; false if the matrix is singular
};

FAST bool Regression::fit(const Bits& bits, const double* product, double ridge) {
  work.clear(bits.count);
  const int n = work.size;
  dense.assign((size_t)(INPUTS + 1) * n, 0.0);
  weights.assign(n, 0.0);
  for (int m = bits.count - 1; m >= 0; m--) {  // products with the bits from m on
    double sum = 0, *row = work.row(m);
    for (int i = TERMS * m; i < TERMS * m + bits.counts[m]; i++) {
      const int mask = bits.masks[i];
      const double value = bits.values[i];
      sum += value * product[mask];
      if (place[mask] >= 0) {
        double* all = &dense[(size_t)place[mask] * n];
        all[m] = value;
        for (int k = m & ~7; k < n; k += 8) *(V8*)(row + k) += *(V8*)(all + k) * value;
      } else {
        entries[mask].push_back({m, value});
        for (const Entry& e : entries[mask]) row[e.bit] += value * e.value;
      }
    }
    weights[m] = sum;
  }
  for (int m = 0; m < bits.count; m++)
    for (int i = 0; i < bits.counts[m]; i++) entries[bits.masks[TERMS * m + i]].clear();
  for (int m = 0; m < bits.count; m++) work.row(m)[m] += ridge;
  if (!cholesky(work)) return false;
  substitute(work, weights.data());
  return true;
}

// Largest |a w - sum s b| over all operand pairs. Only rows of coefficients (masks of w) that are not empty are kept.
double largest_error(const Bits& bits, const double* weights, const double* product) {
  static thread_local std::vector<double> store;
  double* row[256] = {};
  bool used[256] = {};
  for (int i = 0; i < 9; i++) used[(1 << i) >> 1] = true;  // those of the product
  for (int m = 0; m < bits.count; m++)
    for (int i = 0; i < bits.counts[m]; i++) used[bits.masks[TERMS * m + i] >> 8] = true;
  store.resize(256 * std::count(used, used + 256, true));
  double* next = store.data();
  for (int at = 0; at < 256; at++)
    if (used[at]) {
      row[at] = next, next += 256;
      std::memcpy(row[at], product + 256 * at, 256 * sizeof(double));
    }
  for (int m = 0; m < bits.count; m++)
    for (int i = TERMS * m; i < TERMS * m + bits.counts[m]; i++)
      row[bits.masks[i] >> 8][bits.masks[i] & 255] -= weights[m] * bits.values[i];
  for (double* r : row)
    if (r) transform_row(r);
  return transform_columns(row);
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

Regression& own_regression() {
  static thread_local Regression regression;
  return regression;
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
// Returns 0, or 1 if the matrix is singular.
int encmac_uniform_fit(int bits, const int32_t* counts, const int32_t* masks, const double* values,
                       const double* product, double ridge, double* weights) {
  Regression& regression = own_regression();
  bool good = regression.fit({bits, counts, masks, values}, product, ridge);
  std::copy_n(regression.weights.data(), bits, weights);
  return !good;
}

// Largest |a w - sum s b| over all operand pairs.
double encmac_max_error(int bits, const int32_t* counts, const int32_t* masks, const double* values,
                        const double* weights, const double* product) {
  return largest_error({bits, counts, masks, values}, weights, product);
}

// Score of a genome of the paper's search (models/search/paper.py): all outputs and the constant are fitted, the `keep`
// outputs of largest weight fitted again. `kept` int32 [keep], ascending; `weights` [keep + 1], the constant last;
// `result` is the largest error and the area of the gates that are read, at `area` [10]. Returns 0, 1 if a matrix is
// singular, 2 if an output reads more than four operand bits.
int encmac_score(int gates, const int32_t* gate, int outputs, const int32_t* wires, const double* product,
                 double ridge, int keep, const double* area, int32_t* kept, double* weights, double* result) {
  static thread_local std::vector<Function> wire;
  static thread_local std::vector<char> read;
  static thread_local std::vector<int32_t> counts, masks, order;
  static thread_local std::vector<double> values;
  auto unary = [&](int g) { return gate[3 * g] == NOT || gate[3 * g] == BUF; };
  auto cone = [&](const int32_t* from, int count, const int32_t* at) {  // marks the gates that outputs depend on
    read.assign(INPUTS + gates, 0);
    for (int i = 0; i < count; i++) read[from[at ? at[i] : i]] = 1;
    for (int g = gates - 1; g >= 0; g--)
      if (read[INPUTS + g]) read[gate[3 * g + 1]] = 1, read[gate[3 * g + (unary(g) ? 1 : 2)]] = 1;
  };
  cone(wires, outputs, nullptr);
  wire.resize(INPUTS + gates);
  for (int i = 0; i < INPUTS; i++) wire[i] = input(i);
  for (int g = 0; g < gates; g++) {
    const int32_t* t = gate + 3 * g;
    if (read[INPUTS + g] && !combine(t[0], wire[t[1]], wire[t[unary(g) ? 1 : 2]], wire[INPUTS + g])) return 2;
  }
  const int all = outputs + 1;
  counts.resize(all), masks.resize(TERMS * all), values.resize(TERMS * all);
  for (int m = 0; m < outputs; m++) counts[m] = spectrum(wire[wires[m]], &masks[TERMS * m], &values[TERMS * m]);
  counts[outputs] = 1, masks[TERMS * outputs] = 0, values[TERMS * outputs] = 1;
  Regression& regression = own_regression();
  if (!regression.fit({all, counts.data(), masks.data(), values.data()}, product, ridge)) return 1;
  order.resize(outputs);
  for (int m = 0; m < outputs; m++) order[m] = m;
  const std::vector<double>& s = regression.weights;
  auto before = [&](int x, int y) {
    const double a = std::fabs(s[x]), b = std::fabs(s[y]);
    return a != b ? a > b : x < y;
  };
  if (keep < outputs) std::nth_element(order.begin(), order.begin() + keep, order.end(), before);
  std::sort(order.begin(), order.begin() + keep);
  for (int k = 0; k <= keep; k++) {  // moved to the front: order[k] >= k
    int from = k < keep ? kept[k] = order[k] : outputs;
    counts[k] = counts[from];
    std::copy_n(&masks[TERMS * from], counts[k], &masks[TERMS * k]);
    std::copy_n(&values[TERMS * from], counts[k], &values[TERMS * k]);
  }
  Bits few{keep + 1, counts.data(), masks.data(), values.data()};
  if (!regression.fit(few, product, ridge)) return 1;
  std::copy_n(s.data(), keep + 1, weights);
  result[0] = largest_error(few, weights, product);
  cone(wires, keep, kept);
  result[1] = 0;
  for (int g = gates - 1; g >= 0; g--)
    if (read[INPUTS + g]) result[1] += area[gate[3 * g]];
  return 0;
}

// Simulated annealing; see models/search/native.py. Returns the number of proposals that were evaluated.
long encmac_anneal(int size, const double* gram, const int32_t* index, const double* towards, double power, int bits,
                   int32_t* circuits, double* weights, const double* allowed, int allowed_count, long steps,
                   double hot, double cold, const double* area, double price, uint64_t seed, int bounded,
                   double* best_error) {
  Space space{gram, index, towards, size};
  Random random{seed * 0x9E3779B97F4A7C15ULL + 0x1234567};
  std::vector<Bit> bit((Bit*)circuits, (Bit*)circuits + bits), best_bit;
  std::vector<Terms> terms(bits);
  Matrix g, work, inverse;
  g.clear(bits);
  std::vector<double> rhs(g.size), s(g.size), best_s, row(g.size), trial(g.size), product(g.size);
  std::copy_n(weights, bits, s.begin());
  double total_area = 0;
  for (int m = 0; m < bits; m++) {
    if (!space.terms(bit[m], terms[m])) return -1;
    rhs[m] = space.correlation(terms[m]);
    total_area += area_of(bit[m], area);
  }
  for (int m = 0; m < bits; m++)
    for (int n = 0; n <= m; n++) g.row(m)[n] = g.row(n)[m] = space.inner(terms[m], terms[n]);

  auto factor = [&]() {
    work = g;
    for (int m = 0; m < bits; m++) work.row(m)[m] *= 1 + LOAD;
    return cholesky(work);
  };
  // Error with free weights: least squares. With a list of allowed weights: the weights in s.
  auto refit = [&](std::vector<double>& out) -> double {
    if (!factor()) return INFINITY;
    out = rhs;
    substitute(work, out.data());
    double error = power;
    for (int m = 0; m < bits; m++) error -= rhs[m] * out[m];
    return error;
  };
  auto given = [&](const std::vector<double>& at) {
    multiply(g, at.data(), product.data());
    double error = power;
    for (int m = 0; m < bits; m++) error += at[m] * (product[m] - 2 * rhs[m]);
    return error;
  };
  const bool free_weights = allowed_count == 0;
  double error = free_weights ? refit(s) : given(s);
  bool inverted = false, sound = false;  // `inverse` belongs to g, and no bit is nearly a sum of the others
  // Free weights: the error with `row` and `correlation` in place of bit m's, from the inverse of g; negative if the new
  // bit is so nearly a sum of the others that rounding errors might count.
  auto foreseen = [&](int m, double correlation) {
    if (!inverted) {
      inverted = true;
      if ((sound = factor())) invert(work, inverse);
      for (int n = 0; sound && n < bits; n++) sound = inverse.row(n)[n] * g.row(n)[n] * NEARLY < 1;
    }
    if (!sound) return -1.0;
    const double norm = row[m], own = inverse.row(m)[m];
    row[m] = 0;
    multiply(inverse, row.data(), product.data());
    double along = 0, fitted = 0;
    for (int n = 0; n < bits; n++) along += row[n] * product[n], fitted += row[n] * s[n];
    row[m] = norm;
    const double left = norm * (1 + LOAD) - (along - product[m] * product[m] / own);
    if (!(left > NEARLY * norm)) return -1.0;
    const double more = correlation - (fitted - s[m] / own * product[m]);
    return error + s[m] * s[m] / own - more * more / left;
  };
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
      double norm = space.inner(found, found), correlation = space.correlation(found);
      if (norm < 1e-9) continue;
      for (int n = 0; n < bits; n++) row[n] = n == m ? norm : space.inner(found, terms[n]);
      evaluated++;
      double a = total_area + area_of(fresh, area) - area_of(old, area), luck = -1;
      const bool same = correlation == rhs[m] && std::equal(row.begin(), row.begin() + bits, g.row(m));
      if (free_weights && bounded && !same) {
        const double e = foreseen(m, correlation), next = e > 0 ? energy(e, a) - DOUBT : now;
        if (next > now && (luck = random.unit()) >= std::exp((now - next) / heat)) continue;  // however it is refitted
      }
      Terms kept = terms[m];
      double kept_rhs = rhs[m];
      auto put = [&]() {
        for (int n = 0; n < bits; n++) std::swap(g.row(m)[n], row[n]);
        for (int n = 0; n < bits; n++) g.row(n)[m] = g.row(m)[n];
      };
      put();
      rhs[m] = correlation;
      double e;
      if (free_weights) {
        e = same && bounded ? error : refit(trial);
      } else {
        double left = rhs[m];
        for (int n = 0; n < bits; n++) left -= n == m ? 0 : g.row(m)[n] * s[n];
        trial[m] = nearest(allowed, allowed_count, left / norm);
        if (random.below(4) == 0) {  // one other weight follows
          int n = random.below(bits);
          double rest = rhs[n];
          for (int k = 0; k < bits; k++) rest -= k == n ? 0 : g.row(n)[k] * trial[k];
          trial[n] = nearest(allowed, allowed_count, rest / g.row(n)[n]);
        }
        e = given(trial);
      }
      double next = energy(e, a);
      auto lucky = [&]() { return (luck < 0 ? random.unit() : luck) < std::exp((now - next) / heat); };
      if (std::isfinite(e) && (next <= now || lucky())) {
        inverted &= same;
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
