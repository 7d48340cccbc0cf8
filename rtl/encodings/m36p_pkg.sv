// Exported from models/encodings/m36p.json; do not edit.
// 36 product bits, pow2 position weights, preset anneal
package m36p_pkg;
  /// gates
  localparam int NUM_GATES = 48;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [48*32-1:0] GATES = {
    32'h100f403e, 32'h6001000a, 32'h2000800c, 32'h100e803b, 32'h0000000f, 32'h2000400d,
    32'h2000c00c, 32'h2000800d, 32'h2000400e, 32'h10018035, 32'h2001400a, 32'h100c8033,
    32'h60014009, 32'h2001000b, 32'h100bc030, 32'h6002c003, 32'h6000c00a, 32'h2001400b,
    32'h2001000c, 32'h2000c00d, 32'h2000400f, 32'h2000800e, 32'h6009c028, 32'h00018009,
    32'h1001800a, 32'h2001800b, 32'h2001400c, 32'h2001000d, 32'h2000c00e, 32'h2000800f,
    32'h1001c00a, 32'h6007c007, 32'h0002400a, 32'h2001c00b, 32'h2001800c, 32'h2001400d,
    32'h2001000e, 32'h2000c00f, 32'h2001800d, 32'h2001400e, 32'h2001000f, 32'h2001c00c,
    32'h2001c00d, 32'h2001400f, 32'h2001800e, 32'h2001c00e, 32'h2001800f, 32'h2001c00f
  };
  /// product bits
  localparam int M = 36;
  /// wire of product bit m at [m*16 +: 16]
  localparam logic [36*16-1:0] BITS = {
    16'h003f, 16'h003c, 16'h0039, 16'h0038, 16'h0037, 16'h0036,
    16'h0034, 16'h0031, 16'h002e, 16'h002d, 16'h002c, 16'h002b,
    16'h002a, 16'h0029, 16'h0026, 16'h0025, 16'h0024, 16'h0023,
    16'h0022, 16'h0021, 16'h0020, 16'h001e, 16'h001d, 16'h001c,
    16'h001b, 16'h001a, 16'h0019, 16'h0018, 16'h0017, 16'h0016,
    16'h0015, 16'h0014, 16'h0013, 16'h0012, 16'h0011, 16'h0010
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 36;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [36*32-1:0] DIGITS = {
    32'h0000800d, 32'h0002000c, 32'h0001000c, 32'h0005000b, 32'h0004000b, 32'h0003800b,
    32'h0009800a, 32'h0008800a, 32'h0007000a, 32'h0006000a, 32'h000e0009, 32'h000d8009,
    32'h000c8009, 32'h000b8009, 32'h000a0009, 32'h00158008, 32'h00148008, 32'h00138008,
    32'h00128008, 32'h00110008, 32'h00100008, 32'h000f0008, 32'h001b8007, 32'h001a8007,
    32'h00198007, 32'h00180007, 32'h00178007, 32'h00168007, 32'h00218006, 32'h00208006,
    32'h001f8006, 32'h001e8006, 32'h001d8006, 32'h001c8006, 32'h00238005, 32'h00228005
  };
  /// least sum one row adds
  localparam int MIN_SUM = -15936;
  /// largest sum one row adds
  localparam int MAX_SUM = 16192;
  /// activation bits that a gate reads
  localparam logic [7:0] A_READS = 8'hff;
  /// weight bits that a gate reads
  localparam logic [7:0] W_READS = 8'hfe;
endpackage
