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
  localparam int FORM_OPT = 4;  // the same, psum kept as two rows down the column
  localparam int FORM_FFIP = 5;  // fast inner product: one multiplier for two rows, left to the synthesiser
  localparam int FORM_FFIP_TREE = 6;  // the same, hand-structured

  /// Flip-flops behind one clock gate, about.
  localparam int GATE_FANOUT = 32;

  /// Least sum that one row of a column adds.
  function automatic int row_min(int kind, bit programmable, int m, int min);
    if (kind == KIND_CONV) row_min = -16256;
    else if (programmable) row_min = -32768 * m;
    else row_min = min;
  endfunction

  /// Largest sum that one row of a column adds.
  function automatic int row_max(int kind, bit programmable, int m, int max);
    if (kind == KIND_CONV) row_max = 16384;
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
