// Exported from models/encodings/m16.json; do not edit.
// 16 product bits, general position weights, preset anneal
package m16_pkg;
  /// gates
  localparam int NUM_GATES = 18;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [18*32-1:0] GATES = {
    32'h2000c00f, 32'h2001400c, 32'h6007401e, 32'h6001c00b, 32'h2001000d, 32'h2001800c,
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
  localparam int NUM_DIGITS = 53;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [53*32-1:0] DIGITS = {
    32'h0000800d, 32'h0002000c, 32'h0001000c, 32'h0005000b, 32'h0004800b, 32'h0003000b,
    32'h0009000a, 32'h0008800a, 32'h0007800a, 32'h0006000a, 32'h000c8009, 32'h000b8009,
    32'h000a8009, 32'h000f0008, 32'h000e8008, 32'h000d8008, 32'h00030007, 32'h000a8006,
    32'h00098006, 32'h00078006, 32'h00060006, 32'h00010006, 32'h000e8005, 32'h000d8005,
    32'h000b8005, 32'h00048005, 32'h00038005, 32'h000c8004, 32'h00088004, 32'h00060004,
    32'h00020004, 32'h000f0003, 32'h00090003, 32'h00058003, 32'h00048003, 32'h00010003,
    32'h000d8002, 32'h00068002, 32'h00030002, 32'h00000002, 32'h000f0001, 32'h000e0001,
    32'h000b8001, 32'h000a8001, 32'h00098001, 32'h00080001, 32'h00078001, 32'h00040001,
    32'h00028001, 32'h000d0000, 32'h00050000, 32'h00010000, 32'h00008000
  };
  /// least sum one row adds
  localparam int MIN_SUM = -14632;
  /// largest sum one row adds
  localparam int MAX_SUM = 14800;
  /// activation bits that a gate reads
  localparam logic [7:0] A_READS = 8'hf8;
  /// weight bits that a gate reads
  localparam logic [7:0] W_READS = 8'hf8;
endpackage
