// Exported from models/encodings/m28p.json; do not edit.
// 28 product bits, pow2 position weights, preset anneal
package m28p_pkg;
  /// gates
  localparam int NUM_GATES = 38;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [38*32-1:0] GATES = {
    32'h10018034, 32'h2000800d, 32'h100c4032, 32'h2001000b, 32'h6001400a, 32'h600b802f,
    32'h6000800c, 32'h2000400f, 32'h2001400b, 32'h2000c00d, 32'h600a8028, 32'h2001000c,
    32'h6009c028, 32'h6001c00a, 32'h2000800e, 32'h60090025, 32'h0000c00b, 32'h1000c00c,
    32'h2001800b, 32'h2001400c, 32'h2001000d, 32'h2000c00e, 32'h2000800f, 32'h2001c00b,
    32'h2001800c, 32'h2001400d, 32'h2000c00f, 32'h2001000e, 32'h2001c00c, 32'h2001800d,
    32'h2001000f, 32'h2001400e, 32'h2001c00d, 32'h2001800e, 32'h2001400f, 32'h2001800f,
    32'h2001c00e, 32'h2001c00f
  };
  /// product bits
  localparam int M = 28;
  /// wire of product bit m at [m*16 +: 16]
  localparam logic [28*16-1:0] BITS = {
    16'h0035, 16'h0033, 16'h0030, 16'h002d, 16'h002c, 16'h002b,
    16'h0029, 16'h0026, 16'h0023, 16'h0022, 16'h0021, 16'h0020,
    16'h001f, 16'h001e, 16'h001d, 16'h001c, 16'h001b, 16'h001a,
    16'h0019, 16'h0018, 16'h0017, 16'h0016, 16'h0015, 16'h0014,
    16'h0013, 16'h0012, 16'h0011, 16'h0010
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 28;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [28*32-1:0] DIGITS = {
    32'h0000800d, 32'h0002000c, 32'h0001000c, 32'h0005000b, 32'h0004800b, 32'h0003000b,
    32'h0009000a, 32'h0008800a, 32'h0007000a, 32'h0006800a, 32'h000e0009, 32'h000d8009,
    32'h000c8009, 32'h000b0009, 32'h000a8009, 32'h00138008, 32'h00128008, 32'h00118008,
    32'h00108008, 32'h000f0008, 32'h00188007, 32'h00178007, 32'h00168007, 32'h00158007,
    32'h00148007, 32'h001b8006, 32'h001a8006, 32'h00190006
  };
  /// least sum one row adds
  localparam int MIN_SUM = -15616;
  /// largest sum one row adds
  localparam int MAX_SUM = 15680;
  /// activation bits that a gate reads
  localparam logic [7:0] A_READS = 8'hfe;
  /// weight bits that a gate reads
  localparam logic [7:0] W_READS = 8'hfc;
endpackage
