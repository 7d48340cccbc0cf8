// Exported from models/encodings/m20.json; do not edit.
// 20 product bits, general position weights, preset anneal
package m20_pkg;
  /// gates
  localparam int NUM_GATES = 26;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [26*32-1:0] GATES = {
    32'h2000800f, 32'h20034027, 32'h1000c004, 32'h60090025, 32'h6001c00a, 32'h2000c00e,
    32'h60084022, 32'h0001000d, 32'h1001000c, 32'h6001401f, 32'h2001c00b, 32'h2001800c,
    32'h2000c00f, 32'h2001000e, 32'h1001400c, 32'h2001c00c, 32'h2001800d, 32'h2001000f,
    32'h6001400d, 32'h2001c00d, 32'h2001800e, 32'h1001400e, 32'h2001c00e, 32'h2001800f,
    32'h1001400f, 32'h2001c00f
  };
  /// product bits
  localparam int M = 20;
  /// wire of product bit m at [m*16 +: 16]
  localparam logic [20*16-1:0] BITS = {
    16'h0029, 16'h0028, 16'h0026, 16'h0023, 16'h0020, 16'h001e,
    16'h001d, 16'h001c, 16'h001b, 16'h001a, 16'h0019, 16'h0018,
    16'h0017, 16'h0016, 16'h0015, 16'h0014, 16'h0013, 16'h0012,
    16'h0011, 16'h0010
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 68;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [68*32-1:0] DIGITS = {
    32'h0000800d, 32'h0003000c, 32'h0002000c, 32'h0001000c, 32'h0006000b, 32'h0005800b,
    32'h0004800b, 32'h000a000a, 32'h0009800a, 32'h0008000a, 32'h0007800a, 32'h000f8009,
    32'h000e8009, 32'h000d0009, 32'h000c8009, 32'h000b8009, 32'h00118008, 32'h00108008,
    32'h00130007, 32'h00128007, 32'h000f0007, 32'h00078007, 32'h00048007, 32'h00010007,
    32'h00108006, 32'h000b8006, 32'h00080006, 32'h00020006, 32'h00118005, 32'h000c8005,
    32'h00070005, 32'h00030005, 32'h00008005, 32'h00128004, 32'h000d0004, 32'h000b8004,
    32'h00098004, 32'h00088004, 32'h00058004, 32'h00040004, 32'h00028004, 32'h00018004,
    32'h00110003, 32'h000a8003, 32'h00070003, 32'h00060003, 32'h00130002, 32'h00128002,
    32'h00108002, 32'h000d8002, 32'h00090002, 32'h00030002, 32'h00028002, 32'h00018002,
    32'h00048001, 32'h00008001, 32'h00128000, 32'h00118000, 32'h000e0000, 32'h000d0000,
    32'h000b0000, 32'h000a0000, 32'h00090000, 32'h00078000, 32'h00058000, 32'h00030000,
    32'h00020000, 32'h00018000
  };
  /// least sum one row adds
  localparam int MIN_SUM = -15888;
  /// largest sum one row adds
  localparam int MAX_SUM = 17279;
  /// activation bits that a gate reads
  localparam logic [7:0] A_READS = 8'hfc;
  /// weight bits that a gate reads
  localparam logic [7:0] W_READS = 8'hfc;
endpackage
