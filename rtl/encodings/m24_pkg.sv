// Exported from models/encodings/m24.json; do not edit.
// 24 product bits, general position weights, preset anneal
package m24_pkg;
  /// gates
  localparam int NUM_GATES = 30;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [30*32-1:0] GATES = {
    32'h000ac02c, 32'h2000800d, 32'h2000800e, 32'h1007c029, 32'h2001000b, 32'h10098027,
    32'h6000c00c, 32'h60034003, 32'h2000800f, 32'h2001000d, 32'h2001800b, 32'h2000c00e,
    32'h1007c020, 32'h2001400c, 32'h2002c00c, 32'h2001400d, 32'h2001800c, 32'h2001000e,
    32'h2000c00f, 32'h2001800d, 32'h2001400e, 32'h2001000f, 32'h6001c00b, 32'h6001c00c,
    32'h2001800e, 32'h2001400f, 32'h1001c00d, 32'h2001800f, 32'h1001c00e, 32'h1001c00f
  };
  /// product bits
  localparam int M = 24;
  /// wire of product bit m at [m*16 +: 16]
  localparam logic [24*16-1:0] BITS = {
    16'h002d, 16'h002a, 16'h0028, 16'h0025, 16'h0024, 16'h0023,
    16'h0022, 16'h0021, 16'h001e, 16'h001d, 16'h001c, 16'h001b,
    16'h0007, 16'h001a, 16'h0019, 16'h0018, 16'h0017, 16'h0016,
    16'h0015, 16'h0014, 16'h0013, 16'h0012, 16'h0011, 16'h0010
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 84;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [84*32-1:0] DIGITS = {
    32'h0000800e, 32'h0001000d, 32'h0003000c, 32'h0002000c, 32'h0006000b, 32'h0005800b,
    32'h0004000b, 32'h000a800a, 32'h0009800a, 32'h0008000a, 32'h0007000a, 32'h00108009,
    32'h000f8009, 32'h000e8009, 32'h000d8009, 32'h000c0009, 32'h000b0009, 32'h00178008,
    32'h00168008, 32'h00158008, 32'h00140008, 32'h00138008, 32'h00128008, 32'h00118008,
    32'h00100007, 32'h00070007, 32'h00010007, 32'h00008007, 32'h00170006, 32'h00160006,
    32'h00150006, 32'h000b0006, 32'h00068006, 32'h00020006, 32'h00118005, 32'h000c0005,
    32'h00098005, 32'h00080005, 32'h00078005, 32'h00058005, 32'h00040005, 32'h00018005,
    32'h00008005, 32'h00168004, 32'h00158004, 32'h00128004, 32'h00108004, 32'h000e8004,
    32'h000d8004, 32'h00060004, 32'h00110003, 32'h000b8003, 32'h00090003, 32'h00070003,
    32'h00050003, 32'h00028003, 32'h00010003, 32'h00000003, 32'h00170002, 32'h00148002,
    32'h00138002, 32'h000e8002, 32'h000d8002, 32'h00060002, 32'h00038002, 32'h00158001,
    32'h00090001, 32'h00080001, 32'h00040001, 32'h00020001, 32'h00008001, 32'h00168000,
    32'h00148000, 32'h00138000, 32'h00120000, 32'h00118000, 32'h00108000, 32'h000f0000,
    32'h000e0000, 32'h000c0000, 32'h000b8000, 32'h000a0000, 32'h00078000, 32'h00060000
  };
  /// least sum one row adds
  localparam int MIN_SUM = -24074;
  /// largest sum one row adds
  localparam int MAX_SUM = 20478;
  /// activation bits that a gate reads
  localparam logic [7:0] A_READS = 8'hfc;
  /// weight bits that a gate reads
  localparam logic [7:0] W_READS = 8'hf8;
endpackage
