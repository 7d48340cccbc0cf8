// Exported from models/encodings/m20.json; do not edit.
// 20 product bits, general position weights, preset anneal
package m20_pkg;
  /// gates
  localparam int NUM_GATES = 29;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [29*32-1:0] GATES = {
    32'h200a802b, 32'h2001000c, 32'h6000c004, 32'h1009c028, 32'h2000800f, 32'h6001c00a,
    32'h2001000d, 32'h6008c024, 32'h0000c00d, 32'h1000c00e, 32'h6008401b, 32'h2001400c,
    32'h2001400d, 32'h2000c00f, 32'h2001000e, 32'h2001c00b, 32'h6006801b, 32'h2002c00c,
    32'h2001800b, 32'h2001c00c, 32'h2001800d, 32'h2001000f, 32'h2001400e, 32'h2001c00d,
    32'h2001800e, 32'h2001400f, 32'h2001c00e, 32'h2001800f, 32'h2001c00f
  };
  /// product bits
  localparam int M = 20;
  /// wire of product bit m at [m*16 +: 16]
  localparam logic [20*16-1:0] BITS = {
    16'h002c, 16'h0029, 16'h0026, 16'h0025, 16'h0022, 16'h0020,
    16'h001f, 16'h001e, 16'h001d, 16'h001c, 16'h0019, 16'h0018,
    16'h0017, 16'h0016, 16'h0015, 16'h0014, 16'h0013, 16'h0012,
    16'h0011, 16'h0010
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 76;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [76*32-1:0] DIGITS = {
    32'h0000800d, 32'h0002000c, 32'h0001000c, 32'h0005000b, 32'h0004800b, 32'h0003000b,
    32'h000a800a, 32'h0009000a, 32'h0008800a, 32'h0007000a, 32'h0006800a, 32'h00108009,
    32'h000f8009, 32'h000e8009, 32'h000d0009, 32'h000c8009, 32'h000b0009, 32'h00118008,
    32'h000a0008, 32'h00138007, 32'h00120007, 32'h00100007, 32'h000f0007, 32'h000b0007,
    32'h00098007, 32'h00008007, 32'h000c8006, 32'h00070006, 32'h00068006, 32'h00030006,
    32'h00010006, 32'h000f8005, 32'h000a8005, 32'h00080005, 32'h00058005, 32'h00048005,
    32'h00020005, 32'h00000005, 32'h00120004, 32'h000c0004, 32'h000b8004, 32'h00090004,
    32'h00078004, 32'h00060004, 32'h00108003, 32'h000a8003, 32'h00050003, 32'h00040003,
    32'h00128002, 32'h00118002, 32'h000f0002, 32'h000e8002, 32'h000d0002, 32'h000b8002,
    32'h00090002, 32'h00068002, 32'h00030002, 32'h00028002, 32'h00008002, 32'h000c8001,
    32'h00080001, 32'h00048001, 32'h00010001, 32'h00128000, 32'h00118000, 32'h00100000,
    32'h000f8000, 32'h000e0000, 32'h000b0000, 32'h000a8000, 32'h00078000, 32'h00060000,
    32'h00050000, 32'h00038000, 32'h00020000, 32'h00000000
  };
  /// least sum one row adds
  localparam int MIN_SUM = -15509;
  /// largest sum one row adds
  localparam int MAX_SUM = 15690;
  /// activation bits that a gate reads
  localparam logic [7:0] A_READS = 8'hfc;
  /// weight bits that a gate reads
  localparam logic [7:0] W_READS = 8'hfc;
endpackage
