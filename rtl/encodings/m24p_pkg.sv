// Exported from models/encodings/m24p.json; do not edit.
// 24 product bits, pow2 position weights, preset anneal
package m24p_pkg;
  /// gates
  localparam int NUM_GATES = 31;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [31*32-1:0] GATES = {
    32'h600b402b, 32'h2001400b, 32'h600a802b, 32'h6001c00a, 32'h2000800e, 32'h2001800b,
    32'h2001400c, 32'h2001000d, 32'h2000c00e, 32'h2000800f, 32'h10088023, 32'h60030003,
    32'h6000c00d, 32'h6007c020, 32'h0001000c, 32'h1001000b, 32'h2001c00b, 32'h2001800c,
    32'h2001400d, 32'h2001000e, 32'h2000c00f, 32'h2001800d, 32'h2001000f, 32'h2001400e,
    32'h2001c00c, 32'h2001c00d, 32'h2001800e, 32'h2001400f, 32'h2001c00e, 32'h2001800f,
    32'h2001c00f
  };
  /// product bits
  localparam int M = 24;
  /// wire of product bit m at [m*16 +: 16]
  localparam logic [24*16-1:0] BITS = {
    16'h002e, 16'h002c, 16'h0029, 16'h0028, 16'h0027, 16'h0026,
    16'h0025, 16'h0024, 16'h0021, 16'h001e, 16'h001d, 16'h001c,
    16'h001b, 16'h001a, 16'h0019, 16'h0018, 16'h0017, 16'h0016,
    16'h0015, 16'h0014, 16'h0013, 16'h0012, 16'h0011, 16'h0010
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 24;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [24*32-1:0] DIGITS = {
    32'h0000800d, 32'h0002000c, 32'h0001000c, 32'h0005000b, 32'h0004800b, 32'h0003000b,
    32'h0009800a, 32'h0008000a, 32'h0007800a, 32'h0006000a, 32'h000e0009, 32'h000d8009,
    32'h000c8009, 32'h000b8009, 32'h000a0009, 32'h00158008, 32'h00148008, 32'h00138008,
    32'h00128008, 32'h00110008, 32'h00108008, 32'h000f8008, 32'h00178007, 32'h00168007
  };
  /// least sum one row adds
  localparam int MIN_SUM = -15616;
  /// largest sum one row adds
  localparam int MAX_SUM = 15616;
  /// activation bits that a gate reads
  localparam logic [7:0] A_READS = 8'hfc;
  /// weight bits that a gate reads
  localparam logic [7:0] W_READS = 8'hfc;
endpackage
