// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

// Verilator's sign extension of up to 32 bits in two shifts: GCC makes one instruction of them, where the mask, negation
// and disjunction of verilated_funcs.h stay four, twice for each factor of a product. Included after Verilator's own
// headers by the code that it generates (see tb/control/build.py); bits above `lbits` are 0 there.

#ifndef ENCMAC_SIGN_EXTENSION_H
#define ENCMAC_SIGN_EXTENSION_H

#include <cstdint>

#include "verilated.h"

static inline int32_t encmac_extend(int bits, IData value) { return int32_t(value << (32 - bits)) >> (32 - bits); }

#define VL_EXTENDS_II(obits, lbits, value) IData(encmac_extend(lbits, value))
#define VL_MULS_III(lbits, lhs, rhs) IData(encmac_extend(lbits, lhs) * encmac_extend(lbits, rhs))

#endif
