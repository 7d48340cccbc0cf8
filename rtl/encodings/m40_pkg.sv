// Exported from models/encodings/m40.json; do not edit.
// 40 product bits, general position weights, preset anneal
package m40_pkg;
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
  localparam int M = 40;
  /// gates: product bits from the bits a row holds
  localparam int NUM_GATES = 43;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [43*32-1:0] GATES = {
    32'h100dc038, 32'h0000000e, 32'h20010009, 32'h2000400c, 32'h2000800b, 32'h2000c00a,
    32'h100c4032, 32'h60010009, 32'h10014008, 32'h2000800c, 32'h2000400d, 32'h2001000a,
    32'h2000c00b, 32'h20014009, 32'h2000c00c, 32'h2000400e, 32'h2001400a, 32'h2001000b,
    32'h2000800d, 32'h60020006, 32'h60018009, 32'h2001800a, 32'h2001000c, 32'h2001400b,
    32'h2000c00d, 32'h1001c008, 32'h2000800e, 32'h6001c009, 32'h2001800b, 32'h2001400c,
    32'h2001000d, 32'h2000c00e, 32'h1001c00a, 32'h2001800c, 32'h2001400d, 32'h2001000e,
    32'h1001c00b, 32'h2001800d, 32'h2001400e, 32'h1001c00c, 32'h2001800e, 32'h6001c00d,
    32'h6001c00e
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [40*16-1:0] BITS = {
    16'h0039, 16'h0036, 16'h0035, 16'h0034, 16'h0033, 16'h0030,
    16'h002f, 16'h002e, 16'h002d, 16'h002c, 16'h002b, 16'h002a,
    16'h0029, 16'h0028, 16'h0027, 16'h0026, 16'h0007, 16'h0025,
    16'h0024, 16'h0023, 16'h0022, 16'h0021, 16'h0020, 16'h001f,
    16'h001e, 16'h001d, 16'h001c, 16'h001b, 16'h001a, 16'h0019,
    16'h0018, 16'h0017, 16'h0016, 16'h0015, 16'h0014, 16'h0013,
    16'h0012, 16'h0011, 16'h0010, 16'h000f
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 110;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [110*32-1:0] DIGITS = {
    32'h0000800e, 32'h0001000d, 32'h0003000c, 32'h0002000c, 32'h0006000b, 32'h0005800b,
    32'h0004000b, 32'h000a000a, 32'h0009800a, 32'h0008800a, 32'h0007000a, 32'h000f0009,
    32'h000e8009, 32'h000d8009, 32'h000c8009, 32'h000b0009, 32'h00170008, 32'h00168008,
    32'h00158008, 32'h00148008, 32'h00138008, 32'h00128008, 32'h00110008, 32'h00100008,
    32'h001d8007, 32'h001c0007, 32'h001b8007, 32'h001a8007, 32'h00198007, 32'h00188007,
    32'h00238006, 32'h00228006, 32'h00218006, 32'h00208006, 32'h001f8006, 32'h001e8006,
    32'h00178006, 32'h00278005, 32'h00268005, 32'h00258005, 32'h00248005, 32'h00188005,
    32'h00160005, 32'h000f8005, 32'h00230004, 32'h00170004, 32'h00068004, 32'h00010004,
    32'h00008004, 32'h001e8003, 32'h00188003, 32'h00168003, 32'h00100003, 32'h000f0003,
    32'h000b0003, 32'h00070003, 32'h00040003, 32'h00020003, 32'h00258002, 32'h00248002,
    32'h00230002, 32'h00228002, 32'h00218002, 32'h00208002, 32'h001f8002, 32'h001b8002,
    32'h001a8002, 32'h00198002, 32'h00138002, 32'h00128002, 32'h00110002, 32'h000e0002,
    32'h000c8002, 32'h000a8002, 32'h00098002, 32'h00088002, 32'h00060002, 32'h00058002,
    32'h00018002, 32'h001d8001, 32'h001c0001, 32'h00170001, 32'h00168001, 32'h00148001,
    32'h000d8001, 32'h00030001, 32'h00268000, 32'h00248000, 32'h00230000, 32'h00220000,
    32'h00208000, 32'h001f8000, 32'h001e0000, 32'h00198000, 32'h00158000, 32'h00130000,
    32'h00128000, 32'h00110000, 32'h00108000, 32'h000f0000, 32'h000e8000, 32'h000c8000,
    32'h000b0000, 32'h000a8000, 32'h00090000, 32'h00088000, 32'h00060000, 32'h00028000,
    32'h00018000, 32'h00008000
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -16679;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 24422;
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
