// Exported from models/encodings/m20p.json; do not edit.
// 20 product bits, pow2 position weights, preset anneal
package m20p_pkg;
  /// gates
  localparam int NUM_GATES = 26;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [26*32-1:0] GATES = {
    32'h2000800f, 32'h10098027, 32'h6001400b, 32'h2001000c, 32'h2001000d, 32'h2000c00e,
    32'h10084022, 32'h60030003, 32'h6000c00d, 32'h6007801f, 32'h6001c00b, 32'h2001400c,
    32'h2001800c, 32'h2001400d, 32'h2001000e, 32'h2000c00f, 32'h2001c00c, 32'h2001400e,
    32'h2001000f, 32'h2001800d, 32'h2001c00d, 32'h2001800e, 32'h2001400f, 32'h2001c00e,
    32'h2001800f, 32'h2001c00f
  };
  /// product bits
  localparam int M = 20;
  /// wire of product bit m at [m*16 +: 16]
  localparam logic [20*16-1:0] BITS = {
    16'h0029, 16'h0028, 16'h0025, 16'h0024, 16'h0023, 16'h0020,
    16'h001d, 16'h001c, 16'h001b, 16'h001a, 16'h0019, 16'h0018,
    16'h0017, 16'h0016, 16'h0015, 16'h0014, 16'h0013, 16'h0012,
    16'h0011, 16'h0010
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 20;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [20*32-1:0] DIGITS = {
    32'h0000800d, 32'h0002000c, 32'h0001000c, 32'h0005000b, 32'h0004800b, 32'h0003000b,
    32'h0009000a, 32'h0008800a, 32'h0007000a, 32'h0006800a, 32'h000d8009, 32'h000c8009,
    32'h000b8009, 32'h000a0009, 32'h00118008, 32'h00108008, 32'h000f8008, 32'h000e8008,
    32'h00130007, 32'h00128007
  };
  /// least sum one row adds
  localparam int MIN_SUM = -14976;
  /// largest sum one row adds
  localparam int MAX_SUM = 14976;
  /// activation bits that a gate reads
  localparam logic [7:0] A_READS = 8'hfc;
  /// weight bits that a gate reads
  localparam logic [7:0] W_READS = 8'hf8;
endpackage
