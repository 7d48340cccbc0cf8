// Exported from models/encodings/m24p.json; do not edit.
// 24 product bits from radix-4 digits of the weight (plain), powers of two, f(a)
package m24p_pkg;
  /// bits of an activation that a row holds
  localparam int A_BITS = 8;
  /// gates: of an activation from its 8 operand bits
  localparam int A_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] A_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [8*16-1:0] A_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002,
    16'h0001, 16'h0000
  };
  /// bits of a weight that a row holds
  localparam int W_BITS = 7;
  /// gates: of a weight from its 8 operand bits
  localparam int W_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] W_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [7*16-1:0] W_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002,
    16'h0001
  };
  /// product bits
  localparam int M = 24;
  /// gates: product bits from the bits a row holds
  localparam int NUM_GATES = 91;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [91*32-1:0] GATES = {
    32'h20028068, 32'h10198067, 32'h00008027, 32'h0000c009, 32'h20030064, 32'h10188063,
    32'h00000017, 32'h0000400b, 32'h2001c008, 32'h2002805f, 32'h1017405e, 32'h0000c027,
    32'h00010009, 32'h2003005b, 32'h1016405a, 32'h00004017, 32'h0000800b, 32'h20038057,
    32'h0000000d, 32'h20028055, 32'h1014c054, 32'h00010027, 32'h00014009, 32'h20030051,
    32'h1013c050, 32'h00008017, 32'h0000c00b, 32'h2003804d, 32'h1012c04c, 32'h0000000f,
    32'h0000400d, 32'h20028049, 32'h1011c048, 32'h00014027, 32'h00018009, 32'h20030045,
    32'h1010c044, 32'h0000c017, 32'h0001000b, 32'h20038041, 32'h100fc040, 32'h0000400f,
    32'h0000800d, 32'h2002803d, 32'h100ec03c, 32'h00018027, 32'h0001c009, 32'h20030039,
    32'h100dc038, 32'h00010017, 32'h0001400b, 32'h20038035, 32'h100cc034, 32'h0000800f,
    32'h0000c00d, 32'h20030031, 32'h100bc030, 32'h00014017, 32'h0001800b, 32'h2003802d,
    32'h100ac02c, 32'h0000c00f, 32'h0001000d, 32'h20028029, 32'h0001c028, 32'h10024027,
    32'h4002400a, 32'h20030025, 32'h1008c024, 32'h00018017, 32'h0001c00b, 32'h20038021,
    32'h1007c020, 32'h0001000f, 32'h0001400d, 32'h2003801d, 32'h1006c01c, 32'h0001400f,
    32'h0001800d, 32'h20030019, 32'h0001c018, 32'h1002c017, 32'h4002c00c, 32'h20038015,
    32'h1004c014, 32'h0001800f, 32'h0001c00d, 32'h20038011, 32'h0001c010, 32'h1003400f,
    32'h6003800d
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [24*16-1:0] BITS = {
    16'h0069, 16'h0065, 16'h0061, 16'h0060, 16'h005c, 16'h0058,
    16'h0056, 16'h0052, 16'h004e, 16'h004a, 16'h0046, 16'h0042,
    16'h003e, 16'h003a, 16'h0036, 16'h0032, 16'h002e, 16'h002a,
    16'h0026, 16'h0022, 16'h001e, 16'h001a, 16'h0016, 16'h0012
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 24;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [24*32-1:0] DIGITS = {
    32'h0000800e, 32'h0001000d, 32'h0003000c, 32'h0002000c, 32'h0005800b, 32'h0004000b,
    32'h0008800a, 32'h0007000a, 32'h0006000a, 32'h000b8009, 32'h000a8009, 32'h00090009,
    32'h000e8008, 32'h000d8008, 32'h000c0008, 32'h00118007, 32'h00108007, 32'h000f0007,
    32'h00150006, 32'h00148006, 32'h00138006, 32'h00120006, 32'h00178005, 32'h00168005
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -21376;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 21504;
  /// bits of the activation that the extra column weighs; 0: no extra column
  localparam int F_M = 8;
  /// gates: bits of the extra column
  localparam int F_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] F_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [8*16-1:0] F_BITS = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002,
    16'h0001, 16'h0000
  };
  /// signed digits of the extra column
  localparam int F_NUM_DIGITS = 30;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [30*32-1:0] F_DIGITS = {
    32'h0007800c, 32'h0006000b, 32'h0007800a, 32'h0005000a, 32'h00060009, 32'h00040009,
    32'h00078008, 32'h00050008, 32'h00030008, 32'h00060007, 32'h00040007, 32'h00020007,
    32'h00070006, 32'h00050006, 32'h00030006, 32'h00010006, 32'h00068005, 32'h00040005,
    32'h00020005, 32'h00000005, 32'h00058004, 32'h00030004, 32'h00010004, 32'h00048003,
    32'h00020003, 32'h00000003, 32'h00038002, 32'h00028001, 32'h00078000, 32'h00018000
  };
  /// least sum one row adds to the extra column
  localparam int F_MIN_SUM = -5313;
  /// largest sum one row adds to the extra column
  localparam int F_MAX_SUM = 5265;
  /// the extra column as an encoding: rows hold whole activations, no weights
  localparam logic [1936-1:0] EXTRA = {
    F_DIGITS, F_BITS, F_GATES, 16'd0, 32'd0, 128'h0007_0006_0005_0004_0003_0002_0001_0000, 32'd0,
    32'd0, 32'd0, 32'd976, 32'd848, 32'd816, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd30, 32'd0, 32'd0, 32'd0, 32'd5265, -32'd5313, 32'd8, 32'd0, 32'd8, 32'h454e4301
  };
  /// term of the weight w at [w*32 +: 32]
  localparam logic [256*32-1:0] W_TERMS = {
    32'hfffffff8, 32'hfffffff9, 32'hfffffff9, 32'hfffffffa, 32'hffffffea, 32'hffffffeb,
    32'hffffffeb, 32'hffffffec, 32'hfffffffc, 32'hfffffffd, 32'hfffffffd, 32'hfffffffe,
    32'hfffffffe, 32'hffffffff, 32'hffffffff, 32'h00000000, 32'hfffffff0, 32'hfffffff1,
    32'hfffffff1, 32'hfffffff2, 32'hffffffe2, 32'hffffffe3, 32'hffffffe3, 32'hffffffe4,
    32'hfffffff4, 32'hfffffff5, 32'hfffffff5, 32'hfffffff6, 32'hfffffff6, 32'hfffffff7,
    32'hfffffff7, 32'hfffffff8, 32'h00000008, 32'h00000009, 32'h00000009, 32'h0000000a,
    32'hfffffffa, 32'hfffffffb, 32'hfffffffb, 32'hfffffffc, 32'h0000000c, 32'h0000000d,
    32'h0000000d, 32'h0000000e, 32'h0000000e, 32'h0000000f, 32'h0000000f, 32'h00000010,
    32'h00000010, 32'h00000011, 32'h00000011, 32'h00000012, 32'h00000002, 32'h00000003,
    32'h00000003, 32'h00000004, 32'h00000014, 32'h00000015, 32'h00000015, 32'h00000016,
    32'h00000016, 32'h00000017, 32'h00000017, 32'h00000018, 32'hfffffff8, 32'hfffffff9,
    32'hfffffff9, 32'hfffffffa, 32'hffffffea, 32'hffffffeb, 32'hffffffeb, 32'hffffffec,
    32'hfffffffc, 32'hfffffffd, 32'hfffffffd, 32'hfffffffe, 32'hfffffffe, 32'hffffffff,
    32'hffffffff, 32'h00000000, 32'hfffffff0, 32'hfffffff1, 32'hfffffff1, 32'hfffffff2,
    32'hffffffe2, 32'hffffffe3, 32'hffffffe3, 32'hffffffe4, 32'hfffffff4, 32'hfffffff5,
    32'hfffffff5, 32'hfffffff6, 32'hfffffff6, 32'hfffffff7, 32'hfffffff7, 32'hfffffff8,
    32'h00000008, 32'h00000009, 32'h00000009, 32'h0000000a, 32'hfffffffa, 32'hfffffffb,
    32'hfffffffb, 32'hfffffffc, 32'h0000000c, 32'h0000000d, 32'h0000000d, 32'h0000000e,
    32'h0000000e, 32'h0000000f, 32'h0000000f, 32'h00000010, 32'h00000010, 32'h00000011,
    32'h00000011, 32'h00000012, 32'h00000002, 32'h00000003, 32'h00000003, 32'h00000004,
    32'h00000014, 32'h00000015, 32'h00000015, 32'h00000016, 32'h00000016, 32'h00000017,
    32'h00000017, 32'h00000018, 32'hffffffb8, 32'hffffffb9, 32'hffffffb9, 32'hffffffba,
    32'hffffffaa, 32'hffffffab, 32'hffffffab, 32'hffffffac, 32'hffffffbc, 32'hffffffbd,
    32'hffffffbd, 32'hffffffbe, 32'hffffffbe, 32'hffffffbf, 32'hffffffbf, 32'hffffffc0,
    32'hffffffb0, 32'hffffffb1, 32'hffffffb1, 32'hffffffb2, 32'hffffffa2, 32'hffffffa3,
    32'hffffffa3, 32'hffffffa4, 32'hffffffb4, 32'hffffffb5, 32'hffffffb5, 32'hffffffb6,
    32'hffffffb6, 32'hffffffb7, 32'hffffffb7, 32'hffffffb8, 32'hffffffc8, 32'hffffffc9,
    32'hffffffc9, 32'hffffffca, 32'hffffffba, 32'hffffffbb, 32'hffffffbb, 32'hffffffbc,
    32'hffffffcc, 32'hffffffcd, 32'hffffffcd, 32'hffffffce, 32'hffffffce, 32'hffffffcf,
    32'hffffffcf, 32'hffffffd0, 32'hffffffd0, 32'hffffffd1, 32'hffffffd1, 32'hffffffd2,
    32'hffffffc2, 32'hffffffc3, 32'hffffffc3, 32'hffffffc4, 32'hffffffd4, 32'hffffffd5,
    32'hffffffd5, 32'hffffffd6, 32'hffffffd6, 32'hffffffd7, 32'hffffffd7, 32'hffffffd8,
    32'hffffffb8, 32'hffffffb9, 32'hffffffb9, 32'hffffffba, 32'hffffffaa, 32'hffffffab,
    32'hffffffab, 32'hffffffac, 32'hffffffbc, 32'hffffffbd, 32'hffffffbd, 32'hffffffbe,
    32'hffffffbe, 32'hffffffbf, 32'hffffffbf, 32'hffffffc0, 32'hffffffb0, 32'hffffffb1,
    32'hffffffb1, 32'hffffffb2, 32'hffffffa2, 32'hffffffa3, 32'hffffffa3, 32'hffffffa4,
    32'hffffffb4, 32'hffffffb5, 32'hffffffb5, 32'hffffffb6, 32'hffffffb6, 32'hffffffb7,
    32'hffffffb7, 32'hffffffb8, 32'hffffffc8, 32'hffffffc9, 32'hffffffc9, 32'hffffffca,
    32'hffffffba, 32'hffffffbb, 32'hffffffbb, 32'hffffffbc, 32'hffffffcc, 32'hffffffcd,
    32'hffffffcd, 32'hffffffce, 32'hffffffce, 32'hffffffcf, 32'hffffffcf, 32'hffffffd0,
    32'hffffffd0, 32'hffffffd1, 32'hffffffd1, 32'hffffffd2, 32'hffffffc2, 32'hffffffc3,
    32'hffffffc3, 32'hffffffc4, 32'hffffffd4, 32'hffffffd5, 32'hffffffd5, 32'hffffffd6,
    32'hffffffd6, 32'hffffffd7, 32'hffffffd7, 32'hffffffd8
  };
  /// what a weight alone adds to a product, g(w) and offset: not in the array; add it once for each row of
  /// a tile, as a network does with its bias
  function automatic int weight_term(input logic [7:0] w);
    weight_term = W_TERMS[w*32 +: 32];
  endfunction
  /// all of it, laid out as encmac_pkg says: the parameter `Encoding`
  localparam logic [6912-1:0] ENCODING = {
    EXTRA, DIGITS, BITS, GATES, W_WIRES, W_GATES, A_WIRES, A_GATES,
    32'd1936, 32'd4976, 32'd4208, 32'd3824, 32'd912, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd24, 32'd91, 32'd0, 32'd0, 32'd21504, -32'd21376, 32'd24, 32'd7, 32'd8, 32'h454e4301
  };
endpackage
