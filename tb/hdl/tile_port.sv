// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Simulation top: an array (Depth > 0: a tile engine with its array) whose streams are memory.
///
/// The clock runs in here and every beat comes from, or goes to, buffers that tile_port.cpp was given by
/// address: the testbench posts a job and waits for `completed_o` to change, no signal of it moves in
/// between. The port offers a beat whenever it has one and is always ready for results, unless the job
/// asks for stalls. It does not judge: counts of beats, misplaced ends and results that nobody asked for
/// are left in the job.
module tile_port #(
    parameter int Rows = 16,
    parameter int Cols = 16,
    parameter int Depth = 0,
    parameter int ColsPerStage = 1,
    parameter int RowsPerGroup = Rows,
    parameter bit Merged = 1'b0,
    parameter bit SumRegister = 1'b1,
    parameter bit Programmable = 1'b0,
    parameter int Form = 0,
    parameter bit Shadow = 1'b0
) (
    output logic [31:0] completed_o  // jobs that have ended
);
  localparam int ArrayBits = Rows * 8 > Cols * 32 ? Rows * 8 : Cols * 32;
  localparam int Bits = ArrayBits > 128 ? ArrayBits : 128;
  localparam int Valid = 0;
  localparam int Last = 1;

  typedef enum int {
    WEIGHTS,
    ACTIVATIONS,
    PARAMETERS,
    ACCESSES
  } stream_e;

  // next beat of a stream: bit Valid, bit Last
  import "DPI-C" function int encmac_port_beat(input int stream, output bit [Bits-1:0] data);
  import "DPI-C" function void encmac_port_result(input bit [Bits-1:0] data, input bit last);
  import "DPI-C" function void encmac_port_response(input int response, input int data);
  // once a cycle: jobs that have ended, and whether results may come
  import "DPI-C" function int encmac_port_cycle(output bit ready);

  logic clk, rst_n;
  initial begin
    clk = 1'b0;
    forever #5 clk = !clk;
  end
  initial begin
    rst_n = 1'b0;
    #42 rst_n = 1'b1;
  end

  logic [Cols*8-1:0] w_tdata;
  logic [Rows*8-1:0] a_tdata;
  logic [127:0] p_tdata;
  logic [Cols*32-1:0] y_tdata;
  logic w_tvalid, w_tready, w_tlast, a_tvalid, a_tready, a_tlast, p_tvalid, p_tready, p_tlast;
  logic y_tvalid, y_tready, y_tlast;
  logic [39:0] access;  // address, data
  logic busy, aw_valid, aw_ready, w_valid, w_ready, b_valid, ar_valid, ar_ready, r_valid;
  logic [1:0] b_resp, r_resp;
  logic [31:0] r_data;

  // One block: the order of calls is the same in every simulation.
  bit [Bits-1:0] beat;
  bit ready;
  int flags;
  always @(posedge clk) begin
    if (!rst_n) begin
      {w_tvalid, a_tvalid, p_tvalid, y_tready, busy, aw_valid, w_valid, ar_valid} <= '0;
      completed_o <= '0;
    end else begin
      if (y_tvalid && y_tready) encmac_port_result(Bits'(y_tdata), y_tlast);
      if (b_valid) encmac_port_response(32'(b_resp), 0);
      if (r_valid) encmac_port_response(32'(r_resp), r_data);
      completed_o <= encmac_port_cycle(ready);
      y_tready <= ready;
      if (!w_tvalid || w_tready) begin
        flags = encmac_port_beat(WEIGHTS, beat);
        w_tvalid <= flags[Valid];
        w_tlast <= flags[Last];
        if (flags[Valid]) w_tdata <= beat[0+:Cols*8];
      end
      if (!a_tvalid || a_tready) begin
        flags = encmac_port_beat(ACTIVATIONS, beat);
        a_tvalid <= flags[Valid];
        a_tlast <= flags[Last];
        if (flags[Valid]) a_tdata <= beat[0+:Rows*8];
      end
      if (Depth > 0) begin
        if (!p_tvalid || p_tready) begin
          flags = encmac_port_beat(PARAMETERS, beat);
          p_tvalid <= flags[Valid];
          p_tlast <= flags[Last];
          if (flags[Valid]) p_tdata <= beat[0+:128];
        end
        if (aw_ready) aw_valid <= 1'b0;
        if (w_ready) w_valid <= 1'b0;
        if (ar_ready) ar_valid <= 1'b0;
        if (b_valid || r_valid) busy <= 1'b0;
        if (!busy) begin
          flags = encmac_port_beat(ACCESSES, beat);
          if (flags[Valid]) begin
            access <= beat[0+:40];
            busy <= 1'b1;
            {aw_valid, w_valid, ar_valid} <= {beat[40], beat[40], !beat[40]};
          end
        end
      end
    end
  end

  if (Depth > 0) begin : gen_engine
    logic unused_error;
    tile_top #(
        .Rows        (Rows),
        .Cols        (Cols),
        .Depth       (Depth),
        .ColsPerStage(ColsPerStage),
        .RowsPerGroup(RowsPerGroup),
        .Merged      (Merged),
        .SumRegister (SumRegister),
        .Programmable(Programmable),
        .Form        (Form),
        .Shadow      (Shadow)
    ) u_engine (
        .clk_i            (clk),
        .rst_ni           (rst_n),
        .position_write_i (1'b0),
        .position_index_i ('0),
        .position_weight_i('0),
        .position_clear_i (1'b0),
        .position_error_o (unused_error),
        .s_axil_awaddr    (access[39:32]),
        .s_axil_awvalid   (aw_valid),
        .s_axil_awready   (aw_ready),
        .s_axil_wdata     (access[31:0]),
        .s_axil_wstrb     (4'hF),
        .s_axil_wvalid    (w_valid),
        .s_axil_wready    (w_ready),
        .s_axil_bresp     (b_resp),
        .s_axil_bvalid    (b_valid),
        .s_axil_bready    (1'b1),
        .s_axil_araddr    (access[39:32]),
        .s_axil_arvalid   (ar_valid),
        .s_axil_arready   (ar_ready),
        .s_axil_rdata     (r_data),
        .s_axil_rresp     (r_resp),
        .s_axil_rvalid    (r_valid),
        .s_axil_rready    (1'b1),
        .s_axis_w_tdata   (w_tdata),
        .s_axis_w_tvalid  (w_tvalid),
        .s_axis_w_tready  (w_tready),
        .s_axis_w_tlast   (w_tlast),
        .s_axis_a_tdata   (a_tdata),
        .s_axis_a_tvalid  (a_tvalid),
        .s_axis_a_tready  (a_tready),
        .s_axis_a_tlast   (a_tlast),
        .s_axis_p_tdata   (p_tdata),
        .s_axis_p_tvalid  (p_tvalid),
        .s_axis_p_tready  (p_tready),
        .s_axis_p_tlast   (p_tlast),
        .m_axis_y_tdata   (y_tdata),
        .m_axis_y_tvalid  (y_tvalid),
        .m_axis_y_tready  (y_tready),
        .m_axis_y_tlast   (y_tlast)
    );
  end else begin : gen_array
    logic unused_error;
    array_top #(
        .Rows        (Rows),
        .Cols        (Cols),
        .ColsPerStage(ColsPerStage),
        .RowsPerGroup(RowsPerGroup),
        .Merged      (Merged),
        .SumRegister (SumRegister),
        .Programmable(Programmable),
        .Form        (Form),
        .Shadow      (Shadow)
    ) u_array (
        .clk_i            (clk),
        .rst_ni           (rst_n),
        .position_write_i (1'b0),
        .position_index_i ('0),
        .position_weight_i('0),
        .position_clear_i (1'b0),
        .position_error_o (unused_error),
        .s_axis_w_tdata   (w_tdata),
        .s_axis_w_tvalid  (w_tvalid),
        .s_axis_w_tready  (w_tready),
        .s_axis_w_tlast   (w_tlast),
        .s_axis_a_tdata   (a_tdata),
        .s_axis_a_tvalid  (a_tvalid),
        .s_axis_a_tready  (a_tready),
        .s_axis_a_tlast   (a_tlast),
        .m_axis_y_tdata   (y_tdata),
        .m_axis_y_tvalid  (y_tvalid),
        .m_axis_y_tready  (y_tready),
        .m_axis_y_tlast   (y_tlast)
    );
    assign {aw_ready, w_ready, b_valid, ar_ready, r_valid, b_resp, r_resp, r_data, p_tready} = '0;
    logic unused_engine;
    assign unused_engine = ^{p_tdata, p_tvalid, p_tlast, access, aw_valid, w_valid, ar_valid, busy};
  end
endmodule
