// Exported from models/encodings/c12p.json; do not edit.
// 12 product bits for chosen weights of 4 bits, radix-4 digits, powers of two, f(a)
package c12p_pkg;
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
  localparam int W_BITS = 4;
  /// gates: of a weight from its 8 operand bits
  localparam int W_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] W_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [4*16-1:0] W_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004
  };
  /// product bits
  localparam int M = 12;
  /// gates: product bits from the bits a row holds
  localparam int NUM_GATES = 40;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [40*32-1:0] GATES = {
    32'h2001c030, 32'h100b802f, 32'h00004015, 32'h00008006, 32'h2002402c, 32'h00000008,
    32'h2001c02a, 32'h100a0029, 32'h00008015, 32'h0000c006, 32'h20024026, 32'h10090025,
    32'h0000000c, 32'h00004008, 32'h2001c022, 32'h10080021, 32'h0000c015, 32'h00010006,
    32'h2002401e, 32'h1007001d, 32'h0000400c, 32'h00008008, 32'h2002401a, 32'h10060019,
    32'h0000800c, 32'h0000c008, 32'h10050016, 32'h00010015, 32'h40018007, 32'h00014006,
    32'h20024012, 32'h10040011, 32'h0000c00c, 32'h00010008, 32'h00014007, 32'h1002c00d,
    32'h0001000c, 32'h60024008, 32'h00014008, 32'h00014009
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [12*16-1:0] BITS = {
    16'h0031, 16'h002d, 16'h002b, 16'h0027, 16'h0023, 16'h001f,
    16'h001b, 16'h0017, 16'h0013, 16'h000f, 16'h000e, 16'h000a
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 12;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [12*32-1:0] DIGITS = {
    32'h0000000e, 32'h0001800d, 32'h0003000c, 32'h0002800c, 32'h0005000b, 32'h0004800b,
    32'h0007800a, 32'h0006000a, 32'h00098009, 32'h00080009, 32'h000b8008, 32'h000a0008
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -16128;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 24320;
  /// bits of the activation that the extra column weighs; 0: no extra column
  localparam int F_M = 6;
  /// gates: bits of the extra column
  localparam int F_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] F_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [6*16-1:0] F_BITS = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002
  };
  /// signed digits of the extra column
  localparam int F_NUM_DIGITS = 21;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [21*32-1:0] F_DIGITS = {
    32'h0004000b, 32'h0003000a, 32'h00020009, 32'h00010008, 32'h00058007, 32'h00000007,
    32'h00040006, 32'h00058005, 32'h00030005, 32'h00008005, 32'h00040004, 32'h00020004,
    32'h00010004, 32'h00050003, 32'h00030003, 32'h00048002, 32'h00018002, 32'h00008002,
    32'h00038001, 32'h00020001, 32'h00010000
  };
  /// least sum one row adds to the extra column
  localparam int F_MIN_SUM = -152;
  /// largest sum one row adds to the extra column
  localparam int F_MAX_SUM = 4077;
endpackage
