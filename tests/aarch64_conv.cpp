// Runs one convolution of models/emulate/table_conv.cpp from files, for a machine that Python does not run on.
// Arguments: number of the path, bytes of a row, then files of x, weights, rows, first, constant, shape, result.

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "../models/emulate/table_conv.cpp"

static std::vector<char> content(const char* name) {
  std::vector<char> bytes;
  FILE* file = std::fopen(name, "rb");
  if (!file) std::exit(3);
  for (int c; (c = std::fgetc(file)) != EOF;) bytes.push_back(static_cast<char>(c));
  std::fclose(file);
  return bytes;
}

template <class T>
static const T* numbers(const std::vector<char>& bytes) {
  return reinterpret_cast<const T*>(bytes.data());
}

int main(int count, char** arguments) {
  if (count != 10) return 2;
  const int path = std::atoi(arguments[1]);
  if (!encmac_has_path(path)) return 4;
  const std::vector<char> x = content(arguments[3]), weights = content(arguments[4]), rows = content(arguments[5]);
  const std::vector<char> first = content(arguments[6]), constant = content(arguments[7]), shape = content(arguments[8]);
  const int64_t* sizes = numbers<int64_t>(shape);
  std::vector<uint8_t> planes(encmac_planes_bytes(sizes, path));
  const int64_t pixels = numbers<Shape>(shape)->rows * numbers<Shape>(shape)->columns;
  std::vector<int32_t> out(numbers<Shape>(shape)->images * numbers<Shape>(shape)->outputs * pixels);
  encmac_table_conv(numbers<int8_t>(x), numbers<int8_t>(weights), numbers<uint8_t>(rows), numbers<int32_t>(first),
                    numbers<int32_t>(constant), out.data(), planes.data(), sizes, std::atol(arguments[2]), 1, path, 1);
  FILE* file = std::fopen(arguments[9], "wb");
  if (!file) return 3;
  std::fwrite(out.data(), sizeof(int32_t), out.size(), file);
  return std::fclose(file) ? 3 : 0;
}
