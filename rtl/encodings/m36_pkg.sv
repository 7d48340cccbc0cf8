// Exported from models/encodings/m36.json; do not edit.
// 36 product bits, general position weights, preset anneal
package m36_pkg;
  /// bits of an activation that a row holds
  localparam int A_BITS = 7;
  /// gates: of an activation from its 8 operand bits
  localparam int A_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] A_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [7*16-1:0] A_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002,
    16'h0001
  };
  /// bits of a weight that a row holds
  localparam int W_BITS = 7;
  /// gates: of a weight from its 8 operand bits
  localparam int W_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] W_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [7*16-1:0] W_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002,
    16'h0001
  };
  /// product bits
  localparam int M = 36;
  /// gates: product bits from the bits a row holds
  localparam int NUM_GATES = 42;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [42*32-1:0] GATES = {
    32'h2000400a, 32'h100ac035, 32'h20008009, 32'h2000c009, 32'h100c4032, 32'h60010007,
    32'h2000800a, 32'h100b802f, 32'h20010008, 32'h6000c007, 32'h100ac02c, 32'h2000000c,
    32'h60014007, 32'h2000400b, 32'h2000000d, 32'h20010009, 32'h2000c00a, 32'h2000400c,
    32'h20014008, 32'h2000800b, 32'h10018007, 32'h20014009, 32'h2001000a, 32'h2000800c,
    32'h2000c00b, 32'h2000400d, 32'h10018008, 32'h2001400a, 32'h2001000b, 32'h2000c00c,
    32'h2000800d, 32'h60018009, 32'h2001400b, 32'h2001000c, 32'h2000c00d, 32'h6001800a,
    32'h2001400c, 32'h2001000d, 32'h1001800b, 32'h2001400d, 32'h1001800c, 32'h1001800d
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [36*16-1:0] BITS = {
    16'h0037, 16'h0036, 16'h0034, 16'h0033, 16'h0030, 16'h002d,
    16'h002a, 16'h0029, 16'h0028, 16'h0027, 16'h0026, 16'h0025,
    16'h0024, 16'h0023, 16'h0006, 16'h0022, 16'h0021, 16'h0020,
    16'h001f, 16'h001e, 16'h001d, 16'h001c, 16'h001b, 16'h001a,
    16'h0019, 16'h0018, 16'h0017, 16'h0016, 16'h0015, 16'h0014,
    16'h0013, 16'h0012, 16'h0011, 16'h0010, 16'h000f, 16'h000e
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 96;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [96*32-1:0] DIGITS = {
    32'h0000800e, 32'h0001000d, 32'h0003000c, 32'h0002000c, 32'h0006000b, 32'h0005800b,
    32'h0004000b, 32'h000a000a, 32'h0009800a, 32'h0008800a, 32'h0007000a, 32'h000f0009,
    32'h000e8009, 32'h000d8009, 32'h000c8009, 32'h000b0009, 32'h00160008, 32'h00150008,
    32'h00148008, 32'h00138008, 32'h00128008, 32'h00118008, 32'h00100008, 32'h001c0007,
    32'h001b8007, 32'h001a8007, 32'h00198007, 32'h00188007, 32'h00178007, 32'h00218006,
    32'h00208006, 32'h001f8006, 32'h001e8006, 32'h001d8006, 32'h00168006, 32'h00238005,
    32'h00228005, 32'h000f8005, 32'h00008005, 32'h00100004, 32'h00070004, 32'h00068004,
    32'h00020004, 32'h00010004, 32'h00228003, 32'h00208003, 32'h001f8003, 32'h001e8003,
    32'h001d8003, 32'h001c8003, 32'h00178003, 32'h00118003, 32'h000d8003, 32'h000c8003,
    32'h000b0003, 32'h000a8003, 32'h00088003, 32'h00058003, 32'h00040003, 32'h00238002,
    32'h00218002, 32'h001b8002, 32'h001a8002, 32'h00198002, 32'h00188002, 32'h00160002,
    32'h00158002, 32'h00108002, 32'h00078002, 32'h00060002, 32'h00030002, 32'h00020002,
    32'h00010002, 32'h00200001, 32'h001f0001, 32'h00128001, 32'h000f8001, 32'h000d0001,
    32'h000c0001, 32'h000b0001, 32'h000a0001, 32'h00098001, 32'h00080001, 32'h00040001,
    32'h00008001, 32'h00220000, 32'h001d8000, 32'h001c8000, 32'h00188000, 32'h00170000,
    32'h00168000, 32'h00108000, 32'h000e8000, 32'h00078000, 32'h00060000, 32'h00050000
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -24204;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 21102;
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
