// Exported from models/encodings/m32p.json; do not edit.
// 32 product bits, pow2 position weights, preset anneal
package m32p_pkg;
  /// gates
  localparam int NUM_GATES = 43;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [43*32-1:0] GATES = {
    32'h100e0039, 32'h6001000a, 32'h2000800c, 32'h100d4036, 32'h0001400a, 32'h2001000b,
    32'h100c4033, 32'h2000800d, 32'h600c0031, 32'h60018009, 32'h2000400f, 32'h2001800a,
    32'h2000c00d, 32'h2000800e, 32'h2001000c, 32'h1001c009, 32'h100a0029, 32'h6000c00c,
    32'h6002c003, 32'h2001c00a, 32'h2001800b, 32'h2001400c, 32'h2001000d, 32'h2000c00e,
    32'h2000800f, 32'h6007c020, 32'h0001400b, 32'h1001400a, 32'h2001800c, 32'h2001000e,
    32'h2000c00f, 32'h2001400d, 32'h2001c00b, 32'h2001c00c, 32'h2001800d, 32'h2001400e,
    32'h2001000f, 32'h2001c00d, 32'h2001400f, 32'h2001800e, 32'h2001800f, 32'h2001c00e,
    32'h2001c00f
  };
  /// product bits
  localparam int M = 32;
  /// wire of product bit m at [m*16 +: 16]
  localparam logic [32*16-1:0] BITS = {
    16'h003a, 16'h0037, 16'h0034, 16'h0032, 16'h002f, 16'h002e,
    16'h002d, 16'h002c, 16'h002b, 16'h002a, 16'h0027, 16'h0026,
    16'h0025, 16'h0024, 16'h0023, 16'h0022, 16'h0021, 16'h001e,
    16'h001d, 16'h001c, 16'h001b, 16'h001a, 16'h0019, 16'h0018,
    16'h0017, 16'h0016, 16'h0015, 16'h0014, 16'h0013, 16'h0012,
    16'h0011, 16'h0010
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 32;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [32*32-1:0] DIGITS = {
    32'h0000800d, 32'h0002000c, 32'h0001000c, 32'h0005000b, 32'h0004000b, 32'h0003800b,
    32'h0009000a, 32'h0008800a, 32'h0007800a, 32'h0006000a, 32'h000e8009, 32'h000d8009,
    32'h000c0009, 32'h000b8009, 32'h000a0009, 32'h00150008, 32'h00148008, 32'h00138008,
    32'h00128008, 32'h00118008, 32'h00100008, 32'h000f8008, 32'h001b8007, 32'h001a8007,
    32'h00198007, 32'h00188007, 32'h00170007, 32'h00168007, 32'h001e8006, 32'h001d8006,
    32'h001c0006, 32'h001f8005
  };
  /// least sum one row adds
  localparam int MIN_SUM = -15904;
  /// largest sum one row adds
  localparam int MAX_SUM = 16064;
  /// activation bits that a gate reads
  localparam logic [7:0] A_READS = 8'hfe;
  /// weight bits that a gate reads
  localparam logic [7:0] W_READS = 8'hfe;
endpackage
