// Top level of a board: the network behind a serial line that speaks the protocol of hw/shell/README.md.
//
// PARAMETERS
//   IN, OUT               bits of a word into and out of the network
//   IN_WORDS, OUT_WORDS   words of a frame
//   IN_LANES, OUT_LANES   elements of a word, told to the host
//   DIGEST                of the graph, told to the host: its first 8 bytes, the first one in the lowest bits
//   CLOCKS                clocks of one bit on the line, 4 or more: clock frequency / baud rate, rounded; the clock is
//                         that of `clock_source`
//   LED_LOW               1: the lamp is lit by 0
//
// PORTS    clk: the board's oscillator; rx, tx: serial line, 8N1; led: lit once a request was refused
//
// HANDSHAKE  A host sends a request and waits for the reply before it sends the next one. The network takes a frame
//            only when all of it has come and its checksum is right.
// RESET      by configuration, while the clock is not steady, and by a break on the line (rx at 0 for ten bits or
//            more): all is forgotten, in the network too
// LATENCY    2 clocks from the end of a request to the first word of its frame at the network
//
// rx -> uart_rx -> deframer -> request_parser -> frame_memory -> network -> lane_adapter -> reply_writer -> framer ->
// uart_tx -> tx
module uart_shell #(
    parameter int IN = 8,
    parameter int OUT = 8,
    parameter int IN_WORDS = 2,
    parameter int OUT_WORDS = 1,
    parameter int IN_LANES = 1,
    parameter int OUT_LANES = 1,
    parameter logic [63:0] DIGEST = '0,
    parameter int CLOCKS = 217,
    parameter bit LED_LOW = 0
) (
    input  logic clk,
    input  logic rx,
    output logic tx,
    output logic led
);
    localparam int OUT_PARTS = (OUT + 7) / 8;
    localparam int IN_BYTES = IN_WORDS * ((IN + 7) / 8);
    localparam int OUT_BYTES = OUT_WORDS * OUT_PARTS;
    localparam logic [127:0] IDENTITY =
        {DIGEST, 16'(OUT_LANES), 16'(IN_LANES), 16'(OUT_BYTES), 16'(IN_BYTES)};

    logic clock, locked;
    clock_source source (.oscillator(clk), .clk(clock), .locked(locked));

    // Registers start at 0 when the device is configured: reset for the first 15 clocks that are steady, and behind a
    // break.
    logic [3:0] waited = '0;
    logic line_break;
    wire rst = waited != '1;
    always_ff @(posedge clock) begin
        if (line_break || !locked) waited <= '0;
        else if (rst) waited <= waited + 1'b1;
    end

    logic line_valid, byte_valid, ended, aborted;
    logic [7:0] line_data, byte_data;
    uart_rx #(.CLOCKS(CLOCKS)) receiver
        (.clk(clock), .rst(rst), .rx(rx), .valid(line_valid), .line_break(line_break), .data(line_data));
    deframer deframer
        (.clk(clock), .rst(rst), .in_valid(line_valid), .in_data(line_data),
         .out_valid(byte_valid), .out_data(byte_data), .ended(ended), .aborted(aborted));

    logic payload_valid, payload_last, sending, answering, room, reply_valid, accept;
    logic [7:0] payload_data, number;
    logic [3:0] code;
    request_parser #(.BYTES(IN_BYTES)) parser
        (.clk(clock), .rst(rst), .in_valid(byte_valid), .in_data(byte_data), .ended(ended), .aborted(aborted),
         .payload_valid(payload_valid), .payload_data(payload_data), .payload_last(payload_last),
         .busy(sending || answering), .room(room),
         .reply_valid(reply_valid), .code(code), .number(number), .accept(accept));
    logic refused;
    assign led = refused ^ LED_LOW;
    always_ff @(posedge clock) begin
        if (rst) refused <= 1'b0;
        else if (reply_valid && code[3]) refused <= 1'b1;
    end

    logic in_valid, in_ready, out_valid, out_ready, answer_valid, answer_ready;
    logic [IN-1:0] in_data;
    logic [OUT-1:0] out_data;
    logic [7:0] answer_data;
    frame_memory #(.WIDTH(IN), .WORDS(IN_WORDS)) frame
        (.clk(clock), .rst(rst), .in_valid(payload_valid), .in_data(payload_data), .in_last(payload_last),
         .restart(ended), .commit(accept), .busy(sending),
         .out_valid(in_valid), .out_ready(in_ready), .out_data(in_data));
    network network
        (.clk(clock), .rst(rst), .in_valid(in_valid), .in_ready(in_ready), .in_data(in_data),
         .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data));
    lane_adapter #(.BITS(8), .IN(OUT_PARTS), .OUT(1)) answer
        (.clk(clock), .rst(rst), .in_valid(out_valid), .in_ready(out_ready), .in_data((8*OUT_PARTS)'(out_data)),
         .out_valid(answer_valid), .out_ready(answer_ready), .out_data(answer_data));

    logic packet_valid, packet_ready, packet_last, sent_valid, sent_ready;
    logic [7:0] packet_data, sent_data;
    reply_writer #(.BYTES(OUT_BYTES), .IDENTITY(IDENTITY)) writer
        (.clk(clock), .rst(rst), .reply_valid(reply_valid), .code(code), .number(number), .room(room),
         .answering(answering),
         .answer_valid(answer_valid), .answer_ready(answer_ready), .answer_data(answer_data),
         .out_valid(packet_valid), .out_ready(packet_ready), .out_data(packet_data), .out_last(packet_last));
    framer framer
        (.clk(clock), .rst(rst), .in_valid(packet_valid), .in_ready(packet_ready), .in_data(packet_data),
         .in_last(packet_last), .out_valid(sent_valid), .out_ready(sent_ready), .out_data(sent_data));
    uart_tx #(.CLOCKS(CLOCKS)) transmitter
        (.clk(clock), .rst(rst), .in_valid(sent_valid), .in_ready(sent_ready), .in_data(sent_data), .tx(tx));
endmodule
