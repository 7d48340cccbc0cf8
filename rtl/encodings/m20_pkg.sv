// Exported from models/encodings/m20.json; do not edit.
// 20 product bits, general position weights, preset anneal
package m20_pkg;
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
  localparam int M = 20;
  /// gates: product bits from the bits a row holds
  localparam int NUM_GATES = 26;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [26*32-1:0] GATES = {
    32'h2000000b, 32'h20024023, 32'h10004002, 32'h60080021, 32'h60014006, 32'h2000400a,
    32'h6007401e, 32'h00008009, 32'h10008008, 32'h6000c01b, 32'h20014007, 32'h20010008,
    32'h2000400b, 32'h2000800a, 32'h1000c008, 32'h20014008, 32'h20010009, 32'h2000800b,
    32'h6000c009, 32'h20014009, 32'h2001000a, 32'h1000c00a, 32'h2001400a, 32'h2001000b,
    32'h1000c00b, 32'h2001400b
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [20*16-1:0] BITS = {
    16'h0025, 16'h0024, 16'h0022, 16'h001f, 16'h001c, 16'h001a,
    16'h0019, 16'h0018, 16'h0017, 16'h0016, 16'h0015, 16'h0014,
    16'h0013, 16'h0012, 16'h0011, 16'h0010, 16'h000f, 16'h000e,
    16'h000d, 16'h000c
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 68;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [68*32-1:0] DIGITS = {
    32'h0000800d, 32'h0003000c, 32'h0002000c, 32'h0001000c, 32'h0006000b, 32'h0005800b,
    32'h0004800b, 32'h000a000a, 32'h0009800a, 32'h0008000a, 32'h0007800a, 32'h000f8009,
    32'h000e8009, 32'h000d0009, 32'h000c8009, 32'h000b8009, 32'h00118008, 32'h00108008,
    32'h00130007, 32'h00128007, 32'h000f0007, 32'h00078007, 32'h00048007, 32'h00010007,
    32'h00108006, 32'h000b8006, 32'h00080006, 32'h00020006, 32'h00118005, 32'h000c8005,
    32'h00070005, 32'h00030005, 32'h00008005, 32'h00128004, 32'h000d0004, 32'h000b8004,
    32'h00098004, 32'h00088004, 32'h00058004, 32'h00040004, 32'h00028004, 32'h00018004,
    32'h00110003, 32'h000a8003, 32'h00070003, 32'h00060003, 32'h00130002, 32'h00128002,
    32'h00108002, 32'h000d8002, 32'h00090002, 32'h00030002, 32'h00028002, 32'h00018002,
    32'h00048001, 32'h00008001, 32'h00128000, 32'h00118000, 32'h000e0000, 32'h000d0000,
    32'h000b0000, 32'h000a0000, 32'h00090000, 32'h00078000, 32'h00058000, 32'h00030000,
    32'h00020000, 32'h00018000
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -15888;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 17279;
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
