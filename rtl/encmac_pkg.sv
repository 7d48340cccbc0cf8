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

  // An encoding is one constant, the parameter `Encoding` of modules: a header of words of 32 bits, then tables. It is
  // as long as its tables are. Packages <name>_pkg, which models/encoding.py exports, have it as ENCODING.

  /// Where in the header a number stands: bit of its lowest bit.
  localparam int ENC_FORMAT = 0;  // says that this is an encoding, laid out so
  localparam int ENC_A_BITS = 32;  // bits of an activation, of a weight that a row holds
  localparam int ENC_W_BITS = 64;
  localparam int ENC_M = 96;  // product bits
  localparam int ENC_MIN_SUM = 128;  // least and greatest sum that one row adds to its column
  localparam int ENC_MAX_SUM = 160;
  localparam int ENC_A_NUM_GATES = 192;  // gates: of an activation, of a weight from its 8 operand bits, of a row
  localparam int ENC_W_NUM_GATES = 224;
  localparam int ENC_NUM_GATES = 256;
  localparam int ENC_NUM_DIGITS = 288;  // signed digits of the position weights

  /// Where in the header the place of a table stands: bit of the encoding at which the table begins.
  localparam int ENC_A_GATES_AT = 320;  // gates are as in enc_mult, 32 bits each; a table of none is one word of 0
  localparam int ENC_A_WIRES_AT = 352;  // wires of outputs are as in enc_mult, 16 bits each; none: as above
  localparam int ENC_W_GATES_AT = 384;
  localparam int ENC_W_WIRES_AT = 416;
  localparam int ENC_GATES_AT = 448;
  localparam int ENC_BITS_AT = 480;
  localparam int ENC_DIGITS_AT = 512;  // as in position_decoder, 32 bits each
  localparam int ENC_EXTRA_AT = 544;  // the encoding of the extra column, which sums f(a); 0: there is none
  localparam int ENC_EXTRA_LENGTH = 576;  // bits of it
  localparam int ENC_HEADER_LENGTH = 608;

  /// First word of an encoding: "ENC", version of the layout.
  localparam logic [31:0] ENC_MAGIC = 32'h454E_4301;

  /// No encoding, what modules have by default: it elaborates, and lacks the word.
  localparam logic [ENC_HEADER_LENGTH-1:0] ENC_NONE =
      ENC_HEADER_LENGTH'(1) << ENC_A_BITS | ENC_HEADER_LENGTH'(1) << ENC_W_BITS |
      ENC_HEADER_LENGTH'(1) << ENC_M | ENC_HEADER_LENGTH'(1) << ENC_NUM_DIGITS;

  /// Entries of a table of so many.
  function automatic int entries(int count);
    entries = count > 0 ? count : 1;
  endfunction

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
