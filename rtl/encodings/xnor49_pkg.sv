// Exported from models/encodings/xnor49.json; do not edit.
// bipolar partial products with i + j >= 5, powers of two, correct up to functions of one operand
package xnor49_pkg;
  /// bits of an activation that a row holds
  localparam int A_BITS = 8;
  /// gates: of an activation from its 8 operand bits
  localparam int A_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] A_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [8*16-1:0] A_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002,
    16'h0001, 16'h0000
  };
  /// bits of a weight that a row holds
  localparam int W_BITS = 8;
  /// gates: of a weight from its 8 operand bits
  localparam int W_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] W_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [8*16-1:0] W_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002,
    16'h0001, 16'h0000
  };
  /// product bits
  localparam int M = 49;
  /// gates: product bits from the bits a row holds
  localparam int NUM_GATES = 49;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [49*32-1:0] GATES = {
    32'h20014008, 32'h20010009, 32'h2000c00a, 32'h2000800b, 32'h2000400c, 32'h2000000d,
    32'h20018008, 32'h20014009, 32'h2001000a, 32'h2000c00b, 32'h2000800c, 32'h2000400d,
    32'h2000000e, 32'h2001c008, 32'h20018009, 32'h2001400a, 32'h2001000b, 32'h2000c00c,
    32'h2000800d, 32'h2000400e, 32'h2000000f, 32'h2001c009, 32'h2001800a, 32'h2001400b,
    32'h2001000c, 32'h2000c00d, 32'h2000800e, 32'h2000400f, 32'h2001c00a, 32'h2001800b,
    32'h2001400c, 32'h2001000d, 32'h2000c00e, 32'h2000800f, 32'h2001c00b, 32'h2001800c,
    32'h2001400d, 32'h2001000e, 32'h2000c00f, 32'h2001c00c, 32'h2001800d, 32'h2001400e,
    32'h2001000f, 32'h2001c00d, 32'h2001800e, 32'h2001400f, 32'h2001c00e, 32'h2001800f,
    32'h2001c00f
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [49*16-1:0] BITS = {
    16'h0040, 16'h003f, 16'h003e, 16'h003d, 16'h003c, 16'h003b,
    16'h003a, 16'h0039, 16'h0038, 16'h0037, 16'h0036, 16'h0035,
    16'h0034, 16'h0033, 16'h0032, 16'h0031, 16'h0030, 16'h002f,
    16'h002e, 16'h002d, 16'h002c, 16'h002b, 16'h002a, 16'h0029,
    16'h0028, 16'h0027, 16'h0026, 16'h0025, 16'h0024, 16'h0023,
    16'h0022, 16'h0021, 16'h0020, 16'h001f, 16'h001e, 16'h001d,
    16'h001c, 16'h001b, 16'h001a, 16'h0019, 16'h0018, 16'h0017,
    16'h0016, 16'h0015, 16'h0014, 16'h0013, 16'h0012, 16'h0011,
    16'h0010
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 49;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [49*32-1:0] DIGITS = {
    32'h0000800d, 32'h0002000c, 32'h0001000c, 32'h0005000b, 32'h0004800b, 32'h0003000b,
    32'h0009000a, 32'h0008800a, 32'h0007800a, 32'h0006000a, 32'h000e0009, 32'h000d8009,
    32'h000c8009, 32'h000b8009, 32'h000a0009, 32'h00140008, 32'h00138008, 32'h00128008,
    32'h00118008, 32'h00108008, 32'h000f0008, 32'h001b0007, 32'h001a8007, 32'h00198007,
    32'h00188007, 32'h00178007, 32'h00168007, 32'h00150007, 32'h00230006, 32'h00228006,
    32'h00218006, 32'h00208006, 32'h001f8006, 32'h001e8006, 32'h001d8006, 32'h001c0006,
    32'h002a8005, 32'h00298005, 32'h00288005, 32'h00278005, 32'h00268005, 32'h00258005,
    32'h00248005, 32'h00308004, 32'h002f8004, 32'h002e8004, 32'h002d8004, 32'h002c8004,
    32'h002b8004
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -16192;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 16256;
  /// bits of the activation that the extra column weighs; 0: no extra column
  localparam int F_M = 0;
  /// gates: bits of the extra column
  localparam int F_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] F_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [1*16-1:0] F_BITS = {
    16'h0000
  };
  /// signed digits of the extra column
  localparam int F_NUM_DIGITS = 0;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [1*32-1:0] F_DIGITS = {
    32'h00000000
  };
  /// least sum one row adds to the extra column
  localparam int F_MIN_SUM = 0;
  /// largest sum one row adds to the extra column
  localparam int F_MAX_SUM = 0;
  /// what a weight alone adds to a product, g(w) and offset: not in the array; add it once for each row of
  /// a tile, as a network does with its bias
  function automatic int weight_term(input logic [7:0] w);
    weight_term = -32 + (w[0] ? 0 : 0) + (w[1] ? 0 : 0) + (w[2] ? 0 : 0) + (w[3] ? 0 : 0) + (w[4] ? 0 : 0) + (w[5] ? 0 : 0) + (w[6] ? 0 : 0) + (w[7] ? 0 : 0);
  endfunction
  /// all of it, laid out as encmac_pkg says: the parameter `Encoding`
  localparam logic [4848-1:0] ENCODING = {
    DIGITS, BITS, GATES, W_WIRES, W_GATES, A_WIRES, A_GATES,
    32'd0, 32'd0, 32'd3280, 32'd2496, 32'd928, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd49, 32'd49, 32'd0, 32'd0, 32'd16256, -32'd16192, 32'd49, 32'd8, 32'd8, 32'h454e4301
  };
endpackage
