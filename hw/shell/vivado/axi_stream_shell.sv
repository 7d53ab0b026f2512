// The network between two AXI4-Stream ports, as AMD's AXI DMA wants them (PG021).
//
// PARAMETERS
//   IN, OUT              bits of a word into and out of the network
//   IN_WORDS, OUT_WORDS  words of a frame
//   IN_BITS, OUT_BITS    bits of tdata: 8, 16, 32 ... 1024, at least those of a word
//   FRAMES               frames of which the end is remembered; those that are in the network at the same time
//
// PORTS    aclk; aresetn: active low, synchronous to aclk; s_axis, m_axis: streams; frame_error: see PACKETS
//
// A beat is one word, its bits the lowest ones of tdata; the others are ignored on the way in and 0 on the way out.
//
// PACKETS  A packet is one frame or several. A frame is counted, not marked: tlast of the word that ends a frame goes
//          with the frame through the network, so that the answer to a packet is a packet of as many frames. Where
//          every frame is a packet of its own, tlast ends every frame of output.
//          A tlast within a frame, and a byte of a word that tkeep takes out, is an error of the sender: words and
//          frames no longer match. The word counts like any other, its tlast is lost, and frame_error stays high until
//          reset, which is the way out of it. m_axis_tkeep is all ones.
//
// HANDSHAKE  m_axis_tvalid waits for no m_axis_tready, and is low while aresetn is. The last word of a frame waits, on
//          the way in, for a place among FRAMES, and on the way out until its frame has come in as a whole, which
//          matters to networks that need not read the end of a frame.
module axi_stream_shell #(
    parameter int IN = 8,
    parameter int OUT = 8,
    parameter int IN_WORDS = 2,
    parameter int OUT_WORDS = 2,
    parameter int IN_BITS = 8,
    parameter int OUT_BITS = 8,
    parameter int FRAMES = 2
) (
    input  logic aclk,
    input  logic aresetn,
    input  logic s_axis_tvalid,
    output logic s_axis_tready,
    input  logic [IN_BITS-1:0] s_axis_tdata,
    input  logic [IN_BITS/8-1:0] s_axis_tkeep,
    input  logic s_axis_tlast,
    output logic m_axis_tvalid,
    input  logic m_axis_tready,
    output logic [OUT_BITS-1:0] m_axis_tdata,
    output logic [OUT_BITS/8-1:0] m_axis_tkeep,
    output logic m_axis_tlast,
    output logic frame_error
);
    localparam int IN_COUNT = IN_WORDS > 1 ? $clog2(IN_WORDS) : 1;
    localparam int OUT_COUNT = OUT_WORDS > 1 ? $clog2(OUT_WORDS) : 1;
    localparam int IN_BYTES = (IN + 7) / 8;

    wire rst = !aresetn;
    logic in_ready, out_valid, end_ready, end_valid, end_last;
    logic [OUT-1:0] out_data;
    logic [IN_COUNT-1:0] in_word;
    logic [OUT_COUNT-1:0] out_word;
    wire in_last = in_word == IN_COUNT'(IN_WORDS - 1);
    wire out_last = out_word == OUT_COUNT'(OUT_WORDS - 1);
    wire accept = aresetn && (!in_last || end_ready);
    wire in_valid = s_axis_tvalid && accept;
    wire taken = in_valid && in_ready;
    wire given = m_axis_tvalid && m_axis_tready;

    assign s_axis_tready = in_ready && accept;
    assign m_axis_tvalid = aresetn && out_valid && (!out_last || end_valid);
    assign m_axis_tdata = OUT_BITS'(out_data);
    assign m_axis_tkeep = '1;
    assign m_axis_tlast = out_last && end_last;

    always_ff @(posedge aclk) begin
        if (rst) begin
            in_word <= '0;
            out_word <= '0;
            frame_error <= 1'b0;
        end else begin
            if (taken) in_word <= in_last ? '0 : in_word + 1'b1;
            if (given) out_word <= out_last ? '0 : out_word + 1'b1;
            if (taken && ((s_axis_tlast && !in_last) || !(&s_axis_tkeep[IN_BYTES-1:0]))) frame_error <= 1'b1;
        end
    end

    stream_fifo #(.WIDTH(1), .DEPTH(FRAMES)) ends
        (.clk(aclk), .rst(rst), .in_valid(taken && in_last), .in_ready(end_ready), .in_data(s_axis_tlast),
         .out_valid(end_valid), .out_ready(given && out_last), .out_data(end_last));
    network network
        (.clk(aclk), .rst(rst), .in_valid(in_valid), .in_ready(in_ready), .in_data(s_axis_tdata[IN-1:0]),
         .out_valid(out_valid), .out_ready(m_axis_tready && aresetn && (!out_last || end_valid)),
         .out_data(out_data));
endmodule
