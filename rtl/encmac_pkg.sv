// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Types, codes and constant functions that several modules share.
package encmac_pkg;
  /// Bits of an activation or a weight, two's complement.
  localparam int OperandWidth = 8;
  /// Bits of one column's lane in the result stream.
  localparam int ResultWidth = 32;

  /// Gate types, in the order of models/encoding.py.
  typedef enum logic [3:0] {
    GATE_AND    = 4'd0,
    GATE_OR     = 4'd1,
    GATE_XOR    = 4'd2,
    GATE_NAND   = 4'd3,
    GATE_NOR    = 4'd4,
    GATE_XNOR   = 4'd5,
    GATE_ANDNOT = 4'd6,
    GATE_ORNOT  = 4'd7,
    GATE_NOT    = 4'd8,
    GATE_BUF    = 4'd9
  } gate_e;

  /// Kinds of columns behind one array shell.
  localparam int KIND_ENC = 0;  // encoded
  localparam int KIND_CONV = 1;  // conventional

  /// Forms of the conventional processing element.
  localparam int FORM_WRITTEN = 0;  // a * w + psum, left to the synthesiser
  localparam int FORM_TREE = 1;  // partial products and psum in one compressor tree
  localparam int FORM_CARRY_SAVE = 2;  // the same, psum kept as two rows down the column
  localparam int FORM_RECODED = 3;  // a tree of partial products of a weight that is held in radix-4 digits
  localparam int FORM_OPT1 = 4;  // the same, psum kept as two rows down the column (OPT1 of HPCA 2025, weight-stationary)
  localparam int FORM_FIP = 5;  // fast inner product: one multiplier for two rows, left to the synthesiser
  localparam int FORM_FIP_TREE = 6;  // the same, hand-structured

  /// True if a weight is held in radix-4 digits.
  function automatic bit recoded(int form);
    recoded = form == FORM_RECODED || form == FORM_OPT1;
  endfunction

  /// True if a partial sum is two rows, which are added at the foot of a column.
  function automatic bit two_rows(int form);
    two_rows = form == FORM_CARRY_SAVE || form == FORM_OPT1;
  endfunction

  /// True if an element has two rows.
  function automatic bit pairs(int form);
    pairs = form == FORM_FIP || form == FORM_FIP_TREE;
  endfunction

  /// Bits in which a conventional row holds a weight of `w_bits`.
  function automatic int stored_bits(int form, int w_bits);
    stored_bits = recoded(form) ? 3 * ((w_bits + 1) / 2) : w_bits;
  endfunction

  /// Flip-flops behind one clock gate, about.
  localparam int GATE_FANOUT = 32;

  /// Greatest product: that of the least operands, however many bits they have.
  localparam int PRODUCT_MAX = 1 << (2 * OperandWidth - 2);

  /// Products of operands that are the upper `a_bits` and `w_bits` of 8 are multiples of 2 to this power.
  function automatic int unit(int a_bits, int w_bits);
    unit = 2 * OperandWidth - a_bits - w_bits;
  endfunction

  /// Least product of such operands: the least of one by the greatest of the other.
  function automatic int product_min(int a_bits, int w_bits);
    int fewer;
    fewer = a_bits < w_bits ? a_bits : w_bits;
    product_min = (1 << (fewer - 1 + unit(a_bits, w_bits))) - PRODUCT_MAX;
  endfunction

  /// Least sum that one row of a column adds; `a_bits` and `w_bits` are those of a conventional one.
  function automatic int row_min(int kind, bit programmable, int m, int min, int a_bits, int w_bits);
    if (kind == KIND_CONV) row_min = product_min(a_bits, w_bits);
    else if (programmable) row_min = -32768 * m;
    else row_min = min;
  endfunction

  /// Greatest sum that one row of a column adds.
  function automatic int row_max(int kind, bit programmable, int m, int max);
    if (kind == KIND_CONV) row_max = PRODUCT_MAX;
    else if (programmable) row_max = 32767 * m;
    else row_max = max;
  endfunction

  /// Bits of a two's complement sum of `rows` terms, each in min..max.
  function automatic int sum_width(int rows, int min, int max);
    longint low, high;
    low  = longint'(rows) * longint'(min);
    high = longint'(rows) * longint'(max);
    sum_width = 1;
    while (low < -(64'sd1 <<< (sum_width - 1)) || high >= (64'sd1 <<< (sum_width - 1))) begin
      sum_width = sum_width + 1;
    end
  endfunction
endpackage
