// Exported from models/encodings/m16p.json; do not edit.
// 16 product bits, pow2 position weights, preset anneal
package m16p_pkg;
  /// gates
  localparam int NUM_GATES = 18;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [18*32-1:0] GATES = {
    32'h2001400c, 32'h2000c00f, 32'h6007401e, 32'h6001c00b, 32'h2001000d, 32'h2001800c,
    32'h2001400d, 32'h2001000e, 32'h2001c00c, 32'h2001800d, 32'h2001400e, 32'h2001000f,
    32'h2001c00d, 32'h2001800e, 32'h2001400f, 32'h2001c00e, 32'h2001800f, 32'h2001c00f
  };
  /// product bits
  localparam int M = 16;
  /// wire of product bit m at [m*16 +: 16]
  localparam logic [16*16-1:0] BITS = {
    16'h0021, 16'h0020, 16'h001f, 16'h001c, 16'h001b, 16'h001a,
    16'h0019, 16'h0018, 16'h0017, 16'h0016, 16'h0015, 16'h0014,
    16'h0013, 16'h0012, 16'h0011, 16'h0010
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 16;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [16*32-1:0] DIGITS = {
    32'h0000800d, 32'h0002000c, 32'h0001000c, 32'h0005000b, 32'h0004800b, 32'h0003000b,
    32'h0009000a, 32'h0008800a, 32'h0007800a, 32'h0006000a, 32'h000c8009, 32'h000b8009,
    32'h000a8009, 32'h000f8008, 32'h000e0008, 32'h000d8008
  };
  /// least sum one row adds
  localparam int MIN_SUM = -14336;
  /// largest sum one row adds
  localparam int MAX_SUM = 14592;
  /// activation bits that a gate reads
  localparam logic [7:0] A_READS = 8'hf8;
  /// weight bits that a gate reads
  localparam logic [7:0] W_READS = 8'hf8;
endpackage
