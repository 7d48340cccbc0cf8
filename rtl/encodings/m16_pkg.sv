// Exported from models/encodings/m16.json; do not edit.
// 16 product bits, general position weights, preset anneal
package m16_pkg;
  /// gates
  localparam int NUM_GATES = 24;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [24*32-1:0] GATES = {
    32'h60094026, 32'h6001c00b, 32'h2001000d, 32'h60088023, 32'h6000c006, 32'h2001800d,
    32'h6000c00e, 32'h2000c00f, 32'h2001000e, 32'h1007001d, 32'h2003000d, 32'h2001400d,
    32'h2001000f, 32'h2001400e, 32'h2001c00c, 32'h60058017, 32'h0001800d, 32'h1001800c,
    32'h2001c00d, 32'h2001400f, 32'h2001800e, 32'h2001800f, 32'h2001c00e, 32'h2001c00f
  };
  /// product bits
  localparam int M = 16;
  /// wire of product bit m at [m*16 +: 16]
  localparam logic [16*16-1:0] BITS = {
    16'h0027, 16'h0024, 16'h0021, 16'h0020, 16'h001f, 16'h001e,
    16'h001b, 16'h001a, 16'h0019, 16'h0018, 16'h0015, 16'h0014,
    16'h0013, 16'h0012, 16'h0011, 16'h0010
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 68;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [68*32-1:0] DIGITS = {
    32'h0000800d, 32'h0002000c, 32'h0001000c, 32'h0005000b, 32'h0004000b, 32'h0003800b,
    32'h000a800a, 32'h0009000a, 32'h0008800a, 32'h0007000a, 32'h0006800a, 32'h000e8009,
    32'h000d8009, 32'h000c0009, 32'h000b8009, 32'h000f8008, 32'h000a0008, 32'h00068008,
    32'h00008008, 32'h000e0007, 32'h000d0007, 32'h00070007, 32'h00040007, 32'h00038007,
    32'h00020007, 32'h00010007, 32'h000b8006, 32'h000a8006, 32'h00090006, 32'h00088006,
    32'h00068006, 32'h00058006, 32'h00000006, 32'h000f8005, 32'h000d8005, 32'h00010005,
    32'h000e0004, 32'h000b0004, 32'h000a0004, 32'h00078004, 32'h00048004, 32'h000d0003,
    32'h000c0003, 32'h00090003, 32'h00088003, 32'h00060003, 32'h00020003, 32'h00008003,
    32'h000f8002, 32'h000b8002, 32'h000a8002, 32'h00078002, 32'h00050002, 32'h00048002,
    32'h00030002, 32'h000e0001, 32'h00088001, 32'h00010001, 32'h00000001, 32'h000f0000,
    32'h000c8000, 32'h000b8000, 32'h000a8000, 32'h00090000, 32'h00068000, 32'h00048000,
    32'h00030000, 32'h00028000
  };
  /// least sum one row adds
  localparam int MIN_SUM = -15447;
  /// largest sum one row adds
  localparam int MAX_SUM = 15380;
  /// activation bits that a gate reads
  localparam logic [7:0] A_READS = 8'hf8;
  /// weight bits that a gate reads
  localparam logic [7:0] W_READS = 8'hf8;
endpackage
