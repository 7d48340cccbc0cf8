// Exported from models/encodings/m24.json; do not edit.
// 24 product bits, general position weights, preset anneal
package m24_pkg;
  /// gates
  localparam int NUM_GATES = 31;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [31*32-1:0] GATES = {
    32'h600b4028, 32'h2001000c, 32'h100a802b, 32'h2001400b, 32'h6001000a, 32'h6009c028,
    32'h6001c00a, 32'h2000800e, 32'h60090025, 32'h0000c00d, 32'h1000c00c, 32'h2000800f,
    32'h2001400c, 32'h2000c00e, 32'h2001000d, 32'h2001800b, 32'h2001c00b, 32'h2001800c,
    32'h2001000e, 32'h2001400d, 32'h2000c00f, 32'h2001c00c, 32'h2001800d, 32'h2001400e,
    32'h2001000f, 32'h2001c00d, 32'h2001800e, 32'h2001400f, 32'h2001800f, 32'h2001c00e,
    32'h2001c00f
  };
  /// product bits
  localparam int M = 24;
  /// wire of product bit m at [m*16 +: 16]
  localparam logic [24*16-1:0] BITS = {
    16'h002e, 16'h002c, 16'h0029, 16'h0026, 16'h0023, 16'h0022,
    16'h0021, 16'h0020, 16'h001f, 16'h001e, 16'h001d, 16'h001c,
    16'h001b, 16'h001a, 16'h0019, 16'h0018, 16'h0017, 16'h0016,
    16'h0015, 16'h0014, 16'h0013, 16'h0012, 16'h0011, 16'h0010
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 74;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [74*32-1:0] DIGITS = {
    32'h0000800d, 32'h0002000c, 32'h0001000c, 32'h0005000b, 32'h0004800b, 32'h0003000b,
    32'h0009000a, 32'h0008800a, 32'h0007800a, 32'h0006000a, 32'h000e0009, 32'h000d8009,
    32'h000c8009, 32'h000b8009, 32'h000a0009, 32'h00148008, 32'h00130008, 32'h00128008,
    32'h00118008, 32'h00108008, 32'h000f8008, 32'h00178007, 32'h00168007, 32'h00158007,
    32'h00140005, 32'h00108005, 32'h000f8005, 32'h000e8005, 32'h000a0005, 32'h00060005,
    32'h00030005, 32'h00020005, 32'h00010005, 32'h00008005, 32'h00158004, 32'h00138004,
    32'h00118004, 32'h000c8004, 32'h000b8004, 32'h00078004, 32'h00168003, 32'h00140003,
    32'h00100003, 32'h000f0003, 32'h000a8003, 32'h00048003, 32'h00010003, 32'h00178002,
    32'h00150002, 32'h00128002, 32'h00118002, 32'h000e0002, 32'h000d8002, 32'h000b8002,
    32'h00090002, 32'h00088002, 32'h00030002, 32'h00160001, 32'h00138001, 32'h000f8001,
    32'h000c8001, 32'h000a0001, 32'h00078001, 32'h00068001, 32'h00058001, 32'h00008001,
    32'h00170000, 32'h00150000, 32'h00120000, 32'h00110000, 32'h000e0000, 32'h00048000,
    32'h00030000, 32'h00010000
  };
  /// least sum one row adds
  localparam int MIN_SUM = -15647;
  /// largest sum one row adds
  localparam int MAX_SUM = 15739;
  /// activation bits that a gate reads
  localparam logic [7:0] A_READS = 8'hfc;
  /// weight bits that a gate reads
  localparam logic [7:0] W_READS = 8'hfc;
endpackage
