// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Registers of a tile engine behind AXI4-Lite: 32-bit words, the two lowest address bits are ignored.
///
///   0x00 ID          ro  "EMAC"
///   0x04 VERSION     ro  [31:16] major, [15:0] minor
///   0x08 GEOMETRY    ro  [31:16] Cols, [15:0] Rows
///   0x0c DEPTH       ro  vectors the accumulation buffer holds
///   0x10 CONTROL     rw  [0] start, reads as 0; [1] abort: while it is 1 there is no layer, and what the
///                        streams offer is taken and dropped
///   0x14 STATUS      ro  [0] busy, [1] some bit of ERRORS is set
///   0x18 ERRORS      w1c sticky, see below
///   0x1c K_TILES     rw  tiles that are added up, at least 1
///   0x20 N_TILES     rw  sets of columns, one after the other, at least 1
///   0x24 VECTORS     rw  activation vectors in a tile, 1 .. DEPTH
///   0x28 LAST_ROWS   rw  rows that the last K tile uses, 1 .. Rows; the others use all
///   0x2c MODE        rw  [0] raw int32 sums in place of int8
///   0x30 CLAMP       rw  [7:0] least, [15:8] largest result, [23:16] zero point; all signed
///   0x34 TILE        ro  [31:16] set of columns, [15:0] K tile whose results are being added; after a
///                        layer {N_TILES, 0}, after an abort where it was; 0 from a start
///   0x38 CYCLES      ro  since start, while busy; this and the next two wrap
///   0x3c OPEN_CYCLES ro  of those, from the first to the last beat of an activation packet
///   0x40 OPEN_BEATS  ro  activation vectors taken
///
/// ERRORS: sizes that stop a start [0] K_TILES, [1] N_TILES, [2] VECTORS, [3] LAST_ROWS, [4] CLAMP;
/// packets [5] weights ended early, [6] late, [7] activations early, [8] late, [9] parameters early,
/// [10] late; [11] multiplier or shift out of range.
///
/// SLVERR, and nothing changes: other addresses, writing what is read-only, writing 1 to a bit that
/// does not exist, start together with abort, and while busy a start and K_TILES to CLAMP.
/// A bit of ERRORS that is set in the cycle of its clearing stays set.
/// Latency: 1 cycle from address and data to the answer.
module axil_registers #(
    parameter int Rows = 16,
    parameter int Cols = 16,
    parameter int Depth = 256
) (
    input  logic        clk_i,
    input  logic        rst_ni,
    input  logic [ 7:0] s_axil_awaddr,
    input  logic        s_axil_awvalid,
    output logic        s_axil_awready,
    input  logic [31:0] s_axil_wdata,
    input  logic [ 3:0] s_axil_wstrb,
    input  logic        s_axil_wvalid,
    output logic        s_axil_wready,
    output logic [ 1:0] s_axil_bresp,
    output logic        s_axil_bvalid,
    input  logic        s_axil_bready,
    input  logic [ 7:0] s_axil_araddr,
    input  logic        s_axil_arvalid,
    output logic        s_axil_arready,
    output logic [31:0] s_axil_rdata,
    output logic [ 1:0] s_axil_rresp,
    output logic        s_axil_rvalid,
    input  logic        s_axil_rready,
    output logic        start_o,         // for one cycle, only with sizes that are allowed
    output logic        abort_o,         // CONTROL[1]
    input  logic        busy_i,
    input  logic [ 6:0] errors_i,        // pulses for ERRORS[11:5]
    input  logic [31:0] tile_i,
    input  logic [31:0] cycles_i,
    input  logic [31:0] open_cycles_i,
    input  logic [31:0] open_beats_i,
    // constant while busy
    output logic [15:0] k_tiles_o,
    output logic [15:0] n_tiles_o,
    output logic [15:0] vectors_o,
    output logic [15:0] last_rows_o,
    output logic        raw_o,
    output logic [ 7:0] min_o,
    output logic [ 7:0] max_o,
    output logic [ 7:0] zero_point_o
);
  localparam logic [31:0] Id = "EMAC";
  localparam logic [31:0] Version = {16'd1, 16'd1};
  localparam logic [1:0] Okay = 2'b00, SlvErr = 2'b10;
  localparam int NumErrors = 12;

  // Words by number
  localparam logic [5:0] ID = 6'd0, VERSION = 6'd1, GEOMETRY = 6'd2, DEPTH = 6'd3, CONTROL = 6'd4;
  localparam logic [5:0] STATUS = 6'd5, ERRORS = 6'd6, K_TILES = 6'd7, N_TILES = 6'd8, VECTORS = 6'd9;
  localparam logic [5:0] LAST_ROWS = 6'd10, MODE = 6'd11, CLAMP = 6'd12, TILE = 6'd13, CYCLES = 6'd14;
  localparam logic [5:0] OPEN_CYCLES = 6'd15, OPEN_BEATS = 6'd16;

  logic [NumErrors-1:0] errors_q, config_errors;

  /// What a word reads as.
  logic [31:0] read_value, write_old;
  logic        read_known;
  logic [ 5:0] read_word, write_word;
  always_comb begin
    read_known = 1'b1;
    case (read_word)
      ID:          read_value = Id;
      VERSION:     read_value = Version;
      GEOMETRY:    read_value = {16'(Cols), 16'(Rows)};
      DEPTH:       read_value = 32'(Depth);
      CONTROL:     read_value = {30'd0, abort_o, 1'b0};
      STATUS:      read_value = {30'd0, errors_q != '0, busy_i};
      ERRORS:      read_value = 32'(errors_q);
      K_TILES:     read_value = 32'(k_tiles_o);
      N_TILES:     read_value = 32'(n_tiles_o);
      VECTORS:     read_value = 32'(vectors_o);
      LAST_ROWS:   read_value = 32'(last_rows_o);
      MODE:        read_value = 32'(raw_o);
      CLAMP:       read_value = {8'd0, zero_point_o, max_o, min_o};
      TILE:        read_value = tile_i;
      CYCLES:      read_value = cycles_i;
      OPEN_CYCLES: read_value = open_cycles_i;
      OPEN_BEATS:  read_value = open_beats_i;
      default: begin
        read_value = '0;
        read_known = 1'b0;
      end
    endcase
  end

  // Read: address in, data out a cycle later.
  assign read_word      = s_axil_araddr[7:2];
  assign s_axil_arready = !s_axil_rvalid;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      s_axil_rvalid <= 1'b0;
      s_axil_rdata  <= '0;
      s_axil_rresp  <= Okay;
    end else if (s_axil_arvalid && s_axil_arready) begin
      s_axil_rvalid <= 1'b1;
      s_axil_rdata  <= read_value;
      s_axil_rresp  <= read_known ? Okay : SlvErr;
    end else if (s_axil_rready) begin
      s_axil_rvalid <= 1'b0;
    end
  end

  // Write: address and data are kept, in whichever order they come; then the word is written.
  logic aw_valid_q, w_valid_q, write, allowed, aborts;
  logic [31:0] data_q, value, writable;
  logic [ 3:0] strobe_q;
  assign s_axil_awready = !aw_valid_q;
  assign s_axil_wready  = !w_valid_q;
  assign write          = aw_valid_q && w_valid_q && !s_axil_bvalid;

  /// What the word holds, for bytes that are not written, and which bits of it may be 1.
  always_comb begin
    write_old = '0;
    writable  = '0;
    case (write_word)
      CONTROL: {write_old, writable} = {30'd0, abort_o, 1'b0, 32'h1};
      ERRORS:  writable = 32'((64'd1 << NumErrors) - 1);
      K_TILES: {write_old, writable} = {32'(k_tiles_o), 32'hffff};
      N_TILES: {write_old, writable} = {32'(n_tiles_o), 32'hffff};
      VECTORS: {write_old, writable} = {32'(vectors_o), 32'hffff};
      LAST_ROWS: {write_old, writable} = {32'(last_rows_o), 32'hffff};
      MODE: {write_old, writable} = {32'(raw_o), 32'h1};
      CLAMP: {write_old, writable} = {8'd0, zero_point_o, max_o, min_o, 32'hff_ffff};
      default: ;
    endcase
  end
  for (genvar b = 0; b < 4; b++) begin : gen_byte
    assign value[b*8+:8] = strobe_q[b] ? data_q[b*8+:8] : write_old[b*8+:8];
  end
  assign allowed = writable != '0 && (value & ~writable) == '0 && (write_word == ERRORS || !busy_i);

  // Start, if the sizes allow it.
  logic start;
  always_comb begin
    config_errors    = '0;
    config_errors[0] = k_tiles_o == '0;
    config_errors[1] = n_tiles_o == '0;
    config_errors[2] = vectors_o == '0 || 32'(vectors_o) > 32'(Depth);
    config_errors[3] = last_rows_o == '0 || 32'(last_rows_o) > 32'(Rows);
    config_errors[4] = $signed(min_o) > $signed(max_o);
  end
  assign start   = write && allowed && write_word == CONTROL && value[0];
  assign start_o = start && config_errors == '0;
  assign aborts  = write_word == CONTROL && (value & ~32'h2) == '0;  // an abort or its end: at any time

  logic [NumErrors-1:0] clear, set;
  assign clear = write && allowed && write_word == ERRORS ? value[NumErrors-1:0] : '0;
  assign set   = {errors_i, 5'd0} | (start ? config_errors : '0);

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      aw_valid_q    <= 1'b0;
      w_valid_q     <= 1'b0;
      write_word    <= '0;
      data_q        <= '0;
      strobe_q      <= '0;
      s_axil_bvalid <= 1'b0;
      s_axil_bresp  <= Okay;
      errors_q      <= '0;
      abort_o       <= 1'b0;
      k_tiles_o     <= 16'd1;
      n_tiles_o     <= 16'd1;
      vectors_o     <= 16'd1;
      last_rows_o   <= 16'(Rows);
      raw_o         <= 1'b0;
      min_o         <= 8'h80;
      max_o         <= 8'h7f;
      zero_point_o  <= 8'h00;
    end else begin
      errors_q <= (errors_q & ~clear) | set;
      if (s_axil_awvalid && s_axil_awready) begin
        aw_valid_q <= 1'b1;
        write_word <= s_axil_awaddr[7:2];
      end
      if (s_axil_wvalid && s_axil_wready) begin
        w_valid_q <= 1'b1;
        data_q    <= s_axil_wdata;
        strobe_q  <= s_axil_wstrb;
      end
      if (s_axil_bvalid && s_axil_bready) s_axil_bvalid <= 1'b0;
      if (write) begin
        aw_valid_q    <= 1'b0;
        w_valid_q     <= 1'b0;
        s_axil_bvalid <= 1'b1;
        s_axil_bresp  <= allowed ? Okay : SlvErr;
        if (allowed) begin
          case (write_word)
            K_TILES:   k_tiles_o <= value[15:0];
            N_TILES:   n_tiles_o <= value[15:0];
            VECTORS:   vectors_o <= value[15:0];
            LAST_ROWS: last_rows_o <= value[15:0];
            MODE:      raw_o <= value[0];
            CLAMP:     {zero_point_o, max_o, min_o} <= value[23:0];
            default:   ;
          endcase
        end
        if (aborts) s_axil_bresp <= Okay;
        if (aborts || start) abort_o <= value[1];
      end
    end
  end

  logic unused_address;
  assign unused_address = ^{s_axil_awaddr[1:0], s_axil_araddr[1:0]};
endmodule
