// Exported from models/encodings/m16p.json; do not edit.
// 16 product bits, pow2 position weights, preset anneal
package m16p_pkg;
  /// gates
  localparam int NUM_GATES = 26;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [26*32-1:0] GATES = {
    32'h600a0006, 32'h2000800f, 32'h2001400d, 32'h2001000e, 32'h1008c024, 32'h0001c00f,
    32'h2001c00c, 32'h10080021, 32'h6001000c, 32'h60034004, 32'h60078019, 32'h1000c00d,
    32'h2001800d, 32'h2001400e, 32'h2001000f, 32'h60060019, 32'h6000c00e, 32'h1000c00f,
    32'h2001c00e, 32'h2001800e, 32'h2001400f, 32'h2001800f, 32'h60044012, 32'h0001c00e,
    32'h1001c00d, 32'h2001c00f
  };
  /// product bits
  localparam int M = 16;
  /// wire of product bit m at [m*16 +: 16]
  localparam logic [16*16-1:0] BITS = {
    16'h0029, 16'h0027, 16'h0026, 16'h0025, 16'h0022, 16'h001f,
    16'h001d, 16'h001c, 16'h001b, 16'h001a, 16'h0017, 16'h0016,
    16'h0015, 16'h0014, 16'h0013, 16'h0010
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 16;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [16*32-1:0] DIGITS = {
    32'h0000800d, 32'h0002000c, 32'h0001000c, 32'h0005000b, 32'h0004800b, 32'h0003000b,
    32'h0009800a, 32'h0008800a, 32'h0007000a, 32'h0006000a, 32'h000e8009, 32'h000d8009,
    32'h000c0009, 32'h000b8009, 32'h000a8009, 32'h000f0007
  };
  /// least sum one row adds
  localparam int MIN_SUM = -14336;
  /// largest sum one row adds
  localparam int MAX_SUM = 14976;
  /// activation bits that a gate reads
  localparam logic [7:0] A_READS = 8'hfc;
  /// weight bits that a gate reads
  localparam logic [7:0] W_READS = 8'hf0;
endpackage
