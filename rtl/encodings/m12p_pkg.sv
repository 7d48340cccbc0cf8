// Exported from models/encodings/m12p.json; do not edit.
// 12 product bits from radix-4 digits of the weight (plain), powers of two, f(a)
package m12p_pkg;
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
  localparam int NUM_GATES = 45;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [45*32-1:0] GATES = {
    32'h20020036, 32'h100d0035, 32'h00008010, 32'h0000c007, 32'h20028032, 32'h100c0031,
    32'h0000000c, 32'h00004009, 32'h2002002e, 32'h100b002d, 32'h0000c010, 32'h00010007,
    32'h2002802a, 32'h100a0029, 32'h0000400c, 32'h00008009, 32'h20020026, 32'h10090025,
    32'h00010010, 32'h00014007, 32'h20028022, 32'h10080021, 32'h0000800c, 32'h0000c009,
    32'h2002001e, 32'h1007001d, 32'h00014010, 32'h00018007, 32'h2002801a, 32'h10060019,
    32'h0000c00c, 32'h00010009, 32'h20028016, 32'h10050015, 32'h0001000c, 32'h00014009,
    32'h20020012, 32'h00018011, 32'h1001c010, 32'h4001c008, 32'h2001800a, 32'h1002c00d,
    32'h0001400c, 32'h60028009, 32'h00018009
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [12*16-1:0] BITS = {
    16'h0037, 16'h0033, 16'h002f, 16'h002b, 16'h0027, 16'h0023,
    16'h001f, 16'h001b, 16'h0017, 16'h0013, 16'h000f, 16'h000e
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 12;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [12*32-1:0] DIGITS = {
    32'h0001800d, 32'h0000800d, 32'h0003000c, 32'h0002000c, 32'h0005800b, 32'h0004000b,
    32'h0007800a, 32'h0006000a, 32'h00098009, 32'h00080009, 32'h000b8008, 32'h000a0008
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -20224;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 12032;
  /// bits of the activation that the extra column weighs; 0: no extra column
  localparam int F_M = 8;
  /// gates: bits of the extra column
  localparam int F_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] F_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [8*16-1:0] F_BITS = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002,
    16'h0001, 16'h0000
  };
  /// signed digits of the extra column
  localparam int F_NUM_DIGITS = 28;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [28*32-1:0] F_DIGITS = {
    32'h0007000c, 32'h0006000b, 32'h0007800a, 32'h0005000a, 32'h00060009, 32'h00040009,
    32'h00050008, 32'h00030008, 32'h00040007, 32'h00020007, 32'h00070006, 32'h00030006,
    32'h00068005, 32'h00070004, 32'h00058004, 32'h00068003, 32'h00048003, 32'h00030002,
    32'h00010002, 32'h00008002, 32'h00078001, 32'h00058001, 32'h00048001, 32'h00020001,
    32'h00060000, 32'h00038000, 32'h00010000, 32'h00000000
  };
  /// least sum one row adds to the extra column
  localparam int F_MIN_SUM = -3;
  /// largest sum one row adds to the extra column
  localparam int F_MAX_SUM = 8021;
  /// the extra column as an encoding: rows hold whole activations, no weights
  localparam logic [1872-1:0] EXTRA = {
    F_DIGITS, F_BITS, F_GATES, 16'd0, 32'd0, 128'h0007_0006_0005_0004_0003_0002_0001_0000, 32'd0,
    32'd0, 32'd0, 32'd976, 32'd848, 32'd816, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd28, 32'd0, 32'd0, 32'd0, 32'd8021, -32'd3, 32'd8, 32'd0, 32'd8, 32'h454e4301
  };
  /// all of it, laid out as encmac_pkg says: the parameter `Encoding`
  localparam logic [4736-1:0] ENCODING = {
    EXTRA, DIGITS, BITS, GATES, W_WIRES, W_GATES, A_WIRES, A_GATES,
    32'd1872, 32'd2864, 32'd2480, 32'd2288, 32'd848, 32'd784, 32'd752, 32'd640, 32'd608,
    32'd12, 32'd45, 32'd0, 32'd0, 32'd12032, -32'd20224, 32'd12, 32'd4, 32'd7, 32'h454e4301
  };
endpackage
