// Exported from models/encodings/m40p.json; do not edit.
// 40 product bits, pow2 position weights, preset anneal
package m40p_pkg;
  /// gates
  localparam int NUM_GATES = 49;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [49*32-1:0] GATES = {
    32'h100f403f, 32'h2000800c, 32'h600f003d, 32'h00014009, 32'h2000000f, 32'h2001000b,
    32'h2000c00c, 32'h2000800d, 32'h2000400e, 32'h10088036, 32'h60010009, 32'h600cc034,
    32'h0000c00b, 32'h1000c00a, 32'h600c0031, 32'h0000400d, 32'h1000400c, 32'h2001400b,
    32'h2001000c, 32'h2000800e, 32'h2000c00d, 32'h2000400f, 32'h100a0029, 32'h6001400a,
    32'h60024005, 32'h2001800b, 32'h2001400c, 32'h2001000d, 32'h2000c00e, 32'h2000800f,
    32'h1001800a, 32'h00018009, 32'h2001c00b, 32'h2001800c, 32'h2001000e, 32'h2000c00f,
    32'h2001400d, 32'h6001c00a, 32'h0001c009, 32'h2001c00c, 32'h2001800d, 32'h2001400e,
    32'h2001000f, 32'h2001c00d, 32'h2001800e, 32'h2001400f, 32'h2001c00e, 32'h2001800f,
    32'h2001c00f
  };
  /// product bits
  localparam int M = 40;
  /// wire of product bit m at [m*16 +: 16]
  localparam logic [40*16-1:0] BITS = {
    16'h0040, 16'h003e, 16'h003b, 16'h003a, 16'h0039, 16'h0038,
    16'h0037, 16'h0035, 16'h0032, 16'h002f, 16'h002e, 16'h002d,
    16'h002c, 16'h002b, 16'h002a, 16'h001a, 16'h0027, 16'h0026,
    16'h0025, 16'h0024, 16'h0023, 16'h0022, 16'h0021, 16'h0020,
    16'h001f, 16'h001e, 16'h001d, 16'h001c, 16'h001b, 16'h001a,
    16'h0019, 16'h0018, 16'h0017, 16'h0016, 16'h0015, 16'h0014,
    16'h0013, 16'h0012, 16'h0011, 16'h0010
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 40;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [40*32-1:0] DIGITS = {
    32'h0000800d, 32'h0002000c, 32'h0001000c, 32'h0005000b, 32'h0004800b, 32'h0003000b,
    32'h0009000a, 32'h0008800a, 32'h0007800a, 32'h0006000a, 32'h00100009, 32'h000f8009,
    32'h000e8009, 32'h000d0009, 32'h000c8009, 32'h000b0009, 32'h000a8009, 32'h00178008,
    32'h00168008, 32'h00158008, 32'h00148008, 32'h00130008, 32'h00128008, 32'h00110008,
    32'h001e8007, 32'h001d8007, 32'h001c8007, 32'h001b8007, 32'h001a0007, 32'h00198007,
    32'h00180007, 32'h00258006, 32'h00248006, 32'h00238006, 32'h00228006, 32'h00218006,
    32'h00208006, 32'h001f8006, 32'h00278005, 32'h00260005
  };
  /// least sum one row adds
  localparam int MIN_SUM = -16608;
  /// largest sum one row adds
  localparam int MAX_SUM = 16288;
  /// activation bits that a gate reads
  localparam logic [7:0] A_READS = 8'hff;
  /// weight bits that a gate reads
  localparam logic [7:0] W_READS = 8'hfe;
endpackage
