// Exported from models/encodings/xnor21.json; do not edit.
// bipolar partial products with i + j >= 9, powers of two, correct up to functions of one operand
package xnor21_pkg;
  /// bits of an activation that a row holds
  localparam int A_BITS = 6;
  /// gates: of an activation from its 8 operand bits
  localparam int A_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] A_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [6*16-1:0] A_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002
  };
  /// bits of a weight that a row holds
  localparam int W_BITS = 6;
  /// gates: of a weight from its 8 operand bits
  localparam int W_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] W_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [6*16-1:0] W_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002
  };
  /// product bits
  localparam int M = 21;
  /// gates: product bits from the bits a row holds
  localparam int NUM_GATES = 21;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [21*32-1:0] GATES = {
    32'h20014006, 32'h20010007, 32'h2000c008, 32'h20008009, 32'h2000400a, 32'h2000000b,
    32'h20014007, 32'h20010008, 32'h2000c009, 32'h2000800a, 32'h2000400b, 32'h20014008,
    32'h20010009, 32'h2000c00a, 32'h2000800b, 32'h20014009, 32'h2001000a, 32'h2000c00b,
    32'h2001400a, 32'h2001000b, 32'h2001400b
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [21*16-1:0] BITS = {
    16'h0020, 16'h001f, 16'h001e, 16'h001d, 16'h001c, 16'h001b,
    16'h001a, 16'h0019, 16'h0018, 16'h0017, 16'h0016, 16'h0015,
    16'h0014, 16'h0013, 16'h0012, 16'h0011, 16'h0010, 16'h000f,
    16'h000e, 16'h000d, 16'h000c
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 21;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [21*32-1:0] DIGITS = {
    32'h0000800d, 32'h0002000c, 32'h0001000c, 32'h0005000b, 32'h0004800b, 32'h0003000b,
    32'h0009000a, 32'h0008800a, 32'h0007800a, 32'h0006000a, 32'h000e0009, 32'h000d8009,
    32'h000c8009, 32'h000b8009, 32'h000a0009, 32'h00140008, 32'h00138008, 32'h00128008,
    32'h00118008, 32'h00108008, 32'h000f0008
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -14848;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 15872;
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
    weight_term = -512 + (w[0] ? 0 : 0) + (w[1] ? 0 : 0) + (w[2] ? 0 : 0) + (w[3] ? 0 : 0) + (w[4] ? 0 : 0) + (w[5] ? 0 : 0) + (w[6] ? 0 : 0) + (w[7] ? 0 : 0);
  endfunction
  /// all of it, laid out as encmac_pkg says: the parameter `Encoding`
  localparam logic [2544-1:0] ENCODING = {
    DIGITS, BITS, GATES, W_WIRES, W_GATES, A_WIRES, A_GATES,
    32'd0, 32'd0, 32'd1872, 32'd1536, 32'd864, 32'd768, 32'd736, 32'd640, 32'd608,
    32'd21, 32'd21, 32'd0, 32'd0, 32'd15872, -32'd14848, 32'd21, 32'd6, 32'd6, 32'h454e4301
  };
endpackage
