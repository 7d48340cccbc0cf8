// Exported from models/encodings/m16p.json; do not edit.
// 16 product bits, pow2 position weights, preset anneal
package m16p_pkg;
  /// bits of an activation that a row holds
  localparam int A_BITS = 5;
  /// gates: of an activation from its 8 operand bits
  localparam int A_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] A_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [5*16-1:0] A_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003
  };
  /// bits of a weight that a row holds
  localparam int W_BITS = 5;
  /// gates: of a weight from its 8 operand bits
  localparam int W_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] W_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [5*16-1:0] W_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003
  };
  /// product bits
  localparam int M = 16;
  /// gates: product bits from the bits a row holds
  localparam int NUM_GATES = 18;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [18*32-1:0] GATES = {
    32'h20008006, 32'h20000009, 32'h6005c018, 32'h60010005, 32'h20004007, 32'h2000c006,
    32'h20008007, 32'h20004008, 32'h20010006, 32'h2000c007, 32'h20008008, 32'h20004009,
    32'h20010007, 32'h2000c008, 32'h20008009, 32'h20010008, 32'h2000c009, 32'h20010009
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [16*16-1:0] BITS = {
    16'h001b, 16'h001a, 16'h0019, 16'h0016, 16'h0015, 16'h0014,
    16'h0013, 16'h0012, 16'h0011, 16'h0010, 16'h000f, 16'h000e,
    16'h000d, 16'h000c, 16'h000b, 16'h000a
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 16;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [16*32-1:0] DIGITS = {
    32'h0000800d, 32'h0002000c, 32'h0001000c, 32'h0005000b, 32'h0004800b, 32'h0003000b,
    32'h0009000a, 32'h0008800a, 32'h0007800a, 32'h0006000a, 32'h000c8009, 32'h000b8009,
    32'h000a8009, 32'h000f8008, 32'h000e0008, 32'h000d8008
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -14336;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 14592;
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
endpackage
